import asyncio
import contextlib
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage

from rag_graph.errors import ModelBusy, ModelStalled, ModelUnavailable, SettingsError
from rag_graph.models.pieces import Content, Piece, Restarted, Thinking, TokensUsed
from rag_graph.models.providers.langchain import (
    open_provider_chat_model,
    open_provider_embeddings,
    split_provider,
)
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Replier
from tests.models.providers.scripted import OwnError, ScriptedModel
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio
QUESTION = [HumanMessage("How high is the tower?")]
WHOLE = ["It is ", "330."]


async def pieces_of(model: BaseChatModel, **options: Any) -> list[Piece]:
    with anyio.fail_after(20):
        return [piece async for piece in Replier(model, **options).stream(QUESTION)]


def test_only_what_langchain_knows_is_a_provider() -> None:
    for provider in ("anthropic", "bedrock", "google_genai", "ollama", "mistralai", "azure_openai"):
        assert split_provider(f"{provider}:some:model") == (provider, "some:model")
    for name in ("llama3:8b", "qwen2.5:7b-instruct", "ft:gpt-4o:acme", "mistral:7b", "gpt-4.1", "anthropic:", ""):
        assert split_provider(name) == ("", name)
    assert split_provider("cohere:embed-v4.0", "embeddings") == ("cohere", "embed-v4.0")
    assert split_provider("anthropic:claude", "embeddings") == ("", "anthropic:claude")


@pytest.mark.parametrize(("provider", "package"), [("upstage", "langchain-upstage"), ("bedrock", "langchain-aws")])
def test_a_missing_package_is_told_in_one_line_that_says_what_to_install(provider: str, package: str) -> None:
    with pytest.raises(SettingsError, match=rf"^RAG_CHAT_MODEL={provider}:x needs one more .*pip install {package}.$"):
        open_provider_chat_model(provider, "x")
    with pytest.raises(SettingsError, match=r"^RAG_EMBEDDING_MODEL=cohere:x .*pip install langchain-cohere.$"):
        open_provider_embeddings("cohere", "x")


def test_what_a_class_refuses_names_the_setting_and_never_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_VERSION", raising=False)
    with pytest.raises(SettingsError, match=r"RAG_FALLBACK_MODEL=azure_openai:x .*OPENAI_API_VERSION") as refused:
        open_provider_chat_model("azure_openai", "x", "sk-secret", setting="RAG_FALLBACK")
    assert "sk-secret" not in str(refused.value)


def test_a_providers_model_is_given_the_key_and_does_not_retry_by_itself() -> None:
    model: Any = open_provider_chat_model("openai", "gpt-5", "sk-secret", reasoning_effort="low")
    assert model.openai_api_key.get_secret_value() == "sk-secret"
    assert (model.max_retries, model.reasoning_effort) == (0, "low")


async def test_a_reply_streams_with_its_thinking_and_its_tokens() -> None:
    usage = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9, "output_token_details": {"reasoning": 1}}
    model = ScriptedModel(
        replies=[
            [
                AIMessageChunk(content=[{"type": "thinking", "thinking": "Let ", "index": 0}]),
                AIMessageChunk(content=[{"type": "reasoning", "reasoning": "me "}]),
                AIMessageChunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "see"}]}]),
                AIMessageChunk(content=[{"type": "reasoning_content", "reasoning_content": {"text": " …"}}]),
                AIMessageChunk(content=[{"type": "thinking", "signature": "c2lnbmVk", "index": 0}]),
                AIMessageChunk(content=[{"type": "text", "text": "It is ", "index": 1}], usage_metadata=usage),
                AIMessageChunk(content="330.", usage_metadata={**usage, "input_tokens": 0, "total_tokens": 2}),
            ]
        ]
    )
    pieces = await pieces_of(model)
    assert "".join(piece.delta for piece in pieces if isinstance(piece, Thinking)) == "Let me see …"
    assert [piece for piece in pieces if isinstance(piece, Content)] == [Content("It is "), Content("330.")]
    assert pieces[-1] == TokensUsed("scripted-1", 7, 4, 2, 0)


