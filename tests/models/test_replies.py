import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

import anyio
import pytest
from anyio import to_thread
from langchain_core.messages import HumanMessage
from pydantic import SecretStr

from rag_graph.errors import (
    ContextTooLong,
    ModelBusy,
    ModelError,
    ModelGarbled,
    ModelRefused,
    ModelStalled,
    ModelUnavailable,
)
from rag_graph.models.providers.errors import Origin
from rag_graph.models.providers.openai import ReasoningChatOpenAI, open_chat_model
from rag_graph.models.replies import Content, Piece, Replier, Restarted, Thinking, TokensUsed
from tests.upstream import WITHIN_S, Upstream, refused_url

pytestmark = pytest.mark.anyio
QUESTION = [HumanMessage("How high is the tower?")]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def model(up: Upstream) -> AsyncIterator[ReasoningChatOpenAI]:
    model = open_chat_model(up.base_url, "key", "scripted")
    yield model
    await model.aclose()


@pytest.fixture
def replier(model: ReasoningChatOpenAI) -> Replier:
    return Replier(model)


def impatient(replier: Replier, *, when: bool = True) -> Replier:
    """One that takes silence for a fault soon: only where there is to be one, as a busy machine is slow to answer."""
    return replace(replier, stall_timeout_s=0.5, first_token_timeout_s=2) if when else replier


async def pieces_of(replier: Replier) -> list[Piece]:
    with anyio.fail_after(60):
        return [piece async for piece in replier.stream(QUESTION)]


def final(pieces: list[Piece]) -> str:
    """The answer as a reader is left with it."""
    said = ""
    for piece in pieces:
        match piece:
            case Content(delta):
                said += delta
            case Restarted():
                said = ""
    return said


def thought(pieces: list[Piece]) -> str:
    return "".join(piece.delta for piece in pieces if isinstance(piece, Thinking))


async def test_a_reply_streams_with_its_token_counts(up: Upstream, replier: Replier) -> None:
    up.say("It is 330 metres.", pace_s=0.001)
    pieces = await pieces_of(replier)
    assert final(pieces) == "It is 330 metres."
    assert pieces[-1] == TokensUsed("scripted", 11, 4, 0, 3)
    assert len(up.chats) == 1


@pytest.mark.parametrize(
    "spelling", ["reasoning_content", "reasoning", "thinking", "inline", "inline-thinking", "only-close"]
)
@pytest.mark.parametrize("whole", [False, True])
async def test_thinking_never_is_part_of_the_answer(
    up: Upstream, replier: Replier, spelling: str, *, whole: bool
) -> None:
    if whole:
        up.fail(status=500)
    up.say("It is 330 metres.", thinking="The user asks for a height.", spelling=spelling, pace_s=0.001)
    pieces = await pieces_of(replier)
    assert final(pieces).strip() == "It is 330 metres."
    assert thought(pieces).strip() == "The user asks for a height."


