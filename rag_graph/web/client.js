/**
 * Asks questions and follows runs over HTTP: typed events out, each once and in order, however often the link breaks.
 *
 *     for await (const { seq, event } of ask({ question: "Who built it?" }, { signal })) { … }
 *
 * A module of its own, without dependencies. Leaving the loop, or aborting the signal, ends the reading and not the
 * run: `cancel` does that. Options: `idempotencyKey`, `token` (bearer), `signal`, `base` (where the server is),
 * `path` (of asking, there)
 * `onRun(runId)`, `onLink({ state: "open" | "lost", retryInMs })`, `heartbeatS()` (how often a server breaks its
 * silence), and for tests `fetch`, `clock`, `random`.
 */

const TERMINAL = new Set(["run_finished", "run_failed", "run_cancelled", "run_result"]);
const RETRIED_STATUSES = new Set([500, 502, 503, 504]);
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8_000;
/** A plain answer is silent until it is whole. */
const PLAIN_ANSWER_MS = 600_000;
const HEARTBEAT_S = 15;
const MAX_FAILURES = 8;
/** Before anything was heard from the server, a person should learn soon that it is not there. */
const MAX_FIRST_FAILURES = 3;

/** The server refused, or cannot be reached; the message is a sentence for people. */
export class AskError extends Error {
  constructor(message, { code, status = 0, field = null, retryable = false, retryAfterMs = null }) {
    super(message);
    this.name = "AskError";
    Object.assign(this, { code, status, field, retryable, retryAfterMs });
  }
}

/** Start a run, or attach to the one that the key has started, and yield `{ id, runId, seq, event }`. */
export async function* ask(query, { idempotencyKey = newKey(), ...options } = {}) {
  yield* new Reader({ ...options, query, idempotencyKey }).items();
}

/** Go on reading a run; with its query and key, a run that the server has forgotten is asked for again. */
export async function* follow(runId, { after = 0, query = null, idempotencyKey = null, ...options } = {}) {
  yield* new Reader({ ...options, query, idempotencyKey, runId, after }).items();
}

