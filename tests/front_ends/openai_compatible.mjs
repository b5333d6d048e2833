const [baseURL, question, ai, provider] = process.argv.slice(2);
const { streamText } = await import(ai);
const { createOpenAICompatible } = await import(provider);
const rag = createOpenAICompatible({ name: "rag", baseURL: `${baseURL}/v1`, apiKey: "key", includeUsage: true });

const result = streamText({ model: rag.chatModel("rag-fast"), prompt: question, maxRetries: 0 });
const told = { text: "", reasoning: "", errors: [] };
for await (const part of result.fullStream) {
  if (part.type === "text-delta") told.text += part.text;
  if (part.type === "reasoning-delta") told.reasoning += part.text;
  if (part.type === "error") told.errors.push(String(part.error));
}
console.log(JSON.stringify({ ...told, finishReason: await result.finishReason, usage: await result.usage }));
