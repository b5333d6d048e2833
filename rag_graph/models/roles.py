"""Which model has which role, by the settings. What is opened here asks nobody anything before its first call."""

import asyncio
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from rag_graph.models.embeddings import LangChainEmbedder
from rag_graph.models.providers.errors import CHAT, Origin, translate
from rag_graph.models.providers.langchain import (
    Kind,
    open_provider_chat_model,
    open_provider_embeddings,
    split_provider,
)
from rag_graph.settings import OPENAI_URL, ModelSettings, ReasoningSettings, Settings, WriterSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rag_graph.models.local.server import LocalServer
    from rag_graph.models.providers.openai import ReasoningChatOpenAI
    from rag_graph.models.replies import Replier

CHOICE: Final = Origin("RAG_CHAT", "the model that was chosen of RAG_CHAT_MODELS")
OPENAI_CHAT_MODEL: Final = "gpt-4.1-mini"
OPENAI_EMBEDDING_MODEL: Final = "text-embedding-3-small"
EMBEDDED_TOGETHER: Final = 64
"""Vectors of 4,096 numbers in decimals are then 6 MB, within what an answer may have."""
EMBEDDING_TIMEOUT_S: Final = 120.0
"""A batch of passages takes a slow machine a minute; one that answers later holds a thread of ours for nothing."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked: a LangChain provider, or else an OpenAI-compatible base URL; and the key for there."""

    provider: str = ""
    base_url: str = ""
    api_key: str = ""
    model: str = ""

    def is_at(self, other: "Endpoint") -> bool:
        """Whether a key for the one may be sent to the other."""
        return self.provider == other.provider and _origin(self.base_url) == _origin(other.base_url)

    @property
    def is_openai(self) -> bool:
        return self.is_at(Endpoint(base_url=OPENAI_URL))


@dataclass(frozen=True)
class OpenedModels:
    """The models that answer, each with its fallback. Close them when done."""

    chat: "Replier"
    reasoning: "Replier"
    choices: "Mapping[str, Replier]" = field(default_factory=dict)
    """Others that a question may choose, by the names that it gives them."""
    server: "LocalServer | None" = None
    """Of the embedded model, where it is that one."""

    @property
    def chat_name(self) -> str:
        """The chat model's name at its service; empty until that was asked for it."""
        return self.chat.name

    @property
    def reasoning_name(self) -> str:
        return self.reasoning.name

    async def warm(self) -> None:
        """Do what the first question would otherwise wait for: start the embedded model, ask for models' names.

        Raises ModelUnavailable when the embedded model cannot start. A service that is not there yet is asked again
        by the first question.
        """
        if self.server is not None:
            await self.server.url()
        # All at once: one that is lost in the network takes its whole time.
        await asyncio.gather(*(_learn_name(model) for model in self._hosted()))

    async def aclose(self) -> None:
        for model in self._hosted():
            await model.aclose()
        if self.server is not None:
            await self.server.aclose()

    def _hosted(self) -> "list[ReasoningChatOpenAI]":
        """Those with connections of their own to close; LangChain's other classes give us no way to."""
        from rag_graph.models.providers.openai import ReasoningChatOpenAI  # noqa: PLC0415 - as below

        repliers = (self.chat, self.reasoning, *self.choices.values())
        models = [model for replier in repliers for model in (replier.model, replier.fallback)]
        # By identity: one model may have several roles, and is closed once.
        different = {id(model): model for model in models}
        return [model for model in different.values() if isinstance(model, ReasoningChatOpenAI)]


def is_chat_set(settings: Settings) -> bool:
    """Whether a chat model other than the embedded one is set."""
    return settings.chat.is_set or bool(settings.openai_api_key.get_secret_value())


def open_chat_models(settings: Settings) -> OpenedModels:
    """The chat and the reasoning model that are set, with the fallback if there is one. Raises SettingsError."""
    from rag_graph.models.replies import Replier  # noqa: PLC0415 - as below

    at = endpoint_of(settings, "chat")
    chat = _open(at, "RAG_CHAT")
    reasoning_at, effort = endpoint_of(settings, "reasoning"), settings.reasoning.effort
    reasoning_setting = "RAG_REASONING" if settings.reasoning.is_set else "RAG_CHAT"
    reasoning = chat if reasoning_at == at and not effort else _open(reasoning_at, reasoning_setting, effort)
    fallback = _open(endpoint_of(settings, "fallback"), "RAG_FALLBACK") if settings.fallback.is_set else None
    patience = settings.stall_timeout_s, settings.first_token_timeout_s
    offered = {name: _open(_offered(settings, name, at), "RAG_CHAT") for name in settings.chat.offered}
    return OpenedModels(
        chat=Replier(chat, fallback, *patience, origin=CHAT),
        choices={name: Replier(model, fallback, *patience, origin=CHOICE) for name, model in offered.items()},
        reasoning=Replier(reasoning, fallback, *patience, origin=Origin(reasoning_setting)),
    )


