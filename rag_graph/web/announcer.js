/** Tells screen readers the turns of a run in whole sentences, never its tokens. */

import { say } from "./element.js";
import { labelOf, verdictOf } from "./sentences.js";

export class Announcer {
  #told = new Set();

  constructor(region) {
    this.region = region;
  }

  /** A new run, so everything may be told again. */
  begin() {
    this.#told.clear();
    this.tell("Question sent.");
  }

  update({ event }, transcript) {
    switch (event.type) {
      case "answer_delta":
        return this.once(event.version === 1 ? "The first answer is being written." : "The answer is being improved.");
      case "answer_finished":
        if (event.version === 1) this.once("The first answer is complete. Deeper reading may still change it.");
        return;
      case "decided":
        if (event.decision === "keep") this.once(`The first answer stands. ${verdictOf(transcript).reason}`);
        return;
      case "run_finished":
      case "run_result":
        return this.once(`${labelOf(transcript, transcript.terminal?.version ?? 1)}. Complete.`);
    }
  }

  once(words) {
    if (this.#told.has(words)) return;
    this.#told.add(words);
    this.tell(words);
  }

  tell(words) {
    say(this.region, words);
  }
}
