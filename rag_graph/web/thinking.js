/** The thinking of a run in a panel that opens while there is no answer yet, and then folds itself. */

import { h, icon, say } from "./element.js";

export class ThinkingView {
  #isTouched = false;
  #since = null;
  #took = 0;

  constructor({ now = () => performance.now() } = {}) {
    this.now = now;
    this.title = h("span", { class: "thinking-title" });
    this.text = h("div", { class: "thinking-text", tabindex: "0", role: "region", "aria-label": "Thinking" });
    this.element = h(
      "details",
      { class: "thinking", hidden: true },
      h("summary", { onclick: () => (this.#isTouched = true) }, icon("m9 6 6 6-6 6"), this.title),
      this.text,
    );
  }

  update(transcript) {
    const { thinking } = transcript;
    if (!thinking.length) return;
    this.element.hidden = false;
    const isOpen = thinking.some(({ seconds }) => seconds === null) && !transcript.terminal;
    this.#count(isOpen, thinking);
    const isAnswering = Boolean(transcript.answers[1].content || transcript.answers[2].content);
    if (!this.#isTouched) this.element.open = isOpen && !isAnswering;
    this.element.classList.toggle("live", isOpen);
    say(this.title, isOpen ? `Thinking… ${this.#seconds(1)}` : `Thought for ${this.#seconds(1)}`);
    this.#write(thinking, isOpen);
  }

  #count(isOpen, thinking) {
    if (isOpen) this.#since ??= this.now();
    const told = thinking.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0);
    this.#took = Math.max(told, this.#took, isOpen && this.#since !== null ? (this.now() - this.#since) / 1000 : 0);
    if (!isOpen) this.#took = told || this.#took;
  }

  #seconds(digits) {
    return `${this.#took.toFixed(digits)} s`;
  }

  #write(thinking, isOpen) {
    thinking.forEach(({ content }, index) => {
      const part = this.text.children[index] ?? this.text.appendChild(h("p", { dir: "auto" }));
      const old = part.firstChild;
      if (old && content.startsWith(old.data)) {
        if (content.length > old.length) old.appendData(content.slice(old.length));
      } else part.replaceChildren(content);
    });
    if (isOpen && this.element.open) this.text.scrollTop = this.text.scrollHeight;
  }
}
