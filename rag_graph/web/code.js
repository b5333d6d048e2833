/** Colours code blocks by highlight.js, which is loaded when the first one is there, and copies them. */

import { textNodes } from "./alignment.js";
import { h, say } from "./element.js";
import { copy } from "./clipboard.js";
import DOMPurify from "./vendor/purify.es.mjs";

const NAMED = 'pre > code[class^="language-"]';
const SPANS = { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true };
/** Longer ones stay plain: to colour them would hold the page up. */
const MAX_CHARS = 20_000;
const TOLD_MS = 2_000;

let library = null;
let loading = null;

/** Colour the code below whose language is named; at once, where the library is there already. */
export function colour(root) {
  const found = [...root.querySelectorAll(NAMED)];
  if (!found.length) return;
  if (library) return found.forEach(paint);
  loading ??= import("./vendor/highlight.min.js");
  loading.then(
    (module) => {
      library = module.default;
      found.filter((one) => one.isConnected).forEach(paint);
    },
    () => (loading = null), // plain code is code, and the next block tries again
  );
}

/** Serve the copy buttons below this element. */
export function copyOnClick(root) {
  root.addEventListener("click", async ({ target }) => {
    const button = target.closest?.(".copy-code");
    if (!button) return;
    try {
      await copy(written(button.parentElement.querySelector("pre")));
      say(button, "Copied");
    } catch {
      say(button, "Not allowed");
    }
    setTimeout(() => say(button, "Copy code"), TOLD_MS);
  });
}

function written(element) {
  return textNodes(element).map(({ data }) => data).join("");
}

/** Wrap its text where it stands, so that other marks in it stay. */
function paint(code) {
  const language = code.className.slice("language-".length);
  const text = written(code);
  if (text.length > MAX_CHARS || !library.getLanguage(language) || code.querySelector("[class^=hljs-]")) return;
  const fragment = DOMPurify.sanitize(library.highlight(text, { language, ignoreIllegals: true }).value, SPANS);
  const stretches = textNodes(fragment).map(({ data, parentElement }) => ({ left: data.length, kind: parentElement?.className }));
  if (stretches.reduce((sum, { left }) => sum + left, 0) !== text.length) return;
  for (const node of textNodes(code)) {
    const pieces = [];
    for (let at = 0; at < node.length; ) {
      const take = Math.min(stretches[0].left, node.length - at);
      const words = node.data.slice(at, at + take);
      pieces.push(stretches[0].kind ? h("span", { class: stretches[0].kind }, words) : words);
      at += take;
      stretches[0].left -= take;
      if (!stretches[0].left) stretches.shift();
    }
    node.replaceWith(...pieces);
  }
}
