"""Whole runs in which the refinement is asked for as changes to the draft."""

import pytest
from anyio import fail_after

from rag_graph.events import AnswerDelta, AnswerReset, Event, RunFinished
from rag_graph.graph.build import RagGraph
from rag_graph.graph.decision import LEAST_EDITED_CHARS
from rag_graph.graph.stream import stream_events
from rag_graph.query import Query
from rag_graph.transcript import Transcript
from tests.fakes import FixedRetriever
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio
FACTS = (
    "The tower is 300 metres tall",
    "The tower was opened in 1887",
    "Its frame weighs 7300 tonnes of wrought iron",
    "It was painted for the first time in the red of Venice",
    "Three platforms of the tower are open to visitors",
    "The second platform is reached by 674 steps from the ground",
    "Its lifts are driven by hydraulic pumps from the nineteenth century",
    "The company of Gustave Eiffel designed and built the tower",
)
GUIDE = f"{'. '.join(FACTS)}."
REGISTER = "The tower was opened in 1889. A later repainting of the tower used brown."
DRAFT = " ".join(f"{fact} [1]." for fact in FACTS)
EDITED = DRAFT.replace("The tower was opened in 1887 [1].", "The tower was opened in 1889 [2].")


@pytest.fixture
def fast() -> FixedRetriever:
    return FixedRetriever([GUIDE])


@pytest.fixture
def deep() -> FixedRetriever:
    return FixedRetriever([GUIDE, REGISTER])


async def refined(
    graph: RagGraph, upstream: Upstream, reply: str, *, draft: str = DRAFT, **options: str
) -> list[Event]:
    upstream.say(draft)
    upstream.say("REFINE: another year")
    upstream.say(reply, **options)
    with fail_after(60):
        return [event async for event in stream_events(graph, Query(question="When was the tower opened?"))]


def asked_last(upstream: Upstream) -> str:
    return str(upstream.chats[-1].body["messages"][-1]["content"])


async def test_a_changed_sentence_is_all_that_the_model_writes(graph: RagGraph, upstream: Upstream) -> None:
    events = await refined(graph, upstream, "REPLACE {2}: The tower was opened in 1889 [2].")
    last, transcript = events[-1], Transcript.of(events)
    assert isinstance(last, RunFinished)
    assert (last.version, last.answer) == (2, EDITED)
    assert "{2} The tower was opened in 1887 [1].\n{3} Its frame" in asked_last(upstream)
    assert [fate.fate for fate in transcript.answers[2].fates] == ["kept", "corrected", *["kept"] * 6]
    assert transcript.answers[2].fates[1].reason == "“doc2” gives another date."
    assert {citation.marker for citation in last.citations} == {1, 2}
    deltas = [event.delta for event in events if isinstance(event, AnswerDelta) and event.version == 2]
    assert "".join(deltas) == EDITED
    assert not [event for event in events if isinstance(event, AnswerReset)]


@pytest.mark.parametrize(
    ("reply", "version", "answer", "resets"),
    [
        ("The tower was opened in 1889 [2].", 2, "The tower was opened in 1889 [2].", 0),
        ("KEEP", 1, DRAFT, 0),
        ("REMOVE {77}", 1, DRAFT, 0),
        ("REMOVE {8}\nREPLACE {2}: The tower was opened in 1889 [2].", 2, EDITED[: EDITED.index(" The company")], 1),
        ("REPLACE {2}: The tower was opened in 1889 [2] [9].", 2, EDITED, 0),
    ],
)
async def test_whatever_the_model_makes_of_the_form_an_answer_stands(
    graph: RagGraph, upstream: Upstream, reply: str, version: int, answer: str, resets: int
) -> None:
    events = await refined(graph, upstream, reply)
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert (last.version, last.answer) == (version, answer)
    assert len([event for event in events if isinstance(event, AnswerReset)]) == resets
    assert not Transcript.of(events).closings(at_ms=0)


@pytest.mark.parametrize(
    ("reply", "version", "answer"),
    [
        ("REPLACE {2}: The tower was opened in 1889 [2].\nREPLACE {8}: The firm of", 2, EDITED),
        ("REPLACE {2}: The tower was opened in 18", 1, DRAFT),
        ("The tower was op", 1, DRAFT),
    ],
)
async def test_a_change_that_comes_to_the_limit_of_tokens_is_not_made(
    graph: RagGraph, upstream: Upstream, reply: str, version: int, answer: str
) -> None:
    last = (await refined(graph, upstream, reply, finish="length"))[-1]
    assert isinstance(last, RunFinished)
    assert (last.version, last.answer) == (version, answer)


async def test_changes_that_break_off_are_asked_for_once_more_and_told_once(
    graph: RagGraph, upstream: Upstream
) -> None:
    upstream.say(DRAFT)
    upstream.say("REFINE: another year")
    upstream.drop(after=5, content="REPLACE {2}: The tower was opened in 1888 [2].")
    upstream.say("REPLACE {2}: The tower was opened in 1889 [2].")
    with fail_after(60):
        events = [event async for event in stream_events(graph, Query(question="When was the tower opened?"))]
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert (last.version, last.answer) == (2, EDITED)


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param("The tower was opened in 1887 [1].", id="short"),
        pytest.param(
            " ".join(f"The moon holds {number}00 cats [1]." for number in range(2, 30)), id="without a source"
        ),
        pytest.param(f"{DRAFT}\n\n```\ntower --open\n```", id="a program"),
    ],
)
async def test_a_draft_that_is_no_frame_to_keep_is_written_anew(
    graph: RagGraph, upstream: Upstream, draft: str
) -> None:
    await refined(graph, upstream, "The tower was opened in 1889 [2].", draft=draft)
    assert "Write the whole answer again" in asked_last(upstream)
    assert len(DRAFT) > LEAST_EDITED_CHARS


async def test_a_model_that_talks_of_changes_instead_is_asked_for_the_whole_answer(
    graph: RagGraph, upstream: Upstream
) -> None:
    upstream.say(DRAFT)
    upstream.say("REFINE: another year")
    upstream.say("The second sentence of the draft should say 1889, by source [2].")
    upstream.say(EDITED)
    with fail_after(60):
        events = [event async for event in stream_events(graph, Query(question="When was the tower opened?"))]
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert (last.version, last.answer) == (2, EDITED)
    assert "Write the whole answer again" in asked_last(upstream)
    told = [event.delta for event in events if isinstance(event, AnswerDelta) and event.version == 2]
    assert "".join(told) == EDITED
