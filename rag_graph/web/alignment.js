/** Finds where the characters of a rendered block stand in its Markdown source. */

/** A character that is not found so near was not written as itself: an entity, say. */
const REACH = 2_000;
const OURS = ".chip, .doubt, .copy-code, del.gone";

/** All text nodes below, in order, without those of our own marks. */
export function textNodes(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement?.closest(OURS) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  );
  const found = [];
  while (walker.nextNode()) found.push(walker.currentNode);
  return found;
}

/**
 * Return `{ node, offsets }` per text node; `offsets[i]` is the place of its i-th unit in the source.
 *
 * What is rendered is the source without its syntax, so each character is the next one like it. A wrong match heals
 * at the next word.
 */
export function align(root, source) {
  let at = 0;
  return textNodes(root)
    .filter((node) => !isLayout(node))
    .map((node) => {
      const offsets = new Uint32Array(node.length);
      for (let index = 0; index < node.length; index += 1) {
        const found = source.indexOf(node.data[index], at);
        if (found >= 0 && found - at < REACH) at = found;
        offsets[index] = at;
        if (found === at) at += 1;
      }
      return { node, offsets };
    });
}

/** Line breaks that the renderer puts between elements. */
function isLayout(node) {
  return !node.data.trim() && node.data.includes("\n") && !node.parentElement?.closest("pre");
}
