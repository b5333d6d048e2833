/** Marks in a rendered answer what is new in it and what is gone. */

import { textNodes } from "./alignment.js";
import { diff } from "./diff.js";
import { h } from "./element.js";

/** The words of a rendered answer, without chips; blocks are apart by a line's end. */
export function wordsIn(root) {
  return runsIn(root)
    .map(({ lead, node }) => lead + node.data)
    .join("");
}

/** Wrap new words in `ins` and put gone ones in as `del`; return the pieces. Marking again replaces the marks. */
export function markChanges(root, before) {
  unmark(root);
  const runs = runsIn(root);
  const pieces = diff(before, runs.map(({ lead, node }) => lead + node.data).join(""));
  const marks = placed(pieces);
  let at = 0;
  for (const { lead, node } of runs) {
    at += lead.length;
    markNode(node, at, marks);
    at += node.length;
  }
  return pieces;
}

function unmark(root) {
  for (const gone of root.querySelectorAll("del.gone")) gone.remove();
  for (const fresh of root.querySelectorAll("ins.fresh")) fresh.replaceWith(...fresh.childNodes);
  root.normalize();
}

function runsIn(root) {
  let last = null;
  return textNodes(root)
    .filter((node) => node.data.trim() || node.parentElement.closest("p, li"))
    .map((node) => {
      const block = node.parentElement.closest("p, li, pre, td, th, h3, h4, h5, h6, blockquote, .block");
      const lead = last && last !== block ? "\n" : "";
      last = block;
      return { node, lead };
    });
}

/** The pieces as stretches `[start, end)` of the new text; what is gone stands at a point. */
function placed(pieces) {
  let at = 0;
  return pieces.map(({ kind, content }) => {
    const start = at;
    if (kind !== "removed") at += content.length;
    return { kind, content, start, end: at };
  });
}

function markNode(node, begin, marks) {
  const end = begin + node.length;
  const here = marks.filter(
    (mark) => (mark.kind === "added" && mark.start < end && mark.end > begin) || (mark.kind === "removed" && mark.start >= begin && mark.start < end),
  );
  if (!here.length) return;
  const pieces = [];
  let at = begin;
  const take = (to) => {
    const words = node.data.slice(at - begin, Math.max(at, to) - begin);
    at = Math.max(at, to);
    return words;
  };
  for (const mark of here) {
    pieces.push(take(Math.max(begin, mark.start)));
    if (mark.kind === "removed") pieces.push(h("del", { class: "gone" }, mark.content));
    else pieces.push(h("ins", { class: "fresh" }, take(Math.min(end, mark.end))));
  }
  pieces.push(take(end));
  node.replaceWith(...pieces.filter((piece) => piece !== ""));
}
