"""The recipe: an `AsyncOpenAI` stream inside a FastAPI `StreamingResponse`."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.benchmarks.peers.shared import BASE_URL, prompt, retrieve, tuned

app = FastAPI(lifespan=tuned)
client = AsyncOpenAI(base_url=BASE_URL, api_key="key")


class Ask(BaseModel):
    question: str


@app.post("/ask")
async def ask(body: Ask) -> StreamingResponse:
    async def stream() -> AsyncIterator[str]:
        messages: Any = prompt(body.question, await retrieve(body.question))
        chunks = await client.chat.completions.create(model="scripted", messages=messages, stream=True)
        async for chunk in chunks:
            if chunk.choices and (delta := chunk.choices[0].delta.content):
                yield f"data: {delta}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")
