/** What changed between two texts, word by word. */

/** Above this the table would take too long to fill, and what differs counts as replaced. */
const MAX_CELLS = 4_000_000;

/** Fewer common words than this between two changes are chance, and read better as part of them. */
const MIN_SAME_WORDS = 3;

/** Return pieces `{ kind: "same" | "added" | "removed", content }` that give the second text without the removed ones. */
export function diff(before, after) {
  const [old, wanted] = [wordsOf(before), wordsOf(after)];
  let head = 0;
  while (head < old.length && head < wanted.length && old[head] === wanted[head]) head += 1;
  let tail = 0;
  const room = Math.min(old.length, wanted.length) - head;
  while (tail < room && old.at(-1 - tail) === wanted.at(-1 - tail)) tail += 1;
  const middle = compare(old.slice(head, old.length - tail), wanted.slice(head, wanted.length - tail));
  return calmed(joined([...same(wanted.slice(0, head)), ...middle, ...same(wanted.slice(wanted.length - tail))]));
}

/** How many words came and went. */
export function countChanges(pieces) {
  const count = (kind) =>
    pieces.filter((piece) => piece.kind === kind).reduce((sum, { content }) => sum + (content.match(/[\p{L}\p{N}]+/gu)?.length ?? 0), 0);
  return { added: count("added"), removed: count("removed") };
}

/** Words with the space behind them, so that a change never leaves two spaces. */
function wordsOf(text) {
  return text.match(/\s+|[^\s]+\s*/g) ?? [];
}

function same(words) {
  return words.map((content) => ({ kind: "same", content }));
}

/** The longest common subsequence, read back from its table. */
function compare(old, wanted) {
  const width = wanted.length + 1;
  if ((old.length + 1) * width > MAX_CELLS) return replaced(old, wanted);
  const lengths = new Uint16Array((old.length + 1) * width);
  const bare = (word) => word.trimEnd();
  const [left, right] = [old.map(bare), wanted.map(bare)];
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = wanted.length - 1; j >= 0; j -= 1) {
      const here = i * width + j;
      lengths[here] =
        left[i] === right[j] ? lengths[here + width + 1] + 1 : Math.max(lengths[here + width], lengths[here + 1]);
    }
  }
  const pieces = [];
  let [i, j] = [0, 0];
  while (i < old.length && j < wanted.length) {
    const here = i * width + j;
    if (left[i] === right[j]) {
      pieces.push({ kind: "same", content: wanted[j] });
      i += 1;
      j += 1;
    } else if (lengths[here + width] >= lengths[here + 1]) pieces.push({ kind: "removed", content: old[i++] });
    else pieces.push({ kind: "added", content: wanted[j++] });
  }
  return [...pieces, ...replaced(old.slice(i), wanted.slice(j))];
}

function replaced(old, wanted) {
  return [
    ...old.map((content) => ({ kind: "removed", content })),
    ...wanted.map((content) => ({ kind: "added", content })),
  ];
}

function joined(pieces) {
  const result = [];
  for (const { kind, content } of pieces) {
    if (result.at(-1)?.kind === kind) result.at(-1).content += content;
    else result.push({ kind, content });
  }
  return result;
}

/** Make chance matches part of the change around them; what is gone comes before what is new. */
function calmed(pieces) {
  const isChance = ({ kind, content }, index) =>
    kind === "same" && index > 0 && index < pieces.length - 1 && wordsOf(content).length < MIN_SAME_WORDS;
  const result = [];
  let [gone, fresh] = ["", ""];
  const flush = () => {
    if (gone) result.push({ kind: "removed", content: gone });
    if (fresh) result.push({ kind: "added", content: fresh });
    [gone, fresh] = ["", ""];
  };
  pieces.forEach((piece, index) => {
    if (piece.kind === "same" && !isChance(piece, index)) {
      flush();
      result.push(piece);
      return;
    }
    if (piece.kind !== "added") gone += piece.content;
    if (piece.kind !== "removed") fresh += piece.content;
  });
  flush();
  return result;
}
