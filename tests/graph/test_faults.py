"""What becomes of a run when the model breaks, in each of its calls and each way that a service can fail."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from anyio import fail_after

from rag_graph.events import AnswerReset, Event, RunFailed, RunFinished, Warned
from rag_graph.graph.build import RagGraph
from rag_graph.graph.stream import stream_events
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.query import Query, Turn
from rag_graph.transcript import Transcript
from tests.fakes import FixedRetriever
from tests.graph.conftest import graph_over, is_silent
from tests.upstream import Upstream, refused_url

pytestmark = pytest.mark.anyio
ANSWER = "The tower is 300 metres tall [1]."
Fault = Callable[[Upstream], object]

FAULTS: dict[str, tuple[Fault, str]] = {
    "rate limit": (lambda up: up.fail(status=429, retry_after=0.01), "model_busy"),
    "server error": (lambda up: up.fail(status=500), "model_unavailable"),
    "dropped": (lambda up: up.drop(after=3, content=ANSWER), "model_stalled"),
    "silent": (lambda up: up.stall(after=3, content=ANSWER), "model_stalled"),
    "garbage": (lambda up: up.garble(after=3, content=ANSWER), "model_garbled"),
    "empty": (lambda up: up.say(""), "model_garbled"),
    "error in the stream": (lambda up: up.break_off(after=3, content=ANSWER), "model_unavailable"),
    "ended early": (lambda up: up.end_early(after=3, content=ANSWER), "model_stalled"),
}
FATAL: dict[str, tuple[Fault, str]] = {
    "wrong key": (lambda up: up.fail(status=401), "model_refused"),
    "unknown model": (lambda up: up.fail(status=404), "model_refused"),
    "too long": (lambda up: up.too_long(), "context_too_long"),
}
EVERY_FAULT = FAULTS | FATAL


@pytest.fixture
def deep(fast: FixedRetriever) -> FixedRetriever:
    """Nothing new is found, so that the draft's fate is the run's."""
    return FixedRetriever(fast.contents)


@pytest.fixture
def second() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
async def graph_with_fallback(
    request: pytest.FixtureRequest, upstream: Upstream, second: Upstream, fast: FixedRetriever, deep: FixedRetriever
) -> AsyncIterator[RagGraph]:
    model = open_chat_model(upstream.base_url, "key", "scripted")
    fallback = open_chat_model(second.base_url, "key", "other")
    yield graph_over(model, fast, deep, fallback=fallback, hurries=is_silent(request))
    await model.aclose()
    await fallback.aclose()


async def run(graph: RagGraph, query: Query | None = None) -> list[Event]:
    with fail_after(60):
        return [event async for event in stream_events(graph, query or Query(question="How tall is the tower?"))]


@pytest.mark.parametrize("name", FAULTS)
async def test_a_faltering_model_is_asked_once_more_without_streaming(
    graph: RagGraph, upstream: Upstream, name: str
) -> None:
    break_model, _ = FAULTS[name]
    break_model(upstream)
    upstream.say(ANSWER)
    events = await run(graph)
    transcript = Transcript.of(events)
    assert isinstance(events[-1], RunFinished)
    assert transcript.answer == ANSWER
    assert len(transcript.citations) == 1
    assert [request.is_streamed for request in upstream.chats] == [True, False]


@pytest.mark.parametrize("name", EVERY_FAULT)
async def test_the_fallback_model_answers_when_the_first_gives_up(
    graph_with_fallback: RagGraph, upstream: Upstream, second: Upstream, name: str
) -> None:
    break_model, _ = EVERY_FAULT[name]
    break_model(upstream)
    break_model(upstream)
    second.say(ANSWER)
    events = await run(graph_with_fallback)
    assert isinstance(events[-1], RunFinished)
    assert Transcript.of(events).answer == ANSWER
    assert len(second.chats) == 1


@pytest.mark.parametrize("name", EVERY_FAULT)
async def test_a_model_that_never_answers_fails_the_run_with_a_stable_code(
    graph: RagGraph, upstream: Upstream, name: str
) -> None:
    break_model, code = EVERY_FAULT[name]
    for _ in range(4):
        break_model(upstream)
    events = await run(graph)
    last = events[-1]
    assert isinstance(last, RunFailed)
    assert last.code == code
    assert "Traceback" not in last.message
    assert not Transcript.of(events).closings(at_ms=0)


@pytest.mark.parametrize("name", ["dropped", "silent", "garbage"])
async def test_what_a_broken_draft_had_written_is_kept(graph: RagGraph, upstream: Upstream, name: str) -> None:
    break_model, _ = FAULTS[name]
    break_model(upstream)
    for _ in range(3):
        upstream.fail(status=500)
    last = (await run(graph))[-1]
    assert isinstance(last, RunFailed)
    assert last.answer.startswith("The tower is")


@pytest.mark.parametrize("name", EVERY_FAULT)
async def test_a_refinement_that_breaks_leaves_the_draft_standing(
    graph: RagGraph, upstream: Upstream, deep: FixedRetriever, name: str
) -> None:
    break_model, code = EVERY_FAULT[name]
    deep.contents = [*deep.contents, "The tower grew to 330 metres in 2022."]
    upstream.say(ANSWER)
    upstream.say("REFINE: it grew")
    break_model(upstream)
    break_model(upstream)
    events = await run(graph)
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert (last.version, last.answer) == (1, ANSWER)
    assert [event.code for event in events if isinstance(event, Warned)] == [code]
    assert [event.version for event in events if isinstance(event, AnswerReset)] == [2]


@pytest.mark.parametrize("name", EVERY_FAULT)
async def test_a_condensing_that_breaks_searches_the_question_as_it_was_asked(
    graph: RagGraph, upstream: Upstream, fast: FixedRetriever, name: str
) -> None:
    break_model, code = EVERY_FAULT[name]
    break_model(upstream)
    break_model(upstream)
    upstream.otherwise.content = (ANSWER,)
    history = [Turn(role="user", content="Tell me of the tower.")]
    events = await run(graph, Query(question="How tall is it?", history=history))
    assert isinstance(events[-1], RunFinished)
    warned = [event.code for event in events if isinstance(event, Warned)]
    assert warned[:1] == [code]
    assert fast.asked[0][0] == "How tall is it?"


async def test_a_service_that_cannot_be_reached_is_named_by_its_setting(
    fast: FixedRetriever, deep: FixedRetriever
) -> None:
    model = open_chat_model(refused_url(), "key", "scripted")
    last = (await run(graph_over(model, fast, deep)))[-1]
    await model.aclose()
    assert isinstance(last, RunFailed)
    assert last.code == "model_unavailable"
    assert "RAG_CHAT_BASE_URL" in last.message


@pytest.mark.parametrize(("reason", "cut_by"), [("length", "length"), ("content_filter", "filter"), ("stop", "")])
async def test_an_answer_that_was_cut_is_told_as_such(
    graph: RagGraph, upstream: Upstream, reason: str, cut_by: str
) -> None:
    upstream.say(ANSWER, finish=reason)
    events = await run(graph)
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert (last.answer, last.cut_by) == (ANSWER, cut_by)
    told = [event.code for event in events if isinstance(event, Warned)]
    assert told == ([f"answer_cut_by_{cut_by}"] if cut_by else [])
    assert len(upstream.chats) == 1


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_a_model_that_says_nothing_for_a_known_reason_is_not_called_misconfigured(
    graph: RagGraph, upstream: Upstream, reason: str
) -> None:
    upstream.otherwise = upstream.say("", finish=reason)
    last = (await run(graph))[-1]
    assert isinstance(last, RunFailed)
    assert "check RAG_CHAT_MODEL" not in last.message
    assert ("filter" in last.message) == (reason == "content_filter")
