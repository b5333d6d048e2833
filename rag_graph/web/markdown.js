/** Markdown to safe elements. HTML in the source shows as the text it is; images show as links. */

import { formulas } from "./maths.js";
import { Marked } from "./vendor/marked.esm.js";
import DOMPurify from "./vendor/purify.es.mjs";

const nothing = () => undefined;

const marked = new Marked({
  gfm: true,
  extensions: formulas,
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

/** What documents are written in beyond Markdown: front matter, and the fences of admonitions. */
const DIALECT = [
  {
    name: "matter",
    level: "block",
    tokenizer(source) {
      const match = this.lexer.tokens.length ? null : /^---\n([^]*?\n)---[ \t]*(?:\n+|$)/.exec(source);
      return match ? { type: "matter", raw: match[0], text: match[1] } : undefined;
    },
    renderer: ({ text }) => `<pre><code>${escaped(text)}</code></pre>`,
  },
  {
    name: "fence",
    level: "block",
    start: (source) => source.match(/\n[/:]{3}/)?.index,
    tokenizer(source) {
      const match = /^(?:\/{3,}|:{3,})[ \t]*(?:\{?([\w-]+)\}?[ \t]*\|?[ \t]*([^\n]*))?(?:\n+|$)/.exec(source);
      if (!match) return undefined;
      const [raw, kind = "", title] = match;
      return { type: "fence", raw, title: title || kind.charAt(0).toUpperCase() + kind.slice(1) };
    },
    renderer: ({ title }) => (title ? `<p><strong>${escaped(title)}</strong></p>` : ""),
  },
];

const documents = new Marked({
  gfm: true,
  extensions: [...formulas, ...DIALECT],
  renderer: {
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 2);
      return `<h${level}>${this.parser.parseInline(tokens).replace(/\s*\{ ?#[\w-]+ ?\}$/, "")}</h${level}>\n`;
    },
    html: ({ text }) => bareTags(text),
    image: ({ text }) => (text ? `<em>${escaped(text)}</em>` : ""),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** Tags without attributes but a link's: the sanitiser would drop the others, but the browser reports handlers before. */
function bareTags(html) {
  return html
    .replace(/<!--[^]*?-->|<(script|style)\b[^]*?(?:<\/\1\s*>|$)/gi, "")
    .replace(/<(\/?)([a-z][\w-]*)([^<>]*)>?/gi, (_, slash, name, rest) => {
      const href = /\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(rest);
      const address = href && (href[1] ?? href[2] ?? href[3]);
      return `<${slash}${name}${address && !slash ? ` href="${address.replace(/["<>]/g, encodeURIComponent)}"` : ""}>`;
    });
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

const ALLOWED = {
  ALLOWED_TAGS: [
    ..."a blockquote br code del em h3 h4 h5 h6 hr li ol p pre strong".split(" "),
    ..."table tbody td tex-formula th thead tr ul".split(" "),
  ],
  ALLOWED_ATTR: ["href", "title", "start", "align", "class"], // no class but those that our renderers write
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
  return safe(marked.parse(source));
}

/** The blocks of a document as `{ source, fragment }`. Its HTML is rendered too, as far as the sanitiser lets it. */
export function documentBlocks(source) {
  return documents.lexer(source).map((token) => ({ source: token.raw, fragment: safe(documents.parser([token])) }));
}

function safe(html) {
  const fragment = DOMPurify.sanitize(html, ALLOWED);
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
  wide.replaceWith(wide.matches("pre") ? withCopy(frame) : frame);
  frame.append(wide);
}

function withCopy(frame) {
  const box = document.createElement("div");
  box.className = "code-block";
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "copy-code", textContent: "Copy code" });
  box.append(frame, button);
  return box;
}
