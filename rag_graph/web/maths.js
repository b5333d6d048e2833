/** Finds TeX in Markdown, and sets it by KaTeX, which is loaded when the first formula is there.
 *
 * A formula stays in the page as its TeX; what is drawn stands in its shadow. So the words of an answer, by which
 * citations and changes find their places, are those that were written.
 */

const KATEX = new URL("vendor/katex/", import.meta.url).href;
const INLINE = [
  [/^\$\$((?:\\[^]|(?!\n[ \t]*\n)[^\\$])+)\$\$/, true],
  [/^\\\[((?:(?!\\\]|\n[ \t]*\n)[^])+)\\\]/, true],
  [/^\\\(((?:(?!\\\)|\n[ \t]*\n)[^])+)\\\)/, false],
  // As pandoc has it: no blank inside the signs, and no digit behind the second one.
  [/^\$(?=[^\s$])((?:\\[^]|[^\\$\n]){0,399}?(?:\\[^]|[^\\$\s]))\$(?![\p{L}\p{N}$])/u, false],
];
const DISPLAY = [
  [/^ {0,3}\$\$((?:\\[^]|(?!\n[ \t]*\n)[^\\$])+)\$\$[ \t]*(?:\n+|$)/, /^ {0,3}\$\$(?:(?!\n[ \t]*\n|\$\$)[^])*$/],
  [/^ {0,3}\\\[((?:(?!\\\]|\n[ \t]*\n)[^])+)\\\][ \t]*(?:\n+|$)/, /^ {0,3}\\\[(?:(?!\n[ \t]*\n|\\\])[^])*$/],
];
/** Bounds on what hostile TeX may cost. */
const BOUNDS = { maxSize: 40, maxExpand: 300, trust: false, strict: "ignore", throwOnError: true };

/** Extensions of marked. */
export const formulas = [
  {
    name: "display",
    level: "block",
    start: (source) => source.match(/\n {0,3}(?:\$\$|\\\[)/)?.index,
    tokenizer(source) {
      for (const [whole, open] of DISPLAY) {
        const match = whole.exec(source);
        if (match && !isProse(source.trim(), match[1])) return { type: "display", raw: match[0], tex: match[1].trim() };
        // While it is being written, lines that look like a list are still of the formula.
        if (open.test(source)) return { type: "display", raw: source, tokens: this.lexer.inlineTokens(source) };
      }
      return undefined;
    },
    renderer({ tex, tokens }) {
      return `<p>${tex === undefined ? this.parser.parseInline(tokens) : formula(tex, true)}</p>\n`;
    },
  },
  {
    name: "formula",
    level: "inline",
    start: (source) => source.match(/(?<![\p{L}\p{N}$])\$|\\[([]/u)?.index, // "US$5" is money
    tokenizer(source) {
      for (const [pattern, isDisplay] of INLINE) {
        const match = pattern.exec(source);
        if (match && !isProse(source, match[1])) {
          return { type: "formula", raw: match[0], tex: match[1].trim(), isDisplay };
        }
      }
      return undefined;
    },
    renderer: ({ tex, isDisplay }) => formula(tex, isDisplay),
  },
];

/** "$5, or more (in US$)" begins with a number, and then there are words; "\\[1\\]" and "\\(see there\\)" are escapes. */
function isProse(source, tex) {
  const bare = tex.replace(/\\[A-Za-z]+(?:\{[^}]*\})?/g, "");
  if (source.startsWith("$")) return /^\d/.test(tex) && /[A-Za-z]{3,}|\s[A-Za-z]{2}/.test(bare);
  return !/[\\^_=+*/<>{}|]/.test(tex) && (source.startsWith("\\[") || /\p{L}{3}/u.test(tex));
}

function formula(tex, isDisplay) {
  const escaped = tex.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<tex-formula${isDisplay ? ' class="display"' : ""}>${escaped}</tex-formula>`;
}

let katex = null;
let sheet = null;
let loading = null;
const drawn = new WeakMap();

/** Draw the formulas below; at once, where KaTeX is there already. */
export function typeset(root) {
  const found = [...root.querySelectorAll("tex-formula")];
  if (!found.length) return;
  if (katex) return found.forEach(draw);
  loading ??= load();
  loading.then(
    () => found.filter((one) => one.isConnected).forEach(draw),
    () => (loading = null), // the TeX can be read, and the next formula tries again
  );
}

async function load() {
  const link = document.createElement("link");
  const isLoaded = new Promise((resolve, reject) => Object.assign(link, { onload: resolve, onerror: reject }));
  Object.assign(link, { rel: "stylesheet", href: `${KATEX}katex.min.css` });
  document.head.append(link); // fonts must be known to the document: a shadow tree can bring none
  await Promise.all([isLoaded, import("./vendor/katex/katex.min.js")]);
  sheet = new CSSStyleSheet();
  sheet.replaceSync([...link.sheet.cssRules].filter((rule) => !(rule instanceof CSSFontFaceRule)).map(({ cssText }) => cssText).join("\n"));
  katex = globalThis.katex;
}

function draw(element) {
  const tex = element.textContent;
  if (drawn.get(element) === tex) return;
  drawn.set(element, tex);
  const place = document.createElement("span");
  try {
    katex.render(tex, place, { ...BOUNDS, displayMode: element.classList.contains("display") });
  } catch {
    place.textContent = tex; // it is no TeX that KaTeX knows
  }
  if (!element.shadowRoot) element.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
  element.shadowRoot.replaceChildren(place);
}
