"""The one place where parts are chosen by the settings and joined: models, library, retrieval, graph, runs."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from langchain_core.runnables import RunnableConfig

from rag_graph.errors import RagGraphError, SettingsError
from rag_graph.events import Emit, Event
from rag_graph.graph.build import RagGraph, build_graph
from rag_graph.graph.nodes import Nodes
from rag_graph.graph.run import Budget, run_graph
from rag_graph.graph.stream import stream_events
from rag_graph.index import Index
from rag_graph.models.embeddings import Embedder, RememberingEmbedder
from rag_graph.parts import Voices, choose_embedder, choose_index, open_voices, searches_at_once
from rag_graph.query import Query
from rag_graph.research import WiderSearch
from rag_graph.retrieval import DeepRetriever, FastRetriever, QueuedRetriever, Retriever
from rag_graph.runs.execution import Execute
from rag_graph.runs.lease import Leases
from rag_graph.runs.log import Bounds, RunLog
from rag_graph.runs.memory import MemoryRunLog
from rag_graph.runs.observer import Observer, Unobserved
from rag_graph.runs.runner import Runner
from rag_graph.settings import Settings
from rag_graph.transcript import Transcript

log = logging.getLogger(__name__)

Forget = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Pipeline:
    """Everything that answers questions, opened by `open_pipeline`."""

    nodes: Nodes
    graph: RagGraph
    runner: Runner
    library: Index
    deep: Retriever
    voices: Voices
    budget: Budget
    observer: Observer
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self, query: Query, config: RunnableConfig | None = None) -> AsyncGenerator[Event]:
        """One run, outside the log: for callers in this process, and under a LangChain config."""
        events = stream_events(self.graph, query, config=config, budget=self.budget)
        return _watched(events, self.observer, query)

    async def check_ready(self) -> None:
        """Raise what keeps every question from being answered, such as `IndexNotFound`."""
        if not self._ready.is_set():  # asked before every question: what was opened once stays open
            await asyncio.to_thread(_open, self.library)
            self._ready.set()


@asynccontextmanager
async def open_pipeline(settings: Settings, observer: Observer | None = None) -> AsyncIterator[Pipeline]:
    """Choose the parts by the settings and join them; what was opened is closed at the end. Raises SettingsError."""
    observer = observer or Unobserved()
    chosen = choose_embedder(settings)
    embedder = RememberingEmbedder(chosen)
    voices = await open_voices(settings, embedder)
    library = choose_index(settings, embedder)
    at_once = searches_at_once(chosen)
    fast = QueuedRetriever(FastRetriever(library), threads=at_once)
    deep = QueuedRetriever(DeepRetriever(library), threads=max(1, at_once - 1))
    nodes = Nodes(
        fast=fast,
        researchers={"fast": WiderSearch(deep), "deep": voices.researcher(deep)},
        drafter=voices.drafter,
        refiners=voices.refiners,
        condenser=voices.condenser,
        narrates=settings.thinking != "off",
    )
    graph = build_graph(nodes)
    warming = asyncio.create_task(_warm(library, voices, embedder))
    try:
        budget = Budget(max_s=settings.max_run_s, max_tokens=settings.max_run_tokens)
        async with _open_runner(nodes, settings, budget, observer) as runner:
            yield Pipeline(nodes, graph, runner, library, deep, voices, budget, observer)
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        await voices.aclose()
        fast.close()
        deep.close()
        library.close()


async def _nothing_to_forget(_run_id: str) -> None:
    pass


def executing(graph: RagGraph, budget: Budget | None = None, forget: Forget = _nothing_to_forget) -> Execute:
    """What a runner executes: the graph, and once the run has ended, to `forget` what the graph remembers of it."""

    async def execute(query: Query, emit: Emit, *, run_id: str, attempt: int, after: Transcript | None) -> None:
        await run_graph(graph, query, emit, run_id=run_id, attempt=attempt, budget=budget, after=after)
        await forget(run_id)

    return execute


@asynccontextmanager
async def _open_runner(nodes: Nodes, settings: Settings, budget: Budget, observer: Observer) -> AsyncIterator[Runner]:
    async with _open_log(settings) as (run_log, leases), _open_checkpoints(settings, nodes) as (kept, forget):
        runner = Runner(
            run_log,
            executing(kept, budget, forget),
            grace_s=settings.run_grace_s,
            max_runs=settings.max_runs,
            max_runs_per_caller=settings.max_runs_per_caller,
            max_waiting=settings.max_queued,
            max_wait_s=settings.max_queued_s,
            leases=leases,
            kept_s=settings.run_kept_s,
            observer=observer,
        )
        async with runner:
            yield runner


@asynccontextmanager
async def _open_log(settings: Settings) -> AsyncIterator[tuple[RunLog, Leases | None]]:
    """Runs in this process, or, with RAG_REDIS_URL, shared by all processes that have the same."""
    bounds = Bounds(max_entries=settings.run_max_events, max_bytes=settings.run_max_bytes, ttl_s=settings.run_kept_s)
    url = settings.redis_url.get_secret_value()
    if not url:
        yield MemoryRunLog(bounds), None
        return
    try:
        from rag_graph.runs.redis import RedisRunLog  # noqa: PLC0415 - optional, and chosen here
    except ImportError:
        raise SettingsError("RAG_REDIS_URL needs the package redis: pip install 'rag-graph[redis]'.") from None
    async with RedisRunLog(url, bounds=bounds, lease_s=settings.lease_s) as shared:
        yield shared, shared


@asynccontextmanager
async def _open_checkpoints(settings: Settings, nodes: Nodes) -> AsyncIterator[tuple[RagGraph, Forget]]:
    """The graph that runs execute. Where another server may take them over, it remembers them in PostgreSQL."""
    url = settings.postgres_url.get_secret_value()
    if not url or not settings.redis_url.get_secret_value():
        yield build_graph(nodes), _nothing_to_forget
        return
    try:
        from rag_graph.runs.checkpoints import forget, open_checkpoints  # noqa: PLC0415 - optional, and chosen here
    except ImportError:
        raise SettingsError("RAG_POSTGRES_URL needs more packages: pip install 'rag-graph[postgres]'.") from None
    async with open_checkpoints(url, kept_s=settings.run_kept_s) as checkpoints:
        yield build_graph(nodes, checkpointer=checkpoints), partial(forget, checkpoints)


async def _watched(events: AsyncGenerator[Event], observer: Observer, query: Query) -> AsyncGenerator[Event]:
    watch = observer.watch("", mode=query.mode, attempt=1)
    try:
        async with aclosing(events):
            async for event in events:
                watch.on_event(event)
                yield event
    finally:
        watch.close()


async def _warm(library: Index, voices: Voices, embedder: Embedder) -> None:
    """Load what the first question would otherwise wait for; what fails here is told when it is needed."""
    for warm in (voices.warm, partial(asyncio.to_thread, _touch, library, embedder)):
        try:
            await warm()
        except RagGraphError as exc:
            log.info("not ready yet: %s", exc)


def _open(library: Index) -> None:
    """Raises `IndexNotFound` and `IndexMismatch`."""
    with library.snapshot():
        pass


def _touch(library: Index, embedder: Embedder) -> None:
    _open(library)
    embedder.embed_query("warm")
