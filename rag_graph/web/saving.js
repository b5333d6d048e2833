/** Lets people save a file that was fetched, since a link cannot carry the key that the server may ask for. */

import { h } from "./element.js";

const KEPT_MS = 2_000;

export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