async def test_whatever_a_model_raises_it_is_asked_again_and_then_the_fallback_is() -> None:
    model = ScriptedModel(replies=[["It ", OwnError()], [OwnError()]])
    fallback = ScriptedModel(replies=[WHOLE])
    pieces = await pieces_of(model, fallback=fallback)
    assert model.calls == ["stream", "whole"]
    assert fallback.calls == ["stream"]
    assert [type(piece) for piece in pieces] == [Content, Restarted, Content, Content]


async def test_a_model_that_raises_its_own_errors_stands_in_for_one_that_speaks_openais_protocol() -> None:
    async with Upstream() as up:
        up.fail(status=500)
        up.fail(status=500)
        model = open_chat_model(up.base_url, "key", "scripted")
        assert await Replier(model, ScriptedModel(replies=[WHOLE])).reply(QUESTION) == "It is 330."
        up.say("It is 330.")
        assert await Replier(ScriptedModel(replies=[[OwnError()], [OwnError()]]), model).reply(QUESTION) == "It is 330."
        await model.aclose()


async def test_a_model_that_limits_our_rate_is_given_the_time_it_asks_for() -> None:
    class Response:
        headers = {"retry-after": "60"}  # noqa: RUF012 - nobody writes to it

    with pytest.raises(ModelBusy) as busy:
        await pieces_of(ScriptedModel(replies=[[OwnError(status_code=429, response=Response())]]))
    assert busy.value.retry_after_s == 60


@pytest.mark.parametrize(
    ("unforeseen", "fault"),
    [({"content": [5]}, AttributeError), ({"content": "It", "usage_metadata": {"total_tokens": 1}}, KeyError)],
)
async def test_a_fault_of_our_reading_is_neither_told_as_the_models_nor_tried_again(
    unforeseen: dict[str, Any], fault: type[Exception]
) -> None:
    class Streaming(ScriptedModel):
        async def astream(self, *_: Any, **__: Any) -> Any:
            self.calls.append("stream")
            yield AIMessageChunk.model_construct(**unforeseen)

    model, fallback = Streaming(), ScriptedModel(replies=[WHOLE])
    with pytest.raises(fault):
        await pieces_of(model, fallback=fallback)
    assert (model.calls, fallback.calls) == (["stream"], [])


async def test_the_same_fault_in_the_model_is_the_models() -> None:
    assert await Replier(ScriptedModel(replies=[[AttributeError("chunk")], WHOLE])).reply(QUESTION) == "It is 330."


async def test_settings_that_a_model_finds_wrong_when_asked_are_not_tried_again() -> None:
    model = ScriptedModel(replies=[[SettingsError("RAG_LOCAL_GGUF: there is no file x.")]])
    with pytest.raises(SettingsError, match="RAG_LOCAL_GGUF"):
        await pieces_of(model)
    assert model.calls == ["stream"]


async def test_a_silent_model_is_asked_again() -> None:
    model = ScriptedModel(replies=[["It ", asyncio.Event()], [asyncio.Event()]])
    with pytest.raises(ModelStalled, match="RAG_STALL_TIMEOUT_S"):
        await pieces_of(model, stall_timeout_s=0.05, first_token_timeout_s=0.1)
    assert model.calls == ["stream", "whole"]


@pytest.mark.parametrize("leave", ["close", "cancel"])
async def test_leaving_the_stream_ends_the_models_call(leave: str) -> None:
    model = ScriptedModel(replies=[["It ", asyncio.Event()]])
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(Replier(model).stream(QUESTION)) as pieces:
            async for _ in pieces:
                begun.set()
                if leave == "close":
                    return

    with anyio.fail_after(5):
        task = asyncio.create_task(read())
        await begun.wait()
        if leave == "cancel":
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await model.ended.wait()
    assert task.cancelled() == (leave == "cancel")
    assert model.calls == ["stream"]


async def test_an_error_of_unknown_kind_is_told_without_its_words() -> None:
    model = ScriptedModel(replies=[[OwnError("sk-secret may not ask")], [OwnError("sk-secret may not ask")]])
    with pytest.raises(ModelUnavailable, match="RAG_CHAT_MODEL") as failed:
        await pieces_of(model)
    assert "sk-secret" not in str(failed.value)
