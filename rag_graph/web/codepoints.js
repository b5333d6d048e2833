/** Spans count code points, JavaScript strings count UTF-16 units: this turns one into the other. */

const ASTRAL = /[\u{10000}-\u{10ffff}]/gu;

/** Return a function from an offset in code points to one in UTF-16 units of this text. */
export function unitsOf(text) {
  const wide = [];
  for (const match of text.matchAll(ASTRAL)) wide.push(match.index - wide.length);
  if (!wide.length) return (offset) => offset;
  return (offset) => offset + countBelow(wide, offset);
}

function countBelow(sorted, limit) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
