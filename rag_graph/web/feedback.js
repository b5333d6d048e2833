/** Whether an answer was good, and why not: two buttons, and a line for a reason. */

import { h, icon, say } from "./element.js";
import { tell } from "./notfound.js";

const MAX_REASON_CHARS = 2_000;
const UP = ["M7 11v9H4v-9z", "M7 11l4-8c1.7 0 2.6 1.2 2.3 2.8L12.7 9H18a2 2 0 0 1 2 2.4l-1.3 7A2 2 0 0 1 16.7 20H7"];
const DOWN = ["M17 13V4h3v9z", "M17 13l-4 8c-1.7 0-2.6-1.2-2.3-2.8l.6-3.2H6a2 2 0 0 1-2-2.4l1.3-7A2 2 0 0 1 7.3 4H17"];

export class FeedbackView {
  constructor(turn) {
    this.turn = turn;
    this.buttons = { up: this.#button("up", "Good answer", UP), down: this.#button("down", "Bad answer", DOWN) };
    this.element = h("div", { class: "verdicts", role: "group", "aria-label": "Was this a good answer?" }, ...Object.values(this.buttons));
    this.reason = h("input", { type: "text", maxlength: MAX_REASON_CHARS, "aria-label": "Why (optional)", placeholder: "Why? (optional)", autocomplete: "off" });
    this.form = h("form", { class: "reason", hidden: true }, this.reason, h("button", { type: "submit", class: "quiet" }, "Send"));
    this.told = h("p", { class: "reason-told", role: "status" });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#judge(this.turn.feedback.verdict, this.reason.value.trim());
      this.form.hidden = true;
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

  #show() {
    for (const [verdict, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-pressed", String(this.turn.feedback?.verdict === verdict));
    }
  }
}
