/** The server as the page uses it, with the key it may ask for. */

import { AskError, ask, cancel, follow } from "./client.js";
import { followUpload } from "./upload.js";

const BASE = new URL(".", document.baseURI).href;

export class Server {
  /** The server's default, until it tells its own. */
  #heartbeatS = 15;

  /** `access` has the `key`, and asks for one. */
  constructor(access) {
    this.access = access;
  }

  async config() {
    const defaults = { upload: false, keys: false, version: "", models: {}, choices: [], conversations: false };
    try {
      const response = await fetch(`${BASE}config`, { headers: this.#headers() });
      if (!response.ok) return defaults;
      const told = await response.json();
      this.#heartbeatS = told.heartbeat_s ?? this.#heartbeatS;
      return { ...defaults, ...told };
    } catch {
      return defaults;
    }
  }

  /** Yield the rest of a turn's run: from its start, or from where reading stopped. */
  async *read(turn, options) {
    const { transcript, query, key: idempotencyKey, conversation, follows } = turn;
    const path = conversation ? `query?${new URLSearchParams({ conversation, follows })}` : "query";
    for (;;) {
      const heartbeatS = () => this.#heartbeatS;
      const link = { ...options, base: BASE, path, token: this.access.key, idempotencyKey, heartbeatS };
      try {
        const { runId, seq: after } = transcript;
        yield* runId ? follow(runId, { ...link, query, after }) : ask(query, link);
        return;
      } catch (error) {
        if (!(await this.#mayTryAgain(error))) throw error;
      }
    }
  }

  /** How many questions come before the one that waits under this key; null where the server that is asked knows none. */
  async ahead(key) {
    try {
      const response = await fetch(`${BASE}queue`, { headers: { ...this.#headers(), "idempotency-key": key }, cache: "no-store" });
      return response.ok ? ((await response.json()).ahead ?? null) : null;
    } catch {
      return null;
    }
  }

  cancel(runId) {
    return cancel(runId, { base: BASE, token: this.access.key });
  }

  async document(id) {
    const response = await fetch(`${BASE}documents/${encodeURIComponent(id)}`, { headers: this.#headers() });
    if (!response.ok) throw new Error(`The document could not be loaded (${response.status}).`);
    return response.json();
  }

  /** Where on a page of a document a citation's words stand: `{ boxes, ... }`, in shares of the page. */
  async page(citation) {
    const span = new URLSearchParams({ start: citation.source_start, end: citation.source_end });
    return this.#json(await fetch(`${pageOf(citation)}?${span}`, { headers: this.#headers() }));
  }

  /** The page itself, as a picture. */
  async picture(citation) {
    const response = await fetch(`${pageOf(citation)}.png`, { headers: this.#headers() });
    if (!response.ok) throw new Error(`The page could not be loaded (${response.status}).`);
    return createImageBitmap(await response.blob());
  }

  /** The file that a document was read from. */
  async original(id) {
    const response = await fetch(`${BASE}documents/${encodeURIComponent(id)}/original`, { headers: this.#headers() });
    if (!response.ok) await this.#json(response);
    return response.blob();
  }

  /** A page of the library; `next` is what to go on after. */
  async documents({ matching = "", after = "" } = {}) {
    const asked = new URLSearchParams({ matching, after, limit: "50" });
    return this.#json(await fetch(`${BASE}documents?${asked}`, { headers: this.#headers() }));
  }

  /** What the library holds at a glance, null where that is not told. */
  async overview() {
    try {
      const response = await fetch(`${BASE}library`, { headers: this.#headers() });
      return response.ok ? await response.json() : null;
    } catch {
      return null;
    }
  }

  /** Say whether an answer was good, or the sentence that `claim` names; null takes back what was said. */
  async judge(runId, verdict, reason, claim = "") {
    const headers = { ...this.#headers(), "content-type": "application/json" };
    const body = JSON.stringify({ verdict, reason, ...(claim && { claim }) });
    const response = await fetch(`${BASE}runs/${encodeURIComponent(runId)}/feedback`, { method: "POST", headers, body });
    if (!response.ok) await this.#json(response);
  }

  /** Add the guide that comes along. */
  async addGuide() {
    return this.#json(await fetch(`${BASE}library/guide`, { method: "POST", headers: this.#headers() }));
  }

  async remove(id) {
    const response = await fetch(`${BASE}documents/${encodeURIComponent(id)}`, { method: "DELETE", headers: this.#headers() });
    return this.#json(response);
  }

  /** A page of the conversations that are kept; `next` is what to go on after. */
  conversations({ q = "", after = "" } = {}) {
    return this.#keeping(`conversations?${new URLSearchParams({ q, after, limit: "50" })}`);
  }

  conversation(id) {
    return this.#keeping(`conversations/${id}`);
  }

  shared(share) {
    return this.#keeping(`shared/${share}`);
  }

  rename(id, title) {
    const headers = { "content-type": "application/json" };
    return this.#keeping(`conversations/${id}`, { method: "PATCH", body: JSON.stringify({ title }), headers });
  }

  deleteConversation(id) {
    return this.#keeping(`conversations/${id}`, { method: "DELETE" });
  }

  share(id) {
    return this.#keeping(`conversations/${id}/share`, { method: "POST" });
  }

  unshare(id) {
    return this.#keeping(`conversations/${id}/share`, { method: "DELETE" });
  }

  /** A conversation as a file. */
  async exported(id, form) {
    const response = await fetch(`${BASE}conversations/${id}/export?form=${form}`, { headers: this.#headers() });
    if (!response.ok) throw new Error(`The server answered with status ${response.status}.`);
    return response.blob();
  }

  async #keeping(path, { headers = {}, ...init } = {}) {
    for (;;) {
      const response = await fetch(BASE + path, { ...init, headers: { ...headers, ...this.#headers() }, cache: "no-store" });
      if (response.status !== 401 || !(await this.access.ask())) return this.#json(response);
    }
  }

  /**
   * Send files; `onProgress` is told the share that has left, and `onEvent` what happens to them on the server.
   * Only XMLHttpRequest tells how much has been sent.
   */
  upload(files, onProgress, onEvent = () => {}) {
    const body = new FormData();
    for (const file of files) body.append("files", file);
    const request = new XMLHttpRequest();
    request.open("POST", `${BASE}documents`);
    request.setRequestHeader("prefer", "respond-async");
    for (const [name, value] of Object.entries(this.#headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    return new Promise((resolve, reject) => {
      request.addEventListener("load", () => {
        const answer = parsed(request.responseText);
        if (request.status === 202) resolve(this.followUpload(answer.id, onEvent));
        else if (request.status < 300) resolve(answer ?? {});
        else reject(new Error(answer?.error?.message ?? `The server answered with status ${request.status}.`));
      });
      request.addEventListener("error", () => reject(new Error("The server cannot be reached. Try again in a moment.")));
      request.send(body);
    });
  }

  /** Tell what happens to files that were sent, from the start, and resolve to what became of them. */
  followUpload(id, onEvent) {
    return followUpload(`${BASE}documents/jobs/${encodeURIComponent(id)}/events`, { headers: () => this.#headers(), onEvent });
  }

  async #json(response) {
    const answer = parsed(await response.text());
    if (!response.ok) throw new Error(answer?.error?.message ?? `The server answered with status ${response.status}.`);
    return answer;
  }

  #headers() {
    return this.access.key ? { authorization: `Bearer ${this.access.key}` } : {};
  }

  async #mayTryAgain(error) {
    return error instanceof AskError && error.status === 401 && (await this.access.ask());
  }
}

function pageOf({ document: id, page }) {
  return `${BASE}documents/${encodeURIComponent(id)}/pages/${page}`;
}

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
