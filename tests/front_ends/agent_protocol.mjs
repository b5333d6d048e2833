// Asks by LangGraph's JavaScript SDK, as its `useStream` does, and prints what a front end shows.
// Arguments: the server's URL, a scenario, and for `join` the thread.
import { Client } from "@langchain/langgraph-sdk";
import { StreamController } from "@langchain/langgraph-sdk/stream";

const [apiUrl, scenario, given] = process.argv.slice(2);
const question = "Who built the Eiffel Tower?";
const cuts = { left: scenario === "cut" ? 2 : 0 };

// Cuts a stream off in the middle of an event, as a network does.
async function cutting(url, init) {
  const response = await fetch(url, init);
  if (!String(url).endsWith("/stream/events") || !init.body.includes("messages") || cuts.left === 0) return response;
  cuts.left -= 1;
  let read = 0;
  const body = response.body.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        read += chunk.length;
        if (read > 6_000) controller.error(new Error("the network is gone"));
        else controller.enqueue(chunk);
      },
    }),
  );
  return new Response(body, { status: response.status, headers: response.headers });
}

function words(message) {
  const content = message.content;
  return typeof content === "string" ? content : content.map((block) => block.text ?? "").join("");
}

function shown(controller) {
  return controller.rootStore.getSnapshot().messages.map((message) => ({
    id: message.id,
    type: message.getType(),
    words: words(message),
    cited: (Array.isArray(message.content) ? message.content : [])
      .flatMap((block) => block.annotations ?? [])
      .map((annotation) => annotation.cited_text),
  }));
}

const reconnects = [];
function follow(threadId) {
  const controller = new StreamController({
    assistantId: "agent",
    client: new Client({ apiUrl }),
    threadId,
    fetch: cutting,
    reconnectDelayMs: () => 10,
    onReconnect: (info) => reconnects.push(info.attempt),
  });
  controller.activate?.();
  return controller;
}

function until(controller, holds) {
  return new Promise((resolve) => {
    const check = () => holds(controller.rootStore.getSnapshot()) && (unsubscribe(), resolve());
    const unsubscribe = controller.rootStore.subscribe(check);
    check();
  });
}

const states = [];
function watch(controller) {
  controller.rootStore.subscribe(() => states.push(shown(controller).map((message) => message.words)));
}

async function main() {
  if (scenario === "plain" || scenario === "cut") {
    const controller = follow(null);
    watch(controller);
    await controller.submit({ messages: [{ type: "human", content: question }] });
    // The end of a run is heard on another stream too, which may be ahead of one that was cut off.
    await until(controller, (root) => root.messages.length === 2 && words(root.messages[1]) === root.values.answer);
    const first = { shown: shown(controller), error: String(controller.rootStore.getSnapshot().error ?? "") };
    if (scenario === "cut") return { ...first, states, reconnects: reconnects.length };
    await controller.submit({ messages: [{ type: "human", content: "And which tower is in Toronto?" }] });
    const second = shown(controller);
    const threadId = controller.rootStore.getSnapshot().threadId;
    await controller.dispose();
    const reloaded = follow(threadId);
    await reloaded.hydrate();
    return { ...first, states, second, threadId, reloaded: shown(reloaded) };
  }
  if (scenario === "leave") {
    // Asks, and is gone with the first words: a tab that was closed.
    const controller = follow(null);
    controller.submit({ messages: [{ type: "human", content: question }] });
    await until(controller, (root) => root.messages.length === 2 && words(root.messages[1]).length > 0);
    return { threadId: controller.rootStore.getSnapshot().threadId };
  }
  if (scenario === "join") {
    const controller = follow(given);
    await controller.hydrate();
    await until(controller, (root) => !root.isLoading && root.messages.length === 2);
    return { shown: shown(controller) };
  }
  if (scenario === "stop") {
    const controller = follow(null);
    const asked = controller.submit({ messages: [{ type: "human", content: question }] });
    await until(controller, (root) => root.messages.length === 2 && words(root.messages[1]).length > 0);
    await controller.stop();
    await asked;
    const threadId = controller.rootStore.getSnapshot().threadId;
    const state = await new Client({ apiUrl }).threads.getState(threadId);
    return { threadId, next: state.next };
  }
  // By the stream of a thread itself: its messages, its state, and one of our events by its name.
  const thread = new Client({ apiUrl }).threads.stream({ assistantId: "agent" });
  const [decisions, written] = [thread.extensions.decided, thread.messages]; // before the run, which may be quick
  await thread.run.start({ input: { question } });
  const messages = [];
  for await (const message of written) {
    messages.push({ id: message.id, text: await message.text, reasoning: await message.reasoning });
    if (messages.length === 2) break;
  }
  const output = await thread.output;
  const decision = await decisions;
  await thread.close();
  return { messages, answer: output.answer, decision };
}

const found = await main();
process.stdout.write(JSON.stringify(found), () => process.exit(0));
