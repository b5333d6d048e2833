import assert from "node:assert/strict";
import { test } from "node:test";

import { AskError, SseDecoder, ask, cancel, follow } from "../../rag_graph/web/client.js";

const RUN = "01JABCDEFGHJKMNPQRSTVWXYZ0";
const QUERY = { question: "Who built it?", mode: "fast", history: [], filters: {} };
const EVENTS = [
  { type: "run_started", run_id: RUN, question: QUERY.question, mode: "fast", attempt: 1 },
  { type: "answer_started", version: 1 },
  { type: "answer_delta", version: 1, delta: "Gustave Eiffel’s 🗼 company" },
  { type: "answer_delta", version: 1, delta: "\u2028 – «naïve»\n\nyes." },
  { type: "answer_finished", version: 1 },
  { type: "run_finished", version: 1, answer: "…", citations: [], timings: {} },
];

const frame = (event, seq, run = RUN) =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\nid: ${run}:${seq}\n\n`;
const frames = (from = 1, to = EVENTS.length) =>
  EVENTS.slice(from - 1, to).map((event, index) => frame(event, from + index)).join("");
const bytes = (text) => new TextEncoder().encode(text);

/** A body that gives these chunks and then ends, breaks (an Error) or hangs ("hang"). */
function body(...chunks) {
  const left = [...chunks];
  return new ReadableStream({
    async pull(controller) {
      const chunk = left.shift();
      if (chunk === "hang") await new Promise(() => {});
      else if (chunk instanceof Error) controller.error(chunk);
      else if (chunk === undefined) controller.close();
      else controller.enqueue(typeof chunk === "string" ? bytes(chunk) : chunk);
    },
  });
}

const stream = (...chunks) =>
  new Response(body(...chunks), { headers: { "content-type": "text/event-stream", "x-run-id": RUN } });
const json = (document, init = {}) => new Response(JSON.stringify(document), init);
const broken = () => new TypeError("terminated");

/** A server that answers with these, one after the other, and remembers what it was asked. */
function server(...answers) {
  const requests = [];
  const fetch = async (url, init = {}) => {
    requests.push({ url, method: "GET", ...init });
    const answer = answers.shift();
    assert.ok(answer, `no answer is left for ${init.method ?? "GET"} ${url}`);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { fetch, requests };
}

/** Pauses pass at once and are noted; silence never comes, unless asked for. */
function clock({ silent = false } = {}) {
  const pauses = [];
  return {
    pauses,
    sleep(ms, signal) {
      if (ms < 30_000) return Promise.resolve(pauses.push(ms));
      if (silent) return new Promise((resolve) => setTimeout(resolve, 1));
      return new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
  };
}

async function collect(items) {
  const seen = [];
  for await (const item of items) seen.push(item);
  return seen;
}

const asked = (link, options = {}) =>
  collect(ask(QUERY, { fetch: link.fetch, clock: clock(), random: () => 1, idempotencyKey: "key", ...options }));
const types = (items) => items.map(({ event }) => event.type);

test("a run arrives as typed events with their ids", async () => {
  const link = server(stream(frames()));
  const items = await asked(link);
  assert.deepEqual(items.map(({ event }) => event), EVENTS);
  assert.deepEqual(items.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6]);
  assert.equal(items[2].id, `${RUN}:3`);
  assert.equal(link.requests[0].url, "query");
  assert.equal(link.requests[0].headers["idempotency-key"], "key");
  assert.deepEqual(JSON.parse(link.requests[0].body), QUERY);
});

test("characters and frames may be cut at every byte", async () => {
  const whole = bytes(frames(2, 4) + frames(6));
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const items = await asked(server(stream(whole.slice(0, cut), whole.slice(cut))));
    assert.deepEqual(items.map(({ event }) => event), [EVENTS[1], EVENTS[2], EVENTS[3], EVENTS[5]]);
  }
});

test("a run in single bytes, behind a byte order mark, is the same run", async () => {
  const single = [...bytes(`\ufeff${frames()}`)].map((byte) => Uint8Array.of(byte));
  assert.deepEqual(types(await asked(server(stream(...single)))), EVENTS.map(({ type }) => type));
});

test("lines may end in CR, LF or both, cut anywhere", () => {
  const lines = ["event: a", "data: one", "data: two", "id: 7", "", ": keep-alive", "", "data", "data:x", ""];
  const expected = [
    { event: "a", data: "one\ntwo", id: "7" },
    { event: "message", data: "\nx", id: "7" },
  ];
  for (const ending of ["\r", "\n", "\r\n"]) {
    const text = lines.map((line) => line + ending).join("");
    for (let cut = 0; cut <= text.length; cut += 1) {
      const decoder = new SseDecoder();
      const found = [...decoder.push(text.slice(0, cut)), ...decoder.push(""), ...decoder.push(text.slice(cut))];
      assert.deepEqual(found, expected, `${JSON.stringify(ending)} cut at ${cut}`);
    }
  }
});

test("a frame that never ended is not an event", () => {
  assert.deepEqual(new SseDecoder().push("data: half"), []);
  assert.deepEqual(new SseDecoder().push("data: half\n"), []);
});

test("an id with a null is ignored, and a field may have no space", () => {
  const decoder = new SseDecoder();
  assert.deepEqual(decoder.push("id:1\ndata:a\n\nid: 2\0\ndata:  b\nunknown: x\n\n"), [
    { event: "message", data: "a", id: "1" },
    { event: "message", data: " b", id: "1" },
  ]);
});

for (let cut = 0; cut < EVENTS.length; cut += 1) {
  test(`a connection cut after ${cut} events is taken up again without loss or repeat`, async () => {
    const link = server(stream(frames(1, cut), 'event: x\ndata: {"ha', broken()), stream(frames(cut + 1)));
    const items = await asked(link);
    assert.deepEqual(items.map(({ event }) => event), EVENTS);
    assert.equal(link.requests[1].url, `runs/${RUN}/events`);
    assert.equal(link.requests[1].headers["last-event-id"], cut ? `${RUN}:${cut}` : undefined);
  });
}

test("a stream that just ends is taken up again, and what comes twice is dropped", async () => {
  const items = await asked(server(stream(frames(1, 4)), stream(frames(2, 5)), stream(frames(1))));
  assert.deepEqual(items.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6]);
});

test("a link without heartbeats is dead", async () => {
  const states = [];
  const link = server(stream(frames(1, 3), "hang"), stream(frames(4)));
  const silent = clock();
  let waits = 0;
  const sleep = silent.sleep;
  silent.sleep = (ms, signal) =>
    ms > 30_000 && (waits += 1) === 3 ? new Promise((resolve) => setTimeout(resolve, 1)) : sleep(ms, signal);
  const items = await asked(link, { clock: silent, onLink: ({ state }) => states.push(state) });
  assert.equal(items.length, 6);
  assert.deepEqual(states, ["open", "lost", "open"]);
});

test("a server that breaks its silence more rarely is waited for longer", async () => {
  const waits = [];
  const patient = { sleep: (ms, signal) => (waits.push(ms), new Promise((resolve) => signal.addEventListener("abort", resolve))) };
  await asked(server(stream(frames())), { clock: patient, heartbeatS: () => 60 });
  assert.deepEqual([...new Set(waits)], [125_000]);
});

test("pauses grow, within bounds, and by chance", async () => {
  const waits = clock();
  const drops = Array.from({ length: 6 }, broken);
  await asked(server(stream(frames(1, 2)), ...drops, stream(frames(3))), { clock: waits });
  assert.deepEqual(waits.pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
  const shorter = clock();
  await asked(server(stream(frames(1, 2)), stream(frames(3))), { clock: shorter, random: () => 0 });
  assert.deepEqual(shorter.pauses, [250]);
});

test("Retry-After is kept to", async () => {
  const waits = clock();
  const draining = json({ error: { code: "draining", message: "Wait." } }, { status: 503, headers: { "retry-after": "3" } });
  await asked(server(draining, stream(frames())), { clock: waits });
  assert.deepEqual(waits.pauses, [3000]);
});

test("a refusal before the run is an error in the server's words", async () => {
  const busy = { error: { code: "too_many_runs", message: "Wait for a run to end.", retryable: true } };
  const link = server(json(busy, { status: 429, headers: { "retry-after": "7" } }));
  await assert.rejects(asked(link), (error) => {
    assert.ok(error instanceof AskError);
    assert.equal(error.message, "Wait for a run to end.");
    assert.deepEqual([error.code, error.status, error.retryAfterMs, error.retryable], ["too_many_runs", 429, 7000, true]);
    return true;
  });
});

test("a server that is not there is an error in a sentence, soon", async () => {
  const waits = clock();
  await assert.rejects(asked(server(broken(), broken(), broken(), broken()), { clock: waits }), { code: "unreachable" });
  assert.equal(waits.pauses.length, 2);
});

test("a run that the server has forgotten is asked for again with its key", async () => {
  const other = "01JZZZZZZZZZZZZZZZZZZZZZZZ";
  const again = new Response(body(EVENTS.map((event, index) => frame(event, index + 1, other)).join("")), {
    headers: { "x-run-id": other },
  });
  const gone = json({ error: { code: "unknown_run", message: "Gone." } }, { status: 410 });
  const link = server(stream(frames(1, 3)), gone, again);
  const runs = [];
  const items = await asked(link, { onRun: (id) => runs.push(id) });
  assert.deepEqual(items.map(({ seq }) => seq), [1, 2, 3, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(runs, [RUN, other]);
  assert.equal(link.requests[2].headers["idempotency-key"], "key");
});

test("a cursor that the server does not know means reading from the beginning", async () => {
  const bad = json({ error: { code: "bad_cursor", message: "Begin again." } }, { status: 422 });
  const items = await asked(server(stream(frames(1, 3)), bad, stream(frames())));
  assert.deepEqual(items.map(({ seq }) => seq), [1, 2, 3, 1, 2, 3, 4, 5, 6]);
});

test("the last resort is the plain answer with the same key", async () => {
  const result = { run_id: RUN, status: "finished", version: 1, answer: "Eiffel." };
  const link = server(stream(frames(1, 2)), ...Array.from({ length: 7 }, broken), json(result));
  const items = await asked(link);
  assert.deepEqual(items.at(-1).event, { ...result, type: "run_result" });
  const last = link.requests.at(-1);
  assert.deepEqual([last.url, last.headers.accept, last.headers["idempotency-key"]], ["query", "application/json", "key"]);
});

test("the plain answer is given the time that a run may take", async () => {
  const waits = [];
  const patient = { sleep: (ms, signal) => (waits.push(ms), new Promise((resolve) => signal.addEventListener("abort", resolve))) };
  const link = server(new Response(null, { status: 204 }), json({ run_id: RUN, status: "finished", version: 1, answer: "Eiffel." }));
  await collect(follow(RUN, { after: 6, fetch: link.fetch, clock: patient }));
  assert.deepEqual(waits, [35_000, 600_000]);
});

const OTHER = "01JZZZZZZZZZZZZZZZZZZZZZZZ";
const SHUTDOWN = { type: "run_cancelled", by: "shutdown", answer: "Gustave" };
const anew = (run = OTHER) =>
  new Response(body(EVENTS.map((event, index) => frame(event, index + 1, run)).join("")), { headers: { "x-run-id": run } });

test("a run that ended with its server is asked for again with its key", async () => {
  const link = server(stream(frames(1, 3) + frame(SHUTDOWN, 4)), broken(), anew());
  const items = await asked(link);
  assert.deepEqual(items.map(({ runId, seq }) => [runId, seq]), [
    ...[1, 2, 3].map((seq) => [RUN, seq]),
    ...[1, 2, 3, 4, 5, 6].map((seq) => [OTHER, seq]),
  ]);
  assert.deepEqual(link.requests.map(({ url }) => url), ["query", "query", "query"]);
  assert.deepEqual(new Set(link.requests.map(({ headers }) => headers["idempotency-key"])), new Set(["key"]));
});

test("a key that still stands for the run that is over is tried again", async () => {
  const over = stream(frames(1, 3) + frame(SHUTDOWN, 4));
  const items = await asked(server(stream(frames(1, 3) + frame(SHUTDOWN, 4)), over, anew()));
  assert.deepEqual(items.map(({ runId }) => runId), [...Array(3).fill(RUN), ...Array(6).fill(OTHER)]);
});

test("a run that ended with its server for good is told as cancelled", async () => {
  const items = await asked(server(stream(frames(1, 3) + frame(SHUTDOWN, 4)), ...Array.from({ length: 8 }, broken)));
  assert.deepEqual(items.at(-1).event, SHUTDOWN);
  assert.deepEqual(types(items).filter((type) => type === "run_cancelled"), ["run_cancelled"]);
});

test("a plain answer of a run that ended with its server is asked for again too", async () => {
  const result = { run_id: RUN, status: "cancelled", cancelled_by: "shutdown", version: 1, answer: "Gustave" };
  const over = new Response(JSON.stringify(result), { headers: { "x-run-id": RUN } });
  const link = server(new Response(null, { status: 204 }), over, anew());
  const given = { query: QUERY, idempotencyKey: "key", fetch: link.fetch, clock: clock(), random: () => 1 };
  assert.deepEqual((await collect(follow(RUN, { after: 4, ...given }))).map(({ seq }) => seq), [1, 2, 3, 4, 5, 6]);
});

test("a run that is only followed is told as it ended", async () => {
  const link = server(stream(frames(1, 3) + frame(SHUTDOWN, 4)));
  const items = await collect(follow(RUN, { fetch: link.fetch, clock: clock() }));
  assert.deepEqual(items.at(-1).event, SHUTDOWN);
});

test("following a run to whose end one has come gives its result", async () => {
  const result = { run_id: RUN, status: "finished", version: 1, answer: "Eiffel." };
  const link = server(new Response(null, { status: 204 }), json(result));
  const items = await collect(follow(RUN, { after: 6, fetch: link.fetch, clock: clock() }));
  assert.deepEqual(types(items), ["run_result"]);
  assert.equal(link.requests[0].headers["last-event-id"], `${RUN}:6`);
});

test("following goes on after the cursor", async () => {
  const link = server(stream(frames(4)));
  const items = await collect(follow(RUN, { after: 3, fetch: link.fetch, clock: clock() }));
  assert.deepEqual(items.map(({ seq }) => seq), [4, 5, 6]);
});

test("following a run that nobody knows is an error", async () => {
  const link = server(json({ error: { code: "unknown_run", message: "No such run." } }, { status: 404 }));
  await assert.rejects(collect(follow(RUN, { fetch: link.fetch, clock: clock() })), { code: "unknown_run", status: 404 });
});

test("a hole in the log is told, without a number", async () => {
  const hole = 'event: log_trimmed\ndata: {"type":"log_trimmed","after":1,"first_kept":5}\n\n';
  const items = await asked(server(stream(frames(1, 1), hole, frames(5))));
  assert.deepEqual(items.map(({ seq }) => seq), [1, null, 5, 6]);
});

test("aborting ends the reading, and asks nothing more", async () => {
  const control = new AbortController();
  const link = server(stream(frames(1, 2), "hang"));
  const seen = [];
  const reading = (async () => {
    for await (const item of ask(QUERY, { fetch: link.fetch, clock: clock(), signal: control.signal })) {
      seen.push(item);
      if (seen.length === 2) control.abort();
    }
  })();
  link.requests.length = 0;
  await assert.rejects(
    Promise.race([reading, new Promise((_, reject) => setTimeout(() => reject(new Error("still reading")), 2000))]),
    { name: "AbortError" },
  );
  assert.equal(seen.length, 2);
});

test("a key goes with every request", async () => {
  const link = server(stream(frames(1, 2)), stream(frames(3)));
  await asked(link, { token: "secret", base: "/prefix/" });
  assert.deepEqual(link.requests.map(({ headers }) => headers.authorization), ["Bearer secret", "Bearer secret"]);
  assert.equal(link.requests[0].url, "/prefix/query");
});

test("cancelling tells the server", async () => {
  const link = server(json({ run_id: RUN, status: "cancelled" }));
  assert.equal((await cancel(RUN, { fetch: link.fetch })).status, "cancelled");
  assert.deepEqual([link.requests[0].method, link.requests[0].url], ["POST", `runs/${RUN}/cancel`]);
});
