"""Which models do which work, chosen by the settings: without any, the embedded ones."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr

from rag_graph.errors import SettingsError
from rag_graph.index import Place
from rag_graph.index.embedded import EmbeddedPlace
from rag_graph.models.embeddings import Embedder, LangChainEmbedder
from rag_graph.models.local.chat import NAME as EMBEDDED
from rag_graph.models.local.chat import local_chat_model
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.server import LocalServer
from rag_graph.models.local.weights import embedded_gguf
from rag_graph.models.providers.openai import ReasoningChatOpenAI, open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.query import Mode
from rag_graph.research import BUDGETS, BridgedResearch, PlannedResearch, Researcher
from rag_graph.retrieval import Retriever
from rag_graph.settings import OPENAI_URL, ChatSettings, ReasoningSettings, Settings
from rag_graph.writing.condensing import Condenser, PrecedingQuestion, PromptedCondenser
from rag_graph.writing.contract import Writer
from rag_graph.writing.prompted import PromptedWriter
from rag_graph.writing.quoting import LONGEST_PHRASE_TOKENS, PHRASE_ENDS, QuotingWriter

OPENAI_CHAT_MODEL: Final = "gpt-4.1-mini"
OPENAI_EMBEDDING_MODEL: Final = "text-embedding-3-small"
LIST_MODELS_TIMEOUT_S: Final = 5.0
WAITING_SEARCHES: Final = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Voices:
    """Who writes: the drafter, and for each mode the one who refines; who researches. Close them when done."""

    drafter: Writer
    refiners: Mapping[Mode, Writer]
    researcher: Callable[[Retriever], Researcher]
    """The one of the deep mode, over a retriever."""
    condenser: Condenser
    chat_name: str
    reasoning_name: str
    models: Sequence[ReasoningChatOpenAI]
    server: LocalServer | None = None

    async def warm(self) -> None:
        """Start the embedded model, so that the first question need not wait for it."""
        if self.server is not None:
            await self.server.url()

    async def aclose(self) -> None:
        for model in self.models:
            await model.aclose()
        if self.server is not None:
            await self.server.aclose()


def choose_embedder(settings: Settings) -> Embedder:
    """The embedding model that is set; OpenAI's when only an OpenAI key is; else the embedded one."""
    given = settings.embedding
    key = given.api_key.get_secret_value() or settings.openai_api_key.get_secret_value()
    if not given.is_set and not (key and _talks_to_openai(settings)):
        return LocalEmbedder()
    base_url = given.base_url or settings.openai_base_url or OPENAI_URL
    name = given.model or OPENAI_EMBEDDING_MODEL
    embeddings = OpenAIEmbeddings(
        openai_api_base=base_url,
        openai_api_key=SecretStr(key or "none"),
        model=name,
        check_embedding_ctx_length=base_url == OPENAI_URL,
    )
    return LangChainEmbedder(embeddings, name, symmetric=True)


def searches_at_once(embedder: Embedder) -> int:
    """A search takes a core of the machine that embeds; where that is another one, it mostly waits."""
    if isinstance(embedder, LocalEmbedder):
        return os.cpu_count() or 1
    return WAITING_SEARCHES


def choose_place(settings: Settings) -> Place:
    """Where the library is kept: in PostgreSQL when RAG_POSTGRES_URL is set, else in the data folder."""
    url = settings.postgres_url.get_secret_value()
    if not url:
        return EmbeddedPlace(settings.index_dir)
    try:
        from rag_graph.index.postgres import PostgresPlace  # noqa: PLC0415 - optional, and chosen here
    except ImportError:
        raise SettingsError("RAG_POSTGRES_URL needs more packages: pip install 'rag-graph[postgres]'.") from None
    return PostgresPlace(url)


async def open_voices(settings: Settings, embedder: Embedder) -> Voices:
    """The models that are set, or the embedded one. Raises SettingsError."""
    if settings.chat.is_set or settings.openai_api_key.get_secret_value():
        return await _prompted(settings)
    return _embedded(settings, embedder)


def _talks_to_openai(settings: Settings) -> bool:
    return not settings.chat.base_url and (settings.openai_base_url or OPENAI_URL) == OPENAI_URL


async def _prompted(settings: Settings) -> Voices:
    chat = await _open(settings, settings.chat, settings.chat)
    reasoning = await _open(settings, settings.reasoning, settings.chat, effort=settings.reasoning.effort)
    fallback = await _open(settings, settings.fallback, settings.chat) if settings.fallback.is_set else None
    reply = partial(
        Replier,
        fallback=fallback,
        stall_timeout_s=settings.stall_timeout_s,
        first_token_timeout_s=settings.first_token_timeout_s,
    )
    shows_thinking = settings.thinking == "full"
    drafter = PromptedWriter(reply(chat, setting="RAG_CHAT"), settings.chat.context_tokens, shows_thinking)
    reasoner = reply(reasoning, setting="RAG_REASONING" if settings.reasoning.is_set else "RAG_CHAT")
    context_tokens = settings.reasoning.context_tokens
    is_other = settings.reasoning != ReasoningSettings()
    thinker = PromptedWriter(reasoner, context_tokens, shows_thinking) if is_other else drafter
    return Voices(
        drafter=drafter,
        refiners={"fast": drafter, "deep": thinker},
        researcher=partial(
            PlannedResearch,
            model=reasoner,
            context_tokens=context_tokens,
            budget=BUDGETS[settings.depth],
            shows_thinking=shows_thinking,
        ),
        condenser=PromptedCondenser(reply(chat, setting="RAG_CHAT"), settings.chat.context_tokens),
        chat_name=chat.model_name,
        reasoning_name=reasoning.model_name,
        models=[model for model in (chat, reasoning, fallback) if model is not None],
    )


async def _open(
    settings: Settings, given: ChatSettings, otherwise: ChatSettings, *, effort: str = ""
) -> ReasoningChatOpenAI:
    base_url = given.base_url or otherwise.base_url or settings.openai_base_url
    key = (
        given.api_key.get_secret_value()
        or otherwise.api_key.get_secret_value()
        or settings.openai_api_key.get_secret_value()
    )
    name = given.model or otherwise.model
    if not name:
        name = await _first_model(base_url, key) if base_url and base_url != OPENAI_URL else OPENAI_CHAT_MODEL
    return open_chat_model(base_url, key, name, reasoning_effort=effort or None)


async def _first_model(base_url: str, key: str) -> str:
    """The first model that the service lists, since most local ones serve a single one."""
    try:
        async with httpx.AsyncClient(timeout=LIST_MODELS_TIMEOUT_S) as client:
            listed = await client.get(f"{base_url}/models", headers={"authorization": f"Bearer {key}"})
            return str(listed.raise_for_status().json()["data"][0]["id"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        log.warning("%s does not list its models; set RAG_CHAT_MODEL if it needs a name", base_url)
        return "default"


def _embedded(settings: Settings, embedder: Embedder) -> Voices:
    server = LocalServer(partial(embedded_gguf, settings.local_gguf))
    model = local_chat_model(server, raw=True, max_tokens=LONGEST_PHRASE_TOKENS, stop=PHRASE_ENDS)
    writer = QuotingWriter(embedder, Replier(model))
    return Voices(
        drafter=writer,
        refiners={"fast": writer, "deep": writer},
        researcher=partial(BridgedResearch, budget=BUDGETS[settings.depth]),
        condenser=PrecedingQuestion(),
        chat_name=EMBEDDED,
        reasoning_name=EMBEDDED,
        models=[model],
        server=server,
    )
