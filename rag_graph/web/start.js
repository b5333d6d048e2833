/** Shows the question box before the rest of the page has come, which takes it over. */

import { Composer } from "./composer.js";

export const composer = new Composer();
const dock = document.getElementById("composer");
dock.append(composer.element);
composer.focus();
// What is tabbed to must not come to stand behind it.
new ResizeObserver(() => document.documentElement.style.setProperty("--dock", `${dock.offsetHeight}px`)).observe(dock);
