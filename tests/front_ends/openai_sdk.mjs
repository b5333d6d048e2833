import OpenAI from "openai";

const [baseURL, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: "key", maxRetries: 0 });
const told = { content: "", reasoning: "", annotations: [], reasons: [], usage: null };

const stream = await client.chat.completions.create({
  model: "rag-fast",
  messages: [{ role: "user", content: question }],
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  const [choice] = chunk.choices;
  told.content += choice?.delta.content ?? "";
  told.reasoning += choice?.delta.reasoning_content ?? "";
  told.annotations.push(...(choice?.delta.annotations ?? []));
  if (choice?.finish_reason) told.reasons.push(choice.finish_reason);
  told.usage ??= chunk.usage;
}

const refusals = [];
for (const change of [{ model: "gpt-4" }, { n: 2 }, { messages: [] }]) {
  const asked = { model: "rag-fast", messages: [{ role: "user", content: question }], ...change };
  const error = await client.chat.completions.create(asked).catch((refused) => refused);
  refusals.push([error.constructor.name, error.status, error.code, error.param]);
}
const models = [];
for await (const model of client.models.list()) models.push(model.id);
console.log(JSON.stringify({ ...told, refusals, models }));
