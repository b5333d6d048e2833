/** One question and its answer on the page. */

import { AnswerView } from "./answer.js";
import { markChanges, wordsIn } from "./changes.js";
import { copy } from "./clipboard.js";
import { countChanges } from "./diff.js";
import { h, icon, say } from "./element.js";
import { ConflictsView, FatesView } from "./fates.js";
import { FeedbackView } from "./feedback.js";
import { FollowUps } from "./followups.js";
import { inventory } from "./inventory.js";
import { NotFoundView, isWithheld, tell } from "./notfound.js";
import { codeOf } from "./languages.js";
import { keepPlace } from "./reading.js";
import * as words from "./sentences.js";
import { SourceList, citedText, sectionOf } from "./sourcelist.js";
import { StagesView } from "./stages.js";
import { ThinkingView } from "./thinking.js";
import { TimelineView } from "./timeline.js";
import { isRunning, newest, passagesByNumber, written } from "./transcript.js";

const ICONS = {
  copy: ["M9 9h10v11H9z", "M5 15V4h10"],
  harder: ["M12 3v3", "M12 18v3", "M3 12h3", "M18 12h3", "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z"],
  add: ["M12 5v14", "M5 12h14"],
  model: ["M7 7h10v10H7z", "M10 3v4", "M14 3v4", "M10 17v4", "M14 17v4", "M3 10h4", "M3 14h4", "M17 10h4", "M17 14h4"],
  again: ["M20 11a8 8 0 1 0-2.3 6.3", "M20 5v6h-6"],
};

const NO_DOCUMENTS = "There are no documents yet. Add some, then ask again.";
const LONG_QUESTION = 240;
const LONG_LINES = 4;

export class TurnView {
  #shown = 1;
  #isFollowed = false;
  #isMarked = false;
  #moment = "";

