import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import anyio
import openai
import pytest
from anyio import to_thread
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage

from rag_graph.models.providers.openai import ReasoningChatOpenAI, open_chat_model
from rag_graph.models.providers.openai.bounds import http
from rag_graph.models.providers.openai.client import LoopClient, aiohttp_or
from rag_graph.models.providers.openai.stream import DictStream
from tests.upstream import Spelling, Upstream


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def model(up: Upstream) -> AsyncIterator[ReasoningChatOpenAI]:
    model = open_chat_model(up.base_url, "secret", "scripted")
    yield model
    await model.aclose()


async def streamed(model: ReasoningChatOpenAI) -> AIMessage:
    """The chunks of a reply, added up."""
    with anyio.fail_after(60):
        chunks = [chunk async for chunk in model.astream("Say it.")]
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    assert isinstance(total, AIMessageChunk)
    return total


@pytest.mark.anyio
@pytest.mark.parametrize("spelling", ["reasoning_content", "reasoning", "thinking"])
async def test_reasoning_is_kept_streamed_or_whole(
    up: Upstream, model: ReasoningChatOpenAI, spelling: Spelling
) -> None:
    for _ in range(2):
        up.say("It is 330.", thinking="Let me see.", spelling=spelling)
    for message in (await streamed(model), await model.ainvoke("Say it.", stream=False)):
        assert message.content == "It is 330."
        assert message.additional_kwargs["reasoning_content"] == "Let me see."


@pytest.mark.anyio
async def test_reasoning_of_an_earlier_answer_is_not_sent_back(up: Upstream, model: ReasoningChatOpenAI) -> None:
    earlier = AIMessage("It is 330.", additional_kwargs={"reasoning_content": "Let me see."})
    await model.ainvoke([HumanMessage("How high?"), earlier, HumanMessage("Sure?")])
    assert "Let me see" not in str(up.chats[0].body)


@pytest.mark.anyio
async def test_token_counts_are_asked_for_and_read(up: Upstream, model: ReasoningChatOpenAI) -> None:
    up.say("one two three", thinking="Hm. Hm.")
    usage = (await streamed(model)).usage_metadata
    assert up.chats[0].body["stream_options"] == {"include_usage": True}
    assert usage is not None
    assert (usage["input_tokens"], usage["output_tokens"]) == (11, 5)
    assert usage["output_token_details"]["reasoning"] == 2


@pytest.mark.anyio
async def test_a_server_without_token_counts_is_served_all_the_same(up: Upstream, model: ReasoningChatOpenAI) -> None:
    up.say("one two three", sends_usage=False)
    assert (await streamed(model)).content == "one two three"


@pytest.mark.anyio
async def test_a_server_that_refuses_to_count_is_not_asked_to_again(up: Upstream, model: ReasoningChatOpenAI) -> None:
    up.refuses = {"stream_options"}
    for _ in range(2):
        assert (await streamed(model)).content == "The scripted answer."
    assert ["stream_options" in chat.body for chat in up.chats] == [True, False, False]


@pytest.mark.anyio
async def test_the_request_is_the_one_that_the_plain_client_sends(up: Upstream) -> None:
    options: dict[str, Any] = {"extra_body": {"chat_template_kwargs": {"raw": True}}, "max_tokens": 7, "stop": ["\n"]}
    fast = open_chat_model(up.base_url, "secret", "scripted")
    plain = ReasoningChatOpenAI(base_url=up.base_url, api_key="secret", model="scripted", use_responses_api=False)
    plain.async_client = plain.root_async_client.chat.completions
    for model in (fast, plain):
        async for _ in model.astream("Say it.", **options):
            pass
        await model.aclose()
    assert up.chats[0].body == up.chats[1].body
    assert up.chats[0].headers["authorization"] == up.chats[1].headers["authorization"] == "Bearer secret"


@pytest.mark.anyio
async def test_the_fast_path_is_taken(up: Upstream, model: ReasoningChatOpenAI) -> None:
    assert model.stream_chunk_timeout is None
    assert model.max_retries == 0
    assert isinstance(model.http_async_client, LoopClient)
    assert LoopClient.__bases__[0].__mro__[1].__name__ == "Httpx2AiohttpClient"
    stream = await model.async_client.create(model="m", messages=[], stream=True)
    assert isinstance(stream, DictStream)
    async with stream:
        assert all([isinstance(chunk, dict) async for chunk in stream])
    assert up.chats


@pytest.mark.anyio
@pytest.mark.parametrize("thinking", ["", "Let me see."])
async def test_what_nobody_hears_says_the_same(up: Upstream, model: ReasoningChatOpenAI, thinking: str) -> None:
    for _ in range(2):
        up.say("It is 330 metres.", thinking=thinking)
    heard = await streamed(model)
    pieces = [piece async for piece in await model.open_stream([HumanMessage("How high?")])]
    messages = [piece for piece in pieces if isinstance(piece, AIMessageChunk)]
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == heard.content
    assert "".join(m.additional_kwargs.get("reasoning_content", "") for m in messages) == thinking
    assert [m.usage_metadata for m in messages if m.usage_metadata] == [heard.usage_metadata]
    assert {m.response_metadata["model_name"] for m in messages if "model_name" in m.response_metadata} == {"scripted"}
    assert up.chats[0].body["stream_options"] == up.chats[1].body["stream_options"]


