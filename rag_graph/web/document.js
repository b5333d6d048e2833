/** A document's text as elements, with the quoted stretches marked: rendered where it is Markdown, else as it is. */

import { align } from "./alignment.js";
import { h } from "./element.js";
import { documentBlocks } from "./markdown.js";

/** Those whose loaders write Markdown; the texts of other kinds are as they were in the file. */
const MARKDOWN = /\.(?:md|markdown|mdx|qmd|rmd|ipynb|html?|xhtml|epub|doc[xm]|ppt[xm]|od[tps]|csv|tsv|tab|xls[xmb]?)$/i;
/** Longer ones are shown as they are: to render them would hold the page up. */
const MAX_RENDERED = 300_000;
/** Plain text is laid out in slices, so that a long document costs only what is in view. */
const SLICE = 4_000;
const KINDS = [
  [/^(?:md|markdown|mdx|qmd|rmd)$/, "Markdown"],
  [/^(?:x?html?|epub)$/, "Web page"],
  [/^pdf$/, "PDF"],
  [/^(?:doc[xm]|odt)$/, "Document"],
  [/^(?:ppt[xm]|odp)$/, "Slides"],
  [/^(?:xls[xmb]?|ods|csv|tsv|tab)$/, "Table"],
  [/^ipynb$/, "Notebook"],
  [/^(?:eml|msg)$/, "Mail"],
  [/^(?:jsonl?|ndjson)$/, "JSON"],
  [/^(?:png|jpe?g|tiff?|bmp|webp)$/, "Picture"],
  [/^(?:txt|text|log|rst|a(?:scii)?doc)$/, "Text"],
];

/** What people call such a file, "" where its name does not tell. */
export function kindOf(uri) {
  const suffix = suffixOf(uri);
  return KINDS.find(([pattern]) => pattern.test(suffix))?.[1] ?? (isOnWeb(uri) ? "Web page" : suffix ? "Text" : "");
}

export function isOnWeb(uri) {
  return /^https?:\/\/[^/]/i.test(uri);
}

/** The words of a quote or a heading, without their Markdown. */
export function wordsOf(markdown) {
  return documentBlocks(markdown)
    .map(({ fragment }) => textOf(fragment))
    .join(" ")
    .replace(/\s+/g, " ")
    .trim();
}

/** Elements of `content`; `quotes` are `{ start, end, names }` in its units, apart and in order. */
export function pageOf(uri, content, quotes) {
  return (isMarkdown(uri) && content.length <= MAX_RENDERED && rendered(content, quotes)) || slices(content, quotes);
}

function isMarkdown(uri) {
  return MARKDOWN.test(pathOf(uri));
}

function pathOf(uri) {
  return uri.replace(/[?#].*$/, "");
}

function suffixOf(uri) {
  return pathOf(uri).match(/[^/]\.([a-z\d]{1,10})$/i)?.[1].toLowerCase() ?? "";
}

function textOf(fragment) {
  const cells = fragment.querySelectorAll("td, th, li, p, h3, h4, h5, h6, br");
  for (const cell of cells) cell.append(" ");
  for (const button of fragment.querySelectorAll(".copy-code")) button.remove();
  return fragment.textContent;
}

/** The rendered blocks, or null where a quote could not be found in them word for word. */
function rendered(content, quotes) {
  const blocks = documentBlocks(content);
  if (blocks.map(({ source }) => source).join("") !== content) return null;
  const marked = quotes.map(() => "");
  let at = 0;
  const elements = blocks.map(({ source, fragment }) => {
    const start = at;
    at += source.length;
    const here = quotes.map((quote, index) => ({ ...quote, index })).filter((quote) => quote.start < at && quote.end > start);
    if (here.length) {
      for (const { node, offsets } of align(fragment, masked(source))) {
        for (const { index, words } of markIn(node, offsets, start, here)) marked[index] += words;
      }
    }
    return h("div", { class: "block" }, fragment);
  });
  const isWhole = ({ start, end }, index) => letters(marked[index]) === letters(masked(content.slice(start, end)));
  return quotes.every(isWhole) ? [h("div", { class: "rendered" }, ...elements)] : null;
}

/** Blank out what is never shown, at its length, so that no letter of it is taken for one that is. */
function masked(source) {
  return source.replace(/<!--[^]*?-->|<\/?[a-z][^<>]*>|(?<=\])\([^()\n]*\)|^ {0,3}(?:`{3,}|~{3,})[^\n]*|(?<=[ \t])\{ ?#[\w-]+ ?\}|^[/:]{3,}[^\n]*/gim, (hidden) => "\0".repeat(hidden.length));
}

function letters(text) {
  return text.replace(/[^\p{L}\p{N}]+/gu, "");
}

function markIn(node, offsets, start, quotes) {
  const pieces = [];
  const told = [];
  let from = 0;
  for (const { start: begin, end, names, index } of quotes) {
    const covered = [...offsets].map((at) => at + start >= begin && at + start < end);
    const first = covered.indexOf(true, from);
    if (first < 0) continue;
    const last = covered.lastIndexOf(true) + 1;
    const words = node.data.slice(first, last);
    pieces.push(node.data.slice(from, first), h("mark", { "data-starts": names.join(" ") }, words));
    told.push({ index, words });
    from = last;
  }
  if (told.length) node.replaceWith(...pieces.filter(Boolean), node.data.slice(from));
  return told;
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
