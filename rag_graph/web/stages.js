/** The three stages that every answer goes through, as a small line above it. */

import { h, say } from "./element.js";
import { isWithheld } from "./notfound.js";
import { newest } from "./transcript.js";

export class StagesView {
  constructor() {
    this.items = ["First answer", "Deeper reading", "Verdict"].map((name) => h("li", {}, h("span", {}, name)));
    this.element = h("ol", { class: "stages", "aria-label": "Stages of this answer" }, ...this.items);
  }

  update(transcript) {
    stagesOf(transcript).forEach(({ state, name }, index) => {
      const item = this.items[index];
      item.dataset.state = state;
      say(item.firstChild, name);
      if (state === "active") item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  }
}

function stagesOf(transcript) {
  const { answers, steps, decision, terminal } = transcript;
  const has = (step) => steps.some((begun) => begun.step === step);
  const isOpen = (step) => steps.some((begun) => begun.step === step && begun.finishedMs === null) && !terminal;
  const state = (began, open) => (!began ? "waiting" : open ? "active" : "done");
  const isDeciding = isOpen("decide") || isOpen("refine");
  const verdict = isWithheld(transcript) ? "Not found" : !decision ? "Verdict" : decision.decision === "keep" ? "Stands" : isDeciding ? "Improving" : newest(transcript) > 1 ? "Improved" : "Stands";
  return [
    { name: "First answer", state: state(answers[1].started || answers[1].content, !answers[1].finished && !terminal) },
    { name: "Deeper reading", state: state(has("deep_retrieve") || decision, isOpen("deep_retrieve")) },
    { name: verdict, state: state(has("decide") || decision, isDeciding) },
  ];
}
