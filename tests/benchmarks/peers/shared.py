"""What every peer shares: three passages, their retrieval, and one setting of the garbage collector."""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

import faiss
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.server.process import GC_THRESHOLDS

BASE_URL = os.environ.get("BENCH_UPSTREAM", "")
INSTRUCTION = "Answer from the numbered sources and cite them like [1]."
PASSAGES = (
    "The tower is 300 metres tall. It was built in 1889 for a world fair and painted every seven years since.",
    "The bridge crosses the river in the north. It was opened in 1931 and carries four lanes and two footpaths.",
    "The museum keeps a collection of clocks. Its oldest piece was made in 1532 and still shows the right hour.",
)


@asynccontextmanager
async def tuned(_: FastAPI) -> AsyncIterator[None]:
    """The same collector for all: what was made at the start is frozen, collections are rarer."""
    embedder()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    yield


@lru_cache
def embedder() -> LocalEmbedder:
    made = LocalEmbedder()
    index().add(made.embed(PASSAGES))
    return made


@lru_cache
def index() -> faiss.IndexFlatIP:
    return faiss.IndexFlatIP(384)


def nearest(question: str) -> list[str]:
    """The three passages nearest to the question."""
    _, found = index().search(embedder().embed_query(question)[None, :], 3)
    return [PASSAGES[place] for place in found[0]]


async def retrieve(question: str) -> list[str]:
    """`nearest`, beside the event loop."""
    return await run_in_threadpool(nearest, question)


def prompt(question: str, passages: list[str]) -> list[dict[str, str]]:
    sources = "\n\n".join(f"[{number}] {passage}" for number, passage in enumerate(passages, 1))
    return [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": f"Sources:\n\n{sources}\n\nQuestion: {question}"},
    ]
