/** Questions to go on with: of what was found for an answer and not used in it. */

import { h } from "./element.js";
import { tell } from "./notfound.js";
import { sectionOf } from "./sourcelist.js";
import { passagesByNumber, standing, written } from "./transcript.js";
import { questionButton } from "./welcome.js";

const COUNT = 3;
const NAME_CHARS = 80;

export class FollowUps {
  #isShown = false;

  constructor() {
    this.list = h("ul", { class: "questions" });
    this.element = h("div", { class: "follow-ups", role: "group", "aria-label": "Questions to go on with", hidden: true }, h("h3", {}, "Go on with"), this.list);
  }

  update({ transcript, question }) {
    if (this.#isShown || transcript.terminal?.type !== "run_finished") return;
    this.#isShown = true;
    const asked = followUpsOf(transcript, question);
    this.element.hidden = !asked.length;
    this.list.replaceChildren(...asked.map((one) => questionButton(one, () => tell(this.element, "page-ask", { question: one }))));
  }
}

/** Each of another section than those that the answer cites; none where it cites nothing, for then nothing fitted. */
export function followUpsOf(transcript, question) {
  const passages = passagesByNumber(transcript);
  const { citations } = written(transcript, standing(transcript));
  if (!citations.length) return [];
  const nameOf = (passage) => `${passage.title}|${sectionOf(passage)}`;
  const seen = new Set(citations.map(({ marker }) => passages.get(marker)).filter(Boolean).map(nameOf));
  const cited = new Set(citations.map(({ document }) => document));
  const found = [];
  for (const passage of passages.values()) {
    const [name, words] = [nameOf(passage), questionOf(passage, cited)];
    if (seen.has(name) || !words || words === question) continue;
    seen.add(name);
    found.push(words);
  }
  return found.slice(0, COUNT);
}

function questionOf(passage, cited) {
  const title = shortened(passage.title);
  const section = sectionOf(passage).split(" › ").at(-1);
  if (section.endsWith("?")) return section;
  if (section && title) return `What does “${title}” say about “${shortened(section)}”?`;
  return title && !cited.has(passage.document) ? `What is “${title}” about?` : "";
}

function shortened(name) {
  return name.length > NAME_CHARS ? `${name.slice(0, NAME_CHARS).trimEnd()}…` : name;
}
