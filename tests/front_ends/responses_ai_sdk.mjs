import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";

const [baseURL, question] = process.argv.slice(2);
const rag = createOpenAI({ baseURL: `${baseURL}/v1`, apiKey: "key" });

const result = streamText({ model: rag("rag-fast"), prompt: question, maxRetries: 0 });
const told = { texts: {}, sources: [], errors: [] };
for await (const part of result.fullStream) {
  if (part.type === "text-delta") told.texts[part.id] = (told.texts[part.id] ?? "") + part.text;
  if (part.type === "source") told.sources.push(part.url);
  if (part.type === "error") told.errors.push(String(part.error));
}
const usage = await result.usage;
console.log(
  JSON.stringify({ ...told, texts: Object.values(told.texts), finishReason: await result.finishReason, usage }),
);
