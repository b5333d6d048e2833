import assert from "node:assert/strict";
import { test } from "node:test";

import { countChanges, diff } from "../../rag_graph/web/diff.js";
import { unitsOf } from "../../rag_graph/web/codepoints.js";

const marked = (before, after) =>
  diff(before, after)
    .map(({ kind, content }) => ({ same: content, added: `{+${content}+}`, removed: `{-${content}-}` })[kind])
    .join("");

test("what did not change is not marked", () => {
  assert.equal(marked("One and the same.", "One and the same."), "One and the same.");
});

test("words that came and went are marked in place", () => {
  assert.equal(
    marked("It was built by one man between 1887 and 1889.", "It was built by a company between 1887 and 1889."),
    "It was built by {-one man -}{+a company +}between 1887 and 1889.",
  );
});

test("a chance match within a change is part of it", () => {
  assert.equal(
    marked("It was drawn in a single night.", "Koechlin sketched it in a hurry with a friend."),
    "{-It was drawn in a single night.-}{+Koechlin sketched it in a hurry with a friend.+}",
  );
});

test("the pieces without the removed ones are the new text", () => {
  const before = "a b c d e f g h\n\ni j k";
  const after = "a x b c d e  g h i\nz j k l";
  const pieces = diff(before, after);
  assert.equal(pieces.filter(({ kind }) => kind !== "removed").map(({ content }) => content).join(""), after);
});

test("long texts without a common word are compared in no time", () => {
  const words = (name, count) => Array.from({ length: count }, (_, index) => `${name}${index}`).join(" ");
  const pieces = diff(words("a", 6000), words("b", 6000));
  assert.deepEqual(countChanges(pieces), { added: 6000, removed: 6000 });
});

test("code points become units, before and behind wide characters", () => {
  const text = "a🗼b😀c";
  const units = unitsOf(text);
  const points = [...text];
  for (let at = 0; at <= points.length; at += 1) assert.equal(units(at), points.slice(0, at).join("").length);
  assert.equal(unitsOf("plain")(3), 3);
});