  /** `actions`: `openSource(turn, citation, opener)`, `announce(words)`, and, where more may be asked, `thinkHarder(turn)` and `askAgain(turn)`. */
  constructor(turn, actions) {
    this.turn = turn;
    this.actions = actions;
    this.versions = { 1: new AnswerView() };
    this.thinking = new ThinkingView();
    this.timeline = new TimelineView();
    this.stages = new StagesView();
    this.conflicts = new ConflictsView();
    this.fates = new FatesView();
    this.notFound = new NotFoundView((passage, opener) => this.actions.openSource(this.turn, fromPassage(passage), opener));
    this.followUps = new FollowUps();
    this.feedback = new FeedbackView(turn);
    this.sources = new SourceList((index, opener) => this.#openSource(index, opener));
    this.#build();
    this.update({ link: null });
  }

  /** Show the turn as it stands; `link` is `{ state, retryInMs }` or null. */
  update({ link }) {
    const moment = this.#momentNow();
    if (moment === this.#moment) return this.#draw(link);
    this.#moment = moment;
    keepPlace(this.body, () => this.#draw(link));
  }

  /** What above the answer's words comes and goes; only then can they be moved. */
  #momentNow() {
    const { transcript, problem } = this.turn;
    const isOver = !isRunning(transcript) || Boolean(problem);
    return [this.#wanted(transcript), this.#isImproving(), transcript.decision?.decision, newest(transcript), isOver].join();
  }

  #draw(link) {
    const { transcript, problem } = this.turn;
    this.#chooseVersion(transcript);
    const numbers = passagesByNumber(transcript);
    const shown = written(transcript, this.#shown);
    this.#viewOf(this.#shown).update(shown, numbers.size ? numbers : null);
    this.thinking.update(transcript);
    this.stages.update(transcript);
    this.timeline.update(transcript);
    this.sources.update(shown, numbers);
    this.conflicts.update(transcript);
    this.fates.update(shown);
    this.notFound.update(this.turn);
    this.followUps.update(this.turn);
    this.#showStatus(transcript, problem, link);
    this.#showState(transcript, problem, shown);
    if (!isRunning(transcript)) this.#showChanges();
  }

  /** What a chip below this turn stands for. */
  describe(chip) {
    const view = this.#viewOf(this.#shown);
    const { citations, unsupported } = written(this.turn.transcript, this.#shown);
    const [first, ...more] = proofsOf(chip).map((index) => citations[index]);
    const section = first && sectionOf(passagesByNumber(this.turn.transcript).get(first.marker));
    if (first) return { citation: first, section, more: more.length, ranges: view.rangesOf(first) };
    const flag = chip.dataset.flag ? unsupported[Number(chip.dataset.flag)] : null;
    if (flag) return { reason: flag.reason, ranges: view.rangesOf(flag) };
    const isOpen = isRunning(this.turn.transcript);
    return { reason: isOpen ? "This citation has not been checked yet." : "This citation was not checked.", ranges: [] };
  }

  #build() {
    const { question, mode, query } = this.turn;
    const id = `turn-${this.turn.key}`;
    this.status = h("span", { class: "status-words" });
    this.statusLine = h("p", { class: "status" }, h("span", { class: "pulse", "aria-hidden": "true" }), this.status);
    this.label = h("h3", { class: "answer-label" });
    this.notice = h("div", { class: "notice", hidden: true });
    this.body = h("div", { class: "answer-body", lang: codeOf(query.language) }, this.versions[1].element);
    this.answer = h("div", { class: "answer", role: "group", "aria-label": "Answer", hidden: true }, h("header", { class: "answer-head" }, this.label, this.stages.element), this.notice, this.body, this.conflicts.element, this.fates.element, this.notFound.element);
    this.problem = h("div", { class: "problem", role: "alert" });
    this.warnings = h("ul", { class: "warnings" });
    this.actionRow = h("div", { class: "actions" });
    this.element = h(
      "article",
      { class: "turn", "aria-labelledby": id },
      h("header", { class: "turn-head" }, ...questionParts(question, id), mode === "deep" && h("p", { class: "mode" }, icon(...ICONS.harder), "Thinking harder"), query.model && h("p", { class: "mode model" }, icon(...ICONS.model), query.model)),
      this.statusLine,
      this.thinking.element,
      this.answer,
      this.problem,
      this.warnings,
      this.sources.element,
      this.actionRow,
      this.feedback.form,
      this.feedback.told,
      this.followUps.element,
      this.timeline.element,
    );
    this.answer.addEventListener("click", (event) => {
      const chip = event.target.closest(".chip");
      if (chip) this.#openChip(chip);
    });
  }

  #viewOf(version) {
    this.versions[version] ??= new AnswerView();
    return this.versions[version];
  }

  /** A version takes the shown one's place once it has outgrown it, is complete, or the reader wants to see it. */
  #wanted(transcript) {
    const { answers, terminal } = transcript;
    if (terminal?.type === "run_finished") return terminal.version;
    const latest = newest(transcript);
    if (latest <= this.#shown) return latest;
    const [before, after] = [written(transcript, this.#shown), answers[latest]];
    const isReady = after.finished || terminal || this.#isFollowed || after.content.length >= before.content.length;
    return isReady ? latest : this.#shown;
  }

  #chooseVersion(transcript) {
    const wanted = this.#wanted(transcript);
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    this.body.replaceChildren(this.#viewOf(wanted).element);
  }

  #showStatus(transcript, problem, link) {
    const isLost = link?.state === "lost";
    const isOver = !isRunning(transcript) || Boolean(problem);
    this.statusLine.classList.toggle("over", isOver);
    this.statusLine.classList.toggle("lost", isLost && !isOver);
    if (isOver) say(this.status, words.summaryOf(transcript));
    else if (isLost && !transcript.runId) say(this.status, "The server cannot be reached. Trying again…");
    else if (isLost) say(this.status, "The connection was lost. Reconnecting by itself; nothing that was written is lost…");
    else say(this.status, words.progressOf(transcript, { isImproving: this.#isImproving(), waitedMs: Date.now() - this.turn.askedAt, ahead: this.turn.ahead }));
  }

  #isImproving() {
    const { answers, decision, terminal } = this.turn.transcript;
    const latest = Math.max(...Object.keys(answers).map(Number));
    return !terminal && decision?.decision === "refine" && !(latest > 1 && answers[latest].finished);
  }

  #showState(transcript, problem, shown) {
    const isOver = !isRunning(transcript) || Boolean(problem);
    const state = isOver ? "final" : this.#isImproving() ? "improving" : shown.content ? "draft" : "waiting";
    this.answer.dataset.state = transcript.terminal && transcript.terminal.type !== "run_finished" ? "broken" : state;
    this.answer.hidden = !shown.content && !(transcript.answers[1].started && !isOver);
    this.answer.setAttribute("aria-busy", String(!isOver));
    this.#viewOf(this.#shown).element.classList.toggle("writing", !isOver && !shown.finished);
    say(this.label, isWithheld(transcript) ? "No answer" : words.labelOf(transcript, this.#shown));
    this.#showNotice(transcript, isOver);
    this.#showProblem(transcript, problem);
    this.#showActions(transcript, isOver);
  }

  #showNotice(transcript, isOver) {
    const verdict = isWithheld(transcript) ? null : words.verdictOf(transcript);
    if (this.#isImproving()) this.#fillNotice("improving", words.improvementOf(transcript), this.#followButton(transcript));
    else if (verdict) this.#fillNotice(this.#shown > 1 ? "improved" : "stands", verdict, this.#changesButton());
    else if (!isOver) this.#fillNotice("draft", words.DRAFT_NOTICE);
    else this.notice.hidden = true;
  }

  #fillNotice(kind, { title, reason }, button = null) {
    const key = [kind, title, reason, button?.textContent, button?.getAttribute("aria-pressed")].join("|");
    if (this.notice.dataset.key === key) return;
    const hadFocus = this.notice.contains(document.activeElement);
    this.notice.dataset.key = key;
    this.notice.className = `notice ${kind}`;
    this.notice.hidden = false;
    this.notice.replaceChildren(h("p", {}, h("strong", {}, title), ` ${reason}`), ...(button ? [button] : []));
    if (hadFocus) button?.focus({ preventScroll: true });
  }

  #followButton(transcript) {
    if (this.#shown >= newest(transcript)) return null;
    const follow = () => {
      this.#isFollowed = true;
      this.update({ link: null });
    };
    return h("button", { type: "button", class: "quiet", onclick: follow }, "Read along");
  }

  #changesButton() {
    if (!this.#isMarked) return null;
    const isOn = this.answer.classList.contains("with-changes");
    const toggle = () => {
      keepPlace(this.body, () => this.answer.classList.toggle("with-changes", !isOn));
      this.#showNotice(this.turn.transcript, true);
    };
    return h("button", { type: "button", class: "quiet", "aria-pressed": String(isOn), onclick: toggle }, this.changeWords);
  }

  /** Once all is written: what the refinement changed, quietly. */
  #showChanges() {
    if (this.#shown === 1 || this.#isMarked) return;
    const [draft, refined] = [this.#viewOf(1), this.#viewOf(this.#shown)];
    draft.update(this.turn.transcript.answers[1], null);
    const before = wordsIn(draft.element);
    if (!before) return;
    const { added, removed } = countChanges(markChanges(refined.element, before));
    if (!added && !removed) return;
    this.#isMarked = true;
    this.changeWords = `Show changes: ${added} new, ${removed} gone`;
    this.answer.classList.add("fresh-changes");
    this.#showNotice(this.turn.transcript, true);
  }

  #showProblem({ terminal, warnings, gap }, problem) {
    const told = troubleOf({ terminal }, problem);
    const stopped = terminal?.type === "run_cancelled" ? words.stoppedBy(terminal) : "";
    say(this.problem, lacksDocuments(told) ? NO_DOCUMENTS : told ? words.problemOf(told) : stopped);
    this.problem.classList.toggle("calm", Boolean(stopped));
    const hints = [...new Set(warnings.map(({ message }) => message))].filter((message) => message !== told?.message);
    if (gap) hints.push("A part of this run was no longer kept by the server; the answer is complete.");
    if (this.warnings.childElementCount !== hints.length) this.warnings.replaceChildren(...hints.map((hint) => h("li", {}, hint)));
  }

  #showActions(transcript, isOver) {
    if (!isOver || this.actionRow.childElementCount) return;
    const { type } = transcript.terminal ?? {};
    const isEmptied = lacksDocuments(troubleOf(transcript, this.turn.problem));
    const button = (sign, name, act) => h("button", { type: "button", class: "action", onclick: act }, icon(...ICONS[sign]), h("span", {}, name));
    const all = [];
    if (written(transcript, this.#shown).content) all.push(button("copy", "Copy with sources", (event) => this.#copy(event)));
    if (this.actions.thinkHarder && type === "run_finished" && this.turn.mode === "fast") all.push(button("harder", "Think harder about this", () => this.actions.thinkHarder(this.turn)));
    if (isEmptied) all.push(button("add", "Add documents", () => tell(this.element, "page-add")));
    if (this.actions.askAgain) all.push(button("again", "Ask again", () => this.actions.askAgain(this.turn)));
    if (this.actions.askAgain && type === "run_finished") all.push(this.feedback.element);
    this.actionRow.replaceChildren(...all);
  }

  async #copy(event) {
    const name = event.currentTarget.querySelector("span");
    try {
      await copy(citedText(this.turn.transcript));
      say(name, "Copied");
      this.actions.announce("Answer and sources copied.");
    } catch {
      say(name, "Copying was not allowed");
    }
    setTimeout(() => say(name, "Copy with sources"), 2_000);
  }

  #openChip(chip) {
    const [index] = proofsOf(chip);
    if (index !== undefined) return this.#openSource(index, chip);
    const passage = passagesByNumber(this.turn.transcript).get(Number(chip.dataset.number));
    if (passage) this.actions.openSource(this.turn, fromPassage(passage), chip);
  }

  #openSource(index, opener) {
    this.actions.openSource(this.turn, written(this.turn.transcript, this.#shown).citations[index], opener);
  }
}

/** Why there is no answer, or no whole one; null where nothing went wrong. */
function troubleOf({ terminal }, problem) {
  return problem ?? (terminal?.type === "run_failed" ? terminal : null);
}

/** Whether this page can help it that nothing is there to be asked; else the server's words are for whoever runs it. */
function lacksDocuments(trouble) {
  return trouble?.code === "index_not_found" && inventory.mayAdd;
}

/** A pasted page is no heading: it is shown small, and clamped until it is asked for. */
function questionParts(question, id) {
  const heading = h("h2", { class: "question", id, dir: "auto", tabindex: "-1" }, question);
  if (question.length <= LONG_QUESTION && question.split("\n").length <= LONG_LINES) return [heading];
  heading.classList.add("long");
  const toggle = ({ currentTarget: button }) => {
    const isWhole = heading.classList.toggle("whole");
    button.setAttribute("aria-expanded", String(isWhole));
    say(button, isWhole ? "Show less" : "Show all of it");
  };
  return [heading, h("button", { type: "button", class: "quiet", "aria-expanded": "false", "aria-controls": id, onclick: toggle }, "Show all of it")];
}

function proofsOf(chip) {
  return chip.dataset.proofs ? chip.dataset.proofs.split(" ").map(Number) : [];
}

/** A passage that is cited but not confirmed is shown as a whole. */
function fromPassage({ number, document: id, title, uri, start, end, content, place }) {
  return { marker: number, document: id, title, uri, source_start: start, source_end: end, quote: content, place };
}
