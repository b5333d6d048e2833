/** The box to add documents, where the server allows it: what is sent, read and embedded, file by file. */

import { SseDecoder } from "./client.js";
import { h, icon, say } from "./element.js";
import { counted } from "./sentences.js";

/** Under it the id of the upload that goes on is kept, for when the page is loaded anew. */
const KEPT = "rag-graph upload";
const PAUSES_MS = [500, 1000, 2000, 5000];

export class Upload {
  /** `carryOut(send)` calls `send(server)` and resolves to what became of the files; `announce(words)`, not every step. */
  constructor({ carryOut, announce }) {
    Object.assign(this, { carryOut, announce });
    this.input = h("input", { type: "file", multiple: true, id: "files", hidden: true });
    this.bar = h("progress", { max: "1", value: "0", "aria-label": "Upload", hidden: true });
    this.told = h("p", { class: "upload-told" });
    this.button = h("button", { type: "button", class: "quiet upload-button", onclick: () => this.input.click() }, icon("M12 5v14", "M5 12h14"), h("span", {}, "Add documents"));
    this.dismiss = h("button", { type: "button", class: "quiet", "aria-label": "Dismiss what became of the documents", hidden: true, onclick: () => this.#putAway() }, "×");
    this.note = h("div", { class: "upload-note", hidden: true }, h("div", { class: "upload-line" }, this.told, this.dismiss), this.bar);
    this.list = h("ul", { class: "upload-list", "aria-label": "Files being added", hidden: true });
    this.input.addEventListener("change", () => this.#send([...this.input.files]));
  }

  /** Take files that are dropped anywhere on the page, too, and go on telling of those that were sent before. */
  attend(root) {
    root.addEventListener("dragover", (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
    root.addEventListener("drop", (event) => {
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.#send([...event.dataTransfer.files]);
    });
    const id = sessionStorage.getItem(KEPT);
    if (id) this.#follow("The documents", (server) => server.followUpload(id, (event, seen) => this.#hear(event, seen)), { isOld: true });
  }

  #send(files) {
    if (!files.length || this.button.disabled) return;
    const what = files.length === 1 ? files[0].name : counted(files.length, "document");
    this.#say(`Sending ${what}…`);
    this.#show(files.map((file) => file.name));
    return this.#follow(what, (server) => server.upload(files, (share) => this.#progress(share, what), (event, seen) => this.#hear(event, seen)));
  }

  async #follow(what, send, { isOld = false } = {}) {
    this.button.disabled = true;
    this.dismiss.hidden = true;
    this.note.hidden = this.bar.hidden = false;
    try {
      this.#say(outcomeOf(await this.carryOut(send), what));
      sessionStorage.removeItem(KEPT);
    } catch (error) {
      if (!error.isLost) sessionStorage.removeItem(KEPT);
      if (isOld && error.isUnknown) this.note.hidden = true;
      else this.#say(`${what} could not be added. ${error.message}`);
    }
    this.bar.hidden = true;
    this.dismiss.hidden = false;
    this.button.disabled = false;
    this.input.value = "";
  }

  #say(words) {
    say(this.told, words);
    this.announce(words);
  }

  #putAway() {
    this.note.hidden = true;
    this.button.focus({ preventScroll: true });
  }

  #progress(share, what) {
    this.bar.value = share;
    if (share >= 1) {
      this.bar.removeAttribute("value");
      say(this.told, `Reading ${what}…`);
    }
  }

  /** One more event of the upload with this id. */
  #hear(event, id) {
    sessionStorage.setItem(KEPT, id);
    if (event.type === "upload_queued") this.#show(event.files);
    if (event.type === "file_finished") this.#tell(this.list.children[event.number], fateOf(event.fate), event.fate.outcome);
    if (event.type === "upload_progress") this.#move(event);
  }

  #show(names) {
    this.list.hidden = false;
    this.list.replaceChildren(...names.map((name) => h("li", { class: "upload-file" }, h("span", { class: "upload-name", dir: "auto" }, name), h("span", { class: "upload-fate" }, "Waiting"))));
  }

  #move({ stage, file, passages_done: done, passages_total: total, remaining_s: left, files_done: ended, files_total: files }) {
    const row = [...this.list.children].find((one) => !one.dataset.outcome && one.firstChild.textContent === file);
    if (stage === "reading") {
      if (row) this.#tell(row, "Reading…");
      say(this.told, `Reading ${file}: ${ended} of ${counted(files, "document")} done.`);
    } else if (stage === "embedding") {
      if (row) this.#tell(row, "Adding…");
      this.bar.value = total ? done / total : 0;
      say(this.told, `${done} of ${counted(total, "passage")}${left === null ? "" : `, about ${duration(left)} left`}.`);
    } else {
      say(this.told, "Waiting for its turn to be added…");
    }
  }

  #tell(row, words, outcome = "") {
    if (!row) return;
    say(row.lastChild, words);
    if (outcome) row.dataset.outcome = outcome;
  }
}

/**
 * Follow an upload at this address from its start, however often the connection breaks; resolve to what became of it.
 * `onEvent(event, id)` is told each event once.
 */
export async function followUpload(url, { headers, onEvent, fetch = (...given) => globalThis.fetch(...given), sleep = pause }) {
  let last = "";
  for (let failures = 0; ; failures += 1) {
    try {
      const response = await fetch(url, { headers: { ...headers(), accept: "text/event-stream", ...(last && { "last-event-id": last }) } });
      if (response.status === 204) throw refusal("The upload has ended.", response.status);
      if (!response.ok) throw refusal((await response.json().catch(() => null))?.error?.message ?? `The server answered with status ${response.status}.`, response.status);
      const decoder = new SseDecoder();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        for (const { data, id } of decoder.push(piece.value)) {
          failures = 0;
          last = id;
          const event = JSON.parse(data);
          onEvent(event, id.split(":")[0]);
          if (event.type === "upload_finished") return event.added;
          if (event.type === "upload_failed") throw refusal(event.message, 0);
        }
      }
    } catch (error) {
      if (error.isRefused) throw error;
      if (failures >= PAUSES_MS.length) throw Object.assign(new Error("The server cannot be reached. The upload goes on there."), { isLost: true });
    }
    await sleep(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]);
  }
}

function refusal(message, status) {
  return Object.assign(new Error(message), { isRefused: status < 500, isUnknown: status === 404 });
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function fateOf({ outcome, passages, reason, left_out: leftOut }) {
  if (outcome === "skipped") return `Skipped: ${reason}`;
  const what = outcome === "unchanged" ? "Unchanged" : `${upper(outcome)}, ${counted(passages, "passage")}`;
  return leftOut ? `${what}. Left out: ${leftOut}` : what;
}

function duration(seconds) {
  return seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}

/** The server tells what became of the files: `message`, or what was skipped. */
function outcomeOf({ message, skipped = [], files = [] }, what) {
  if (message) return message;
  const taken = files.filter(({ outcome }) => outcome !== "skipped").length;
  const kept = taken ? `${counted(taken, "document")} can be asked about now. ` : "";
  const reasons = skipped.map((one) => one.message ?? (one.uri ? `${one.uri}: ${one.reason}.` : one.reason) ?? String(one)).join(" ");
  return skipped.length ? `${kept}${counted(skipped.length, "document")} skipped. ${reasons}` : `${upper(what)} can be asked about now.`;
}

function upper(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
