"""The one place where parts are chosen by the settings and joined: an answerer for who only asks, a server's worker."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from threading import Lock

from langchain_core.runnables import RunnableConfig

from rag_graph.documents import Document
from rag_graph.errors import RagGraphError, SettingsError
from rag_graph.events import Event
from rag_graph.graph.build import RagGraph, build_graph
from rag_graph.graph.invoke import GraphWork
from rag_graph.graph.parts import Parts
from rag_graph.graph.stream import stream_events
from rag_graph.index.base import OpenLibrary, Place, View
from rag_graph.models.embeddings import Embedder, RememberingEmbedder
from rag_graph.parts import Voices, choose_embedder, choose_place, open_voices, searches_at_once
from rag_graph.query import Filters, Query
from rag_graph.research import WiderSearch
from rag_graph.retrieval import DeepRetriever, FastRetriever, QueuedRetriever
from rag_graph.runs.attempt import Budget
from rag_graph.runs.lease import Leases
from rag_graph.runs.log import Bounds, RunLog
from rag_graph.runs.memory import MemoryRunLog
from rag_graph.runs.observer import Observer, Unobserved
from rag_graph.runs.runner import Runner
from rag_graph.settings import Settings

log = logging.getLogger(__name__)


class LateLibrary:
    """The library at a place, opened when it is first asked: a server may start before anything was indexed."""

    def __init__(self, place: Place, embedder: Embedder) -> None:
        self._place = place
        self._library: OpenLibrary | None = None
        self._opening = Lock()
        self.embedder = embedder

    @contextmanager
    def view(self, filters: Filters | None = None) -> Iterator[View]:
        with self.open().view(filters) as view:
            yield view

    def document(self, document_id: str) -> Document | None:
        return self.open().document(document_id)

    def counts(self) -> tuple[int, int]:
        """How many documents and passages there are."""
        return self.open().counts()

    @property
    def is_open(self) -> bool:
        return self._library is not None

    def open(self) -> OpenLibrary:
        """Raises `IndexNotFound` and `IndexMismatch`."""
        if self._library is None:
            with self._opening:
                self._library = self._library or self._place.open(self.embedder)
        return self._library

    def close(self) -> None:
        if self._library is not None:
            self._library.close()


@dataclass(frozen=True)
class Answerer:
    """What answers questions in this process, opened by `open_answerer`: parts, and the graph over them."""

    parts: Parts
    graph: RagGraph
    library: LateLibrary
    voices: Voices
    budget: Budget
    observer: Observer

    def ask(self, query: Query, config: RunnableConfig | None = None) -> AsyncGenerator[Event]:
        """One run, kept nowhere: for callers in this process, and under a LangChain config."""
        watch = self.observer.watch("", mode=query.mode, attempt=1)
        return stream_events(self.graph, query, config=config, budget=self.budget, watch=watch)

    async def check_ready(self) -> None:
        """Raise what keeps every question from being answered, such as `IndexNotFound`."""
        if not self.library.is_open:
            await asyncio.to_thread(self.library.open)

    async def is_ready(self) -> bool:
        try:
            await self.check_ready()
        except RagGraphError as exc:
            log.info("not ready yet: %s", exc)
            return False
        return True


@asynccontextmanager
async def open_answerer(
    settings: Settings, parts: Parts | None = None, *, observer: Observer | None = None
) -> AsyncIterator[Answerer]:
    """Choose the parts by the settings, if none are given, and join them. Raises SettingsError.

    What was opened is closed at the end. This joins no other process: no run is kept, and none is taken over.
    """
    chosen = choose_embedder(settings)
    embedder = RememberingEmbedder(chosen)
    voices = await open_voices(settings, embedder)
    library = LateLibrary(choose_place(settings), embedder)
    at_once = searches_at_once(chosen)
    fast = QueuedRetriever(FastRetriever(library), threads=at_once)
    deep = QueuedRetriever(DeepRetriever(library), threads=max(1, at_once - 1))
    parts = parts or Parts(
        fast=fast,
        deep=deep,
        drafter=voices.drafter,
        refiners=voices.refiners,
        researchers={"fast": WiderSearch(deep), "deep": voices.researcher(deep)},
        condenser=voices.condenser,
        narrates=settings.thinking != "off",
    )
    budget = Budget(max_s=settings.max_run_s, max_tokens=settings.max_run_tokens)
    warming = asyncio.create_task(_warm(library, voices, embedder))
    try:
        yield Answerer(parts, build_graph(parts), library, voices, budget, observer or Unobserved())
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        await voices.aclose()
        fast.close()
        deep.close()
        library.close()


@asynccontextmanager
async def open_worker(answerer: Answerer, settings: Settings) -> AsyncIterator[Runner]:
    """What executes runs in a server process, and shares them with others that have the same RAG_REDIS_URL.

    It takes over what others have left only while it could answer itself. Raises SettingsError.
    """
    async with AsyncExitStack() as stack:
        run_log, leases = await stack.enter_async_context(_open_log(settings))
        runner = Runner(
            run_log,
            await stack.enter_async_context(_open_work(answerer, settings)),
            grace_s=settings.run_grace_s,
            max_runs=settings.max_runs,
            max_runs_per_caller=settings.max_runs_per_caller,
            max_waiting=settings.max_queued,
            max_wait_s=settings.max_queued_s,
            budget=answerer.budget,
            leases=leases,
            is_ready=answerer.is_ready,
            kept_s=settings.run_kept_s,
            observer=answerer.observer,
        )
        yield await stack.enter_async_context(runner)


def check_extras(settings: Settings) -> None:
    """Raise the SettingsError of a setting whose packages are not installed, before anything is opened."""
    if settings.redis_url.get_secret_value() and find_spec("redis") is None:
        raise SettingsError("RAG_REDIS_URL needs the package redis: pip install 'rag-graph[redis]'.")
    if settings.postgres_url.get_secret_value():
        needed = ("psycopg", "psycopg_pool", "langgraph.checkpoint.postgres")
        if any(find_spec(name) is None for name in needed):
            raise SettingsError("RAG_POSTGRES_URL needs more packages: pip install 'rag-graph[postgres]'.")


@asynccontextmanager
async def _open_log(settings: Settings) -> AsyncIterator[tuple[RunLog, Leases | None]]:
    """Runs in this process, or, with RAG_REDIS_URL, shared by all processes that have the same."""
    bounds = Bounds(max_entries=settings.run_max_events, max_bytes=settings.run_max_bytes, ttl_s=settings.run_kept_s)
    url = settings.redis_url.get_secret_value()
    if not url:
        yield MemoryRunLog(bounds), None
        return
    from rag_graph.runs.redis import RedisRunLog  # noqa: PLC0415 - optional, and chosen here

    async with RedisRunLog(url, bounds=bounds, lease_s=settings.lease_s) as shared:
        yield shared, shared


@asynccontextmanager
async def _open_work(answerer: Answerer, settings: Settings) -> AsyncIterator[GraphWork]:
    """The graph that runs execute. Where another server may take them over, it remembers them in PostgreSQL."""
    url = settings.postgres_url.get_secret_value()
    if not url or not settings.redis_url.get_secret_value():
        yield GraphWork(answerer.graph)
        return
    from rag_graph.runs.checkpoints import forget, open_checkpoints  # noqa: PLC0415 - optional, and chosen here

    async with open_checkpoints(url, kept_s=settings.run_kept_s) as checkpoints:
        graph = build_graph(answerer.parts, checkpointer=checkpoints)
        yield GraphWork(graph, forget=partial(forget, checkpoints))


async def _warm(library: LateLibrary, voices: Voices, embedder: Embedder) -> None:
    """Load what the first question would otherwise wait for; what fails here is said when it is needed."""

    def open_and_embed() -> None:
        library.open()
        embedder.embed_query("warm")

    for warm in (voices.warm, partial(asyncio.to_thread, open_and_embed)):
        try:
            await warm()
        except RagGraphError as exc:
            log.info("not ready yet: %s", exc)
