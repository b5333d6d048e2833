/** What can be done with a question that was asked: word it otherwise, link to it, and go between its branches. */

import { wholeAddress } from "./address.js";
import { h, icon, say } from "./element.js";
import { copy } from "./clipboard.js";

const MAX_CHARS = 4_000;
const SHOWN_MS = 2_000;

export class Asked {
  /** `turnView` is the turn's; `onEdit(question)`, `onBranch(step)`, `announce(words)`. Without `onEdit` it can only be read. */
  constructor(turn, turnView, { onEdit = null, onBranch, announce }) {
    this.turn = turn;
    this.head = turnView.element.querySelector(".turn-head");
    this.question = turnView.element.querySelector(".question");
    this.onEdit = onEdit;
    this.edit = h("button", { type: "button", class: "action", "aria-label": "Edit this question", onclick: () => this.#open() }, icon("M4 20h4L19 9l-4-4L4 16z"), h("span", {}, "Edit"));
    this.link = h("button", { type: "button", class: "action", "aria-label": "Copy a link to this answer", hidden: true, onclick: () => this.#copyLink(announce) }, icon("M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1", "M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1"), h("span", {}, "Link"));
    this.place = h("span", { class: "branch-place" });
    this.earlier = h("button", { type: "button", class: "action", "aria-label": "The version before", onclick: () => onBranch(-1) }, icon("m14 6-6 6 6 6"));
    this.later = h("button", { type: "button", class: "action", "aria-label": "The version after", onclick: () => onBranch(1) }, icon("m10 6 6 6-6 6"));
    this.switch = h("div", { class: "branches", role: "group", "aria-label": "Versions of this question", hidden: true }, this.earlier, this.place, this.later);
    this.tools = h("div", { class: "asked" }, onEdit && this.edit, this.link, this.switch);
    this.head.append(this.tools);
  }

  /** Which of how many branches this is; nothing is asked anew while `isRunning`. */
  update({ at, of, isRunning }) {
    this.edit.disabled = isRunning;
    this.link.hidden = !this.onEdit || !this.turn.conversation || !this.turn.transcript.runId;
    this.switch.hidden = of < 2;
    say(this.place, `${at} / ${of}`);
    this.place.setAttribute("aria-label", `Version ${at} of ${of}`);
    this.#disable(this.earlier, at === 1, this.later);
    this.#disable(this.later, at === of, this.earlier);
  }

  /** What is focused stays so, though it may be the other one. */
  #disable(button, isDisabled, other) {
    const hadFocus = document.activeElement === button;
    button.disabled = isDisabled;
    if (isDisabled && hadFocus) setTimeout(() => other.focus({ preventScroll: true }));
  }

  focusSwitch(step) {
    const wanted = step < 0 ? this.earlier : this.later;
    (wanted.disabled ? (step < 0 ? this.later : this.earlier) : wanted).focus({ preventScroll: true });
  }

  async #copyLink(announce) {
    const name = this.link.querySelector("span");
    try {
      await copy(wholeAddress({ conversation: this.turn.conversation, turn: this.turn.key }));
      say(name, "Copied");
      announce("The link was copied.");
    } catch {
      say(name, "Copying was not allowed");
    }
    setTimeout(() => say(name, "Link"), SHOWN_MS);
  }

  #open() {
    const input = h("textarea", { class: "edit-question", rows: "3", maxlength: MAX_CHARS, "aria-label": "Edit your question", dir: "auto" });
    input.value = this.turn.question;
    const close = () => {
      form.remove();
      this.question.hidden = this.tools.hidden = false;
      this.edit.focus({ preventScroll: true });
    };
    const submit = (event) => {
      event.preventDefault();
      const question = input.value.trim();
      if (!question) return input.focus();
      close();
      this.onEdit(question);
    };
    const onKey = (event) => {
      if (event.key === "Escape") close();
      else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    };
    const form = h("form", { class: "editing", "aria-label": "Edit this question", onsubmit: submit, onkeydown: onKey }, input, h("div", { class: "dialog-actions" }, h("button", { type: "button", class: "quiet", onclick: close }, "Cancel"), h("button", { type: "submit", class: "primary" }, "Ask")));
    this.question.hidden = this.tools.hidden = true;
    this.question.after(form);
    input.focus();
  }
}
