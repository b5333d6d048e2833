"""Which parts do which work, chosen by the settings: without any, the embedded ones."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from rag_graph.errors import SettingsError
from rag_graph.index import Place
from rag_graph.index.embedded import EmbeddedPlace
from rag_graph.models.embeddings import Embedder
from rag_graph.models.local.chat import local_chat_model
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.server import LocalServer
from rag_graph.models.local.weights import embedded_gguf
from rag_graph.models.replies import Replier
from rag_graph.models.roles import OpenedModels, endpoint_of, is_chat_set, open_chat_models, open_embedder
from rag_graph.query import Mode
from rag_graph.research import BUDGETS, BridgedResearch, PlannedResearch, Researcher
from rag_graph.retrieval import Retriever
from rag_graph.settings import ReasoningSettings, Settings
from rag_graph.writing.condensing import Condenser, PrecedingQuestion, PromptedCondenser
from rag_graph.writing.contract import Writer
from rag_graph.writing.prompted import PromptedWriter
from rag_graph.writing.quoting import LONGEST_PHRASE_TOKENS, PHRASE_ENDS, QuotingWriter

WAITING_SEARCHES: Final = 32


@dataclass(frozen=True)
class Writers:
    """Who writes: the drafter, and for each mode the one who refines; who researches, who condenses."""

    drafter: Writer
    refiners: Mapping[Mode, Writer]
    researcher: Callable[[Retriever], Researcher]
    """The one of the deep mode, over a retriever."""
    condenser: Condenser


def choose_embedder(settings: Settings) -> Embedder:
    """The embedding model that is set; OpenAI's when only an OpenAI key is; else the embedded one."""
    # Who has the chat model elsewhere has not asked for documents to be sent to OpenAI.
    talks_to_openai = not settings.chat.base_url and endpoint_of(settings, "chat").is_openai
    is_keyed = bool(settings.openai_api_key.get_secret_value())
    return open_embedder(settings) if settings.embedding.is_set or (is_keyed and talks_to_openai) else LocalEmbedder()


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


def open_models(settings: Settings) -> OpenedModels:
    """The models that are set, or the embedded one. Raises SettingsError."""
    if is_chat_set(settings):
        return open_chat_models(settings)
    server = LocalServer(partial(embedded_gguf, settings.local_gguf))
    model = Replier(local_chat_model(server, raw=True, max_tokens=LONGEST_PHRASE_TOKENS, stop=PHRASE_ENDS))
    return OpenedModels(chat=model, reasoning=model, server=server)


def choose_writers(settings: Settings, models: OpenedModels, embedder: Embedder) -> Writers:
    """Whose work is done by which of the models."""
    if models.server is not None:
        writer = QuotingWriter(embedder, models.chat)
        return Writers(
            drafter=writer,
            refiners={"fast": writer, "deep": writer},
            researcher=partial(BridgedResearch, budget=BUDGETS[settings.depth]),
            condenser=PrecedingQuestion(),
        )
    shows_thinking = settings.thinking == "full"
    drafter = PromptedWriter(models.chat, settings.chat.context_tokens, shows_thinking)
    context_tokens = settings.reasoning.context_tokens
    is_other = settings.reasoning != ReasoningSettings()
    thinker = PromptedWriter(models.reasoning, context_tokens, shows_thinking) if is_other else drafter
    return Writers(
        drafter=drafter,
        refiners={"fast": drafter, "deep": thinker},
        researcher=partial(
            PlannedResearch,
            model=models.reasoning,
            context_tokens=context_tokens,
            budget=BUDGETS[settings.depth],
            shows_thinking=shows_thinking,
        ),
        condenser=PromptedCondenser(models.chat, settings.chat.context_tokens),
    )
