/** The turns of a conversation as a tree: those that follow the same turn are branches of it. Turns come by their keys, in the order in which they were asked. */

/** This turn and those that were asked in its place, oldest first. */
export function branchesOf(turns, { follows }) {
  return [...turns.values()].filter((other) => other.follows === follows);
}

/** The turns before this one, from the first question on. */
export function before(turns, { follows }) {
  const path = [];
  for (let turn = turns.get(follows); turn && !path.includes(turn); turn = turns.get(turn.follows)) path.unshift(turn);
  return path;
}

/** The branch through this turn, from there on the newest; without one the newest of all. */
export function branchThrough(turns, turn) {
  const path = turn ? [...before(turns, turn), turn] : [];
  for (;;) {
    const next = branchesOf(turns, { follows: path.at(-1)?.key ?? "" }).at(-1);
    if (!next || path.includes(next)) return path;
    path.push(next);
  }
}
