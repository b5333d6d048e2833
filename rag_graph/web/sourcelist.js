/** The sources that an answer cites, in order of their numbers: on the page, and as text to take along. */

import { isOnWeb, kindOf, wordsOf } from "./document.js";
import { h, icon } from "./element.js";
import { answer, passagesByNumber, standing, written } from "./transcript.js";

/** So many sources are shown at first. */
const SHOWN = 6;
const MARKER = /\[(\d{1,3})\]/g;

/** Return `{ number, title, uri, document, section, citations }` per cited passage; `passages` are the run's, by number. */
export function sourcesOf({ citations }, passages = new Map()) {
  const sources = new Map();
  citations.forEach((citation, index) => {
    const { marker: number, title, uri, document: id } = citation;
    if (!sources.has(number)) sources.set(number, { number, title, uri, document: id, section: sectionOf(passages.get(number)), citations: [] });
    sources.get(number).citations.push({ ...citation, index });
  });
  return [...sources.values()].sort((a, b) => a.number - b.number);
}

/** The headings above a passage, without the one that is its document's title. */
export function sectionOf(passage) {
  return (passage?.heading ?? []).map(wordsOf).filter((name) => name && name !== passage.title).join(" › ");
}

export class SourceList {
  #drawn = "";
  #isWhole = false;

  /** `open(index, opener)` shows the citation with that index. */
  constructor(open) {
    this.open = open;
    this.list = h("ol", { class: "sources-list" });
    this.more = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.#showAll() });
    this.element = h("div", { class: "sources", role: "group", "aria-label": "Sources", hidden: true }, h("h3", {}, "Sources"), this.list, this.more);
  }

  update(shown, passages) {
    const sources = sourcesOf(shown, passages);
    const drawn = sources.map(({ number, citations }) => `${number}:${citations.length}`).join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.element.hidden = !sources.length;
    this.list.replaceChildren(...sources.map((source) => this.#row(source)));
    this.more.hidden = sources.length <= SHOWN || this.#isWhole;
    this.more.textContent = `Show all ${sources.length} sources`;
    if (!this.more.hidden) [...this.list.children].slice(SHOWN).forEach((row) => (row.hidden = true));
  }

  #showAll() {
    this.#isWhole = true;
    this.more.hidden = true;
    for (const row of this.list.children) row.hidden = false;
    this.list.children[SHOWN].querySelector("button").focus();
  }

  #row({ number, title, uri, section, citations }) {
    const [first] = citations;
    const show = (event) => this.open(first.index, event.currentTarget);
    const count = citations.length > 1 ? `${citations.length} quotes` : "";
    const about = [section, placesOf(citations), kindOf(uri), count].filter(Boolean).join(" · ");
    return h(
      "li",
      { class: "source-card" },
      h("button", { type: "button", class: "source-row", onclick: show },
        h("span", { class: "source-number", "aria-hidden": "true" }, String(number)),
        h("span", { class: "source-name", dir: "auto", title: title.length > 80 && title }, h("span", { class: "visually-hidden" }, `Source ${number}: `), title || "Untitled"),
        h("span", { class: "source-about", dir: "auto" }, about),
        h("span", { class: "source-snippet", dir: "auto" }, `“${wordsOf(first.quote)}”`),
        h("span", { class: "source-where", dir: "auto" }, uri),
      ),
      isOnWeb(uri) && originalLink(uri, title),
    );
  }
}

/** A link to where a document came from. */
export function originalLink(uri, title) {
  const attributes = { class: "original", href: uri, target: "_blank", rel: "noopener noreferrer nofollow", "aria-label": `Open the original of ${title || uri}` };
  return h("a", attributes, icon("M14 5h5v5", "M19 5l-8 8", "M11 5H5v14h14v-6"));
}

/** Where in its file each quote stands, such as "p. 12, p. 14". */
function placesOf(citations) {
  return [...new Set(citations.map(({ place }) => place).filter(Boolean))].join(", ");
}

/** The standing answer with its sources as Markdown. Its list has the numbers of the markers, also of those unproven. */
export function citedText(transcript) {
  const text = answer(transcript).trim();
  const passages = passagesByNumber(transcript);
  const sources = sourcesOf(written(transcript, standing(transcript)), passages);
  for (const number of new Set([...text.matchAll(MARKER)].map((match) => Number(match[1])))) {
    const passage = passages.get(number);
    if (!passage || sources.some((source) => source.number === number)) continue;
    sources.push({ ...passage, section: sectionOf(passage), citations: [{ place: passage.place, quote: "" }] });
  }
  if (!sources.length) return `${text}\n`;
  const lines = sources.sort((a, b) => a.number - b.number).flatMap(({ number, title, uri, section, citations }) => [
    `- [${number}] ${title || "Untitled"} (${[isOnWeb(uri) ? `<${uri}>` : uri, section, placesOf(citations)].filter(Boolean).join(", ")})`,
    ...new Set(citations.filter(({ quote }) => quote).map(({ quote }) => `  > “${wordsOf(quote)}”`)),
  ]);
  return `${text}\n\n## Sources\n\n${lines.join("\n")}\n`;
}
