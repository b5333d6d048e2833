/** What became of the sentences of the first answer, told in a line and in full on demand. */

import { h } from "./element.js";
import { counted } from "./sentences.js";

const TOLD = ["corrected", "withdrawn", "confirmed"];

export class FatesView {
  #key = "";

  constructor() {
    this.summary = h("summary", {});
    this.list = h("ul", {});
    this.element = h("details", { class: "fates", hidden: true }, this.summary, this.list);
  }

  /** Show the fates of a version that is whole; nothing where nothing is worth telling. */
  update({ fates, finished }) {
    const told = finished ? TOLD.flatMap((kind) => fates.filter((one) => one.fate === kind && hasWords(one))) : [];
    const key = told.map(({ claim, fate }) => `${claim} ${fate}`).join();
    if (key === this.#key) return;
    this.#key = key;
    this.element.hidden = !told.length;
    this.summary.replaceChildren(summaryOf(told));
    this.list.replaceChildren(...told.map((fate) => h("li", { class: fate.fate, dir: "auto" }, ...wordsOf(fate))));
  }
}

/** Such as "1 sentence corrected, 1 withdrawn, 2 confirmed". */
export function summaryOf(told) {
  const counts = TOLD.map((kind) => [kind, told.filter(({ fate }) => fate === kind).length]).filter(([, count]) => count);
  return counts.map(([kind, count], index) => `${index ? count : counted(count, "sentence")} ${kind}`).join(", ");
}

function hasWords({ fate, before }) {
  return fate === "confirmed" || /[\p{L}\p{N}]/u.test(before);
}

function wordsOf({ fate, before, after, reason, quote }) {
  const why = reason && h("span", { class: "why" }, reason);
  const proof = quote && h("q", {}, quote);
  if (fate === "withdrawn") return [h("del", {}, before), " ", why];
  if (fate === "corrected") return [h("del", {}, before), " ", h("ins", {}, after), " ", why, proof ? " " : "", proof];
  return [why, proof ? " " : "", proof];
}
