/** What the library holds, as the page last heard it. */

import { counted } from "./sentences.js";

export const inventory = { isKnown: false, documents: 0, passages: 0, kinds: {}, newest: [], questions: [], mayAdd: false };

/** Take what the server tells of its library; null where it tells nothing. */
export function takeStock(overview) {
  Object.assign(inventory, { isKnown: Boolean(overview) }, overview);
}

/** Such as "18 documents, 113 passages". */
export function stock() {
  return `${counted(inventory.documents, "document")}, ${counted(inventory.passages, "passage")}`;
}
