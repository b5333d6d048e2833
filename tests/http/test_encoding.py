"""What all encoders have in common."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from rag_graph.client.remainder import remaining_events
from rag_graph.events import AnswerDelta, AnswerFinished, AnswerReset, AnswerStarted, Event, RunFinished, Timings
from rag_graph.http.ai_sdk.encoding import MessageParts
from rag_graph.http.encoding import DONE, Encoder
from rag_graph.http.langserve.encoding import Structured
from rag_graph.http.native.encoding import EventFrames, EventLines
from rag_graph.http.openai.encoding import CompletionChunks, Envelope
from rag_graph.http.openai.request import Presentation
from rag_graph.result import run_result
from rag_graph.runs.log import Entry
from rag_graph.transcript import Transcript
from tests.http.recorded import DRAFT, KEEPS, REFINED, REFINES, RESETS, RUN_ID

BEST = "It opened in 1889."
THIRD: Sequence[Event] = (AnswerStarted(version=3), AnswerDelta(version=3, delta=BEST), AnswerFinished(version=3))
THRICE: Sequence[Event] = (
    *REFINES[:-1],
    *THIRD,
    RunFinished(version=3, answer=BEST, citations=(), timings=Timings(total_ms=99.0)),
)
"""A run that has refined its refinement."""
NEWS = b'{"type":"weather_changed","sky":"blue"}'


def encoders() -> list[Encoder]:
    envelope = Envelope(RUN_ID, "rag-deep", 1)
    return [EventFrames(RUN_ID), EventLines(), MessageParts(), CompletionChunks(envelope, Presentation())]


@pytest.mark.parametrize("index", range(4))
def test_an_event_that_only_a_newer_version_knows_costs_no_other(index: int) -> None:
    plain, beside_news = encoders()[index], encoders()[index]
    for seq, event in enumerate(RESETS, 1):
        told = beside_news.encode(Entry(seq, 0.0, None, NEWS))
        assert told == b"" or b"weather_changed" in told
        assert beside_news.encode(Entry(seq, 0.0, event)) == plain.encode(Entry(seq, 0.0, event))


@pytest.mark.parametrize("index", [2, 3])
def test_a_message_is_told_in_data_frames_and_ends_with_done(index: int) -> None:
    encoder = encoders()[index]
    told = b"".join(encoder.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(KEEPS, 1))
    assert told.endswith(DONE)
    frames = told.removesuffix(DONE).removesuffix(b"\n\n").split(b"\n\n")
    assert all(orjson.loads(frame.removeprefix(b"data: ")) for frame in frames)


@pytest.mark.parametrize("index", range(4))
def test_no_character_of_an_answer_breaks_a_line_of_json(index: int) -> None:
    encoder, breaks = encoders()[index], "a\u2028b\u2029c\x85d\x0be\x1cf"
    said = [*KEEPS[:-1], AnswerStarted(version=2), AnswerDelta(version=2, delta=breaks), AnswerFinished(version=2)]
    said.append(RunFinished(version=2, answer=breaks, citations=(), timings=Timings()))
    told = b"".join(encoder.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(said, 1)).decode()
    lines = [line.removeprefix("data: ") for line in told.splitlines() if line.startswith(("data: {", "{"))]
    assert all(isinstance(orjson.loads(line), dict) for line in lines)
    assert breaks in "".join(str(orjson.loads(line)) for line in lines).encode().decode("unicode_escape")


def test_a_third_version_is_a_part_of_its_own_and_stands() -> None:
    parts = _parts(THRICE)
    assert _texts(parts) == [DRAFT, REFINED, BEST]
    assert _standing(parts) == {"version": 3, "part": 2, "status": "final", "phase": "refinement"}


def test_a_third_version_that_is_void_leaves_the_second_standing() -> None:
    void = AnswerReset(version=3, attempt=1, reason="it broke off")
    parts = _parts([*REFINES[:-1], *THIRD[:2], void, REFINES[-1]])
    refining = [
        part["data"] for part in parts if part["type"] == "data-answer" and part["data"]["reason"] == void.reason
    ]
    assert [(data["version"], data["part"]) for data in refining] == [(2, 1)]
    assert _standing(parts) == {"version": 2, "part": 1, "status": "final", "phase": "refinement"}


@pytest.mark.parametrize("draft", ["reasoning", "content", "none"])
def test_a_third_version_follows_under_a_heading_where_nothing_can_be_taken_back(draft: Any) -> None:
    chunks = CompletionChunks(Envelope(RUN_ID, "rag-deep", 1), Presentation(draft=draft))
    said = "".join(
        choice["delta"].get("content", "")
        for event in THRICE
        for chunk in chunks.add(event)
        for choice in chunk.get("choices", ())
    )
    assert said.endswith(f"{REFINED}\n\n---\n\n**This replaces the answer above: The date was missing.**\n\n{BEST}")


def test_a_third_version_resets_what_chunks_have_added_up() -> None:
    view = Structured()
    chunks = [chunk for event in THRICE if (chunk := view.add(event)) is not None]
    reset = next(index for index, chunk in enumerate(chunks) if "resets" in chunk)
    assert [one["version"] for one in chunks[reset]["resets"]] == [2]
    assert "".join(chunk.get("answer", "") for chunk in chunks[:reset]) == REFINED
    assert "".join(chunk.get("answer", "") for chunk in chunks[reset:]) == BEST
    assert view.result()["answer"] == BEST


@pytest.mark.parametrize("cut", range(0, len(THRICE), 5))
def test_a_third_version_is_told_by_a_plain_result_too(cut: int) -> None:
    whole, known = run_result(Transcript.of(THRICE)), Transcript.of(THRICE[:cut])
    for event in remaining_events(whole, known):
        known.add(event)
    assert (known.standing, known.answer) == (3, BEST)
    assert known.closings(at_ms=0.0) == []


def _parts(events: Sequence[Event]) -> list[dict[str, Any]]:
    encoder = MessageParts()
    return [part for event in events for part in encoder.add(event)]


def _texts(parts: Sequence[dict[str, Any]]) -> list[str]:
    texts: dict[str, str] = {}
    for part in parts:
        if part["type"] == "text-delta":
            texts[part["id"]] = texts.get(part["id"], "") + part["delta"]
    return list(texts.values())


def _standing(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    data = [part["data"] for part in parts if part["type"] == "data-answer"][-1]
    return {name: data[name] for name in ("version", "part", "status", "phase")}
