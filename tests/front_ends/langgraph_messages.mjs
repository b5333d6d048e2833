// Folds what a graph streams as LangChain's `useStream` does, with the SDK's own reducer, and prints what it shows
// after each part. Arguments: a file of [mode, data] pairs.
import { readFileSync } from "node:fs";
import { MessageTupleManager } from "@langchain/langgraph-sdk/ui";

const manager = new MessageTupleManager();
let shown = [];
const states = [];
for (const [mode, data] of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  if (mode === "values") {
    shown = data.messages;
  } else {
    const { chunk, index } = manager.get(manager.add(data[0], data[1]), shown.length);
    shown = [...shown];
    shown[index ?? shown.length] = { id: chunk.id, content: chunk.content };
  }
  states.push(
    shown.map(({ id, content }) => ({
      id,
      words: typeof content === "string" ? content : content.map((block) => block.text ?? "").join(""),
    })),
  );
}
process.stdout.write(JSON.stringify(states));
