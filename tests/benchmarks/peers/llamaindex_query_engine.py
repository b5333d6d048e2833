"""LlamaIndex as its documentation shows it: a streaming query engine inside a FastAPI `StreamingResponse`."""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from llama_index.core import QueryBundle, get_response_synthesizer
from llama_index.core.base.response.schema import AsyncStreamingResponse
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from tests.benchmarks.peers.shared import BASE_URL, nearest, retrieve, tuned

model = OpenAILike(model="scripted", api_base=BASE_URL, api_key="key", is_chat_model=True)


class Retriever(BaseRetriever):  # type: ignore[misc, unused-ignore]  # Any where LlamaIndex is missing
    """The shared retrieval as a retriever."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text=passage)) for passage in nearest(query_bundle.query_str)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text=passage)) for passage in await retrieve(query_bundle.query_str)]


engine = RetrieverQueryEngine(Retriever(), get_response_synthesizer(llm=model, streaming=True))
app = FastAPI(lifespan=tuned)


class Ask(BaseModel):
    question: str


@app.post("/ask")
async def ask(body: Ask) -> StreamingResponse:
    async def stream() -> AsyncIterator[str]:
        response = await engine.aquery(body.question)
        assert isinstance(response, AsyncStreamingResponse)
        async for token in response.async_response_gen():
            yield f"data: {token}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")
