/** One version of an answer as elements. Finished blocks stay as they are; only the open one is rendered again. */

import { align } from "./alignment.js";
import { colour, copyOnClick } from "./code.js";
import { unitsOf } from "./codepoints.js";
import { h } from "./element.js";
import { blocksOf, render } from "./markdown.js";
import { decorate, factsOf } from "./marks.js";
import { typeset } from "./maths.js";
import { morph } from "./morph.js";
import { closed } from "./tail.js";

export class AnswerView {
  #blocks = [];
  #content = "";
  #facts = { cited: [], flags: [] };
  #known = "";

  constructor() {
    this.element = h("div", { class: "answer-text", dir: "auto" });
    copyOnClick(this.element);
  }

  /** Show this version as far as it has come; `numbers` are those of the run's passages, null if not known. */
  update(written, numbers) {
    if (!written.content.startsWith(this.#content)) this.#clear();
    const known = `${written.citations.length} ${written.unsupported.length} ${numbers?.size} ${written.finished}`;
    if (written.content === this.#content && known === this.#known) return;
    this.#known = known;
    this.#content = written.content;
    this.#facts = factsOf(written, unitsOf(this.#content));
    this.#cutTail();
    for (const block of this.#blocks) this.#draw(block, numbers, block === this.#blocks.at(-1) && !written.finished);
  }

  /** The places in the page of a stretch of the answer, in code points. */
  rangesOf({ start, end }) {
    const toUnits = unitsOf(this.#content);
    return this.#blocks.flatMap((block) => rangesIn(block, toUnits(start), toUnits(end)));
  }

  #clear() {
    this.#blocks = [];
    this.#content = "";
    this.element.replaceChildren();
  }

  /** Lex from the last block on: all before it are finished, for nothing that follows can change them. */
  #cutTail() {
    const open = this.#blocks.at(-1);
    let start = open?.start ?? 0;
    blocksOf(this.#content.slice(start)).forEach((source, index) => {
      if (index === 0 && open) open.source = source;
      else this.#blocks.push(this.#newBlock(source, start));
      start += source.length;
    });
  }

  #newBlock(source, start) {
    const element = h("div", { class: "block" });
    this.element.append(element);
    return { source, start, element, drawn: "" };
  }

  #draw(block, numbers, isOpen) {
    const key = `${isOpen}|${this.#keyOf(block, numbers)}`;
    if (block.drawn === key) return;
    block.drawn = key;
    const fragment = render(isOpen ? closed(block.source) : block.source);
    decorate(fragment, block.source, { start: block.start, facts: this.#facts, numbers });
    fragment.normalize();
    morph(block.element, fragment);
    typeset(block.element);
    if (!isOpen) colour(block.element);
  }

  /** All that decides how a block looks. */
  #keyOf({ source, start }, numbers) {
    const here = (fact) => fact.start < start + source.length && fact.end > start;
    const name = ({ index, isSupported }) => `${index}${isSupported ? "s" : ""}`;
    const { cited, flags } = this.#facts;
    const known = source.includes("[") ? numbers?.size : "";
    return [cited.filter(here).map(name), flags.filter(here).map(name), known, source].join("|");
  }
}

function rangesIn({ element, source, start: offset }, start, end) {
  if (start >= offset + source.length || end <= offset) return [];
  return align(element, source).flatMap(({ node, offsets }) => {
    const covered = [...offsets].map((at) => at + offset >= start && at + offset < end);
    const first = covered.indexOf(true);
    if (first < 0) return [];
    const range = document.createRange();
    range.setStart(node, first);
    range.setEnd(node, covered.lastIndexOf(true) + 1);
    return [range];
  });
}
