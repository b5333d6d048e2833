/** A conversation: asks, reads, stops, branches, and shows what the server keeps of it, or this tab where that keeps nothing. */

import { Asked } from "./asked.js";
import { before, branchThrough, branchesOf } from "./branches.js";
import { newKey } from "./client.js";
import { lineBefore } from "./sentences.js";
import { loadTurns, saveTurns } from "./session.js";
import { add, answer, isRunning, newTranscript } from "./transcript.js";
import { TurnView } from "./turn.js";

const MAX_HISTORY_TURNS = 20;
const MAX_TURN_CHARS = 32_000;
/** Reading gives way to the page after so long, so that replaying a long run never blocks it. */
const BREATH_MS = 12;
/** After a costly rendering, this many times its cost belongs to everything else. */
const REST = 2;
const CLOCK_TICK_MS = 100;
/** A question that has not begun by then may stand in a line, and its place is asked for as often. */
const PLACE_MS = 1_500;
/** Why reading ends though nobody has stopped the answer. */
const LEFT = new DOMException("Another conversation is shown.", "AbortError");

export class Conversation {
  #turns = new Map();
  #views = new Map();
  #asked = new Map();
  #shown = [];
  #active = null;
  #opening = 0;
  #isReadOnly = false;

  /** `list` holds the turns; `chosen()` gives `model` and `language` where any is chosen; `onRunning(boolean)`; `onChange()`: a run has begun or ended; `openSource(turn, citation, opener)`. */
  constructor({ list, server, announcer, chosen, onRunning, onChange, openSource }) {
    Object.assign(this, { list, server, announcer, chosen, onRunning, onChange, openSource });
    /** Whether the server keeps conversations; until it has told, none is asked. */
    this.isKept = false;
    this.id = "";
    addEventListener("pagehide", () => this.#save());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.refresh());
  }

  get isEmpty() {
    return !this.#shown.length;
  }

  /** Whether the server has begun to keep it. */
  get hasAddress() {
    return this.isKept && this.#shown.some(({ transcript }) => transcript.runId);
  }

  get title() {
    return this.#turns.values().next().value?.question ?? "";
  }

  /** Show what the tab remembers, where the server keeps nothing, and go on with the run that was being read. */
  restore() {
    let follows = "";
    for (const turn of loadTurns()) {
      turn.follows ??= follows; // as an earlier version of the page has kept it
      follows = turn.key;
      this.#turns.set(turn.key, turn);
    }
    this.#show(branchThrough(this.#turns, null));
    this.#pickUp();
    if (!this.isEmpty) scrollTo({ top: document.scrollingElement.scrollHeight, behavior: "instant" });
  }

  /** Show the first question of a conversation that the server has never heard of, as it was asked before a reload. */
  recall() {
    this.#recall(({ follows, transcript }) => !follows && !transcript.runId);
    this.#show(branchThrough(this.#turns, null));
    this.id = this.#shown[0] ? (this.#shown[0].conversation ||= newKey()) : "";
    this.#pickUp();
  }

  /** Show what the server keeps under this id, or under the secret of a share; resolve to its title. Throws where there is none. */
  async open({ conversation = "", share = "", turn = "" }) {
    const opening = ++this.#opening;
    const told = await (share ? this.server.shared(share) : this.server.conversation(conversation));
    if (opening !== this.#opening) return null; // another one was wanted meanwhile
    this.#leave();
    this.id = conversation;
    this.#isReadOnly = Boolean(share);
    this.#take(told.asked);
    if (!share) this.#recall((unheard) => unheard.conversation === conversation);
    const wanted = this.#turns.get(turn);
    this.#show(branchThrough(this.#turns, wanted));
    const last = wanted ?? this.#shown.at(-1);
    if (share && !wanted) scrollTo({ top: 0, behavior: "instant" });
    else if (last) this.#views.get(last.key).element.scrollIntoView({ block: "start", behavior: "instant" });
    this.#pickUp();
    return told.title;
  }

  /** Go to a turn of what is shown; false where it has none such. */
  goTo(key) {
    const turn = this.#turns.get(key);
    if (!turn) return false;
    this.#show(branchThrough(this.#turns, turn));
    this.#views.get(key).element.scrollIntoView({ block: "start", behavior: "instant" });
    return true;
  }

  /** See what was asked elsewhere meanwhile. */
  async refresh() {
    if (!this.hasAddress || this.#active || this.#isReadOnly) return;
    const opening = this.#opening;
    try {
      const { asked } = await this.server.conversation(this.id);
      if (opening !== this.#opening || this.#active) return;
      this.#take(asked);
      this.#show(branchThrough(this.#turns, this.#shown.at(-1)));
      this.#pickUp();
    } catch {
      // What is shown stays.
    }
  }

  ask({ question, mode, filters = {}, follows = this.#lastKnown(), history = historyOf(this.#shown) }) {
    if (this.#active || this.#isReadOnly) return;
    if (this.isKept) this.id ||= newKey();
    const query = { question, mode, history, filters, ...this.chosen() };
    const turn = { key: newKey(), follows, conversation: this.id, question, mode, query, transcript: newTranscript(), problem: null, askedAt: Date.now() };
    this.#turns.set(turn.key, turn);
    this.#show(branchThrough(this.#turns, turn));
    this.#views.get(turn.key).element.scrollIntoView({ block: "start", behavior: "instant" });
    this.announcer.begin();
    this.#read(turn);
    this.#save();
  }

  /** Stop the run; before the server has named it, leaving is all there is. */
  async stop() {
    const { turn, control } = this.#active ?? {};
    if (!turn) return;
    if (!turn.transcript.runId) return control.abort();
    try {
      await this.server.cancel(turn.transcript.runId);
    } catch {
      control.abort();
    }
  }

  /** Begin anew; what the server keeps stays there, and goes on being answered. */
  clear() {
    this.#opening += 1;
    if (this.isKept) saveTurns(unheardBeside(this.id));
    this.#leave();
    this.#save();
  }

  /** What a chip on the page stands for. */
  describe(chip) {
    return this.#views.get(chip.closest(".turn")?.dataset.key)?.describe(chip);
  }

  #leave() {
    this.#active?.control.abort(LEFT);
    this.#active = null;
    this.onRunning(false);
    this.id = "";
    this.#isReadOnly = false;
    this.#shown = [];
    for (const known of [this.#turns, this.#views, this.#asked]) known.clear();
    this.list.replaceChildren();
  }

  /** Take over what the server tells of turns, where it knows more. */
  #take(asked) {
    for (const told of asked) {
      const known = this.#turns.get(told.id);
      if (known && !(isRunning(known.transcript) && (told.result || known.transcript.runId !== told.run_id))) continue;
      this.#forget(told.id);
      const turn = turnOf(told, this.id, this.#isReadOnly);
      this.#turns.set(told.id, turn);
      turn.query.history = historyOf(before(this.#turns, turn));
    }
  }

  /** Take over what was asked in this tab and the server has never heard: it was not to be reached. */
  #recall(isWanted) {
    for (const turn of loadTurns()) if (isWanted(turn) && !this.#turns.has(turn.key)) this.#turns.set(turn.key, turn);
  }

  #forget(key) {
    this.#views.delete(key);
    this.#asked.delete(key);
  }

  /** The turn that the next one follows: of those shown, the last one of which the server has heard. */
  #lastKnown() {
    return this.#shown.findLast(({ transcript }) => !this.isKept || transcript.runId)?.key ?? "";
  }

  #askBeside(turn, changed) {
    const { question, mode, follows, query } = turn;
    this.ask({ question, mode, follows, history: query.history, filters: query.filters, ...changed });
  }

  /** What the server has never heard is asked as it was, in its place; else beside what it has answered. */
  #askAgain(turn) {
    if (this.#active) return;
    if (turn.transcript.runId) return void this.#askBeside(turn, {});
    Object.assign(turn, { problem: null, askedAt: Date.now() });
    this.#forget(turn.key);
    this.#show(branchThrough(this.#turns, turn));
    this.#views.get(turn.key).element.querySelector(".question").focus({ preventScroll: true }); // the button is gone
    this.announcer.begin();
    this.#read(turn);
  }

  #viewOf(turn) {
    const known = this.#views.get(turn.key);
    if (known) return known;
    const announce = (words) => this.announcer.tell(words);
    const asking = this.#isReadOnly ? {} : { thinkHarder: () => this.#askBeside(turn, { mode: "deep" }), askAgain: () => this.#askAgain(turn) };
    const view = new TurnView(turn, { openSource: this.openSource, announce, ...asking });
    view.element.dataset.key = turn.key;
    const onEdit = this.#isReadOnly ? null : (question) => this.#askBeside(turn, { question });
    this.#views.set(turn.key, view);
    this.#asked.set(turn.key, new Asked(turn, view, { onEdit, onBranch: (step) => this.#step(turn, step), announce }));
    return view;
  }

  /** Show the branch before or after this turn's. */
  #step(turn, step) {
    const branches = branchesOf(this.#turns, turn);
    const other = branches[branches.indexOf(turn) + step];
    if (!other) return;
    const { top } = this.#views.get(turn.key).element.getBoundingClientRect();
    this.#show(branchThrough(this.#turns, other));
    const { element } = this.#views.get(other.key);
    scrollBy({ top: element.getBoundingClientRect().top - top, behavior: "instant" });
    this.#asked.get(other.key).focusSwitch(step);
    this.announcer.tell(`Version ${branches.indexOf(other) + 1} of ${branches.length}.`);
    this.#pickUp();
  }

  /** Put these turns on the page; those that are there already are not touched, so that nothing loses the focus. */
  #show(turns) {
    this.#shown = turns;
    const wanted = turns.map((turn) => this.#viewOf(turn).element);
    let same = 0;
    while (same < wanted.length && this.list.children[same] === wanted[same]) same += 1;
    while (this.list.children.length > same) this.list.lastElementChild.remove();
    this.list.append(...wanted.slice(same));
    this.#updateAsked();
  }

  #updateAsked() {
    for (const turn of this.#shown) {
      const branches = branchesOf(this.#turns, turn);
      this.#asked.get(turn.key).update({ at: branches.indexOf(turn) + 1, of: branches.length, isRunning: this.#active !== null });
    }
  }

  /** Read on what is shown and goes on, one run after the other. */
  #pickUp() {
    if (this.#active || this.#isReadOnly) return;
    const open = this.#shown.find(({ transcript, problem }) => isRunning(transcript) && !problem);
    if (open) this.#read(open);
  }

  async #read(turn) {
    const control = new AbortController();
    this.#active = { turn, control };
    this.onRunning(true);
    this.#updateAsked();
    const painter = new Painter(this.#views.get(turn.key));
    const options = {
      signal: control.signal,
      onRun: (runId) => this.#begin(turn, runId),
      onLink: (link) => painter.setLink(link),
    };
    try {
      await this.#follow(turn, options, painter);
    } catch (error) {
      if (control.signal.reason !== LEFT) turn.problem = problemOf(error, control.signal);
    }
    painter.finish();
    if (this.#active?.turn !== turn) return; // another conversation is shown
    this.#active = null;
    this.#save();
    this.onRunning(false);
    this.#updateAsked();
    this.onChange();
    this.#pickUp();
  }

  /** From here on a reload can take the run up again, even after a crash. */
  #begin(turn, runId) {
    turn.transcript.runId = runId;
    this.#save();
    this.#updateAsked();
    this.onChange();
  }

  /** Where the server keeps conversations, the tab need only remember what that has never heard. */
  #save() {
    if (this.#isReadOnly) return;
    const turns = [...this.#turns.values()];
    saveTurns(this.isKept ? [...unheardBeside(this.id), ...turns.filter(({ transcript }) => !transcript.runId)] : turns);
  }

  /** While the run has not begun, find out how many questions come first. */
  async #standInLine(turn, signal) {
    const isWaiting = () => !turn.transcript.runId && !turn.transcript.steps.length && !signal.aborted && this.#active?.turn === turn;
    turn.ahead = null;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, PLACE_MS));
      if (!isWaiting()) return;
      const before = turn.ahead;
      turn.ahead = await this.server.ahead(turn.key);
      if (isWaiting() && turn.ahead !== null && turn.ahead !== before) this.announcer.tell(lineBefore(turn.ahead));
    }
  }

  async #follow(turn, options, painter) {
    this.#standInLine(turn, options.signal);
    let breath = performance.now();
    for await (const item of this.server.read(turn, options)) {
      add(turn.transcript, item, Date.now() - turn.askedAt);
      this.announcer.update(item, turn.transcript);
      painter.paint();
      if (performance.now() - breath < BREATH_MS) continue;
      await new Promise((resolve) => setTimeout(resolve));
      breath = performance.now();
    }
  }
}

/** Draws a turn at most once a frame, and less often where drawing is costly. */
class Painter {
  #waiting = false;
  #link = null;
  #isDone = false;

