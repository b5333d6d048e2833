/** The card that shows a citation's exact words, or why a sentence is in doubt, beside its chip. */

import { wordsOf } from "./document.js";
import { h } from "./element.js";

const SHOW_AFTER_MS = 60;
const HIDE_AFTER_MS = 160;
const GAP = 8;

export class QuoteCard {
  #timer = null;
  #chip = null;
  #highlight = globalThis.Highlight ? new Highlight() : null;

  /** `describe(chip)` returns `{ citation }` or `{ reason }`, with the `ranges` of the answer it speaks of. */
  constructor(describe) {
    this.describe = describe;
    this.element = h("div", { class: "quote-card", id: "quote-card", role: "tooltip", popover: "manual" });
    this.element.addEventListener("pointerenter", () => clearTimeout(this.#timer));
    this.element.addEventListener("pointerleave", () => this.#later(() => this.hide(), HIDE_AFTER_MS));
    if (this.#highlight) CSS.highlights.set("cited", this.#highlight);
  }

  /** Serve all chips below this element. */
  attend(root) {
    const chipOf = (event) => event.target.closest?.(".chip, .doubt");
    root.addEventListener("pointerover", (event) => {
      const chip = event.pointerType === "touch" ? null : chipOf(event);
      if (chip) this.#later(() => this.show(chip), SHOW_AFTER_MS);
      else if (this.#chip) this.#later(() => this.hide(), HIDE_AFTER_MS);
    });
    root.addEventListener("pointerleave", () => this.#later(() => this.hide(), HIDE_AFTER_MS));
    root.addEventListener("focusin", (event) => chipOf(event) && this.show(chipOf(event)));
    root.addEventListener("focusout", () => this.hide());
    root.addEventListener("click", (event) => event.target.closest?.(".doubt") && this.show(chipOf(event)));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
    document.addEventListener("scroll", () => this.#follow(), { passive: true });
  }

  show(chip) {
    clearTimeout(this.#timer);
    const told = chip.isConnected && this.describe(chip);
    if (!told) return;
    this.hide();
    this.#chip = chip;
    this.element.replaceChildren(...(told.citation ? quoteParts(told.citation, told) : [h("p", { class: "quote-reason" }, told.reason)]));
    this.element.classList.toggle("in-doubt", !told.citation);
    chip.setAttribute("aria-describedby", this.element.id);
    this.element.showPopover();
    this.#place(chip);
    for (const range of told.ranges) this.#highlight?.add(range);
  }

  hide() {
    clearTimeout(this.#timer);
    if (!this.#chip) return;
    this.#chip.removeAttribute("aria-describedby");
    this.#chip = null;
    this.#highlight?.clear();
    this.element.hidePopover();
  }

  /** Stay beside a chip that moves: one that is scrolled to is told of its pointer before it is told of the scrolling. */
  #follow() {
    if (!this.#chip) return;
    const { top, bottom } = this.#chip.getBoundingClientRect();
    if (bottom < 0 || top > innerHeight) this.hide();
    else this.#place(this.#chip);
  }

  #later(act, ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, ms);
  }

  #place(chip) {
    const at = chip.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = Math.min(Math.max(GAP, at.left + at.width / 2 - width / 2), innerWidth - width - GAP);
    const isAbove = at.top > height + 2 * GAP;
    this.element.style.left = `${left}px`;
    this.element.style.top = `${isAbove ? at.top - height - GAP : at.bottom + GAP}px`;
  }
}

function noteOn(by, bears) {
  if (by === "check") return `Found in the sources${bears ? ", and bears on this" : ""}: the answer did not cite it itself.`;
  return bears ? "This bears on it: much the same words stand in the source." : "Checked: the source says this in nearly these words.";
}

function quoteParts({ title, uri, quote, place, attributed_by: by, marker, grade }, { more, section }) {
  const bears = grade === "bears_on_it";
  return [
    h("p", { class: "quote-title" }, h("span", { class: "quote-number" }, marker), h("span", { class: "quote-name" }, title || "Untitled")),
    h("p", { class: "quote-where", dir: "auto" }, [section || uri, place].filter(Boolean).join(" · ")),
    h("blockquote", { class: "quote-words", dir: "auto" }, wordsOf(quote)),
    h(
      "p",
      { class: "quote-note" },
      noteOn(by, bears),
      more ? ` ${more} more in this source.` : "",
    ),
  ];
}
