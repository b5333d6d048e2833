/** A page of a PDF as a picture, with the cited words marked on it. */

import { h } from "./element.js";

const PDF = /\.pdf$/i;

export class Sheet {
  #asked = null;

  /** `server` gives where the words stand, by `page`, and the `picture`. */
  constructor(server) {
    this.server = server;
    this.element = h("div", { class: "source-page", tabindex: "0", role: "group", "aria-label": "The page", hidden: true });
  }

  /** Draw the page of a citation; resolve to how many marks it has, to null where it cannot be shown, and to undefined where another one was asked for meanwhile. */
  async draw(citation) {
    const asked = (this.#asked = {});
    this.element.replaceChildren();
    if (!citation?.page || !PDF.test(citation.uri)) return null;
    try {
      const [{ boxes }, picture] = await Promise.all([this.server.page(citation), this.server.picture(citation)]);
      if (this.#asked !== asked) return undefined;
      this.element.replaceChildren(sheetOf(citation, picture, boxes));
      return boxes.length;
    } catch {
      return this.#asked === asked ? null : undefined; // the text is there
    }
  }

  bringIntoView() {
    this.element.querySelector(".page-mark")?.scrollIntoView({ block: "center", behavior: "instant" });
  }
}

/** A canvas, since a picture's address cannot carry the key that the server may ask for. */
function sheetOf({ page, uri, quote }, picture, boxes) {
  const name = uri.slice(uri.lastIndexOf("/") + 1);
  const canvas = h("canvas", { role: "img", "aria-label": `Page ${page} of ${name}`, width: picture.width, height: picture.height });
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  const told = boxes.length ? `Marked on it: ${quote}` : "Where the quoted words stand on it is not known.";
  return h("div", { class: "sheet" }, canvas, ...boxes.map(markOf), h("p", { class: "visually-hidden" }, told));
}

function markOf({ left, top, width, height }) {
  const mark = h("span", { class: "page-mark", "aria-hidden": "true" });
  for (const [side, share] of Object.entries({ left, top, width, height })) mark.style[side] = `${share * 100}%`;
  return mark;
}