  constructor(view) {
    this.view = view;
    this.ticker = setInterval(() => this.paint(), CLOCK_TICK_MS);
    this.paint();
  }

  setLink(link) {
    this.#link = link;
    this.paint();
  }

  paint() {
    if (this.#waiting || this.#isDone) return;
    this.#waiting = true;
    requestAnimationFrame(() => this.#draw());
  }

  finish() {
    this.#isDone = true;
    clearInterval(this.ticker);
    this.view.update({ link: null });
  }

  #draw() {
    if (this.#isDone) return;
    const began = performance.now();
    this.view.update({ link: this.#link });
    const rest = REST * (performance.now() - began);
    setTimeout(() => {
      this.#waiting = false;
    }, rest);
  }
}

/** What the tab remembers of other conversations than this one. */
function unheardBeside(id) {
  return loadTurns().filter(({ conversation }) => !id || conversation !== id);
}

/** A turn as the server tells it: with its result, or with the run that is to be read. */
function turnOf({ id, follows, question, mode, filters, model = "", language = "", run_id: runId, asked_at, result }, conversation, isReadOnly) {
  const transcript = newTranscript();
  if (result) add(transcript, { runId, seq: null, event: { ...result, type: "run_result" } });
  else transcript.runId = runId;
  const unanswered = { message: "This question has not been answered yet.", code: "unanswered", retryable: false };
  const problem = isReadOnly && !result ? unanswered : null;
  const query = { question, mode, history: [], filters, ...(model && { model }), ...(language && { language }) };
  return { key: id, follows, conversation, question, mode, query, transcript, problem, askedAt: asked_at * 1000 };
}

/** Earlier questions and their answers, without the numbers, which mean other passages now. */
function historyOf(turns) {
  return turns
    .filter(({ transcript }) => answer(transcript))
    .slice(-MAX_HISTORY_TURNS)
    .flatMap(({ question, transcript }) => [
      { role: "user", content: question },
      { role: "assistant", content: ending(answer(transcript).replace(/ ?\[\d{1,3}\]/g, "")) },
    ]);
}

/** As much of an answer as a turn may have: its end, which is what the next question is about. */
function ending(text) {
  return text.slice(-MAX_TURN_CHARS).replace(/^[\udc00-\udfff]/, "");
}

function problemOf(error, signal) {
  if (signal.aborted) return { message: "You stopped this answer.", code: "stopped", retryable: false };
  const { message, code = "page", retryable = true, retryAfterMs = null, status = 0 } = error;
  if (status === 401) return { message: "This server asks for a key. Ask again and give one.", code, retryable: false };
  if (status === 0 && code === "page") {
    console.error(error);
    return { message: "The page could not show this answer. Reload it and ask again.", code, retryable: false };
  }
  return { message, code, retryable, retryAfterMs };
}
