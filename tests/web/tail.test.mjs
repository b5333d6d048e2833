import assert from "node:assert/strict";
import { test } from "node:test";

import { closed } from "../../rag_graph/web/tail.js";

const CASES = {
  "Plain words": "Plain words",
  "Built by **": "Built by ",
  "Built by **Gustave": "Built by **Gustave**",
  "Built by **Gustave ": "Built by **Gustave**",
  "Built by **Gustave Eiffel*": "Built by **Gustave Eiffel**",
  "Built by **Gustave** in": "Built by **Gustave** in",
  "Call `": "Call ",
  "Call `run": "Call `run`",
  "Call `a ** b` now": "Call `a ** b` now",
  "See [the site](https://exam": "See the site",
  "See [the site](https://example.org) now": "See [the site](https://example.org) now",
  "A claim [1": "A claim [1",
  "```py\nx = a ** b\ny = `": "```py\nx = a ** b\ny = `",
  "- **one** done\n- **two": "- **one** done\n- **two**",
};

for (const [source, wanted] of Object.entries(CASES)) {
  test(`what is open is closed: ${JSON.stringify(source)}`, () => assert.equal(closed(source), wanted));
}
