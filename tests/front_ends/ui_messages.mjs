const [baseURL, question, ai] = process.argv.slice(2);
const { DefaultChatTransport, readUIMessageStream } = await import(ai);
const transport = new DefaultChatTransport({ api: `${baseURL}/api/chat`, body: { mode: "fast" } });
const fail = (error) => {
  throw error;
};

const read = async (stream) => {
  let last;
  for await (const message of readUIMessageStream({ stream, onError: fail, terminateOnError: true })) last = message;
  return last;
};
const says = (id, text) => ({ id, role: "user", parts: [{ type: "text", text }] });
const send = (messages) =>
  transport.sendMessages({ chatId: "c", messages, trigger: "submit-message", messageId: undefined });

const messages = [says("u1", question)];
const answering = read(await send(messages));
const resumed = await transport.reconnectToStream({ chatId: "c" });
const again = resumed && (await read(resumed));
const answer = await answering;
const over = await transport.reconnectToStream({ chatId: "c" });
const second = await read(await send([...messages, answer, says("u2", question)]));
const refused = await send([]).catch((error) => error.message);
console.log(JSON.stringify({ answer, again, over, second, refused }));
