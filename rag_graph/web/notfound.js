/** Where nothing in the documents bears an answer out: what was searched, what came nearest, and how to go on. */

import { wordsOf } from "./document.js";
import { h } from "./element.js";
import { inventory, stock } from "./inventory.js";
import { sectionOf } from "./sourcelist.js";
import { passagesByNumber, standing, written } from "./transcript.js";

const NEAREST = 3;
/** What the server writes in place of an answer. */
const WITHHELD = /^(?:The documents hold no passage on this question|No answer was (?:found in|read from) the documents)/;
const UNREAD = /^No answer was read from the documents/;

/** Whether no answer was given, as nothing that was found holds one. */
export function isWithheld(transcript) {
  return transcript.terminal?.type === "run_finished" && WITHHELD.test(written(transcript, standing(transcript)).content);
}

export class NotFoundView {
  #isShown = false;

  /** `open(passage, opener)` shows a passage; what else is offered bubbles up from `element` as events of the page. */
  constructor(open) {
    this.open = open;
    this.element = h("div", { class: "not-found", role: "group", "aria-label": "Not found in your documents", hidden: true });
  }

  update({ transcript, query, question }) {
    const { citations, content } = written(transcript, standing(transcript));
    const isDue = transcript.terminal?.type === "run_finished" && !citations.length;
    if (!isDue || this.#isShown) return;
    this.#isShown = true;
    const passages = [...passagesByNumber(transcript).values()];
    const isNarrow = Object.keys(query?.filters ?? {}).length > 0;
    const isUnread = UNREAD.test(content);
    const title = isUnread ? "Your question was not read" : isWithheld(transcript) ? "Not found in your documents" : "No quote from your documents bears this answer out";
    this.element.hidden = false;
    this.element.replaceChildren(
      h("strong", {}, title),
      h("p", {}, searched(passages, isNarrow, isUnread)),
      passages.length > 0 && h("ul", { class: "nearest", "aria-label": "What came nearest" }, ...passages.slice(0, NEAREST).map((one) => this.#row(one))),
      h("div", { class: "ways" }, ...this.#ways(isNarrow, question)),
    );
  }

  #row(passage) {
    const name = [passage.title || "Untitled", sectionOf(passage)].filter(Boolean).join(" › ");
    const show = ({ currentTarget }) => this.open(passage, currentTarget);
    return h("li", {}, h("button", { type: "button", class: "quiet", title: wordsOf(passage.content).slice(0, 300), onclick: show }, name));
  }

  #ways(isNarrow, question) {
    const way = (name, type, detail) => h("button", { type: "button", class: "quiet", onclick: () => tell(this.element, type, detail) }, name);
    return [
      isNarrow && way("Ask all documents", "page-ask", { question, filters: {} }),
      inventory.mayAdd && way("Add documents on it", "page-add"),
      inventory.isKnown && way("See what is in the library", "page-library"),
    ].filter(Boolean);
  }
}

/** Ask the page for what is beyond one turn. */
export function tell(element, type, detail) {
  element.dispatchEvent(new CustomEvent(type, { bubbles: true, detail }));
}

function searched(passages, isNarrow, isUnread) {
  const where = isNarrow ? "Only what the question was narrowed to was searched" : inventory.isKnown ? `All of the library was searched: ${stock()}` : "The library was searched";
  if (!passages.length) return `${where}. No passage was near the question.`;
  return `${where}. ${passages.length === 1 ? "One passage was" : `${passages.length} passages were`} near the question${isUnread ? "" : " and read"}. Nearest:`;
}
