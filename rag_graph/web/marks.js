/** Puts citation chips and doubt marks into a rendered block, at the places the events name. */

import { align } from "./alignment.js";
import { h } from "./element.js";

const MARKER = /\[(\d{1,3})\]/g;
const VERBATIM = "code, pre, a, tex-formula";

/**
 * The facts of an answer in UTF-16 units, each with its index in the events.
 *
 * A flag whose stretch another citation supports says only that its marker is wrong.
 */
export function factsOf({ citations, unsupported }, toUnits) {
  const place = (fact, index) => ({ ...fact, index, start: toUnits(fact.start), end: toUnits(fact.end) });
  const cited = citations.map(place);
  const flags = unsupported.map(place);
  for (const flag of flags) {
    flag.isSupported = cited.some(({ start, end }) => start <= flag.start && flag.end <= end);
  }
  return { cited, flags };
}

/** Decorate a block that begins at `start` in the answer; `numbers` are those of real passages, null if not known. */
export function decorate(root, source, { start, facts, numbers }) {
  const runs = align(root, source);
  for (const { offsets } of runs) for (let i = 0; i < offsets.length; i += 1) offsets[i] += start;
  const within = ({ start: from, end }) => from < start + source.length && end > start;
  const cited = facts.cited.filter(within);
  const flags = facts.flags.filter(within);
  const chips = runs.flatMap((run) => chipsOf(run, { cited, flags, numbers }));
  const insertions = [...unmarked(cited, chips), ...doubts(flags, chips)].filter(({ at }) => at <= start + source.length);
  const wrapped = flags.filter((flag) => !flag.isSupported);
  for (const run of runs) rebuild(run, { chips, wrapped, insertions: insertions.filter((one) => isLastBefore(runs, run, one.at)) });
}

/** The chips of a text node: what to cut out, and what stands for it. */
function chipsOf({ node, offsets }, { cited, flags, numbers }) {
  if (node.parentElement?.closest(VERBATIM)) return [];
  return [...node.data.matchAll(MARKER)]
    .map((match) => ({ node, from: match.index, to: match.index + match[0].length, number: Number(match[1]) }))
    .filter(({ number }) => !numbers || numbers.has(number))
    .map((chip) => {
      const at = offsets[chip.from];
      const holds = ({ marker, start, end }) => marker === chip.number && start <= at && at < end;
      const proofs = cited.filter(holds);
      return { ...chip, at, proofs, flag: proofs.length ? null : flags.find(holds) };
    });
}

/** Citations that no marker shows, each at the end of its stretch. */
function unmarked(cited, chips) {
  const shown = new Set(chips.flatMap(({ proofs }) => proofs));
  return cited
    .filter((citation) => !shown.has(citation))
    .map((citation) => ({ at: citation.end, make: () => chipElement({ number: citation.marker, proofs: [citation] }) }));
}

/** Flags that no chip carries. */
function doubts(flags, chips) {
  const shown = new Set(chips.map(({ flag }) => flag));
  return flags
    .filter((flag) => !shown.has(flag) && !flag.isSupported)
    .map((flag) => ({ at: flag.end, make: () => doubtElement(flag) }));
}

function isLastBefore(runs, run, at) {
  const before = runs.findLast(({ offsets }) => offsets.length && offsets[0] < at);
  return before === run;
}

function rebuild({ node, offsets }, { chips, wrapped, insertions }) {
  const own = chips.filter((chip) => chip.node === node);
  const touched = wrapped.filter(({ start, end }) => start <= offsets.at(-1) && end > offsets[0]);
  if (!own.length && !touched.length && !insertions.length) return;
  const placed = insertions.map(({ at, make }) => ({ index: indexBefore(offsets, at), make }));
  const verbatim = node.parentElement?.closest(VERBATIM);
  if (verbatim && placed.length) verbatim.after(...placed.map(({ make }) => make()));
  const pieces = cut(node, offsets, { own, touched, placed: verbatim ? [] : placed });
  node.replaceWith(...pieces);
}

/** How many units of the node stand before that place. */
function indexBefore(offsets, at) {
  let index = offsets.length;
  while (index > 0 && offsets[index - 1] >= at) index -= 1;
  return index;
}

function cut(node, offsets, { own, touched, placed }) {
  const edges = new Set([0, node.length]);
  for (const { from, to } of own) edges.add(from).add(to);
  for (const { index } of placed) edges.add(index);
  for (const { start, end } of touched) edges.add(indexBefore(offsets, start)).add(indexBefore(offsets, end));
  const sorted = [...edges].sort((a, b) => a - b);
  return sorted.flatMap((from, position) => {
    const here = placed.filter(({ index }) => index === from).map(({ make }) => make());
    const to = sorted[position + 1];
    if (to === undefined) return here;
    const chip = own.find((one) => one.from <= from && to <= one.to);
    if (chip) return chip.from === from ? [...here, chipElement(chip)] : here;
    const words = own.some((one) => one.from === to) ? node.data.slice(from, to).trimEnd() : node.data.slice(from, to);
    const flag = touched.find(({ start, end }) => start <= offsets[from] && offsets[from] < end);
    return [...here, flag ? h("span", { class: "unsupported" }, words) : words];
  });
}

function chipElement({ number, proofs, flag }) {
  const found = proofs.length && proofs.every(({ attributed_by: by }) => by === "check");
  const bears = proofs.length && proofs.every(({ grade }) => grade === "bears_on_it");
  const state = proofs.length ? `confirmed${found ? " found" : ""}${bears ? " bears" : ""}` : flag ? "doubtful" : "pending";
  const says = proofs.length ? `Source ${number}: ${proofs[0].title}` : flag ? `Source ${number}, in doubt` : `Source ${number}`;
  return glued(
    h(
      "button",
      {
        type: "button",
        class: `chip ${state}`,
        "aria-label": says,
        "data-number": number,
        "data-proofs": proofs.map(({ index }) => index).join(" "),
        "data-flag": flag ? flag.index : null,
      },
      String(number),
    ),
  );
}

function doubtElement(flag) {
  const says = "Not supported by the sources";
  return glued(h("button", { type: "button", class: "doubt", "aria-label": says, "data-flag": flag.index }, "?"));
}

/** No line ends between a word and its mark: the style sheet sees to that. */
function glued(mark) {
  return h("span", { class: "mark" }, mark);
}
