/** A panel that lists what the server holds, a page at a time, with a search: it opens beside the page by its button. */

import { h, icon } from "./element.js";

const PAUSE_MS = 200;

export class ListPanel {
  #opener = null;

  /**
   * `kind` names its classes, `name` heads it, `find` asks for words; `list` holds the rows, `before` and `after` it stand
   * other elements. While it is open, the document has the class `opened`. `load(after)` is the subclass's.
   */
  constructor({ kind, name, find, list, opened, before = [], after = [] }) {
    this.opened = opened;
    this.button = h("button", { type: "button", class: "quiet", "aria-expanded": "false", onclick: () => this.toggle() }, name);
    this.search = h("input", { type: "search", class: `${kind}-search`, placeholder: find, "aria-label": find, autocomplete: "off" });
    this.told = h("p", { class: `${kind}-told`, role: "status" });
    this.list = list;
    this.next = "";
    this.more = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.load(this.next) }, "Show more");
    const close = h("button", { type: "button", class: "quiet", "aria-label": `Close the ${kind}`, onclick: () => this.close() }, icon("M6 6l12 12", "M18 6 6 18"));
    this.element = h(
      "aside",
      { class: `source ${kind}`, "aria-label": name, hidden: true },
      h("header", {}, h("div", { class: "source-heading" }, h("h2", { tabindex: "-1" }, name), this.told), close),
      h("div", { class: "source-tools" }, this.search),
      h("div", { class: `${kind}-body` }, ...before, list, this.more, ...after),
    );
    let pause = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.load(""), PAUSE_MS);
    });
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  toggle() {
    if (!this.element.hidden) return this.close();
    this.#opener = document.activeElement;
    this.element.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    document.documentElement.classList.add(this.opened);
    this.search.value = "";
    this.search.focus({ preventScroll: true });
    return this.load("");
  }

  close() {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    document.documentElement.classList.remove(this.opened);
    (this.#opener?.isConnected ? this.#opener : this.button).focus({ preventScroll: true });
  }
}
