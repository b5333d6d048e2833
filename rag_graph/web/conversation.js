/** The turns of a conversation: asks, reads, stops, and takes up again after a reload. */

import { newKey } from "./client.js";
import { loadTurns, saveTurns } from "./session.js";
import { add, answer, isRunning, newTranscript } from "./transcript.js";
import { TurnView } from "./turn.js";

const MAX_HISTORY_TURNS = 20;
const MAX_TURN_CHARS = 32_000;
/** Reading gives way to the page after so long, so that replaying a long run never blocks it. */
const BREATH_MS = 12;
/** After a costly rendering, this many times its cost belongs to everything else. */
const REST = 2;
const CLOCK_TICK_MS = 100;

export class Conversation {
  #views = new Map();
  #active = null;

  /** `list` holds the turns; `onRunning(boolean)`; `openSource(turn, citation, opener)`. */
  constructor({ list, server, announcer, onRunning, openSource }) {
    Object.assign(this, { list, server, announcer, onRunning, openSource });
    this.turns = [];
    addEventListener("pagehide", () => saveTurns(this.turns));
  }

  get isEmpty() {
    return !this.turns.length;
  }

  /** Show what the tab remembers, and go on with the run that was being read. */
  restore() {
    for (const turn of loadTurns()) this.#show(turn);
    const last = this.turns.at(-1);
    if (!last) return;
    scrollTo({ top: document.scrollingElement.scrollHeight, behavior: "instant" });
    if (isRunning(last.transcript) && !last.problem) this.#read(last);
  }

  ask({ question, mode, history = historyOf(this.turns), filters = {} }) {
    if (this.#active) return;
    const query = { question, mode, history, filters };
    const turn = { key: newKey(), question, mode, query, transcript: newTranscript(), problem: null, askedAt: Date.now() };
    const { element } = this.#show(turn);
    element.scrollIntoView({ block: "start", behavior: "instant" });
    this.announcer.begin();
    this.#read(turn);
  }

  /** Stop the run; before the server has named it, leaving is all there is. */
  async stop() {
    const { turn, control } = this.#active ?? {};
    if (!turn) return;
    if (!turn.transcript.runId) return control.abort();
    try {
      await this.server.cancel(turn.transcript.runId);
    } catch {
      control.abort();
    }
  }

  clear() {
    this.#active?.control.abort();
    this.turns = [];
    this.#views.clear();
    this.list.replaceChildren();
    saveTurns([]);
  }

  /** What a chip on the page stands for. */
  describe(chip) {
    return this.#views.get(chip.closest(".turn")?.dataset.key)?.describe(chip);
  }

  #show(turn) {
    const view = new TurnView(turn, {
      openSource: this.openSource,
      announce: (words) => this.announcer.tell(words),
      thinkHarder: ({ question, query }) => this.ask({ question, mode: "deep", history: query.history, filters: query.filters }),
      askAgain: ({ question, mode, query }) => this.ask({ question, mode, history: query.history, filters: query.filters }),
    });
    view.element.dataset.key = turn.key;
    this.turns.push(turn);
    this.#views.set(turn.key, view);
    this.list.append(view.element);
    return view;
  }

  async #read(turn) {
    const control = new AbortController();
    this.#active = { turn, control };
    this.onRunning(true);
    const painter = new Painter(this.#views.get(turn.key));
    const options = {
      signal: control.signal,
      onRun: (runId) => this.#begin(turn, runId),
      onLink: (link) => painter.setLink(link),
    };
    try {
      await this.#follow(turn, options, painter);
    } catch (error) {
      turn.problem = problemOf(error, control.signal);
    }
    if (this.#active?.turn === turn) this.#active = null;
    painter.finish();
    saveTurns(this.turns);
    this.onRunning(this.#active !== null);
  }

  /** From here on a reload can take the run up again, even after a crash. */
  #begin(turn, runId) {
    turn.transcript.runId = runId;
    saveTurns(this.turns);
  }

  async #follow(turn, options, painter) {
    let breath = performance.now();
    for await (const item of this.server.read(turn, options)) {
      add(turn.transcript, item, Date.now() - turn.askedAt);
      this.announcer.update(item, turn.transcript);
      painter.paint();
      if (performance.now() - breath < BREATH_MS) continue;
      await new Promise((resolve) => setTimeout(resolve));
      breath = performance.now();
    }
  }
}

/** Draws a turn at most once a frame, and less often where drawing is costly. */
class Painter {
  #waiting = false;
  #link = null;
  #isDone = false;

  constructor(view) {
    this.view = view;
    this.ticker = setInterval(() => this.paint(), CLOCK_TICK_MS);
    this.paint();
  }

  setLink(link) {
    this.#link = link;
    this.paint();
  }

  paint() {
    if (this.#waiting || this.#isDone) return;
    this.#waiting = true;
    requestAnimationFrame(() => this.#draw());
  }

  finish() {
    this.#isDone = true;
    clearInterval(this.ticker);
    this.view.update({ link: null });
  }

  #draw() {
    if (this.#isDone) return;
    const began = performance.now();
    this.view.update({ link: this.#link });
    const rest = REST * (performance.now() - began);
    setTimeout(() => {
      this.#waiting = false;
    }, rest);
  }
}

/** Earlier questions and their answers, without the numbers, which mean other passages now. */
function historyOf(turns) {
  return turns
    .filter(({ transcript }) => answer(transcript))
    .slice(-MAX_HISTORY_TURNS)
    .flatMap(({ question, transcript }) => [
      { role: "user", content: question },
      { role: "assistant", content: answer(transcript).replace(/ ?\[\d{1,3}\]/g, "").slice(0, MAX_TURN_CHARS) },
    ]);
}

function problemOf(error, signal) {
  if (signal.aborted) return { message: "You stopped this answer.", code: "stopped", retryable: false };
  const { message, code = "page", retryable = true, retryAfterMs = null, status = 0 } = error;
  if (status === 401) return { message: "This server asks for a key. Ask again and give one.", code, retryable: false };
  if (status === 0 && code === "page") {
    console.error(error);
    return { message: "The page could not show this answer. Reload it and ask again.", code, retryable: false };
  }
  return { message, code, retryable, retryAfterMs };
}
