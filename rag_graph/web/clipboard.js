/** Puts text on the clipboard. */

import { h } from "./element.js";

/** Copy text, also on plain HTTP, where the clipboard's own interface is missing. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