FAULTS: dict[str, Callable[[Upstream], object]] = {
    "http 500": lambda up: up.fail(status=500),
    "http 429": lambda up: up.fail(status=429, retry_after=0.01),
    "cut before the first token": lambda up: up.drop(after=0),
    "cut after five tokens": lambda up: up.drop(after=5, pace_s=0.001),
    "silent from the start": lambda up: up.stall(after=0),
    "silent after five tokens": lambda up: up.stall(after=5),
    "broken data": lambda up: up.garble(),
    "broken data after three tokens": lambda up: up.garble(after=3),
    "an error in the stream": lambda up: up.break_off(after=3),
    "an end without a reason": lambda up: up.end_early(after=3),
    "an empty answer": lambda up: up.say(""),
    "only blanks": lambda up: up.say(["\n", " "]),
    "only thinking": lambda up: up.say("", thinking="Hm. Hm."),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_call_that_fails_is_made_again_without_streaming(up: Upstream, replier: Replier, fault: str) -> None:
    FAULTS[fault](up)
    up.say("It is 330 metres.")
    pieces = await pieces_of(impatient(replier, when="silent" in fault))
    assert final(pieces) == "It is 330 metres."
    assert [request.is_streamed for request in up.chats] == [True, False]


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_was_said_is_voided_just_before_it_is_replaced(up: Upstream, replier: Replier, fault: str) -> None:
    FAULTS[fault](up)
    up.say("It is 330 metres.")
    pieces = await pieces_of(impatient(replier, when="silent" in fault))
    spoken = [piece for piece in pieces if isinstance(piece, Content | Restarted)]
    if len(spoken) > 1:
        assert isinstance(spoken[-2], Restarted)
        assert [piece for piece in spoken if isinstance(piece, Restarted)] == [spoken[-2]]
    assert spoken[-1] == Content("It is 330 metres.")


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_fallback_speaks_when_the_model_fails_twice(up: Upstream, replier: Replier, fault: str) -> None:
    FAULTS[fault](up)
    FAULTS[fault](up)
    async with Upstream() as other:
        other.say("The fallback says 330.", pace_s=0.001)
        fallback = open_chat_model(other.base_url, "key", "other")
        pieces = await pieces_of(impatient(replace(replier, fallback=fallback), when="silent" in fault))
        await fallback.aclose()
        assert final(pieces) == "The fallback says 330."
        assert other.chats[0].is_streamed


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        (lambda up: up.fail(status=500), ModelUnavailable, "HTTP 500.*RAG_CHAT_BASE_URL"),
        (lambda up: up.fail(status=429, retry_after=60), ModelBusy, "rate"),
        pytest.param(lambda up: up.stall(after=2), ModelStalled, "silent", id="silent"),
        (lambda up: up.drop(after=2), ModelStalled, "cut"),
        (lambda up: up.garble(after=2), ModelGarbled, "RAG_CHAT_MODEL"),
        (lambda up: up.say(""), ModelGarbled, "empty"),
    ],
)
async def test_the_first_failure_is_raised_in_our_words(
    up: Upstream, replier: Replier, script: Callable[[Upstream], object], error: type[ModelError], says: str
) -> None:
    script(up)
    script(up)
    with pytest.raises(error, match=says):
        await pieces_of(impatient(replier, when=says == "silent"))


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        (lambda up: up.fail(status=401), ModelRefused, "RAG_CHAT_API_KEY.*OPENAI_API_KEY"),
        (lambda up: up.fail(status=404), ModelRefused, "RAG_CHAT_MODEL"),
        (lambda up: up.fail(status=429, code="insufficient_quota"), ModelRefused, "credit"),
        (lambda up: up.too_long(), ContextTooLong, "RAG_CHAT_CONTEXT_TOKENS"),
        (lambda up: up.too_long(llama=True), ContextTooLong, "RAG_CHAT_CONTEXT_TOKENS"),
    ],
)
async def test_a_refusal_is_not_asked_again(
    up: Upstream, replier: Replier, script: Callable[[Upstream], object], error: type[ModelError], says: str
) -> None:
    script(up)
    with pytest.raises(error, match=says):
        await pieces_of(replier)
    assert len(up.chats) == 1


async def test_a_service_that_asks_for_a_long_pause_is_not_waited_for(up: Upstream, replier: Replier) -> None:
    up.fail(status=429, retry_after=60)
    with pytest.raises(ModelBusy) as busy:
        await pieces_of(replier)
    assert busy.value.retry_after_s == 60
    assert len(up.chats) == 1


async def test_a_model_that_is_not_there_names_its_setting() -> None:
    model = open_chat_model(refused_url(), "key", "none")
    with pytest.raises(ModelUnavailable, match="RAG_REASONING_BASE_URL"):
        await pieces_of(Replier(model, origin=Origin("RAG_REASONING")))
    await model.aclose()


async def test_a_fallback_that_fails_too_is_named(up: Upstream, replier: Replier) -> None:
    up.fail(status=500)
    up.fail(status=500)
    fallback = open_chat_model(refused_url(), "key", "none")
    with pytest.raises(ModelUnavailable, match=r"HTTP 500.*RAG_FALLBACK_BASE_URL"):
        await pieces_of(Replier(replier.model, fallback))
    await fallback.aclose()


async def test_the_log_names_a_fault_without_the_services_words(
    up: Upstream, replier: Replier, caplog: pytest.LogCaptureFixture
) -> None:
    up.fail(status=500, code="server_error", message="Key sk-secret may not ask: How high is the tower?")
    assert await replier.reply(QUESTION)
    assert "RAG_CHAT (streaming): model_unavailable (InternalServerError) 500 server_error" in caplog.text
    assert "sk-secret" not in caplog.text
    assert "tower" not in caplog.text


async def test_the_log_says_what_a_service_refuses_in_its_own_words_but_for_keys(
    up: Upstream, replier: Replier, caplog: pytest.LogCaptureFixture
) -> None:
    up.fail(
        status=400, code="bad", message="top_k is not permitted for key sk-abc123; see ab12cd34ef56ab12cd34ef56 " * 9
    )
    with contextlib.suppress(ModelError):
        await replier.reply(QUESTION)
    assert "top_k is not permitted" in caplog.text
    assert "abc123" not in caplog.text
    assert "ab12cd34ef56" not in caplog.text
    assert len(max(caplog.messages, key=len)) < 400


