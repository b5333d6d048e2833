/** Shows the question box before the rest of the page has come, which takes it over. */

import { Composer } from "./composer.js";

export const composer = new Composer();
document.getElementById("composer").append(composer.element);
composer.focus();
