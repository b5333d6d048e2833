/** The panel that shows a document with the cited words marked, scrolled to the one that was asked for.
 *
 * Of a PDF it shows the page itself where the words could be found on it, and the text behind a switch.
 */

import { colour, copyOnClick } from "./code.js";
import { unitsOf } from "./codepoints.js";
import { isOnWeb, pageOf } from "./document.js";
import { h, icon, say } from "./element.js";
import { typeset } from "./maths.js";
import { save } from "./saving.js";
import { originalLink, sectionOf } from "./sourcelist.js";
import { Sheet } from "./sheet.js";

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
    copyOnClick(this.text);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  /** Show the citation's words among all that the answer cites of this document; `passage` serves if it is gone. */
  async open(citation, { citations, passage, opener }) {
    this.#opener = opener;
    this.#shown = citation.document;
    say(this.title, citation.title || "Untitled");
    const where = [citation.uri, sectionOf(passage), citation.place].filter(Boolean).join(" · ");
    this.uri.replaceChildren(where, isOnWeb(citation.uri) ? originalLink(citation.uri, citation.title) : this.#saving(citation));
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
    this.#write(citation.uri, content, start);
    this.note = note;
    this.#select(this.#quotes().findIndex(([starts]) => starts.split(" ").includes(String(citation.source_start))));
  }

  close() {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.#shown = null;
    this.sheet.draw(null);
    document.documentElement.classList.remove("source-open");
    if (this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
  }

  #saving({ document: id, uri, title }) {
    const name = uri.split("#")[0].split("/").at(-1);
    const button = h("button", { type: "button", class: "original", "aria-label": `Save the original of ${title || uri}`, title: "Save the original" }, icon("M12 4v10", "m8 10 4 4 4-4", "M5 19h14"));
    button.addEventListener("click", async () => {
      try {
        save(await this.server.original(id), name);
      } catch (error) {
        if (this.#shown === id) say(this.place, error.message);
      }
    });
    return button;
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

  #write(uri, content, offset) {
    const toUnits = unitsOf(content);
    const quotes = merged(
      this.#citations.map((citation) => ({
        start: toUnits(citation.source_start - offset),
        end: toUnits(citation.source_end - offset),
        name: citation.source_start,
      })),
    ).filter(({ start, end }) => start >= 0 && end <= content.length);
    this.text.replaceChildren(...pageOf(uri, content, quotes));
    typeset(this.text);
    colour(this.text);
  }

  /** `[starts, marks]` of each quote; one that runs over emphasis or cells has several marks. */
  #quotes() {
    const found = new Map();
    for (const mark of this.text.querySelectorAll("mark[data-starts]")) {
      found.set(mark.dataset.starts, [...(found.get(mark.dataset.starts) ?? []), mark]);
    }
    return [...found];
  }

  #go(step) {
    const count = this.#quotes().length;
    this.#select((this.#current + step + count) % count);
  }

  #select(index) {
    const quotes = this.#quotes();
    this.#current = Math.max(0, index);
    const many = quotes.length > 1;
    this.previous.hidden = this.next.hidden = !many;
    const where = many ? `Quote ${this.#current + 1} of ${quotes.length}` : quotes.length ? "The quoted words are marked." : "";
    say(this.place, this.note || where);
    quotes.forEach(([, marks], at) => marks.forEach((mark) => mark.classList.toggle("current", at === this.#current)));
    if (!quotes[this.#current]) return;
    const [starts, [mark]] = quotes[this.#current];
    bringIntoView(mark);
    const [start] = starts.split(" ");
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
    const mark = this.#quotes()[this.#current]?.[1][0];
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