@pytest.mark.anyio
async def test_who_listens_hears_every_token(up: Upstream, model: ReasoningChatOpenAI) -> None:
    class Listener(AsyncCallbackHandler):
        def __init__(self) -> None:
            self.heard: list[str] = []

        async def on_llm_new_token(self, token: str, **_: Any) -> None:  # type: ignore[override]
            self.heard.append(token)

    up.say("It is 330 metres.")
    listener = Listener()
    async for _ in await model.open_stream([HumanMessage("How high?")], {"callbacks": [listener]}):
        pass
    assert "".join(listener.heard) == "It is 330 metres."


@pytest.mark.anyio
async def test_the_plain_client_serves_where_a_hook_is_missing(up: Upstream) -> None:
    class Hookless(ReasoningChatOpenAI):
        _is_fast: ClassVar[bool] = False

    model = Hookless(base_url=up.base_url, api_key="secret", model="scripted", use_responses_api=False)
    up.say("It is 330.", thinking="Let me see.")
    message = await streamed(model)
    await model.aclose()
    assert message.content == "It is 330."
    assert message.additional_kwargs["reasoning_content"] == "Let me see."


@pytest.mark.anyio
async def test_text_that_comes_at_once_is_one_chunk(up: Upstream, model: ReasoningChatOpenAI) -> None:
    up.say([f"{number} " for number in range(100)], at_once=True)
    with anyio.fail_after(60):
        texts = [chunk.content async for chunk in model.astream("Count.") if chunk.content]
    assert "".join(map(str, texts)) == "".join(f"{number} " for number in range(100))
    assert len(texts) < 50


@pytest.mark.anyio
async def test_connections_are_used_again(up: Upstream, model: ReasoningChatOpenAI) -> None:
    for _ in range(4):
        await streamed(model)
    assert len(up.connections) == 1


@pytest.mark.anyio
async def test_an_error_in_the_stream_is_raised(up: Upstream, model: ReasoningChatOpenAI) -> None:
    up.break_off(after=2)
    with pytest.raises(openai.APIError, match="Scripted failure"):
        await streamed(model)


@pytest.mark.anyio
@pytest.mark.parametrize("fault", ["drop", "end"])
async def test_a_stream_that_stops_before_its_end_is_an_error(
    up: Upstream, model: ReasoningChatOpenAI, fault: str
) -> None:
    (up.drop if fault == "drop" else up.end_early)(after=2)
    with pytest.raises(openai.APIConnectionError):
        await streamed(model)


@pytest.mark.anyio
async def test_a_stream_may_end_without_done(up: Upstream, model: ReasoningChatOpenAI) -> None:
    up.say("one two", sends_done=False)
    assert (await streamed(model)).content == "one two"


@pytest.mark.anyio
async def test_cancelling_closes_the_connection_at_once(up: Upstream, model: ReasoningChatOpenAI) -> None:
    held = up.say("one two three", hold_after=1)
    task = asyncio.create_task(streamed(model))
    assert await to_thread.run_sync(held.reached.wait, 5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert await to_thread.run_sync(up.chats[0].wait_closed, 2)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a loop that was closed cannot close its sockets
def test_one_model_serves_one_event_loop_after_another() -> None:
    with Upstream() as up:
        model = open_chat_model(up.base_url, "key", "scripted")
        for _ in range(3):
            assert asyncio.run(model.ainvoke("Say it.")).content == "The scripted answer."
        asyncio.run(model.aclose())
        gc.collect()


@pytest.mark.anyio
async def test_summaries_of_openais_reasoning_models_are_read(up: Upstream) -> None:
    model = ReasoningChatOpenAI(
        base_url=up.base_url,
        api_key="key",
        model="gpt-5",
        use_responses_api=True,
        reasoning={"effort": "low", "summary": "auto"},
        output_version="responses/v1",
    )
    up.say("It is 330.", thinking="Let me see.")
    with anyio.fail_after(60):
        chunks = [chunk async for chunk in model.astream("Say it.")]
    await model.aclose()
    blocks = [block for chunk in chunks for block in chunk.content if isinstance(block, dict)]
    summaries = [part["text"] for block in blocks for part in block.get("summary", ())]
    assert "".join(summaries) == "Let me see."
    assert "".join(chunk.text for chunk in chunks) == "It is 330."
    assert up.chats[0].body["reasoning"] == {"effort": "low", "summary": "auto"}


@pytest.mark.parametrize(
    ("base_url", "name", "by_responses"),
    [
        ("", "gpt-5-mini", True),
        ("https://api.openai.com/v1", "o3", True),
        ("https://api.openai.com/v1", "gpt-5-chat-latest", False),
        ("https://api.openai.com/v1", "gpt-4o-mini", False),
        ("http://localhost:11434/v1", "gpt-5-mini", False),
        ("https://api.openai.com.example.org/v1", "gpt-5-mini", False),
    ],
)
def test_the_responses_api_is_for_openais_own_reasoning_models(base_url: str, name: str, *, by_responses: bool) -> None:
    assert open_chat_model(base_url, "key", name, reasoning_effort="low").use_responses_api is by_responses


def test_effort_is_told_to_other_servers_in_their_way() -> None:
    model = open_chat_model("http://localhost:1/v1", "", "gpt-oss", reasoning_effort="high")
    assert model.reasoning_effort == "high"
    assert model.reasoning is None


def test_without_the_packages_for_aiohttp_the_ordinary_http_client_serves() -> None:
    class Refusing(http.AsyncClient):  # type: ignore[misc]  # the SDK chooses its HTTP library
        def __init__(self) -> None:
            raise RuntimeError("install the aiohttp extra")

    class Works(openai.DefaultAsyncHttpxClient): ...

    plain = openai.DefaultAsyncHttpxClient
    assert aiohttp_or(plain, Refusing) is plain
    assert aiohttp_or(plain, None) is plain
    assert aiohttp_or(plain, Works) is Works
