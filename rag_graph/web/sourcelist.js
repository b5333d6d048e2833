/** The sources that an answer cites, in order of their numbers: on the page, and as text to take along. */

import { h } from "./element.js";
import { answer, standing, written } from "./transcript.js";

/** Return `{ number, title, uri, document, citations }` per cited passage. */
export function sourcesOf({ citations }) {
  const sources = new Map();
  citations.forEach((citation, index) => {
    const { marker: number, title, uri, document: id } = citation;
    if (!sources.has(number)) sources.set(number, { number, title, uri, document: id, citations: [] });
    sources.get(number).citations.push({ ...citation, index });
  });
  return [...sources.values()].sort((a, b) => a.number - b.number);
}

export class SourceList {
  #drawn = "";

  /** `open(index, opener)` shows the citation with that index. */
  constructor(open) {
    this.open = open;
    this.list = h("ol", { class: "sources-list" });
    this.element = h("section", { class: "sources", "aria-label": "Sources", hidden: true }, h("h3", {}, "Sources"), this.list);
  }

  update(written) {
    const sources = sourcesOf(written);
    const drawn = sources.map(({ number, citations }) => `${number}:${citations.length}`).join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.element.hidden = !sources.length;
    this.list.replaceChildren(...sources.map((source) => this.#row(source)));
  }

  #row({ number, title, uri, citations }) {
    const first = citations[0];
    const show = (event) => this.open(first.index, event.currentTarget);
    const count = citations.length > 1 ? ` · ${citations.length} quotes` : "";
    return h(
      "li",
      {},
      h("button", { type: "button", class: "source-row", onclick: show },
        h("span", { class: "source-number", "aria-hidden": "true" }, String(number)),
        h("span", { class: "source-name" }, h("span", { class: "visually-hidden" }, `Source ${number}: `), title || "Untitled"),
        h("span", { class: "source-where" }, uri + placesOf(citations) + count),
      ),
    );
  }
}

/** Where in its file each quote stands, such as ", p. 12, p. 14". */
function placesOf(citations) {
  return [...new Set(citations.map(({ place }) => place).filter(Boolean))].map((place) => `, ${place}`).join("");
}

/** The standing answer with its sources, as plain text. */
export function citedText(transcript) {
  const sources = sourcesOf(written(transcript, standing(transcript)));
  const lines = sources.flatMap(({ number, title, uri, citations }) => [
    `[${number}] ${title || "Untitled"} (${uri}${placesOf(citations)})`,
    ...new Set(citations.map(({ quote }) => `    “${quote.replace(/\s+/g, " ")}”`)),
  ]);
  const text = answer(transcript).trim();
  return lines.length ? `${text}\n\nSources\n${lines.join("\n")}\n` : `${text}\n`;
}

/** Copy text, also on plain HTTP, where the clipboard's own interface is missing. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
