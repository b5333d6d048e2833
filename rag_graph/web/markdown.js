/** Markdown to safe elements. HTML in the source shows as the text it is; images show as links. */

import { Marked } from "./vendor/marked.esm.js";
import DOMPurify from "./vendor/purify.es.mjs";

const nothing = () => undefined;

const marked = new Marked({
  gfm: true,
  tokenizer: { html: nothing, tag: nothing, def: nothing },
  renderer: {
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 2);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
    image({ href, text, tokens }) {
      return this.link({ href, title: null, text, tokens: tokens?.length ? tokens : [{ type: "text", raw: href, text: href }] });
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const ALLOWED = {
  ALLOWED_TAGS: [
    ..."a blockquote br code del em h3 h4 h5 h6 hr li ol p pre strong".split(" "),
    ..."table tbody td th thead tr ul".split(" "),
  ],
  ALLOWED_ATTR: ["href", "title", "start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  RETURN_DOM_FRAGMENT: true,
};

/** Cut the source into top-level blocks; joined, they are the source. */
export function blocksOf(source) {
  const blocks = [];
  for (const token of marked.lexer(source)) {
    if (token.type === "space" && blocks.length) blocks[blocks.length - 1] += token.raw;
    else blocks.push(token.raw);
  }
  return blocks.join("") === source ? blocks : [source];
}

/** Render one block into a fragment that is safe to insert. */
export function render(source) {
  const fragment = DOMPurify.sanitize(marked.parse(source), ALLOWED);
  for (const link of fragment.querySelectorAll("a")) {
    if (link.hasAttribute("href")) Object.assign(link, { target: "_blank", rel: "noopener noreferrer nofollow" });
  }
  for (const wide of fragment.querySelectorAll("pre, table")) makeScrollable(wide);
  return fragment;
}

/** What is wider than the page scrolls by itself, by keyboard too. */
function makeScrollable(wide) {
  const frame = document.createElement("div");
  frame.className = "wide";
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", wide.matches("pre") ? "Code" : "Table");
  wide.replaceWith(frame);
  frame.append(wide);
}
