/** Which signs in Markdown are formulas, and which are money, shell or brackets. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { formulas } from "../../rag_graph/web/maths.js";
import { Marked } from "../../rag_graph/web/vendor/marked.esm.js";

const marked = new Marked({ extensions: formulas });
const found = (source) => [...marked.parse(source).matchAll(/<tex-formula( class="display")?>([^<]*)</g)].map(([, display, tex]) => (display ? `display ${tex}` : tex));

test("each way of writing a formula is known", () => {
  assert.deepEqual(found("Euler: $e^{i\\pi}+1=0$, and \\(x_1\\)."), ["e^{i\\pi}+1=0", "x_1"]);
  assert.deepEqual(found("With $$y = 2$$ and \\[ z = 3 \\] in it."), ["display y = 2", "display z = 3"]);
  assert.deepEqual(found("where\n$$\na\n- b\n$$\nafter"), ["display a\n- b"]);
  assert.deepEqual(found("\\[\nx = 1\n\\]\n\nnext"), ["display x = 1"]);
  assert.deepEqual(found("- so $2ab$ is **$x_i$**\n\n| a |\n|---|\n| $3 \\text{ apples each}$ |"), ["2ab", "x_i", "3 \\text{ apples each}"]);
});

for (const source of [
  "$5 and $6",
  "from $5-$6 to $7/month",
  "$5, or more (in US$)",
  "US$5 or (US$)",
  "costs $20k–$30k; $1,000.50 (USD$)",
  "$HOME and $PATH",
  "${X}/bin:$PATH",
  "\\$5 and \\$6",
  "see \\[1\\] and \\(see there\\)",
  "- \\[x\\] done",
  "`$a$`",
  "```\n$$x$$\n```",
]) {
  test(`no formula: ${JSON.stringify(source)}`, () => assert.deepEqual(found(source), []));
}

test("what is still being written is no list and no formula yet", () => {
  const html = marked.parse("$$\na\n- b");
  assert.doesNotMatch(html, /<li>|tex-formula/);
  assert.match(html, /- b/);
});

test("a formula is text, never markup", () => {
  assert.match(marked.parse("$a<b$ and $x \\text{</tex-formula><img src=x>}$"), /a&#60;b.*&#60;\/tex-formula&#62;&#60;img/);
});
