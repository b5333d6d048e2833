/** The thinking of a run in a panel that opens while there is no answer yet, and then folds itself. */

import { h, icon, say } from "./element.js";

/** A pipeline's note is shown unasked only if the wait is long enough to be noticed. */
const NOTICED_MS = 400;
const MOMENT_MS = 950;

export class ThinkingView {
  #isTouched = false;
  #began = null;
  #tookMs = 0;

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

  update({ thinking, answers, terminal }) {
    if (!thinking.length) return;
    this.element.hidden = false;
    const isLive = !terminal && thinking.some(({ seconds }) => seconds === null);
    const isAnswering = Boolean(terminal || Object.values(answers).some(({ content }) => content));
    this.#time(thinking, isLive);
    this.#open(thinking, isLive, isAnswering);
    say(this.title, this.#titleOf(thinking, isLive));
    this.#write(thinking);
  }

  #time(thinking, isLive) {
    this.#began ??= this.now();
    if (isLive) this.#tookMs = Math.max(this.#tookMs, this.now() - this.#began);
    else this.#tookMs = 1000 * thinking.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0);
  }

  #open(thinking, isLive, isAnswering) {
    if (this.#isTouched) return;
    const isByModel = thinking.some(({ thinker }) => thinker === "model");
    const isNoticed = isByModel ? isLive : this.now() - this.#began > NOTICED_MS;
    this.element.open = isNoticed && !isAnswering;
  }

  #titleOf(thinking, isLive) {
    if (!thinking.some(({ thinker }) => thinker === "model")) return "Working notes";
    const took = `${(this.#tookMs / 1000).toFixed(1)} s`;
    if (isLive) return `Thinking… ${took}`;
    return this.#tookMs < MOMENT_MS ? "Thought for a moment" : `Thought for ${took}`;
  }

  #write(thinking) {
    const isAtEnd = this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 24;
    thinking.forEach(({ content }, index) => {
      const part = this.text.children[index] ?? this.text.appendChild(h("p", { dir: "auto" }));
      const shown = part.firstChild;
      const words = content.trimEnd();
      if (!shown || !words.startsWith(shown.data)) part.replaceChildren(words);
      else if (words.length > shown.length) shown.appendData(words.slice(shown.length));
    });
    if (isAtEnd && this.element.open) this.text.scrollTop = this.text.scrollHeight;
  }
}
