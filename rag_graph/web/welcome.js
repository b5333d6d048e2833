/** What stands before the first question: what can be asked, or how to have something to ask about. */

import { kindOf } from "./document.js";
import { h, say } from "./element.js";
import { inventory, stock } from "./inventory.js";

export class Welcome {
  /** `onAsk(question)`, `onAdd()`, `onGuide()`, which resolves once the guide is there, and `onOpen(document, opener)`. */
  constructor(element, { onAsk, onAdd, onGuide, onOpen }) {
    Object.assign(this, { element, onAsk, onAdd, onGuide, onOpen });
    this.heading = element.querySelector("h1");
    this.about = h("div", { class: "inventory" });
    this.heading.after(this.about);
  }

  /** Show what the library holds. */
  update() {
    const isEmpty = inventory.isKnown && !inventory.documents;
    this.element.classList.toggle("is-empty", isEmpty);
    say(this.heading, isEmpty ? "There are no documents yet." : "Ask your documents.");
    this.about.replaceChildren(...(isEmpty ? this.#invitation() : inventory.isKnown ? this.#holdings() : []));
  }

  #holdings() {
    const kinds = new Map();
    for (const [suffix, count] of Object.entries(inventory.kinds)) {
      const kind = kindOf(`x.${suffix}`) || "other";
      kinds.set(kind, (kinds.get(kind) ?? 0) + count);
    }
    const told = [...kinds].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${count} ${kind}`);
    const open = (one) => h("button", { type: "button", class: "quiet", onclick: ({ currentTarget }) => this.onOpen(one, currentTarget) }, one.title || one.uri);
    return [
      h("p", {}, [stock(), ...(told.length > 1 ? [told.join(", ")] : [])].join(" · ")),
      inventory.newest.length > 0 && h("p", { class: "newest" }, "Changed last: ", ...inventory.newest.map(open)),
      inventory.questions.length > 0 &&
        h("ul", { class: "questions", "aria-label": "Questions to begin with" }, ...inventory.questions.map((question) => questionButton(question, () => this.onAsk(question)))),
    ].filter(Boolean);
  }

  #invitation() {
    if (!inventory.mayAdd) return [h("p", {}, "Nothing can be asked until whoever runs this server adds some, by ", h("code", {}, "rag-graph index FOLDER"), ".")];
    const told = h("p", { role: "status" });
    const guide = h("button", { type: "button", class: "quiet", onclick: () => this.#takeGuide(guide, told) }, "Try it on the guide that comes along");
    return [
      h("p", {}, "Add files, or drop them on this page. They stay on this server."),
      h("div", { class: "invitation" }, h("button", { type: "button", class: "primary", onclick: () => this.onAdd() }, "Add documents"), guide),
      told,
    ];
  }

  async #takeGuide(button, told) {
    button.disabled = true;
    say(told, "Reading the guide…");
    try {
      await this.onGuide();
    } catch (error) {
      button.disabled = false;
      say(told, `The guide could not be added. ${error.message}`);
    }
  }
}

/** A question that can be asked by a click, as an item of a list. */
export function questionButton(question, ask) {
  return h("li", {}, h("button", { type: "button", class: "question-button", dir: "auto", onclick: ask }, question));
}
