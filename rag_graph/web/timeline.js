/** What ran when in a run, as bars over time, with the moments that matter. */

import { h, say } from "./element.js";
import { seconds } from "./sentences.js";

const NAMES = {
  condense: "Understanding",
  fast_retrieve: "First search",
  draft: "First answer",
  deep_retrieve: "Deeper search",
  decide: "Comparing",
  refine: "Improving",
};
const MOMENTS = [
  ["first_token_ms", "firstToken", "first word"],
  ["first_citation_ms", "firstCitation", "first citation"],
  ["refinement_first_token_ms", "firstRefined", "first improved word"],
];

export class TimelineView {
  constructor() {
    this.rows = h("ol", { class: "timeline-rows" });
    this.moments = h("ul", { class: "timeline-moments" });
    this.scale = h("p", { class: "timeline-scale", "aria-hidden": "true" });
    this.element = h(
      "details",
      { class: "timeline", hidden: true },
      h("summary", {}, "How this answer came about"),
      h("div", { class: "timeline-body" }, this.rows, this.moments, this.scale),
    );
  }

  update(transcript) {
    if (!transcript.steps.length) return;
    this.element.hidden = false;
    if (!this.element.open && !transcript.terminal) return;
    const total = totalOf(transcript);
    this.rows.replaceChildren(...transcript.steps.map((step) => row(step, total)));
    this.moments.replaceChildren(...momentsOf(transcript).map((moment) => momentElement(moment, total)));
    say(this.scale, seconds(total));
  }
}

function totalOf({ steps, terminal, times }) {
  const ends = steps.flatMap(({ startedMs, finishedMs }) => [startedMs, finishedMs ?? 0]);
  return Math.max(1, terminal?.timings?.total_ms ?? 0, ...ends, ...Object.values(terminal ? {} : times));
}

function row({ step, description, startedMs, finishedMs, outcome }, total) {
  const end = finishedMs ?? total;
  const bar = h("span", { class: `bar ${step} ${finishedMs === null ? "open" : ""}` });
  bar.style.left = `${(100 * startedMs) / total}%`;
  bar.style.width = `${Math.max(0.6, (100 * (end - startedMs)) / total)}%`;
  return h(
    "li",
    {},
    h("span", { class: "timeline-name" }, NAMES[step] ?? step),
    h("span", { class: "track", "aria-hidden": "true" }, bar),
    h("span", { class: "timeline-time" }, h("span", { class: "visually-hidden" }, `from ${seconds(startedMs)}, took `), seconds(end - startedMs)),
    h("span", { class: "timeline-outcome" }, outcome || description),
  );
}

function momentsOf({ terminal, times }) {
  return MOMENTS.map(([told, seen, label]) => ({ at: terminal?.timings?.[told] ?? times[seen], label })).filter(({ at }) => at);
}

function momentElement({ at, label }, total) {
  const pin = h("span", { class: "pin", "aria-hidden": "true" });
  pin.style.left = `${Math.min(100, (100 * at) / total)}%`;
  return h("li", {}, h("span", { class: "timeline-name" }, label), h("span", { class: "track", "aria-hidden": "true" }, pin), h("span", { class: "timeline-time" }, seconds(at)));
}
