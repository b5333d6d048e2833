/** What became of the sentences of the first answer, and where sources disagree: told in a line, in full on demand. */

import { wordsOf as plain } from "./document.js";
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
    const told = finished ? TOLD.flatMap((kind) => fates.filter((one) => one.fate === kind && (kind !== "withdrawn" || one.reason))) : [];
    const key = told.map(({ claim, fate }) => `${claim} ${fate}`).join();
    if (key === this.#key) return;
    this.#key = key;
    this.element.hidden = !told.length;
    this.summary.replaceChildren(summaryOf(told));
    this.list.replaceChildren(...told.map((fate) => h("li", { class: fate.fate, dir: "auto" }, ...wordsOf(fate))));
  }
}

/** Where two sources say different things: both quotes, the newer one first where that is known. */
export class ConflictsView {
  #count = 0;

  constructor() {
    this.element = h("div", { class: "conflicts", hidden: true });
  }

  update({ conflicts }) {
    if (conflicts.length === this.#count) return;
    this.#count = conflicts.length;
    this.element.hidden = !this.#count;
    this.element.replaceChildren(...conflicts.map(told));
  }
}

function told({ quotes }) {
  const said = ({ title, quote }) => h("li", { dir: "auto" }, h("cite", {}, title), " ", h("q", {}, plain(quote)));
  return h("section", {}, h("strong", {}, "The sources disagree."), h("ul", {}, ...quotes.map(said)));
}

/** Such as "1 sentence corrected, 1 withdrawn, 2 confirmed". */
export function summaryOf(told) {
  const counts = TOLD.map((kind) => [kind, told.filter(({ fate }) => fate === kind).length]).filter(([, count]) => count);
  return counts.map(([kind, count], index) => `${index ? count : counted(count, "sentence")} ${kind}`).join(", ");
}

function wordsOf({ fate, before, after, reason, quote }) {
  const why = reason && h("span", { class: "why" }, reason);
  const proof = quote && h("q", {}, plain(quote));
  if (fate === "withdrawn") return [h("del", {}, before), " ", why];
  if (fate === "corrected") return [h("del", {}, before), " ", h("ins", {}, after), " ", why, proof ? " " : "", proof];
  return [why, proof ? " " : "", proof];
}
