"""The one place where parts are chosen by the settings and joined: an answerer for who only asks, a server's worker."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, cast

from langchain_core.documents import Document as LangChainDocument
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.vectorstores import VectorStore

from rag_graph.claims import ClaimChecker, RuleChecker
from rag_graph.conversations import Bounds as ConversationBounds
from rag_graph.conversations import ConversationStore
from rag_graph.database import Database, SqliteDatabase
from rag_graph.documents import Document
from rag_graph.errors import InvalidRequest, RagGraphError, SettingsError
from rag_graph.events import Event
from rag_graph.graph.build import RagGraph, build_graph
from rag_graph.graph.invoke import GraphWork
from rag_graph.graph.parts import Choice, Parts
from rag_graph.graph.state import REMEMBERED
from rag_graph.graph.stream import stream_events
from rag_graph.index import EmbeddedIndex, Index
from rag_graph.models.embeddings import Embedder, RememberingEmbedder
from rag_graph.models.local.child import CONTEXT_TOKENS
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.guide import GuideEmbedder
from rag_graph.models.local.multilingual import MultilingualEmbedder
from rag_graph.models.local.reader import LocalReader
from rag_graph.models.providers.errors import Origin
from rag_graph.models.reading import Reader
from rag_graph.models.roles import OpenedModels, endpoint_of, is_chat_set, open_chat_models, open_embedder
from rag_graph.query import Filters, Mode, Query
from rag_graph.research import BUDGETS, BridgedResearch, PlannedResearch, Researcher
from rag_graph.retrieval import (
    DeepRetriever,
    FastRetriever,
    FusedRetriever,
    LangChainRetriever,
    QueuedRetriever,
    Retriever,
    VectorStoreRetriever,
)
from rag_graph.runs.attempt import Budget
from rag_graph.runs.feedback import FeedbackStore
from rag_graph.runs.lease import Leases
from rag_graph.runs.log import Bounds, RunLog
from rag_graph.runs.memory import MemoryRunLog
from rag_graph.runs.observer import Observer, Unobserved
from rag_graph.runs.runner import Runner
from rag_graph.settings import OPENAI_URL, ReasoningSettings, Settings
from rag_graph.transcript import Transcript
from rag_graph.writing.condensing import Condenser, PrecedingQuestion, PromptedCondenser
from rag_graph.writing.contract import Writer  # noqa: TC001 - so is every contract here
from rag_graph.writing.prompted import PromptedWriter
from rag_graph.writing.prompts import PROMPTS, Prompts
from rag_graph.writing.quoting import QuotingWriter

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from rag_graph.models.replies import Replier

WAITING_SEARCHES: Final = 32
"""Searches at once where another machine embeds: there they mostly wait."""

_TOLD_NAMES = 40

AnyRetriever = Retriever | Runnable[str, list[LangChainDocument]] | VectorStore | Index

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answerer:
    """What answers questions in this process, opened by `open_answerer`: parts, and the graph over them."""

    parts: Parts
    graph: RagGraph
    budget: Budget
    observer: Observer
    _opened: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def ask(self, query: Query, config: RunnableConfig | None = None) -> AsyncGenerator[Event]:
        """One run, kept nowhere: for callers in this process, and under a LangChain config."""
        watch = self.observer.watch("", mode=query.mode, attempt=1)
        return stream_events(self.graph, query, config=config, budget=self.budget, watch=watch)

    def document(self, document_id: str) -> Document | None:
        """The document that a citation points to; blocks."""
        documents = self.parts.documents or self.parts.index
        return documents.document(document_id) if documents else None

    async def check_ready(self, filters: Filters | None = None, model: str = "") -> None:
        """Raise what keeps every question from being answered, such as `IndexNotFound`.

        With filters also `InvalidRequest`, of a name that nothing in the index has: it would find nothing, silently.
        With a model also `UnknownModel`, of one that cannot be chosen here.
        """
        self.parts.chosen(model)
        index = self.parts.index
        if index is None:
            return
        if not self._opened.is_set():  # asked before every question: what was opened once stays open
            await asyncio.to_thread(_open_index, index)
            self._opened.set()
        if filters:
            known = await asyncio.to_thread(index.filter_names)
            if unknown := sorted(filters.keys() - known):
                told = ", ".join(sorted(known)[:_TOLD_NAMES])
                raise InvalidRequest(f"filters: no document has {unknown[0][:80]!r}; there are: {told}.")

    async def is_ready(self) -> bool:
        """Whether this process could answer."""
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
    """Join these parts, or those that the settings choose, and close them at the end. Raises SettingsError.

    This joins no other process: no run is kept, and none is taken over.
    """
    parts = parts or default_parts(settings)
    budget = Budget(max_s=settings.max_run_s, max_tokens=settings.max_run_tokens)
    warming = asyncio.create_task(_warm(parts))
    try:
        yield Answerer(parts, build_graph(parts), budget, observer or Unobserved())
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        if parts.models is not None:
            await parts.models.aclose()
        for close in parts.closing:
            close()


@asynccontextmanager
async def open_worker(
    answerer: Answerer, settings: Settings, *, on_end: Callable[[Transcript], Awaitable[None]] | None = None
) -> AsyncIterator[Runner]:
    """What executes runs in a server process, and shares them with others that have the same RAG_REDIS_URL.

    `on_end` hears of the runs that end here. What others have left is taken over only while it could answer itself.
    Raises SettingsError.
    """
    async with AsyncExitStack() as stack:
        run_log, leases = await stack.enter_async_context(_open_log(answerer.parts, settings))
        runner = Runner(
            run_log,
            await stack.enter_async_context(_open_work(answerer, settings)),
            grace_s=settings.run_grace_s,
            max_runs=settings.max_runs,
            max_runs_per_caller=settings.caller_share,
            max_waiting=settings.max_queued,
            max_wait_s=settings.max_queued_s,
            budget=answerer.budget,
            leases=leases,
            is_ready=answerer.is_ready,
            kept_s=settings.run_kept_s,
            observer=answerer.observer,
            on_end=on_end,
        )
        yield await stack.enter_async_context(runner)


def default_parts(
    settings: Settings,
    *,
    chat_model: "BaseChatModel | Replier | None" = None,
    reasoning_model: "BaseChatModel | Replier | None" = None,
    retriever: AnyRetriever | None = None,
    deep_retriever: AnyRetriever | None = None,
    checker: ClaimChecker | None = None,
    embedder: Embedder | None = None,
    reader: Reader | None = None,
    prompts: Prompts = PROMPTS,
) -> Parts:
    """The parts that the settings choose, over those of one's own that are given.

    With a chat model of one's own and no reasoning model, that one also thinks harder; with a retriever of one's own
    and no deep one, that one searches deeply too. Nothing is opened or asked yet. Raises SettingsError.
    """
    check_extras(settings)
    models = _own_models(settings, chat_model, reasoning_model) if chat_model else open_models(settings)
    chosen = embedder or choose_embedder(settings)
    embedder = RememberingEmbedder(chosen)
    checker = checker or RuleChecker()
    index: Index | None = None
    closing: tuple[Callable[[], object], ...] = ()
    if retriever is None or is_index(retriever):
        index = choose_index(settings, embedder) if retriever is None else cast("Index", retriever)
        at_once = searches_at_once(chosen)
        queues = (
            QueuedRetriever(FastRetriever(index), threads=at_once),
            # Fewer, and apart from the fast ones: for those somebody waits who sees nothing yet.
            QueuedRetriever(DeepRetriever(index), threads=max(1, at_once - 1)),
        )
        # In this order: what is still being searched needs the index until its queue is closed.
        closing = (queues[0].close, queues[1].close, index.close)
        fast: Retriever = queues[0]
        deep: Retriever = queues[1] if deep_retriever is None else as_retriever(deep_retriever)
    else:
        fast = as_retriever(retriever)
        deep = FusedRetriever(fast) if deep_retriever is None else as_retriever(deep_retriever)
    drafter: Writer
    refiners: Mapping[Mode, Writer] = {}
    condenser: Condenser
    research: Researcher
    choices: dict[str, Choice] = {}
    warming: tuple[Callable[[], object], ...] = ()
    if models is None:
        local = LocalReader() if reader is None else reader
        is_fitted = isinstance(chosen, LocalEmbedder) or reader is not None
        drafter = QuotingWriter(embedder if is_fitted else RememberingEmbedder(LocalEmbedder()), local, embedder)
        condenser = PrecedingQuestion()
        research = BridgedResearch(deep, budget=BUDGETS[settings.depth])
        warming = (local.load,) if isinstance(local, LocalReader) else ()
    else:
        shows_thinking = settings.thinking == "full"
        chat_tokens, reasoning_tokens = settings.chat.context_tokens, settings.reasoning.context_tokens
        if models.server is not None:
            # The child was started with this context, whatever the settings say of another model's.
            chat_tokens = reasoning_tokens = min(chat_tokens, CONTEXT_TOKENS)
        drafter = PromptedWriter(models.chat, chat_tokens, shows_thinking, checker, prompts)
        thinker = PromptedWriter(models.reasoning, reasoning_tokens, shows_thinking, checker, prompts)
        is_other = models.reasoning.model is not models.chat.model or settings.reasoning != ReasoningSettings()
        refiners = {"deep": thinker} if is_other else {}
        condenser = PromptedCondenser(models.chat, chat_tokens)
        planned = partial(
            PlannedResearch, deep, budget=BUDGETS[settings.depth], shows_thinking=shows_thinking, prompts=prompts
        )
        research = planned(model=models.reasoning, context_tokens=reasoning_tokens)
        choices = {
            name: Choice(
                drafter=PromptedWriter(model, chat_tokens, shows_thinking, checker, prompts),
                researchers={"deep": planned(model=model, context_tokens=chat_tokens)},
                condenser=PromptedCondenser(model, chat_tokens),
            )
            for name, model in models.choices.items()
        }
    return Parts(
        fast=fast,
        deep=deep,
        drafter=drafter,
        refiners=refiners,
        researchers={"deep": research},
        condenser=condenser,
        choices=choices,
        index=index,
        documents=fast if isinstance(fast, VectorStoreRetriever) else None,
        models=models,
        narrates=settings.thinking != "off",
        warming=warming,
        closing=closing,
    )


def load_parts(name: str, settings: Settings) -> Parts | None:
    """The parts that `module:name` names: some `Parts`, or a function that makes them of the settings.

    None for no name. Modules in the working directory are found. Raises SettingsError.
    """
    if not name:
        return None
    module, _, attribute = name.partition(":")
    # A command that pip has installed does not look into the working directory, as `python -m` does.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(import_module(module), attribute or "parts")
    except (ImportError, AttributeError, ValueError) as exc:
        raise SettingsError(f"--parts {name}: there is none such: {exc}.") from exc
    parts = found(settings) if callable(found) else found
    if not isinstance(parts, Parts):
        raise SettingsError(f"--parts {name}: it gives a {type(parts).__name__}, and is to give rag_graph.Parts.")
    return parts


def choose_embedder(settings: Settings) -> Embedder:
    """The embedding model that is set; OpenAI's when only an OpenAI key is; else the embedded one.

    Raises SettingsError.
    """
    if not settings.embedding.base_url and settings.embedding.model.startswith(_EMBEDDED):
        return _embedded_embedder(settings.embedding.model.removeprefix(_EMBEDDED))
    key = settings.openai_api_key.get_secret_value()
    # Who has the chat model elsewhere has not asked for documents to be sent to OpenAI.
    talks_to_openai = (
        not settings.chat.base_url
        and (settings.openai_base_url or OPENAI_URL) == OPENAI_URL
        and endpoint_of(settings, "chat").is_openai
    )
    return open_embedder(settings) if settings.embedding.is_set or (key and talks_to_openai) else GuideEmbedder()


_EMBEDDED: Final = "local:"


def _embedded_embedder(name: str) -> Embedder:
    embedders: dict[str, type[Embedder]] = {
        "all-MiniLM-L6-v2": GuideEmbedder,
        "multilingual-e5-small": MultilingualEmbedder,
    }
    if name not in embedders:
        known = " or ".join(f"{_EMBEDDED}{known}" for known in embedders)
        raise SettingsError(f"RAG_EMBEDDING_MODEL: {_EMBEDDED}{name} is no embedded model; set {known}.")
    return embedders[name]()


def choose_index(settings: Settings, embedder: Embedder) -> Index:
    """Where documents are kept: in PostgreSQL when RAG_POSTGRES_URL is set, else in the data folder."""
    check_extras(settings)
    url = settings.postgres_url.get_secret_value()
    if not url:
        return EmbeddedIndex(settings.index_dir, embedder)
    from rag_graph.index.postgres import PostgresIndex  # noqa: PLC0415 - optional, and chosen here

    return PostgresIndex(url, embedder)


def choose_conversations(settings: Settings) -> ConversationStore:
    """Keeper of the conversations. Nothing is opened yet."""
    bounds = ConversationBounds(conversations=settings.max_conversations, bytes=settings.max_conversation_bytes)
    return ConversationStore(_database(settings, "conversations"), bounds=bounds)


def choose_feedback(settings: Settings) -> FeedbackStore:
    """Keeper of the feedback. Nothing is opened yet."""
    return FeedbackStore(_database(settings, "feedback"))


def _database(settings: Settings, name: str) -> Database:
    """A place of its own, where documents are kept: in PostgreSQL or in the data folder."""
    check_extras(settings)
    url = settings.postgres_url.get_secret_value()
    if not url:
        return SqliteDatabase(settings.data_dir / f"{name}.db")
    from rag_graph.database.postgres import PostgresDatabase  # noqa: PLC0415 - optional, and chosen here

    return PostgresDatabase(url, schema=f"rag_graph_{name}")


def open_models(settings: Settings) -> OpenedModels | None:
    """The models that are set; None for none, where the reader answers. Raises SettingsError."""
    if is_chat_set(settings):
        return open_chat_models(settings)
    if settings.chat.offered:
        raise SettingsError("RAG_CHAT_MODELS: it adds to a chat model, and none is set; set RAG_CHAT_MODEL too.")
    if settings.local_gguf is None:
        return None
    if not settings.local_gguf.is_file():
        raise SettingsError(f"RAG_LOCAL_GGUF: there is no file {settings.local_gguf}; correct or unset it.")
    if find_spec("xllamacpp") is None:  # found, not imported: only the child process is to load it
        raise SettingsError("RAG_LOCAL_GGUF needs more packages: pip install 'rag-graph[gguf]'.")
    # They take a second to import, and only a chat model needs them.
    from rag_graph.models.local.chat import local_chat_model  # noqa: PLC0415
    from rag_graph.models.local.server import LocalServer  # noqa: PLC0415
    from rag_graph.models.replies import Replier  # noqa: PLC0415

    server = LocalServer(settings.local_gguf)
    model = Replier(local_chat_model(server))
    return OpenedModels(chat=model, reasoning=model, server=server)


def searches_at_once(embedder: Embedder) -> int:
    """A search takes a core of the machine that embeds; where that is another one, it mostly waits."""
    return os.cpu_count() or 1 if isinstance(embedder, LocalEmbedder | MultilingualEmbedder) else WAITING_SEARCHES


def check_extras(settings: Settings) -> None:
    """Raise the SettingsError of a setting whose packages are not installed, before anything is opened."""
    needed: list[tuple[str, str, tuple[str, ...]]] = []
    if settings.redis_url.get_secret_value():
        needed.append(("RAG_REDIS_URL", "redis", ("redis.asyncio",)))
    if settings.postgres_url.get_secret_value():
        needed.append(
            ("RAG_POSTGRES_URL", "postgres", ("psycopg", "psycopg_pool", "langgraph.checkpoint.postgres.aio"))
        )
    for setting, extra, modules in needed:
        try:
            for module in modules:  # imported, not only found: psycopg without libpq is there and does not work
                import_module(module)
        except ImportError:
            raise SettingsError(f"{setting} needs more packages: pip install 'rag-graph[{extra}]'.") from None


def as_replier(model: "BaseChatModel | Replier", settings: Settings, origin: Origin) -> "Replier":
    """A model of one's own, with the settings' patience, and blamed by the `origin` where it fails."""
    from rag_graph.models.replies import Replier  # noqa: PLC0415 - takes a second, and only a chat model needs it

    if isinstance(model, Replier):
        return model
    return Replier(model, None, settings.stall_timeout_s, settings.first_token_timeout_s, origin=origin)


def _own_models(
    settings: Settings, chat: "BaseChatModel | Replier", reasoning: "BaseChatModel | Replier | None"
) -> OpenedModels:
    given = "the {} given to default_parts"
    chats = as_replier(chat, settings, Origin("RAG_CHAT", given.format("chat_model")))
    if reasoning is None:
        return OpenedModels(chat=chats, reasoning=chats)
    origin = Origin("RAG_REASONING", given.format("reasoning_model"))
    return OpenedModels(chat=chats, reasoning=as_replier(reasoning, settings, origin))


def is_index(given: object) -> bool:
    """Whether it is an index of ours, rather than something that searches by itself."""
    return all(hasattr(given, name) for name in ("snapshot", "embedder", "document", "counts"))


def as_retriever(retriever: AnyRetriever) -> Retriever:
    """What LangChain has, or an index of ours, as a `Retriever`. Raises SettingsError."""
    if isinstance(retriever, type):
        raise SettingsError(f"{retriever.__name__} is a class: give a retriever that is made of it.")
    if isinstance(retriever, VectorStore):
        return VectorStoreRetriever(retriever)
    if is_index(retriever):
        index = cast("Index", retriever)
        return QueuedRetriever(DeepRetriever(index), threads=searches_at_once(index.embedder))
    if callable(getattr(retriever, "retrieve", None)):
        return cast("Retriever", retriever)
    if isinstance(retriever, Runnable):
        return LangChainRetriever(retriever)
    raise SettingsError(
        f"A {type(retriever).__name__} is no retriever: give a LangChain retriever or a runnable that gives documents, "
        "a vector store, an index, or an object with rag_graph.contracts.Retriever's method."
    )


@asynccontextmanager
async def _open_log(parts: Parts, settings: Settings) -> AsyncIterator[tuple[RunLog, Leases | None]]:
    """Runs in the log that is given, or in this process, or, with RAG_REDIS_URL, shared by all that have the same."""
    if parts.run_log is not None:
        yield parts.run_log, None
        return
    bounds = Bounds(max_entries=settings.run_max_events, max_bytes=settings.run_max_bytes, ttl_s=settings.run_kept_s)
    url = settings.redis_url.get_secret_value()
    if not url:
        yield MemoryRunLog(bounds), None
        return
    from rag_graph.runs.redis import RedisRunLog  # noqa: PLC0415 - optional, and chosen here

    async with RedisRunLog(url, bounds=bounds, lease_s=settings.lease_s) as shared:
        # Once, at the start: a wrong password is one sentence now, and not a question that nobody can ask.
        await shared.check()
        yield shared, shared


@asynccontextmanager
async def _open_work(answerer: Answerer, settings: Settings) -> AsyncIterator[GraphWork]:
    """The graph that runs execute. Where another server may take them over, it remembers them in PostgreSQL."""
    url = settings.postgres_url.get_secret_value()
    if not url or not settings.redis_url.get_secret_value():
        yield GraphWork(answerer.graph)
        return
    from rag_graph.runs.checkpoints import forget, open_checkpoints  # noqa: PLC0415 - optional, and chosen here

    async with open_checkpoints(url, kept_s=settings.run_kept_s, types=REMEMBERED) as checkpoints:
        # A graph of its own: who only asks keeps nothing of a run.
        graph = build_graph(answerer.parts, checkpointer=checkpoints)
        yield GraphWork(graph, forget=partial(forget, checkpoints))


def _open_index(index: Index) -> None:
    with index.snapshot():
        pass


async def _warm(parts: Parts) -> None:
    """Load what the first question would otherwise wait for; what fails here is said when it is needed."""

    def search_once(index: Index) -> None:
        _open_index(index)
        index.embedder.embed_query("warm")

    warming: list[Callable[[], Awaitable[object]]] = [parts.models.warm] if parts.models else []
    warming += [partial(asyncio.to_thread, load) for load in parts.warming]
    if parts.index is not None:
        warming.append(partial(asyncio.to_thread, search_once, parts.index))

    async def quietly(warm: Callable[[], Awaitable[object]]) -> None:
        try:
            await warm()
        except RagGraphError as exc:
            log.info("not ready yet: %s", exc)

    # At once: a service that is lost in the network takes its whole time, and the index need not wait for it.
    await asyncio.gather(*map(quietly, warming))
