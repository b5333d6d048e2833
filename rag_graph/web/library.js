/** The panel that lists the documents: to look for one, ask only of it, add others, or take one out. */

import { h, say } from "./element.js";
import { ListPanel } from "./listpanel.js";
import { counted } from "./sentences.js";

export class Library extends ListPanel {
  #asked = 0;

  /** `server` lists and removes; `onScope(document)` asks only of that one; `openDocument(document, opener)` shows it. */
  constructor({ server, onScope, openDocument, onChange = () => {} }) {
    const adding = h("div", { class: "library-adding" });
    const list = h("ul", { class: "library-list" });
    super({ kind: "library", name: "Library", find: "Find a document", list, opened: "source-open", before: [adding] });
    Object.assign(this, { server, onScope, openDocument, onChange, adding });
    this.mayRemove = false;
  }

  /** What was added is to be seen. */
  refresh() {
    if (!this.element.hidden) this.load("");
  }

  /** Show what follows `after`; from the start, it takes the place of what was shown. */
  async load(after) {
    const asked = ++this.#asked;
    try {
      const page = await this.server.documents({ matching: this.search.value.trim(), after });
      if (asked !== this.#asked) return; // another search was typed meanwhile
      this.next = page.next;
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
    const only = h("button", { type: "button", class: "quiet", "aria-label": `Ask only this: ${title}`, onclick: () => this.onScope(one) }, "Ask only this");
    const row = h("li", { class: "library-row" }, open, h("div", { class: "library-actions" }, only));
    if (this.mayRemove) row.lastChild.append(this.#removing(one, title, row));
    return row;
  }

  /** Asked twice: what is taken out is gone. */
  #removing(one, title, row) {
    const button = h("button", { type: "button", class: "quiet" });
    const offer = (words) => {
      say(button, words);
      button.setAttribute("aria-label", `${words} ${title}`);
    };
    offer("Remove");
    button.addEventListener("blur", () => offer("Remove"));
    button.addEventListener("click", async () => {
      if (button.textContent === "Remove") return offer("Really remove?");
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
