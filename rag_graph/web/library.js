/** The panel that lists the documents: to look for one, ask only of it, add others, or take one out. */

import { h, icon, say } from "./element.js";
import { counted } from "./sentences.js";

const PAUSE_MS = 200;

export class Library {
  #next = "";
  #opener = null;
  #asked = 0;

  /** `server` lists and removes; `onScope(document)` asks only of that one; `openDocument(document, opener)` shows it. */
  constructor({ server, onScope, openDocument, onChange = () => {} }) {
    this.server = server;
    this.onScope = onScope;
    this.openDocument = openDocument;
    this.onChange = onChange;
    this.mayRemove = false;
    this.button = h("button", { type: "button", class: "quiet", "aria-expanded": "false", onclick: () => this.toggle() }, "Library");
    this.search = h("input", { type: "search", class: "library-search", placeholder: "Find a document", "aria-label": "Find a document", autocomplete: "off" });
    this.told = h("p", { class: "library-told", role: "status" });
    this.list = h("ul", { class: "library-list" });
    this.more = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.#load(this.#next) }, "Show more");
    this.adding = h("div", { class: "library-adding" });
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close the library", onclick: () => this.close() }, icon("M6 6l12 12", "M18 6 6 18"));
    this.element = h(
      "aside",
      { class: "source library", "aria-label": "Library", hidden: true },
      h("header", {}, h("div", { class: "source-heading" }, h("h2", { tabindex: "-1" }, "Library"), this.told), close),
      h("div", { class: "source-tools" }, this.search),
      h("div", { class: "library-body" }, this.adding, this.list, this.more),
    );
    let pause = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.#load(""), PAUSE_MS);
    });
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  toggle() {
    if (!this.element.hidden) return this.close();
    this.#opener = document.activeElement;
    this.element.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    document.documentElement.classList.add("source-open");
    this.search.value = "";
    this.search.focus({ preventScroll: true });
    this.#load("");
  }

  close() {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    document.documentElement.classList.remove("source-open");
    (this.#opener?.isConnected ? this.#opener : this.button).focus({ preventScroll: true });
  }

  /** What was added is to be seen. */
  refresh() {
    if (!this.element.hidden) this.#load("");
  }

  /** Show what follows `after`; from the start, it takes the place of what was shown. */
  async #load(after) {
    const asked = ++this.#asked;
    try {
      const page = await this.server.documents({ matching: this.search.value.trim(), after });
      if (asked !== this.#asked) return; // another search was typed meanwhile
      this.#next = page.next;
      this.more.hidden = !page.next;
      const rows = page.documents.map((one) => this.#row(one));
      if (after) this.list.append(...rows);
      else this.list.replaceChildren(...rows);
      this.#tell(page);
    } catch (error) {
      if (asked === this.#asked) say(this.told, error.message);
    }
  }

  #tell({ documents, total, passages }) {
    const matching = this.search.value.trim();
    if (!total) say(this.told, "Nothing is here yet. Add documents, and they can be asked about.");
    else if (matching && !documents.length && !this.list.children.length) say(this.told, `None of ${counted(total, "document")} is named like this.`);
    else say(this.told, `${counted(total, "document")}, ${counted(passages, "passage")}`);
  }

  #row(one) {
    const title = one.title || "Untitled";
    const open = h("button", { type: "button", class: "library-open", onclick: () => this.openDocument(one, open) }, h("span", { class: "library-title", dir: "auto" }, title), h("span", { class: "library-where", dir: "auto" }, `${one.uri} · ${counted(one.passages, "passage")}`));
    const only = h("button", { type: "button", class: "quiet", "aria-label": `Ask only ${title}`, onclick: () => this.onScope(one) }, "Ask only this");
    const row = h("li", { class: "library-row" }, open, h("div", { class: "library-actions" }, only));
    if (this.mayRemove) row.lastChild.append(this.#removing(one, title, row));
    return row;
  }

  /** Asked twice: what is taken out is gone. */
  #removing(one, title, row) {
    const button = h("button", { type: "button", class: "quiet", "aria-label": `Remove ${title}` }, "Remove");
    button.addEventListener("blur", () => say(button, "Remove"));
    button.addEventListener("click", async () => {
      if (button.textContent === "Remove") return say(button, "Really remove?");
      button.disabled = true;
      try {
        await this.server.remove(one.id);
        this.search.focus({ preventScroll: true }); // what had the focus is gone
        row.remove();
        this.onChange(one);
        this.refresh();
      } catch (error) {
        button.disabled = false;
        say(this.told, `${title} could not be removed. ${error.message}`);
      }
    });
    return button;
  }
}
