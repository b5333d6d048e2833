"""LangGraph as its documentation shows it: `astream_events` inside a FastAPI `StreamingResponse`."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from tests.benchmarks.peers.shared import BASE_URL, prompt, retrieve, tuned

model = ChatOpenAI(base_url=BASE_URL, api_key=SecretStr("key"), model="scripted")


class State(TypedDict, total=False):
    question: str
    passages: list[str]
    answer: str


async def find(state: State) -> State:
    return {"passages": await retrieve(state["question"])}


async def write(state: State) -> State:
    reply = await model.ainvoke(prompt(state["question"], state["passages"]))
    return {"answer": reply.text}


builder = StateGraph(State)
builder.add_node("find", find)
builder.add_node("write", write)
builder.add_edge(START, "find")
builder.add_edge("find", "write")
builder.add_edge("write", END)
graph = builder.compile()
app = FastAPI(lifespan=tuned)


class Ask(BaseModel):
    question: str


@app.post("/ask")
async def ask(body: Ask) -> StreamingResponse:
    async def stream() -> AsyncIterator[str]:
        given: Any = {"question": body.question}
        async for event in graph.astream_events(given, version="v2"):
            if event["event"] == "on_chat_model_stream" and (delta := event["data"]["chunk"].text):
                yield f"data: {delta}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")
