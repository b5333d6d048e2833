"""A LangChain program in a process of its own: uses the server by `RemoteRunnable` and prints what it got as JSON."""

import asyncio
import json
import sys
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langserve import RemoteRunnable


async def use(url: str, question: str) -> dict[str, Any]:
    asked = {"question": question}
    rag: RemoteRunnable[Any, Any] = RemoteRunnable(f"{url}/rag")
    structured: RemoteRunnable[Any, Any] = RemoteRunnable(f"{url}/rag/structured")
    chat: RemoteRunnable[Any, Any] = RemoteRunnable(f"{url}/chat")
    prompt: RunnableLambda[str, dict[str, str]] = RunnableLambda(lambda name: {"question": f"Who built the {name}?"})
    loud: RunnableLambda[str, str] = RunnableLambda(str.upper)
    chain = prompt | rag | loud
    summed: dict[str, Any] = {}
    async for chunk in structured.astream(asked):
        for key, value in chunk.items():
            summed[key] = summed[key] + value if key in summed else value
    got = {
        "invoke": await asyncio.to_thread(rag.invoke, asked),
        "ainvoke": await rag.ainvoke(asked),
        "stream": await asyncio.to_thread(lambda: "".join(rag.stream(asked))),
        "astream": "".join([piece async for piece in rag.astream(asked)]),
        "batch": await asyncio.to_thread(rag.batch, [asked, asked]),
        "abatch": await rag.abatch([asked, asked]),
        "chain": await chain.ainvoke("Eiffel Tower"),
        "chain_stream": "".join([piece async for piece in chain.astream("Eiffel Tower")]),
        "events": sorted({event["event"] async for event in rag.astream_events(asked, version="v2")}),
        "log": [len(patch.ops) async for patch in rag.astream_log(asked)],
        "structured": await structured.ainvoke(asked),
        "summed": summed,
        "chat": await chat.ainvoke({"messages": [HumanMessage(question)]}),
    }
    for remote in (rag, structured, chat):
        await remote.async_client.aclose()
    return got


async def pieces(url: str, question: str) -> None:
    """Write each piece of the streamed answer, as it comes, in a line of its own."""
    rag: RemoteRunnable[Any, Any] = RemoteRunnable(f"{url}/rag")
    async for piece in rag.astream({"question": question}):
        sys.stdout.write(json.dumps(piece) + "\n")
        sys.stdout.flush()
    await rag.async_client.aclose()


if __name__ == "__main__":
    if sys.argv[1] == "pieces":
        asyncio.run(pieces(sys.argv[2], sys.argv[3]))
    else:
        sys.stdout.write(json.dumps(asyncio.run(use(sys.argv[2], sys.argv[3]))))