/** Stop a run; what it has written so far is kept. Returns its state. */
export async function cancel(runId, { base = "", token = null, fetch = globalThis.fetch } = {}) {
  const response = await fetch(`${base}runs/${encodeURIComponent(runId)}/cancel`, {
    method: "POST",
    headers: authorization(token),
  });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** A key that names one asking; works on plain HTTP too, where `crypto.randomUUID` is missing. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Cuts text into Server-Sent Events, wherever its pieces are cut: https://html.spec.whatwg.org/#parsing-an-event-stream */
export class SseDecoder {
  #line = "";
  #afterCr = false;
  #data = [];
  #event = "";
  #id = "";

  /** Take the next piece of text; return the events that it completes. */
  push(text) {
    const events = [];
    let begin = 0;
    if (this.#afterCr && text) {
      begin = text.startsWith("\n") ? 1 : 0;
      this.#afterCr = false;
    }
    for (const end of text.matchAll(/\r\n|\r|\n/g)) {
      if (end.index < begin) continue;
      this.#takeLine(this.#line + text.slice(begin, end.index), events);
      this.#line = "";
      begin = end.index + end[0].length;
      this.#afterCr = end[0] === "\r" && begin === text.length;
    }
    this.#line += text.slice(begin);
    return events;
  }

  #takeLine(line, events) {
    if (line === "") return this.#dispatch(events);
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
  }

  #dispatch(events) {
    const data = this.#data.join("\n");
    if (data !== "") events.push({ event: this.#event || "message", data, id: this.#id });
    this.#data = [];
    this.#event = "";
  }
}

/** The link is gone, or never was; trying again may help. */
class LinkLost extends Error {
  constructor(message, { retryAfterMs = null, cause } = {}) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

const systemClock = {
  sleep(ms, signal) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  },
};

class Reader {
  constructor({
    query = null,
    idempotencyKey = null,
    runId = null,
    after = 0,
    token = null,
    base = "",
    path = "query",
    signal = null,
    onRun = () => {},
    onLink = () => {},
    heartbeatS = () => HEARTBEAT_S,
    fetch = (...parameters) => globalThis.fetch(...parameters),
    clock = systemClock,
    random = Math.random,
  }) {
    Object.assign(this, { query, idempotencyKey, runId, token, base, path, signal, onRun, onLink, heartbeatS, fetch, clock });
    this.random = random;
    this.seq = after;
    this.stopped = null;
    this.failures = 0;
    this.heard = runId !== null;
  }

  async *items() {
    for (;;) {
      try {
        for await (const item of this.#connection()) {
          if (this.#isWorthAskingAgain(item)) this.#askAgain(item);
          yield item;
          if (TERMINAL.has(item.event.type)) return;
        }
      } catch (error) {
        this.signal?.throwIfAborted();
        if (!(error instanceof LinkLost)) throw error;
        if (this.#isHopeless()) {
          yield this.stopped && this.runId === null ? this.stopped.item : await this.#plainAnswer(error);
          return;
        }
        await this.#pause(error);
      }
    }
  }

  /** Yield what one connection brings; it always ends in an exception, or behind the terminal event. */
  async *#connection() {
    const response = await (this.runId === null ? this.#post("text/event-stream") : this.#get());
    if (response.status === 204) {
      yield await this.#plainAnswer(null);
      return;
    }
    this.onLink({ state: "open", retryInMs: 0 });
    for await (const frame of this.#frames(response)) {
      const item = this.#item(frame);
      if (item) yield item;
    }
    throw new LinkLost("The stream ended before the run did.");
  }

  /** A run that ended with its server has not been answered; one that did so twice is left at that. */
  #isWorthAskingAgain({ event }) {
    const by = event.type === "run_result" ? event.cancelled_by : event.type === "run_cancelled" && event.by;
    return by === "shutdown" && this.query && this.idempotencyKey && !this.stopped;
  }

  #askAgain(item) {
    this.stopped = { runId: item.runId, item };
    this.runId = null;
    throw new LinkLost("The server stopped while it answered.");
  }

  async #post(accept, patienceMs) {
    const init = {
      method: "POST",
      headers: { accept, "content-type": "application/json", "idempotency-key": this.idempotencyKey },
      body: JSON.stringify(this.query),
    };
    const response = await this.#request(this.path, init, patienceMs);
    const runId = response.headers.get("x-run-id");
    if (runId && runId === this.stopped?.runId) {
      // The key still stands for the run that is over: the server that kept it has not been replaced yet.
      response.body?.cancel().catch(ignore);
      throw new LinkLost("The server stopped while it answered.");
    }
    if (runId && runId !== this.runId) {
      this.runId = runId;
      this.seq = 0;
      this.onRun(runId);
    }
    this.heard = true;
    return response;
  }

  async #get() {
    const cursor = this.seq ? { "last-event-id": `${this.runId}:${this.seq}` } : {};
    try {
      return await this.#request(`runs/${encodeURIComponent(this.runId)}/events`, {
        headers: { accept: "text/event-stream", ...cursor },
      });
    } catch (error) {
      if (error instanceof AskError) this.#startOver(error);
      throw error;
    }
  }

  /** A server that lost the run or the place in it: ask again with the key, or read from the beginning. */
  #startOver(error) {
    if (error.code === "bad_cursor" && this.seq) this.seq = 0;
    else if ((error.status === 404 || error.status === 410) && this.query && this.idempotencyKey) this.runId = null;
    else return;
    throw new LinkLost(error.message, { cause: error });
  }

  async #request(path, init, patienceMs) {
    const headers = { ...init.headers, ...authorization(this.token) };
    const timer = new AbortController();
    let response;
    try {
      const answer = this.fetch(this.base + path, { ...init, headers, signal: this.signal, cache: "no-store" });
      response = await this.#unlessSilent(answer, timer, patienceMs);
    } catch (error) {
      this.signal?.throwIfAborted();
      throw error instanceof LinkLost ? error : new LinkLost("The server cannot be reached.", { cause: error });
    }
    if (response.ok) return response;
    const error = await refusal(response);
    const isTransient = this.heard ? RETRIED_STATUSES.has(error.status) || error.status === 429 : isPassing(error);
    if (isTransient) throw new LinkLost(error.message, { retryAfterMs: error.retryAfterMs, cause: error });
    throw error;
  }

  async *#frames(response) {
    const reader = response.body.getReader();
    const text = new TextDecoder();
    const decoder = new SseDecoder();
    try {
      for (;;) {
        const { done, value } = await this.#unlessSilent(reader.read(), new AbortController());
        if (done) return;
        yield* decoder.push(text.decode(value, { stream: true }));
      }
    } catch (error) {
      this.signal?.throwIfAborted();
      throw error instanceof LinkLost ? error : new LinkLost("The connection broke.", { cause: error });
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /** Wait for the server, but not for ever: a link without heartbeats is dead, whatever TCP says. */
  async #unlessSilent(promise, timer, patienceMs = this.#silenceMs()) {
    promise.catch(ignore);
    this.signal?.throwIfAborted();
    const silence = this.clock.sleep(patienceMs, timer.signal).then(() => {
      if (!timer.signal.aborted) throw new LinkLost("The server has gone silent.");
    });
    const leaving = new Promise((_, reject) => {
      this.signal?.addEventListener("abort", () => reject(this.signal.reason), { signal: timer.signal });
    });
    silence.catch(ignore);
    try {
      return await Promise.race([promise, silence, leaving]);
    } finally {
      timer.abort();
    }
  }

  /** Two heartbeats missed, and a little patience. */
  #silenceMs() {
    return 2_000 * this.heartbeatS() + 5_000;
  }

  #item({ data, id }) {
    const event = parsed(data);
    if (event?.type === "log_trimmed") return { id: null, runId: this.runId, seq: null, event };
    const cut = id.lastIndexOf(":");
    const seq = Number(id.slice(cut + 1));
    if (!event || cut < 1 || !Number.isInteger(seq)) return null;
    const runId = id.slice(0, cut);
    if (runId === this.runId && seq <= this.seq) return null;
    this.runId = runId;
    this.seq = seq;
    this.failures = 0;
    return { id, runId, seq, event };
  }

  #isHopeless() {
    if (globalThis.navigator?.onLine === false) return false;
    this.failures += 1;
    return this.failures >= (this.heard ? MAX_FAILURES : MAX_FIRST_FAILURES);
  }

  /** Wait longer each time, by chance so that not all clients return at once; no longer than until there is a network. */
  async #pause(error) {
    const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.failures);
    const retryInMs = Math.round(error.retryAfterMs ?? ceiling / 2 + (this.random() * ceiling) / 2);
    this.onLink({ state: "lost", retryInMs });
    const awake = new AbortController();
    const wake = () => awake.abort();
    globalThis.addEventListener?.("online", wake, { signal: awake.signal });
    this.signal?.addEventListener("abort", wake, { signal: awake.signal });
    await this.clock.sleep(retryInMs, awake.signal);
    awake.abort();
    this.signal?.throwIfAborted();
  }

  /** The last resort: the whole result as one document. */
  async #plainAnswer(lost) {
    try {
      this.heard = true;
      const accept = "application/json";
      const response = await (this.query && this.idempotencyKey
        ? this.#post(accept, PLAIN_ANSWER_MS)
        : this.#request(`runs/${encodeURIComponent(this.runId)}/events`, { headers: { accept } }, PLAIN_ANSWER_MS));
      return { id: null, runId: this.runId, seq: null, event: { ...(await response.json()), type: "run_result" } };
    } catch (error) {
      this.signal?.throwIfAborted();
      const cause = error instanceof AskError ? error : (lost?.cause ?? error.cause ?? error);
      if (cause instanceof AskError) throw cause;
      throw new AskError("The server cannot be reached. Check your connection and that it is running, then ask again.", {
        code: "unreachable",
        retryable: true,
      });
    }
  }
}

/** Whether a refusal of the very first request is worth waiting for, unseen. */
function isPassing(error) {
  return error.code === "draining" || (error.code === "http" && RETRIED_STATUSES.has(error.status));
}

function ignore() {}

function authorization(token) {
  return token ? { authorization: `Bearer ${token}` } : {};
}

async function refusal(response) {
  const body = parsed(await response.text().catch(() => ""));
  const { code = "http", message, field = null, retryable = RETRIED_STATUSES.has(response.status) } = body?.error ?? {};
  const seconds = Number(response.headers.get("retry-after") || NaN);
  return new AskError(message ?? `The server answered with status ${response.status}.`, {
    code,
    field,
    retryable,
    status: response.status,
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : null,
  });
}

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
