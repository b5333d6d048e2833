/**
 * A run as a whole, folded from its events: what was written, what stands, and what is still open. Plain data.
 *
 * Version 1 of the answer is the draft; each later one replaces what came before it.
 */

const newVersion = () => ({ started: false, finished: false, content: "", citations: [], unsupported: [], claims: [], fates: [] });

export function newTranscript() {
  return {
    runId: "",
    seq: 0,
    question: "",
    mode: "fast",
    attempt: 1,
    answers: { 1: newVersion() },
    decision: null,
    conflicts: [],
    passages: {},
    thinking: [],
    steps: [],
    usage: [],
    warnings: [],
    resets: [],
    gap: false,
    times: {},
    terminal: null,
  };
}

/** Take the next item of the client; `atMs` counts from the asking and is kept for first times only. */
export function add(transcript, { runId, seq, event }, atMs = null) {
  if (seq === 1) Object.assign(transcript, newTranscript());
  if (runId) transcript.runId = runId;
  if (seq !== null) transcript.seq = seq;
  FOLDS[event.type]?.(transcript, event);
  if (atMs !== null) noteTime(transcript, event, atMs);
  return transcript;
}

/** The version people should read: each later one from its first word on, unless that was void. */
export function standing(transcript) {
  if (transcript.terminal?.type === "run_finished") return transcript.terminal.version;
  return newest(transcript);
}

/** The latest version that has words, the draft if none has. */
export function newest({ answers }) {
  return Math.max(1, ...Object.keys(answers).map(Number).filter((version) => answers[version].content));
}

/** What there is of a version, also before it has begun. */
export function written({ answers }, version) {
  return answers[version] ?? newVersion();
}

export function answer(transcript) {
  return written(transcript, standing(transcript)).content;
}

export function isRunning(transcript) {
  return transcript.terminal === null;
}

/** All passages by their numbers; a number holds for the whole run. */
export function passagesByNumber(transcript) {
  const found = Object.values(transcript.passages).flat();
  return new Map(found.map((passage) => [passage.number, passage]));
}

const FOLDS = {
  run_started(transcript, event) {
    Object.assign(transcript, { question: event.question, mode: event.mode, attempt: event.attempt ?? 1 });
    transcript.runId = event.run_id;
  },
  step_started(transcript, { step, description, at_ms }) {
    transcript.steps.push({ step, description, startedMs: at_ms, finishedMs: null, outcome: "" });
  },
  step_finished(transcript, { step, description, at_ms }) {
    const open = transcript.steps.findLast((begun) => begun.step === step && begun.finishedMs === null);
    if (open) Object.assign(open, { finishedMs: at_ms, outcome: description });
  },
  passages_retrieved(transcript, { stage, passages }) {
    transcript.passages[stage] = passages;
  },
  thinking_started(transcript, { step, thinker }) {
    transcript.thinking.push({ step, thinker, content: "", seconds: null });
  },
  thinking_delta(transcript, { step, delta }) {
    const open = openThought(transcript, step);
    if (open) open.content += delta;
    else transcript.thinking.push({ step, thinker: "model", content: delta, seconds: null });
  },
  thinking_finished(transcript, { step, seconds }) {
    const open = openThought(transcript, step);
    if (open) open.seconds = seconds;
  },
  answer_started(transcript, { version }) {
    Object.assign(begun(transcript, version), { started: true, finished: false });
  },
  answer_delta(transcript, { version, delta }) {
    begun(transcript, version).content += delta;
  },
  answer_finished(transcript, { version }) {
    begun(transcript, version).finished = true;
  },
  citation(transcript, event) {
    begun(transcript, event.version).citations.push(event);
  },
  unsupported(transcript, event) {
    begun(transcript, event.version).unsupported.push(event);
  },
  claim(transcript, event) {
    begun(transcript, event.version).claims.push(event);
  },
  claim_fate(transcript, event) {
    begun(transcript, event.version).fates.push(event);
  },
  conflict(transcript, event) {
    if (!transcript.conflicts.some(({ message }) => message === event.message)) transcript.conflicts.push(event);
  },
  decided(transcript, event) {
    transcript.decision = event;
  },
  answer_reset(transcript, { version, attempt, reason }) {
    Object.assign(begun(transcript, version), { content: "", citations: [], unsupported: [], claims: [], fates: [] });
    transcript.resets.push({ version, attempt, reason });
  },
  warning(transcript, event) {
    transcript.warnings.push(event);
  },
  usage(transcript, event) {
    transcript.usage.push(event);
  },
  log_trimmed(transcript) {
    transcript.gap = true;
  },
  run_finished: end,
  run_failed: end,
  run_cancelled: end,
  run_result(transcript, result) {
    const { version, answer: content, citations, unsupported, draft, documents, decision } = result;
    transcript.question = result.question;
    transcript.mode = result.mode;
    transcript.answers[1].content = draft;
    const { claims = [], fates = [] } = result;
    Object.assign(begun(transcript, version), { content, citations: [...citations], unsupported: [...unsupported], claims, fates });
    transcript.passages = { deep: documents };
    transcript.conflicts = result.conflicts ?? [];
    // Whose notes were whose is told by events alone.
    if (result.thinking) transcript.thinking = [{ step: "", thinker: "pipeline", content: result.thinking, seconds: 0 }];
    transcript.steps = (result.steps ?? []).map(({ step, outcome, started_ms: startedMs, finished_ms: finishedMs }) => ({ step, description: "", startedMs, finishedMs, outcome }));
    transcript.decision = decision;
    transcript.terminal = terminalOf(result);
    finishAll(transcript);
  },
};

function begun(transcript, version) {
  transcript.answers[version] ??= newVersion();
  return transcript.answers[version];
}

function openThought(transcript, step) {
  return transcript.thinking.findLast((thought) => thought.step === step && thought.seconds === null);
}

function end(transcript, event) {
  transcript.terminal = event;
  if (transcript.gap) fillGap(transcript, event);
  finishAll(transcript);
}

/** Part of the log was gone, but the end repeats what matters. */
function fillGap(transcript, event) {
  const version = event.version ?? standing(transcript);
  begun(transcript, version).content = event.answer ?? "";
  if (event.citations) transcript.answers[version].citations = [...event.citations];
}

function finishAll(transcript) {
  for (const version of Object.values(transcript.answers)) if (version.started) version.finished = true;
}

function terminalOf({ status, version, answer: content, citations, timings, error, cancelled_by: by }) {
  if (status === "failed") return { type: "run_failed", ...error, answer: content };
  if (status === "cancelled") return { type: "run_cancelled", by, answer: content };
  return { type: "run_finished", version, answer: content, citations, timings };
}

const MILESTONES = {
  passages_retrieved: () => "firstPassages",
  thinking_delta: () => "firstThinking",
  answer_delta: ({ version }) => (version === 1 ? "firstToken" : "firstRefined"),
  citation: () => "firstCitation",
  answer_finished: ({ version }) => (version === 1 ? "draftDone" : null),
  decided: () => "decided",
};

function noteTime(transcript, event, atMs) {
  transcript.times.firstEvent ??= atMs;
  const name = MILESTONES[event.type]?.(event);
  if (name) transcript.times[name] ??= atMs;
}
