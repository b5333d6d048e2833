import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from rag_graph.documents import Hit
from rag_graph.errors import RetrievalFailed
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.embeddings import RememberingEmbedder, Vectors
from rag_graph.query import Filters
from rag_graph.retrieval import FastRetriever, QueuedRetriever
from tests.index.hashing import HashEmbedder

pytestmark = pytest.mark.anyio
PASSAGES = ("The tower is tall.", "The bridge is long.", "The museum keeps clocks.")
caller: ContextVar[str] = ContextVar("caller", default="")


class Listening(HashEmbedder):
    """Notes which questions it is given together; `broken` keeps it from embedding several."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.broken = False

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(list(texts))
        if self.broken and len(texts) > 1:
            raise RetrievalFailed("Too many.")
        return np.stack([self.embed_query(text) for text in texts])


@dataclass(frozen=True, slots=True)
class Held(FastRetriever):
    """Searches when `gate` is open; a question that says so breaks its search."""

    began: Event = field(default_factory=Event)
    gate: Event = field(default_factory=Event)
    searched: list[tuple[str, str]] = field(default_factory=list)

    def search(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        self.searched.append((question, caller.get()))
        self.began.set()
        self.gate.wait()
        if question == "broken":
            raise RetrievalFailed("The search broke.")
        return FastRetriever(self.store).search(question, top_k=top_k, filters=filters)


@pytest.fixture
def embedder() -> Listening:
    return Listening()


@pytest.fixture
def held(embedder: Listening, tmp_path: Path) -> Iterator[Held]:
    for number, text in enumerate(PASSAGES):
        (tmp_path / f"{number}.txt").write_text(text)
    index = EmbeddedIndex(tmp_path / "index", RememberingEmbedder(embedder))
    index_paths(index, [tmp_path])
    yield Held(index)
    index.close()


@asynccontextmanager
async def asking(held: Held, *questions: str) -> AsyncIterator[list[asyncio.Task[list[Hit]]]]:
    """One search is under way in the only thread, and the others wait for it."""
    queued = QueuedRetriever(held, threads=1)
    first = asyncio.create_task(queued.retrieve("first", top_k=3))
    await asyncio.to_thread(held.began.wait)
    waiting = [asyncio.create_task(queued.retrieve(question, top_k=3)) for question in questions]
    await asyncio.sleep(0)
    yield waiting
    held.gate.set()
    await asyncio.wait([first, *waiting])
    queued.close()


async def test_it_finds_what_the_retriever_finds(held: Held) -> None:
    held.gate.set()
    queued = QueuedRetriever(held, threads=2)
    found = await asyncio.gather(*(queued.retrieve(text, top_k=2) for text in PASSAGES))
    assert found == [FastRetriever(held.store).search(text, top_k=2) for text in PASSAGES]
    queued.close()


async def test_the_first_to_ask_is_the_first_to_be_answered(held: Held) -> None:
    questions = [f"question {number}" for number in range(20)]
    async with asking(held, *questions):
        pass
    assert [question for question, _ in held.searched] == ["first", *questions]


async def test_questions_that_wait_are_embedded_together(held: Held, embedder: Listening) -> None:
    questions = [f"question {number}" for number in range(10)]
    async with asking(held, *questions):
        pass
    assert embedder.asked == [["first"], questions[:8], questions[8:]]


async def test_a_search_that_breaks_breaks_for_whoever_asked(held: Held) -> None:
    async with asking(held, "broken", "tower") as (broken, tower):
        pass
    assert isinstance(broken.exception(), RetrievalFailed)
    assert len(tower.result()) == 3


async def test_questions_that_cannot_be_embedded_together_are_embedded_alone(held: Held, embedder: Listening) -> None:
    embedder.broken = True
    async with asking(held, "tower", "bridge") as waiting:
        pass
    assert all(len(search.result()) == 3 for search in waiting)


async def test_what_nobody_waits_for_is_not_searched(held: Held) -> None:
    async with asking(held, "given up", "tower") as (given_up, tower):
        given_up.cancel()
        await asyncio.wait([given_up])  # only then does the search know
    assert [question for question, _ in held.searched] == ["first", "tower"]
    assert len(tower.result()) == 3


async def test_a_search_runs_in_the_context_of_whoever_asked(held: Held) -> None:
    held.gate.set()
    queued = QueuedRetriever(held, threads=1)
    caller.set("me")
    await queued.retrieve("tower", top_k=1)
    assert held.searched == [("tower", "me")]
    queued.close()


async def test_closing_ends_the_wait_of_all_who_have_not_been_searched_for(held: Held) -> None:
    queued = QueuedRetriever(held, threads=1)
    first = asyncio.create_task(queued.retrieve("first", top_k=3))
    await asyncio.to_thread(held.began.wait)
    waiting = [asyncio.create_task(queued.retrieve(f"question {number}", top_k=3)) for number in range(20)]
    await asyncio.sleep(0)
    queued.close()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, RetrievalFailed)
    held.gate.set()
    assert len(await first) == 3
    with pytest.raises(RetrievalFailed, match="closed"):
        await queued.retrieve("tower", top_k=3)


async def test_the_line_is_bounded_and_who_has_left_it_takes_no_place(held: Held) -> None:
    queued = QueuedRetriever(held, threads=1, line=2)
    first = asyncio.create_task(queued.retrieve("first", top_k=3))
    await asyncio.to_thread(held.began.wait)
    waiting = [asyncio.create_task(queued.retrieve(f"question {number}", top_k=3)) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RetrievalFailed, match="Too many"):
        await queued.retrieve("tower", top_k=3)
    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    last = asyncio.create_task(queued.retrieve("tower", top_k=3))
    held.gate.set()
    await asyncio.gather(first, waiting[1], last)
    queued.close()
