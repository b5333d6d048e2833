/** The question box: what to ask, how hard to think, and the button that asks or stops. */

import { h, icon } from "./element.js";

const MAX_CHARS = 4_000;

export class Composer {
  #isRunning = false;

  /** `onAsk({ question, mode })`, `onStop()`; `extra` elements stand beside the switch. */
  constructor({ onAsk, onStop, extra = [] }) {
    this.onAsk = onAsk;
    this.onStop = onStop;
    this.input = h("textarea", { id: "question", rows: "1", maxlength: MAX_CHARS, placeholder: "Ask your documents", "aria-label": "Your question", enterkeyhint: "send", autocomplete: "off" });
    this.harder = h("input", { type: "checkbox", role: "switch", id: "harder", "aria-describedby": "harder-hint" });
    this.button = h("button", { type: "submit", class: "send", "aria-label": "Ask" });
    this.hint = h("span", { id: "harder-hint", class: "hint" }, "More searches and reasoning; takes longer");
    this.scope = h("p", { class: "scope", hidden: true });
    this.element = h(
      "form",
      { class: "composer", "aria-label": "Ask a question" },
      this.scope,
      this.input,
      h("div", { class: "composer-row" }, h("label", { class: "switch", for: "harder" }, this.harder, h("span", { class: "knob", "aria-hidden": "true" }), h("span", {}, "Think harder")), this.hint, ...extra, this.button),
    );
    this.element.addEventListener("submit", (event) => this.#submit(event));
    this.input.addEventListener("keydown", (event) => this.#onKey(event));
    this.input.addEventListener("input", () => this.#fit());
    this.setRunning(false);
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

  #submit(event) {
    event.preventDefault();
    if (this.#isRunning) return this.onStop();
    const question = this.input.value.trim();
    if (!question) return this.focus();
    this.input.value = "";
    this.#fit();
    this.onAsk({ question, mode: this.harder.checked ? "deep" : "fast" });
  }

  /** Grow with the question, where CSS cannot do it. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }
}
