/** The box to add documents, where the server allows it. */

import { h, icon, say } from "./element.js";
import { counted } from "./sentences.js";

export class Upload {
  /** `send(files, onProgress)` resolves to what the server says. */
  constructor(send) {
    this.send = send;
    this.input = h("input", { type: "file", multiple: true, class: "visually-hidden", id: "files", tabindex: "-1", "aria-label": "Documents to add" });
    this.bar = h("progress", { max: "1", value: "0", "aria-label": "Upload", hidden: true });
    this.told = h("p", { class: "upload-told", role: "status" });
    this.button = h("button", { type: "button", class: "quiet upload-button", onclick: () => this.input.click() }, icon("M12 5v14", "M5 12h14"), h("span", {}, "Add documents"));
    this.note = h("div", { class: "upload-note", hidden: true }, this.told, this.bar);
    this.input.addEventListener("change", () => this.#take([...this.input.files]));
  }

  /** Take files that are dropped anywhere on the page, too. */
  attend(root) {
    root.addEventListener("dragover", (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
    root.addEventListener("drop", (event) => {
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.#take([...event.dataTransfer.files]);
    });
  }

  async #take(files) {
    if (!files.length || this.button.disabled) return;
    this.button.disabled = true;
    this.note.hidden = this.bar.hidden = false;
    const what = files.length === 1 ? files[0].name : counted(files.length, "document");
    say(this.told, `Sending ${what}…`);
    try {
      say(this.told, outcomeOf(await this.send(files, (share) => this.#progress(share, what)), what));
    } catch (error) {
      say(this.told, `${what} could not be added. ${error.message}`);
    }
    this.bar.hidden = true;
    this.button.disabled = false;
    this.input.value = "";
  }

  #progress(share, what) {
    this.bar.value = share;
    if (share >= 1) {
      this.bar.removeAttribute("value");
      say(this.told, `Reading ${what}…`);
    }
  }
}

/** The server tells what became of the files: `message`, or what was skipped. */
function outcomeOf({ message, skipped = [] }, what) {
  if (message) return message;
  const reasons = skipped.map((one) => one.message ?? (one.uri ? `${one.uri}: ${one.reason}.` : one.reason) ?? String(one)).join(" ");
  return skipped.length ? `${counted(skipped.length, "document")} skipped. ${reasons}` : `${upper(what)} can be asked about now.`;
}

function upper(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
