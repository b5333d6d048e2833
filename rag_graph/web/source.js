/** The panel that shows a document's own text with the cited words marked, scrolled to the one that was asked for.
 *
 * Of a PDF it shows the page itself where the words could be found on it, and the text behind a switch.
 */

import { unitsOf } from "./codepoints.js";
import { h, icon, say } from "./element.js";
import { Sheet } from "./sheet.js";

/** Text is laid out in slices, so that a long document costs only what is in view. */
const SLICE = 4_000;
const SETTLING_FRAMES = 6;

export class SourcePanel {
  #documents = new Map();
  #shown = null;
  #opener = null;
  #current = 0;
  #citations = [];
  #prefersText = false;

  /** `server.document(id)` returns `{ title, uri, content }`; its pages are for the `Sheet`. */
  constructor(server) {
    this.server = server;
    this.sheet = new Sheet(server);
    this.switch = h("button", { type: "button", class: "quiet source-switch", hidden: true, onclick: () => this.#turn() });
    this.title = h("h2", { id: "source-title", tabindex: "-1" });
    this.uri = h("p", { class: "source-uri" });
    this.place = h("p", { class: "source-place", role: "status" });
    this.text = h("div", { class: "source-text", tabindex: "0", role: "document", "aria-labelledby": "source-title", dir: "auto" });
    this.previous = h("button", { type: "button", class: "quiet", "aria-label": "Previous quote", onclick: () => this.#go(-1) }, icon("m6 15 6-6 6 6"));
    this.next = h("button", { type: "button", class: "quiet", "aria-label": "Next quote", onclick: () => this.#go(1) }, icon("m6 9 6 6 6-6"));
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close source", onclick: () => this.close() }, icon("M6 6l12 12", "M18 6 6 18"));
    this.element = h(
      "aside",
      { class: "source", "aria-labelledby": "source-title", hidden: true },
      h("header", {}, h("div", { class: "source-heading" }, this.title, this.uri), close),
      h("div", { class: "source-tools" }, this.place, this.switch, this.previous, this.next),
      this.sheet.element,
      this.text,
    );
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  /** Show the citation's words among all that the answer cites of this document; `passage` serves if it is gone. */
  async open(citation, { citations, passage, opener }) {
    this.#opener = opener;
    this.#shown = citation.document;
    say(this.title, citation.title || "Untitled");
    say(this.uri, citation.place ? `${citation.uri}, ${citation.place}` : citation.uri);
    say(this.place, "Opening the document…");
    this.text.replaceChildren();
    this.switch.hidden = true;
    this.#show("text");
    this.element.hidden = false;
    document.documentElement.classList.add("source-open");
    this.title.focus({ preventScroll: true });
    const { content, start, note } = await this.#read(citation, passage);
    if (this.#shown !== citation.document || this.element.hidden) return;
    this.#citations = citations.filter(({ document: id }) => id === citation.document);
    this.#write(content, start, this.#citations);
    this.note = note;
    this.#select(this.#marks().findIndex(({ dataset }) => dataset.starts.split(" ").includes(String(citation.source_start))));
  }

  close() {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.#shown = null;
    this.sheet.draw(null);
    document.documentElement.classList.remove("source-open");
    if (this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
  }

  /** Give the whole document; else the passage, and then the quote, with a note that says so. */
  async #read(citation, passage) {
    try {
      const known = this.#documents.get(citation.document) ?? (await this.server.document(citation.document));
      this.#documents.set(citation.document, known);
      return { content: known.content, start: 0, note: "" };
    } catch {
      const note = "The whole document could not be loaded; this is the passage that was read.";
      if (passage) return { content: passage.content, start: passage.start, note };
      return { content: citation.quote, start: citation.source_start, note };
    }
  }

  #write(content, offset, citations) {
    const toUnits = unitsOf(content);
    const quotes = merged(
      citations.map((citation) => ({
        start: toUnits(citation.source_start - offset),
        end: toUnits(citation.source_end - offset),
        name: citation.source_start,
      })),
    ).filter(({ start, end }) => start >= 0 && end <= content.length);
    this.text.replaceChildren(...slices(content, quotes));
  }

  #marks() {
    return [...this.text.querySelectorAll("mark[data-starts]")];
  }

  #go(step) {
    const count = this.#marks().length;
    this.#select((this.#current + step + count) % count);
  }

  #select(index) {
    const marks = this.#marks();
    this.#current = Math.max(0, index);
    const many = marks.length > 1;
    this.previous.hidden = this.next.hidden = !many;
    const where = many ? `Quote ${this.#current + 1} of ${marks.length}` : "The quoted words are marked.";
    say(this.place, this.note || where);
    marks.forEach((mark, at) => mark.classList.toggle("current", at === this.#current));
    if (!marks[this.#current]) return;
    bringIntoView(marks[this.#current]);
    const [start] = marks[this.#current].dataset.starts.split(" ");
    this.#draw(this.#citations.find(({ source_start: at }) => String(at) === start));
  }

  /** Show the page once it is there; until then, and where it cannot be shown, the text. */
  async #draw(citation) {
    const marks = await this.sheet.draw(citation);
    if (marks === undefined || this.element.hidden) return;
    this.switch.hidden = marks === null;
    this.#show(marks && !this.#prefersText ? "page" : "text");
  }

  #turn() {
    this.#prefersText = !this.sheet.element.hidden;
    this.#show(this.#prefersText ? "text" : "page");
  }

  #show(what) {
    const isPage = what === "page";
    this.sheet.element.hidden = !isPage;
    this.text.hidden = isPage;
    this.element.classList.toggle("with-page", isPage);
    this.switch.textContent = isPage ? "Show the text" : "Show the page";
    const mark = this.#marks()[this.#current];
    if (isPage) this.sheet.bringIntoView();
    else if (mark) bringIntoView(mark);
  }
}

/** Slices take their real height only once they are near, so what was in the middle may have to be brought there again. */
function bringIntoView(mark, frames = SETTLING_FRAMES) {
  mark.scrollIntoView({ block: "center", behavior: "instant" });
  if (frames > 0) requestAnimationFrame(() => mark.classList.contains("current") && bringIntoView(mark, frames - 1));
}

/** Quotes in order; those that overlap become one that answers to its first name. */
function merged(quotes) {
  const result = [];
  for (const quote of quotes.sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = result.at(-1);
    if (last && quote.start < last.end) last.end = Math.max(last.end, quote.end);
    else result.push({ ...quote });
    result.at(-1).names = [...(result.at(-1).names ?? []), quote.name];
  }
  return result;
}

function slices(content, quotes) {
  const edges = [0];
  while (edges.at(-1) < content.length) edges.push(sliceEnd(content, edges.at(-1), quotes));
  return edges.slice(0, -1).map((from, index) => {
    const to = edges[index + 1];
    return h("div", { class: "slice" }, ...pieces(content, from, to, quotes));
  });
}

/** End a slice at a line's end, and never within a quote. */
function sliceEnd(content, from, quotes) {
  let end = content.indexOf("\n", from + SLICE) + 1 || content.length;
  const cut = quotes.find((quote) => quote.start < end && end < quote.end);
  if (cut) end = content.indexOf("\n", cut.end) + 1 || content.length;
  return end;
}

function pieces(content, from, to, quotes) {
  let at = from;
  const result = [];
  for (const { start, end, names } of quotes.filter((quote) => quote.start >= from && quote.start < to)) {
    result.push(content.slice(at, start), h("mark", { "data-starts": names.join(" ") }, content.slice(start, end)));
    at = end;
  }
  return [...result, content.slice(at, to)];
}