def open_replier(
    model: BaseChatModel | WriterSettings | str,
    *,
    fallback: BaseChatModel | WriterSettings | str | None = None,
    stall_timeout_s: float = 30.0,
    first_token_timeout_s: float = 120.0,
) -> "Replier":
    """Make any chat model one that retries, falls back and tells thinking from answer.

    `model` is any LangChain chat model; or settings, or `provider:model`, of one. Raises SettingsError.
    """
    from rag_graph.models.replies import Replier  # noqa: PLC0415 - as below

    def opened(given: BaseChatModel | WriterSettings | str, setting: str) -> BaseChatModel:
        if isinstance(given, BaseChatModel):
            return given
        asked = WriterSettings(model=given) if isinstance(given, str) else given
        openai = _openai(os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_API_KEY", ""))
        effort = asked.effort if isinstance(asked, ReasoningSettings) else ""
        return _open(_resolve(asked, openai), setting, effort)

    second = opened(fallback, "RAG_FALLBACK") if fallback else None
    return Replier(
        opened(model, "RAG_CHAT"),
        second,
        stall_timeout_s,
        first_token_timeout_s,
        origin=Origin("RAG_CHAT", "the model given to open_replier"),
        fallback_origin=Origin("RAG_FALLBACK", "the fallback given to open_replier"),
    )


def open_embedder(settings: Settings) -> LangChainEmbedder:
    """The hosted embedding model that is set, or else OpenAI's. Raises SettingsError."""
    from langchain_openai import OpenAIEmbeddings  # noqa: PLC0415 - as below

    from rag_graph.models.providers.openai.bounds import BoundedClient  # noqa: PLC0415 - as below

    at = endpoint_of(settings, "embedding")
    if at.provider:
        embeddings = open_provider_embeddings(at.provider, at.model, at.api_key, setting="RAG_EMBEDDING")
        return LangChainEmbedder(embeddings, f"{at.provider}:{at.model}")
    name = at.model or OPENAI_EMBEDDING_MODEL
    compatible = OpenAIEmbeddings(
        openai_api_base=at.base_url,
        openai_api_key=SecretStr(at.api_key or "none"),
        model=name,
        # It would send tokens of OpenAI's own vocabulary in place of the text.
        check_embedding_ctx_length=at.base_url == OPENAI_URL,
        chunk_size=EMBEDDED_TOGETHER,
        request_timeout=EMBEDDING_TIMEOUT_S,
        http_client=BoundedClient(within_s=EMBEDDING_TIMEOUT_S),
        openai_proxy=None,  # it would exclude a client of one's own; HTTPS_PROXY is heeded
    )
    return LangChainEmbedder(compatible, name, symmetric=True)


def endpoint_of(settings: Settings, role: Literal["chat", "reasoning", "fallback", "embedding"]) -> Endpoint:
    """Where a role's model is asked; what the reasoning and the fallback role leave unset is the chat role's."""
    openai = _openai(settings.openai_base_url, settings.openai_api_key.get_secret_value())
    chat = _resolve(settings.chat, openai)
    match role:
        case "chat":
            return chat
        case "reasoning":
            return _resolve(settings.reasoning, openai, chat)
        case "fallback":
            return _resolve(settings.fallback, openai, chat)
        case "embedding":
            at = _resolve(settings.embedding, openai, kind="embeddings")
            return _with_key(at, chat)


def _offered(settings: Settings, name: str, chat: Endpoint) -> Endpoint:
    """Where a further model is asked: at the chat model's base URL, where that is set, under its name there."""
    if settings.chat.base_url:
        return Endpoint(chat.provider, chat.base_url, chat.api_key, name)
    openai = _openai(settings.openai_base_url, settings.openai_api_key.get_secret_value())
    return _resolve(WriterSettings(model=name), openai, chat)


def _openai(base_url: str, api_key: str) -> Endpoint:
    return Endpoint(base_url=(base_url or OPENAI_URL).rstrip("/"), api_key=api_key)


def _resolve(
    given: ModelSettings, openai: Endpoint, otherwise: Endpoint | None = None, *, kind: Kind = "chat_models"
) -> Endpoint:
    """What is given, the rest from `otherwise`, and from OpenAI when there is none.

    At a base URL of its own a model's name is a name there, whatever colons it has. A key goes along only to where
    it belongs: it is taken from another endpoint that is the same place, or from OPENAI_API_KEY for OPENAI_BASE_URL
    and OpenAI itself.
    """
    rest = otherwise or openai
    provider, model = ("", given.model) if given.base_url else split_provider(given.model, kind)
    if given.base_url:
        at = Endpoint(base_url=given.base_url, model=model or ("" if rest.provider else rest.model))
    elif provider == "openai":
        at = Endpoint(base_url=openai.base_url, model=model)
    elif provider:
        at = Endpoint(provider, model=model)
    else:
        at = Endpoint(rest.provider, rest.base_url, model=model or rest.model)
    if own := given.api_key.get_secret_value():
        return Endpoint(at.provider, at.base_url, own, at.model)
    at = _with_key(at, rest, openai)
    return _with_key(at, Endpoint(base_url=OPENAI_URL, api_key=openai.api_key))


def _with_key(at: Endpoint, *others: Endpoint) -> Endpoint:
    """The same with the key of the first that is there too, unless it has one."""
    keys = [at.api_key, *(other.api_key for other in others if at.is_at(other))]
    return Endpoint(at.provider, at.base_url, next(filter(None, keys), ""), at.model)


def _origin(base_url: str) -> tuple[str, str, int | None]:
    url = urlsplit(base_url)
    return url.scheme, url.hostname or "", url.port or {"http": 80, "https": 443}.get(url.scheme)


def _open(at: Endpoint, setting: str, effort: str = "") -> BaseChatModel:
    # OpenAI's packages take a second to import, and without a chat model no question needs them.
    from rag_graph.models.providers.openai import open_chat_model  # noqa: PLC0415

    if at.provider:
        return open_provider_chat_model(at.provider, at.model, at.api_key, setting=setting, reasoning_effort=effort)
    model = at.model or (OPENAI_CHAT_MODEL if at.is_openai else "")
    return open_chat_model(at.base_url, at.api_key, model, reasoning_effort=effort or None)


async def _learn_name(model: "ReasoningChatOpenAI") -> None:
    try:
        await model.learn_name()
    except Exception as exc:  # noqa: BLE001 - as for a call of the model
        log.info("not ready yet: %s", translate(exc, CHAT))
