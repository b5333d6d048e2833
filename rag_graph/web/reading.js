/** Changes what is shown without moving what is being read. */

const BLOCKS = "p, li, h3, h4, h5, h6, pre, blockquote, table";
/** Below this share of common words, two blocks are not about the same. */
const ALIKE = 0.4;

/** Carry the change out, and scroll so that the words at the top of the window, or their successor, stay there. */
export function keepPlace(root, change) {
  const before = anchorIn(root);
  change();
  const after = before.words ? successor(root, before) : root;
  shiftBy(after.getBoundingClientRect().top - before.top, root);
}

function anchorIn(root) {
  const edge = topEdge();
  const { top } = root.getBoundingClientRect();
  if (top >= edge) return { top, words: null };
  const blocks = blocksIn(root);
  const boxes = blocks.map((block) => block.getBoundingClientRect());
  const whole = boxes.findIndex((box) => box.top >= edge && box.top < innerHeight);
  const index = whole >= 0 ? whole : boxes.findIndex((box) => box.bottom > edge);
  if (index < 0) return { top, words: null };
  return { top: blocks[index].getBoundingClientRect().top, words: wordSet(blocks[index]), ratio: index / blocks.length };
}

function successor(root, { words, ratio }) {
  const blocks = blocksIn(root);
  if (!blocks.length) return root;
  const scores = blocks.map((block) => likeness(words, wordSet(block)));
  const best = Math.max(...scores);
  return best >= ALIKE ? blocks[scores.indexOf(best)] : blocks[Math.floor(ratio * blocks.length)];
}

function shiftBy(distance, root) {
  if (Math.abs(distance) < 1) return;
  const page = document.scrollingElement;
  const missing = page.scrollTop + distance + innerHeight - page.scrollHeight;
  const turn = root.closest(".turn");
  if (missing > 0) turn.style.minHeight = `${turn.offsetHeight + missing}px`;
  page.scrollBy({ top: distance, behavior: "instant" });
}

function topEdge() {
  return document.querySelector(".masthead")?.getBoundingClientRect().bottom ?? 0;
}

function blocksIn(root) {
  return [...root.querySelectorAll(BLOCKS)].filter((block) => !block.querySelector(BLOCKS));
}

function wordSet(block) {
  return new Set(block.textContent.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
}

function likeness(left, right) {
  const shared = [...left].filter((word) => right.has(word)).length;
  return shared / Math.max(1, left.size, right.size);
}
