/** The question box: what to ask, how hard to think, and the button that asks or stops. */

import { h, icon, say } from "./element.js";

const MAX_CHARS = 4_000;
const EARLY = "This is asked as soon as the page has loaded.";

export class Composer {
  #isRunning = false;
  #isCut = false;
  #onAsk = null;
  #onStop = null;

  constructor() {
    this.input = h("textarea", { id: "question", rows: "1", maxlength: MAX_CHARS, placeholder: "Ask your documents", "aria-label": "Your question", enterkeyhint: "send", autocomplete: "off" });
    this.harder = h("input", { type: "checkbox", role: "switch", id: "harder", "aria-describedby": "harder-hint" });
    this.button = h("button", { type: "submit", class: "send", "aria-label": "Ask" });
    this.hint = h("span", { id: "harder-hint", class: "hint" }, "More searches and reasoning; takes longer");
    this.scope = h("p", { class: "scope", hidden: true });
    this.note = h("p", { class: "composer-note", role: "status" });
    this.element = h(
      "form",
      { class: "composer", "aria-label": "Ask a question" },
      this.scope,
      this.input,
      this.note,
      h("div", { class: "composer-row" }, h("label", { class: "switch", for: "harder" }, this.harder, h("span", { class: "knob", "aria-hidden": "true" }), h("span", {}, "Think harder")), this.hint, this.button),
    );
    this.element.addEventListener("submit", (event) => this.#submit(event));
    this.input.addEventListener("keydown", (event) => this.#onKey(event));
    this.input.addEventListener("paste", (event) => this.#onPaste(event));
    this.input.addEventListener("input", () => this.#onInput());
    this.setRunning(false);
  }

  /** `onAsk({ question, mode })`, `onStop()`: from here on; a question that was sent before waits for it. */
  attach({ onAsk, onStop }) {
    const isAwaited = this.note.textContent === EARLY;
    this.#onAsk = onAsk;
    this.#onStop = onStop;
    if (isAwaited) this.element.requestSubmit();
  }

  setRunning(isRunning) {
    this.#isRunning = isRunning;
    const hadFocus = document.activeElement === this.button;
    this.button.setAttribute("aria-label", isRunning ? "Stop" : "Ask");
    this.button.title = isRunning ? "Stop this answer" : "Ask";
    this.button.classList.toggle("stop", isRunning);
    this.button.replaceChildren(isRunning ? icon("M7 7h10v10H7z") : icon("M12 19V5", "m6 11 6-6 6 6"));
    if (hadFocus) this.input.focus();
  }

  focus() {
    this.input.focus({ preventScroll: true });
  }

  #onKey(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.#isRunning) this.element.requestSubmit();
  }

  /** The browser cuts what is too long, and says nothing. */
  #onPaste({ clipboardData }) {
    const { value, selectionStart, selectionEnd } = this.input;
    const room = MAX_CHARS - value.length + selectionEnd - selectionStart;
    this.#isCut = (clipboardData?.getData("text/plain") ?? "").length > room;
  }

  #onInput() {
    say(this.note, this.#isCut ? `A question has at most ${MAX_CHARS.toLocaleString("en")} characters: the end of what you pasted was left out.` : "");
    this.#isCut = false;
    this.#fit();
  }

  #submit(event) {
    event.preventDefault();
    if (this.#isRunning) return this.#onStop();
    const question = this.input.value.trim();
    if (!question) return this.focus();
    if (!this.#onAsk) return say(this.note, EARLY);
    this.input.value = "";
    say(this.note, "");
    this.#fit();
    return this.#onAsk({ question, mode: this.harder.checked ? "deep" : "fast" });
  }

  /** Grow with the question, where CSS cannot do it. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }
}
