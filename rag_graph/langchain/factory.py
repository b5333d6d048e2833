"""The graph by one call, over models and retrievers of LangChain's."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from rag_graph.claims import ClaimChecker
from rag_graph.errors import SettingsError
from rag_graph.graph.build import RagGraph, build_graph
from rag_graph.graph.parts import FAST_TOP_K
from rag_graph.models.embeddings import LangChainEmbedder
from rag_graph.models.providers.errors import Origin
from rag_graph.models.providers.langchain import open_named_chat_model
from rag_graph.settings import Settings
from rag_graph.wiring import AnyRetriever, as_replier, default_parts
from rag_graph.writing.prompts import PROMPTS, Prompts

if TYPE_CHECKING:
    from rag_graph.models.replies import Replier

MOST_K: Final = 50
"""More passages than these fill the context of most models, and a draft would wait for all of them to be read."""

Checkpoints = BaseCheckpointSaver[Any] | bool | None


def create_rag_graph(
    model: "BaseChatModel | Replier | str | None" = None,
    retriever: AnyRetriever | None = None,
    *,
    deep_retriever: AnyRetriever | None = None,
    reasoning_model: "BaseChatModel | Replier | str | None" = None,
    embeddings: Embeddings | None = None,
    checker: ClaimChecker | None = None,
    prompts: Prompts | None = None,
    k: int = FAST_TOP_K,
    name: str = "rag_graph",
    checkpointer: Checkpoints = None,
    store: BaseStore | None = None,
) -> RagGraph:
    """Compile the graph that the server runs, over models and retrievers of one's own.

    `model` is a chat model, or a name that `init_chat_model` knows, such as `"openai:gpt-4.1-mini"`; without one the
    settings choose, and by default the embedded reader answers. `retriever` is a LangChain retriever or whatever runs
    like one, a vector store or an index of ours; without one, it is the library that `rag-graph index` has filled.
    `deep_retriever` gathers the better evidence; without one, `retriever` searches more widely, its ranking fused with
    one by words. `reasoning_model` answers questions of the mode `deep`, and `embeddings` embed for an index of ours.
    `prompts` hold the system prompt and the style of answers, and `k` is how many passages a draft is written from.

    It is called with `{"question": …}` or `{"messages": […]}`, with and without an event loop. Nothing is opened or
    asked before the first question. Raises SettingsError.
    """
    if not 1 <= k <= MOST_K:
        raise SettingsError(f"k={k}: a draft is written from 1 to {MOST_K} passages.")
    settings = Settings.load()
    parts = default_parts(
        settings,
        chat_model=_opened(model, "model", settings, "RAG_CHAT"),
        reasoning_model=_opened(reasoning_model, "reasoning_model", settings, "RAG_REASONING"),
        retriever=retriever,
        deep_retriever=deep_retriever,
        checker=checker,
        embedder=None if embeddings is None else _embedder(embeddings),
        prompts=prompts or PROMPTS,
    )
    return build_graph(replace(parts, fast_k=k), name=name, checkpointer=checkpointer, store=store)


def _opened(
    model: "BaseChatModel | Replier | str | None", argument: str, settings: Settings, setting: str
) -> "Replier | None":
    if model is None:
        return None
    if isinstance(model, str):
        model = open_named_chat_model(model, argument)
    if isinstance(model, type):
        raise SettingsError(f"{argument}: {model.__name__} is a class: give a model that is made of it.")
    if not isinstance(model, BaseChatModel) and not hasattr(model, "stream"):
        raise SettingsError(
            f"{argument}: a {type(model).__name__} is no chat model: give a BaseChatModel of LangChain's, or a name "
            "that its init_chat_model knows."
        )
    return as_replier(model, settings, Origin(setting, f"the {argument} given to create_rag_graph"))


def _embedder(embeddings: Embeddings) -> LangChainEmbedder:
    # An index holds whoever searches it to the name of who embedded it.
    names = (getattr(embeddings, attribute, None) for attribute in ("model", "model_name", "deployment"))
    name = next((name for name in names if name and isinstance(name, str)), type(embeddings).__name__)
    origin = Origin("RAG_EMBEDDING", "the embeddings given to create_rag_graph")
    return LangChainEmbedder(embeddings, name, origin=origin)