async def test_what_was_said_stands_when_nothing_replaces_it(up: Upstream, replier: Replier) -> None:
    up.drop(after=3, content="one two three four")
    up.fail(status=500)
    seen: list[Piece] = []
    with contextlib.suppress(ModelError):
        async for piece in replier.stream(QUESTION):
            seen.append(piece)  # noqa: PERF401 - what came before the failure is the point
    assert final(seen) == "one two three "


async def test_reply_gives_the_final_answer_alone(up: Upstream, replier: Replier) -> None:
    up.drop(after=2)
    up.say("Whole.", thinking="Hm.", spelling="inline")
    assert await replier.reply(QUESTION) == "Whole."


async def test_a_slow_reader_is_not_mistaken_for_a_silent_model(up: Upstream, model: ReasoningChatOpenAI) -> None:
    script = up.say("one two three", hold_after=1)
    replier = Replier(model, stall_timeout_s=0.5)
    with anyio.fail_after(60):
        async with aclosing(replier.stream(QUESTION)) as pieces:
            said = [await anext(pieces)]
            script.release()
            assert await to_thread.run_sync(up.chats[0].ended.wait, WITHIN_S)
            timer = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(2 * replier.stall_timeout_s, timer.set_result, None)
            await timer
            said += [piece async for piece in pieces]
    assert final(said) == "one two three"
    assert len(up.chats) == 1


@pytest.mark.parametrize("leave", ["close", "cancel"])
async def test_leaving_the_stream_closes_the_models_connection(
    up: Upstream, model: ReasoningChatOpenAI, leave: str
) -> None:
    up.say("one two three", hold_after=2)
    replier = Replier(model)
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(replier.stream(QUESTION)) as pieces:
            async for _ in pieces:
                begun.set()
                if leave == "close":
                    return

    with anyio.fail_after(60):
        task = asyncio.create_task(read())
        await begun.wait()
        if leave == "cancel":
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled() == (leave == "cancel")
        assert await to_thread.run_sync(up.chats[0].wait_closed)
    assert len(up.chats) == 1


async def test_cancelling_a_whole_reply_closes_its_connection_too(up: Upstream, replier: Replier) -> None:
    up.fail(status=500)
    held = up.say("one two three", hold_after=0)
    task = asyncio.create_task(replier.reply(QUESTION))
    with anyio.fail_after(60):
        await to_thread.run_sync(held.reached.wait, WITHIN_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await to_thread.run_sync(up.chats[1].wait_closed)


async def test_tokens_show_as_events_of_the_model(up: Upstream, replier: Replier) -> None:
    from langchain_core.runnables import RunnableConfig, RunnableLambda  # noqa: PLC0415 - only this test runs a graph

    up.say("one two three", pace_s=0.005)

    async def node(_: str, config: RunnableConfig) -> str:
        return await replier.reply(QUESTION, config=config)

    kinds = [
        event["data"]["chunk"].content
        async for event in RunnableLambda(node).astream_events("", version="v2")
        if event["event"] == "on_chat_model_stream"
    ]
    assert "".join(kinds) == "one two three"


async def test_summaries_of_reasoning_are_thinking_streamed_or_whole(up: Upstream) -> None:
    model = ReasoningChatOpenAI(
        base_url=up.base_url,
        api_key=SecretStr("key"),
        model="gpt-5",
        use_responses_api=True,
        reasoning={"summary": "auto"},
        output_version="responses/v1",
    )
    up.say("It is 330.", thinking="Let me see.")
    up.fail(status=500)
    up.say("It is 330.", thinking="Let me see.")
    for _ in range(2):
        pieces = await pieces_of(Replier(model))
        assert final(pieces) == "It is 330."
        assert thought(pieces) == "Let me see."
        assert pieces[-1] == TokensUsed("scripted", 11, 6, 3, 3)
    await model.aclose()
    assert [request.is_streamed for request in up.chats] == [True, True, False]


async def test_an_organisation_without_summaries_is_answered_without_them(up: Upstream) -> None:
    model = ReasoningChatOpenAI(
        base_url=up.base_url,
        api_key=SecretStr("key"),
        model="gpt-5",
        use_responses_api=True,
        reasoning={"effort": "low", "summary": "auto"},
    )
    up.fail(status=400, code="unsupported_value", message="Verify your organization for reasoning summaries.")
    up.say("It is 330.")
    assert await Replier(model).reply(QUESTION) == "It is 330."
    await model.aclose()
    assert up.chats[1].body["reasoning"] == {"effort": "low"}
