/** Whether an answer was good, which sentence of it, and why not: two buttons, a choice and a line for a reason. */

import { unitsOf } from "./codepoints.js";
import { wordsOf } from "./document.js";
import { h, icon, say } from "./element.js";
import { tell } from "./notfound.js";
import { standing, written } from "./transcript.js";

const MAX_REASON_CHARS = 2_000;
const SHOWN_CHARS = 80;
const MARKER = / ?\[\d{1,3}\]/g;
const UP = ["M7 11v9H4v-9z", "M7 11l4-8c1.7 0 2.6 1.2 2.3 2.8L12.7 9H18a2 2 0 0 1 2 2.4l-1.3 7A2 2 0 0 1 16.7 20H7"];
const DOWN = ["M17 13V4h3v9z", "M17 13l-4 8c-1.7 0-2.6-1.2-2.3-2.8l.6-3.2H6a2 2 0 0 1-2-2.4l1.3-7A2 2 0 0 1 7.3 4H17"];

export class FeedbackView {
  constructor(turn) {
    this.turn = turn;
    this.buttons = { up: this.#button("up", "Good answer", UP), down: this.#button("down", "Bad answer", DOWN) };
    this.element = h("div", { class: "verdicts", role: "group", "aria-label": "Was this a good answer?" }, ...Object.values(this.buttons));
    this.reason = h("input", { type: "text", maxlength: MAX_REASON_CHARS, "aria-label": "Why (optional)", placeholder: "Why? (optional)", autocomplete: "off" });
    this.which = h("select", { "aria-label": "What this is about" });
    this.form = h("form", { class: "reason", hidden: true }, this.which, this.reason, h("button", { type: "submit", class: "quiet" }, "Send"));
    this.told = h("p", { class: "reason-told", role: "status" });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.which.value) return this.#judgeSentence();
      this.#judge(this.turn.feedback.verdict, this.reason.value.trim());
      this.form.hidden = true;
      return undefined;
    });
    this.#show();
  }

  #button(verdict, name, sign) {
    const press = () => this.#judge(this.turn.feedback?.verdict === verdict ? null : verdict);
    return h("button", { type: "button", class: "action", "aria-label": name, title: name, onclick: press }, icon(...sign));
  }

  /** Shown at once, and taken back if the server does not take it. */
  #judge(verdict, reason = "") {
    const before = this.turn.feedback;
    this.turn.feedback = { verdict, reason };
    this.form.hidden = !verdict || Boolean(reason);
    this.reason.value = reason;
    if (!this.form.hidden) this.#offerSentences();
    this.#show();
    const onDone = (problem) => {
      say(this.told, problem ? `This could not be kept. ${problem}` : verdict ? "Thank you, this is kept." : "Taken back.");
      if (!problem) return;
      this.turn.feedback = before;
      this.form.hidden = true;
      this.#show();
    };
    tell(this.element, "page-feedback", { runId: this.turn.transcript.runId, verdict, reason, onDone });
  }

  #offerSentences() {
    const { content, claims } = written(this.turn.transcript, standing(this.turn.transcript));
    const toUnits = unitsOf(content);
    const wordsAt = ({ start, end }) => wordsOf(content.slice(toUnits(start), toUnits(end)).replace(MARKER, ""));
    const told = claims.map((claim) => [claim.claim, wordsAt(claim)]).filter(([, words]) => words);
    const options = told.map(([claim, words]) => h("option", { value: claim }, words.length > SHOWN_CHARS ? `${words.slice(0, SHOWN_CHARS)}…` : words));
    this.which.replaceChildren(h("option", { value: "" }, "The whole answer"), ...options);
    this.which.hidden = options.length < 2;
  }

  /** The line stays open, as other sentences may be meant too. */
  #judgeSentence() {
    const onDone = (problem) => say(this.told, problem ? `This could not be kept. ${problem}` : "Thank you, this is kept of that sentence.");
    const { verdict } = this.turn.feedback;
    tell(this.element, "page-feedback", { runId: this.turn.transcript.runId, verdict, reason: this.reason.value.trim(), claim: this.which.value, onDone });
    this.reason.value = this.which.value = "";
    this.which.focus();
  }

  #show() {
    for (const [verdict, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-pressed", String(this.turn.feedback?.verdict === verdict));
    }
  }
}
