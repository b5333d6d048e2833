import assert from "node:assert/strict";
import { test } from "node:test";

import { add, answer, isRunning, newTranscript, newest, passagesByNumber, standing, written } from "../../rag_graph/web/transcript.js";

const started = { type: "run_started", run_id: "R", question: "Who?", mode: "deep", attempt: 1 };
const delta = (version, text) => ({ type: "answer_delta", version, delta: text });
const citation = (version) => ({ type: "citation", version, marker: 1, start: 0, end: 4, quote: "q" });

const fold = (events, transcript = newTranscript()) =>
  events.reduce((folded, event, index) => add(folded, { runId: "R", seq: index + 1, event }), transcript);

test("the draft stands until the refinement has a word", () => {
  const events = [started, { type: "answer_started", version: 1 }, delta(1, "Draft."), { type: "answer_started", version: 2 }];
  assert.equal(answer(fold(events)), "Draft.");
  const refined = fold([...events, delta(2, "Better.")]);
  assert.equal(standing(refined), 2);
  assert.equal(answer(refined), "Better.");
});

test("each later version replaces what came before it", () => {
  const transcript = fold([started, delta(1, "Draft."), delta(2, "Better."), { type: "answer_started", version: 3 }]);
  assert.equal(answer(transcript), "Better.");
  for (const event of [delta(3, "Best."), citation(3), { type: "answer_finished", version: 3 }])
    add(transcript, { runId: "R", seq: null, event });
  assert.deepEqual([standing(transcript), newest(transcript), answer(transcript)], [3, 3, "Best."]);
  assert.equal(written(transcript, 3).citations.length, 1);
  add(transcript, { runId: "R", seq: null, event: { type: "answer_reset", version: 3, attempt: 1, reason: "it broke off" } });
  assert.deepEqual([standing(transcript), answer(transcript)], [2, "Better."]);
});

test("a version that has not begun has nothing in it", () => {
  assert.deepEqual(written(newTranscript(), 7).citations, []);
});

test("a reset voids that version's text, citations and flags, and no other's", () => {
  const transcript = fold([
    started,
    delta(1, "Draft."),
    citation(1),
    delta(2, "Half"),
    citation(2),
    { type: "unsupported", version: 2, start: 0, end: 1, reason: "r" },
    { type: "answer_reset", version: 2, attempt: 1, reason: "it broke off" },
  ]);
  const empty = { citations: [], unsupported: [], claims: [], fates: [] };
  assert.deepEqual(transcript.answers[2], { started: false, finished: false, content: "", ...empty });
  assert.equal(transcript.answers[1].citations.length, 1);
  assert.equal(answer(transcript), "Draft.");
});

test("the first event of a run begins a new transcript", () => {
  const transcript = fold([started, delta(1, "Lost words.")]);
  assert.equal(answer(fold([started, delta(1, "New.")], transcript)), "New.");
});

test("a run taken over goes on in the same transcript", () => {
  const transcript = fold([started, delta(1, "Draft."), { ...started, attempt: 2 }]);
  assert.equal(transcript.attempt, 2);
  assert.equal(answer(transcript), "Draft.");
});

test("thinking is kept apart by step, and steps have their times", () => {
  const transcript = fold([
    { type: "step_started", step: "draft", description: "Drafting", at_ms: 5 },
    { type: "thinking_started", step: "draft", thinker: "model" },
    { type: "thinking_delta", step: "draft", delta: "Hm" },
    { type: "thinking_started", step: "deep_retrieve", thinker: "pipeline" },
    { type: "thinking_delta", step: "draft", delta: "m." },
    { type: "thinking_finished", step: "draft", seconds: 1.5 },
    { type: "step_finished", step: "draft", description: "Drafted", at_ms: 90 },
  ]);
  assert.deepEqual(transcript.thinking[0], { step: "draft", thinker: "model", content: "Hmm.", seconds: 1.5 });
  assert.equal(transcript.thinking[1].seconds, null);
  assert.deepEqual(transcript.steps, [
    { step: "draft", description: "Drafting", startedMs: 5, finishedMs: 90, outcome: "Drafted" },
  ]);
});

test("a hole in the log is filled from the end", () => {
  const transcript = newTranscript();
  add(transcript, { runId: "R", seq: null, event: { type: "log_trimmed", after: 0, first_kept: 9 } });
  add(transcript, { runId: "R", seq: 9, event: delta(1, "end.") });
  const finished = { type: "run_finished", version: 1, answer: "The whole, to its end.", citations: [citation(1)], timings: {} };
  add(transcript, { runId: "R", seq: 10, event: finished });
  assert.equal(answer(transcript), "The whole, to its end.");
  assert.equal(transcript.answers[1].citations.length, 1);
});

test("the plain result replaces what was read so far", () => {
  const transcript = fold([started, delta(1, "Dra")]);
  const result = {
    type: "run_result", run_id: "R", status: "finished", question: "Who?", mode: "deep", version: 2, answer: "Better.",
    draft: "Draft.", citations: [citation(2)], unsupported: [], documents: [{ number: 4 }], decision: null, timings: {}, error: null,
  };
  add(transcript, { runId: "R", seq: null, event: result });
  assert.equal(answer(transcript), "Better.");
  assert.equal(transcript.answers[1].content, "Draft.");
  assert.equal(isRunning(transcript), false);
  assert.deepEqual([...passagesByNumber(transcript).keys()], [4]);
});

for (const by of ["client", "budget", "absence", "shutdown"]) {
  test(`a plain result says that it was stopped by ${by}`, () => {
    const result = {
      type: "run_result", run_id: "R", status: "cancelled", question: "Who?", mode: "fast", version: 1, answer: "Dra",
      draft: "Dra", citations: [], unsupported: [], documents: [], decision: null, timings: {}, error: null, cancelled_by: by,
    };
    const { terminal } = add(newTranscript(), { runId: "R", seq: null, event: result });
    assert.deepEqual(terminal, { type: "run_cancelled", by, answer: "Dra" });
  });
}

test("an event of a kind not known yet is passed over", () => {
  assert.equal(fold([started, { type: "weather_changed" }]).seq, 2);
});

test("a transcript is plain data", () => {
  const transcript = fold([started, delta(1, "Draft."), citation(1)]);
  assert.deepEqual(JSON.parse(JSON.stringify(transcript)), transcript);
});

test("first times are kept", () => {
  const transcript = newTranscript();
  add(transcript, { runId: "R", seq: 1, event: started }, 10);
  add(transcript, { runId: "R", seq: 2, event: delta(1, "a") }, 50);
  add(transcript, { runId: "R", seq: 3, event: delta(1, "b") }, 70);
  assert.deepEqual(transcript.times, { firstEvent: 10, firstToken: 50 });
});
