"""Which model is asked where, and with which key; a real server keeps what it was sent."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from langchain_core.messages import HumanMessage
from pydantic import SecretStr

from rag_graph.errors import ModelUnavailable
from rag_graph.models.providers.openai import ReasoningChatOpenAI
from rag_graph.models.roles import (
    OPENAI_CHAT_MODEL,
    Endpoint,
    endpoint_of,
    open_chat_models,
    open_embedder,
    open_replier,
)
from rag_graph.settings import OPENAI_URL, ChatSettings, ModelSettings, ReasoningSettings, Settings
from tests.servers import free_port
from tests.upstream import Upstream, refused_url

pytestmark = pytest.mark.anyio
QUESTION = [HumanMessage("How high is the tower?")]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def other() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **{"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", **given})


def chat(base_url: str = "", model: str = "", key: str = "") -> ChatSettings:
    return ChatSettings(base_url=base_url, model=model, api_key=SecretStr(key))


def keys_sent_to(server: Upstream) -> set[str]:
    return {request.headers["authorization"] for request in server.requests}


async def test_the_chat_models_key_is_not_sent_to_the_fallbacks_host(up: Upstream, other: Upstream) -> None:
    up.fail(status=500)
    up.fail(status=500)
    given = settings(
        chat=chat(up.base_url, "scripted", "sk-chat"), fallback=chat(other.base_url), OPENAI_API_KEY="sk-openai"
    )
    models = open_chat_models(given)
    await models.chat.reply(QUESTION)
    await models.aclose()
    assert keys_sent_to(up) == {"Bearer sk-chat"}
    assert keys_sent_to(other) == {"Bearer none"}
    assert [chat.body["model"] for chat in other.chats] == ["scripted"]


async def test_openais_key_is_not_sent_to_another_chat_host(up: Upstream) -> None:
    models = open_chat_models(settings(chat=chat(up.base_url), OPENAI_API_KEY="sk-openai"))
    await models.warm()
    await models.chat.reply(QUESTION)
    await models.aclose()
    assert len(up.requests) == 2
    assert keys_sent_to(up) == {"Bearer none"}


async def test_openais_key_is_not_sent_to_another_embedding_host(up: Upstream) -> None:
    given = settings(embedding=ModelSettings(base_url=up.base_url, model="vectors"), OPENAI_API_KEY="sk-openai")
    await asyncio.to_thread(open_embedder(given).embed_query, "How high is the tower?")
    assert keys_sent_to(up) == {"Bearer none"}


async def test_openais_key_goes_to_openais_base_url(up: Upstream) -> None:
    given = settings(OPENAI_API_KEY="sk-openai", OPENAI_BASE_URL=up.base_url)
    models = open_chat_models(given)
    await models.chat.reply(QUESTION)
    await models.aclose()
    await asyncio.to_thread(open_embedder(given).embed_query, "How high is the tower?")
    assert keys_sent_to(up) == {"Bearer sk-openai"}


async def test_a_key_serves_every_role_at_its_own_host(up: Upstream) -> None:
    given = settings(
        chat=chat(up.base_url, "small", "sk-chat"),
        reasoning=ReasoningSettings(model="thinker"),
        embedding=ModelSettings(base_url=up.base_url, model="vectors"),
    )
    models = open_chat_models(given)
    await models.chat.reply(QUESTION)
    await models.reasoning.reply(QUESTION)
    await models.aclose()
    await asyncio.to_thread(open_embedder(given).embed_query, "How high is the tower?")
    assert [request.body["model"] for request in up.requests] == ["small", "thinker", "vectors"]
    assert keys_sent_to(up) == {"Bearer sk-chat"}


CLAUDE = "anthropic:claude-sonnet-5"
LOCAL, NEAR = "http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"
PLAIN, SAFE, SAFER = "http://a.example/v1", "https://a.example/v1", "https://a.example:443/v2"


@pytest.mark.parametrize(
    ("chat_given", "given", "expected"),
    [
        # Unset parts are the chat model's.
        (chat(LOCAL, "small", "k"), chat(model="big"), Endpoint("", LOCAL, "k", "big")),
        (chat(model=CLAUDE, key="k"), chat(), Endpoint("anthropic", "", "k", "claude-sonnet-5")),
        (chat(model=CLAUDE, key="k"), chat(model="haiku"), Endpoint("anthropic", "", "k", "haiku")),
        (chat(model=CLAUDE), chat(key="k"), Endpoint("anthropic", "", "k", "claude-sonnet-5")),
        # A key stays with its provider, or its scheme, host and port.
        (chat(model=CLAUDE, key="k"), chat(model="ollama:qwen3:4b"), Endpoint("ollama", "", "", "qwen3:4b")),
        (chat(model=CLAUDE, key="k"), chat(LOCAL), Endpoint("", LOCAL, "", "")),
        (chat(LOCAL, "small", "k"), chat(model=CLAUDE), Endpoint("anthropic", "", "", "claude-sonnet-5")),
        (chat(LOCAL, "small", "k"), chat(NEAR), Endpoint("", NEAR, "", "small")),
        (chat(SAFE, "x", "k"), chat(PLAIN), Endpoint("", PLAIN, "", "x")),
        (chat(SAFE, "x", "k"), chat(SAFER), Endpoint("", SAFER, "k", "x")),
        # OpenAI by its name, which takes OpenAI's key along.
        (chat(LOCAL, "small", "k"), chat(model="openai:gpt-5"), Endpoint("", OPENAI_URL, "sk-openai", "gpt-5")),
        (chat(LOCAL, "small", "k"), chat(OPENAI_URL, "gpt-5"), Endpoint("", OPENAI_URL, "sk-openai", "gpt-5")),
        # Colons make no provider: not in a name nobody knows, and never at a base URL.
        (chat(LOCAL, "small", "k"), chat(model="llama3:8b"), Endpoint("", LOCAL, "k", "llama3:8b")),
        (chat(model="x"), chat(model="ft:gpt-4o:acme"), Endpoint("", OPENAI_URL, "sk-openai", "ft:gpt-4o:acme")),
        (chat(model="x"), chat(LOCAL, "ollama:qwen3:4b"), Endpoint("", LOCAL, "", "ollama:qwen3:4b")),
    ],
)  # fmt: skip
def test_where_a_model_is_asked(chat_given: ChatSettings, given: ChatSettings, expected: Endpoint) -> None:
    of = settings(chat=chat_given, fallback=given, OPENAI_API_KEY="sk-openai")
    assert endpoint_of(of, "fallback") == expected


def test_an_embedding_model_may_be_a_providers() -> None:
    given = settings(embedding=ModelSettings(model="cohere:embed-v4.0"), OPENAI_API_KEY="sk-openai")
    assert endpoint_of(given, "embedding") == Endpoint("cohere", "", "", "embed-v4.0")


def test_what_only_chats_is_no_provider_of_embeddings() -> None:
    given = settings(embedding=ModelSettings(model=CLAUDE))
    assert endpoint_of(given, "embedding").provider == ""


async def test_one_model_serves_both_roles_when_nothing_tells_them_apart(up: Upstream) -> None:
    models = open_chat_models(settings(chat=chat(up.base_url)))
    await models.warm()
    assert models.reasoning.model is models.chat.model
    assert models.chat_name == models.reasoning_name == "scripted"
    assert [request.path for request in up.requests] == ["/v1/models"]
    await models.aclose()


async def test_a_service_that_is_down_at_the_start_is_asked_for_its_model_by_the_first_call() -> None:
    port = free_port()
    models = open_chat_models(settings(chat=chat(f"http://127.0.0.1:{port}/v1")))
    await models.warm()
    assert models.chat_name == ""
    with pytest.raises(ModelUnavailable, match="could not be reached"):
        await models.chat.reply(QUESTION)
    async with Upstream(port=port) as up:
        await models.chat.reply(QUESTION)
        await models.chat.reply(QUESTION)
        assert models.chat_name == "scripted"
        assert [chat.body["model"] for chat in up.chats] == ["scripted", "scripted"]
        assert len(up.requests) == 3
    await models.aclose()


async def test_many_first_calls_ask_for_the_name_once(up: Upstream) -> None:
    models = open_chat_models(settings(chat=chat(up.base_url)))
    await asyncio.gather(*(models.chat.reply(QUESTION) for _ in range(8)))
    await models.aclose()
    assert len(up.requests) - len(up.chats) == 1


async def test_a_caller_that_is_cancelled_leaves_the_asking_to_the_others(up: Upstream) -> None:
    models = open_chat_models(settings(chat=chat(up.base_url)))
    model = models.chat.model
    assert isinstance(model, ReasoningChatOpenAI)
    left, stayed = asyncio.create_task(model.learn_name()), asyncio.create_task(model.learn_name())
    await anyio.lowlevel.checkpoint()
    left.cancel()
    with anyio.fail_after(10):
        await asyncio.gather(left, stayed, return_exceptions=True)
    assert models.chat_name == "scripted"
    await models.aclose()


async def test_opening_asks_nobody_anything() -> None:
    given = settings(chat=chat(refused_url()), reasoning=ReasoningSettings(base_url=refused_url()))
    models = open_chat_models(given)
    assert (models.chat_name, models.reasoning_name) == ("", "")
    await models.aclose()


async def test_a_service_without_a_list_of_models_is_sent_a_name_all_the_same(up: Upstream) -> None:
    models = open_chat_models(settings(chat=chat(up.base_url.removesuffix("/v1") + "/unlisted")))
    await models.warm()
    assert models.chat_name == "default"
    await models.aclose()


async def test_any_langchain_model_or_name_or_settings_make_a_replier(up: Upstream) -> None:
    by_settings = open_replier(chat(up.base_url, "scripted", "key"), fallback="gpt-4.1")
    assert await by_settings.reply(QUESTION) == "The scripted answer."
    assert by_settings.fallback is not None
    by_model = open_replier(by_settings.model, stall_timeout_s=5)
    assert (by_model.model, by_model.fallback, by_model.stall_timeout_s) == (by_settings.model, None, 5)
    assert by_model.origin.name == "the model given to open_replier"
    for model in (by_settings.model, by_settings.fallback):
        assert isinstance(model, ReasoningChatOpenAI)
        await model.aclose()


async def test_without_a_name_openai_is_asked_for_its_default_model() -> None:
    models = open_chat_models(settings(OPENAI_API_KEY="sk-openai"))
    assert models.chat_name == OPENAI_CHAT_MODEL
    await models.aclose()
