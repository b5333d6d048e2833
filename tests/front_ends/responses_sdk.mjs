import OpenAI from "openai";

const [baseURL, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: "key", maxRetries: 0 });

const helper = client.responses.stream({ model: "rag-fast", input: question });
const told = { texts: {}, annotations: [], numbers: [] };
for await (const event of helper) {
  told.numbers.push(event.sequence_number);
  if (event.type === "response.output_text.delta") {
    told.texts[event.item_id] = (told.texts[event.item_id] ?? "") + event.delta;
  }
  if (event.type === "response.output_text.annotation.added") told.annotations.push(event.annotation);
}
const final = await helper.finalResponse();
const again = await client.responses.retrieve(final.id);
console.log(
  JSON.stringify({ ...told, texts: Object.values(told.texts), final: final.output_text, again: again.output_text }),
);
