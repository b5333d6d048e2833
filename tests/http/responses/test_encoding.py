"""Every run in the Responses API's words, read by OpenAI's own types."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from rag_graph.events import Event, RunFinished
from rag_graph.http.encoding import DONE
from rag_graph.http.openai.request import Draft
from rag_graph.http.responses.encoding import PER_ENTRY, ResponseEvents
from rag_graph.runs.log import Entry, Gap
from tests.http.encodings import responses, responses_view
from tests.http.recorded import (
    DRAFT,
    KEEPS,
    QUESTION,
    REFINED,
    REFINES,
    RESETS,
    RUNS,
    failed_at,
    taken_over_at,
)

DRAFTS: tuple[Draft, ...] = ("content", "reasoning", "none")
EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def read(frames: bytes) -> list[dict[str, Any]]:
    """The events of a stream; each frame is named as its event is."""
    told = []
    for frame in frames.removesuffix(DONE).split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n", 1)
        event = orjson.loads(data.removeprefix(b"data: "))
        assert name.decode() == f"event: {event['type']}"
        told.append(event)
    return told


def told(events: Iterable[Event], view: ResponseEvents | None = None) -> list[dict[str, Any]]:
    view = view or responses_view()
    return read(b"".join(view.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(events, 1)))


def of_kind(chunks: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [chunk for chunk in chunks if chunk["type"] == f"response.{kind}"]


def messages(chunks: Sequence[dict[str, Any]]) -> list[str]:
    """What each message of the stream said, by its deltas."""
    begun = [
        chunk["item"]["id"] for chunk in of_kind(chunks, "output_item.added") if chunk["item"]["type"] == "message"
    ]
    deltas = of_kind(chunks, "output_text.delta")
    return ["".join(delta["delta"] for delta in deltas if delta["item_id"] == item) for item in begun]


def standing(response: dict[str, Any]) -> str:
    """The answer as the SDK's `output_text` gives it."""
    return Response.model_validate(response).output_text


@pytest.mark.parametrize("run", RUNS)
def test_nothing_interrupts_a_message_while_it_is_written(run: str) -> None:
    """LangChain takes a message that another item interrupts for two."""
    chunks = [chunk for chunk in told(RUNS[run]) if "output_index" in chunk]
    for index in {chunk["output_index"] for chunk in of_kind(chunks, "output_text.delta")}:
        deltas = [
            at
            for at, chunk in enumerate(chunks)
            if chunk["type"] == "response.output_text.delta" and chunk["output_index"] == index
        ]
        assert {chunk["output_index"] for chunk in chunks[deltas[0] : deltas[-1]]} <= {index}


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("run", RUNS)
def test_every_event_is_one_of_openais_and_their_numbers_grow(run: str, draft: Draft) -> None:
    chunks = told(RUNS[run], responses_view(draft))
    for chunk in chunks:
        EVENTS.validate_python(chunk)
    numbers = [chunk["sequence_number"] for chunk in chunks]
    assert numbers == sorted(set(numbers))
    assert [chunk["type"] for chunk in chunks[:2]] == ["response.created", "response.in_progress"]
    assert chunks[-1]["type"] in ("response.completed", "response.failed", "response.incomplete")


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("run", RUNS)
def test_what_begins_ends_as_it_was_told(run: str, draft: Draft) -> None:
    chunks = told(RUNS[run], responses_view(draft))
    ended = {chunk["output_index"]: chunk["item"] for chunk in of_kind(chunks, "output_item.done")}
    assert list(range(len(ended))) == [chunk["output_index"] for chunk in of_kind(chunks, "output_item.added")]
    for index, item in ended.items():
        if item["type"] == "message":
            text = "".join(c["delta"] for c in of_kind(chunks, "output_text.delta") if c["output_index"] == index)
            assert item["content"][0]["text"] == text
    kept = [item for _, item in sorted(ended.items()) if not item.get("superseded")]
    assert chunks[-1]["response"]["output"] == kept


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("run", [name for name in RUNS if isinstance(RUNS[name][-1], RunFinished)])
def test_the_last_message_is_the_one_that_stands_and_the_only_one_in_the_end(run: str, draft: Draft) -> None:
    last = RUNS[run][-1]
    assert isinstance(last, RunFinished)
    chunks = told(RUNS[run], responses_view(draft))
    assert messages(chunks)[-1] == last.answer
    assert standing(chunks[-1]["response"]) == last.answer


def test_a_draft_flows_as_a_message_and_is_marked_when_it_is_replaced() -> None:
    chunks = told(REFINES)
    assert messages(chunks) == [DRAFT, REFINED]
    ended = [chunk["item"] for chunk in of_kind(chunks, "output_item.done") if chunk["item"]["type"] == "message"]
    assert [(item["phase"], item["status"], item.get("superseded", False)) for item in ended] == [
        ("commentary", "incomplete", True),
        ("final_answer", "completed", False),
    ]
    thoughts = [delta["delta"] for delta in of_kind(chunks, "reasoning_summary_text.delta")]
    assert "The draft is replaced: The date was missing." in thoughts


def test_a_draft_may_be_thought_or_left_out() -> None:
    for draft in DRAFTS[1:]:
        chunks = told(REFINES, responses_view(draft))
        assert messages(chunks) == [REFINED]
        thoughts = [done["text"] for done in of_kind(chunks, "reasoning_summary_text.done")]
        assert (f"Draft:\n\n{DRAFT}" in thoughts) == (draft == "reasoning")
        assert messages(told(KEEPS, responses_view(draft))) == [DRAFT]


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("run", RUNS)
def test_annotations_point_to_the_words_of_their_message(run: str, draft: Draft) -> None:
    chunks = told(RUNS[run], responses_view(draft))
    texts: dict[str, str] = {}
    for delta in of_kind(chunks, "output_text.delta"):
        texts[delta["item_id"]] = texts.get(delta["item_id"], "") + delta["delta"]
    for added in of_kind(chunks, "output_text.annotation.added"):
        annotation = added["annotation"]
        words = texts[added["item_id"]][annotation["start_index"] : annotation["end_index"]]
        assert words
        if added["item_id"] == list(texts)[-1] and texts[added["item_id"]] == REFINED:
            assert words in (REFINED[:30], REFINED[31:53])


def test_searches_are_told_with_their_question_and_what_they_found_to_those_who_ask() -> None:
    found = [item for item in told(KEEPS)[-1]["response"]["output"] if item["type"] == "file_search_call"]
    assert [search["queries"] for search in found] == [[QUESTION], [QUESTION]]
    assert [result["filename"] for result in found[1]["results"]] == ["Openings", "Eiffel [Tower]"]


@pytest.mark.parametrize("run", RUNS)
def test_who_goes_on_after_a_number_is_told_what_follows_it(run: str) -> None:
    whole = told(RUNS[run])
    for number in [chunk["sequence_number"] for chunk in whole]:
        rest = told(RUNS[run], responses_view(after=number))
        assert rest == [chunk for chunk in whole if chunk["sequence_number"] > number]


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("cut", range(1, len(REFINES)))
def test_a_run_taken_over_at_any_point_ends_with_its_answer(cut: int, draft: Draft) -> None:
    chunks = told(taken_over_at(cut, REFINES), responses_view(draft))
    assert len(of_kind(chunks, "created")) == 1
    assert messages(chunks)[-1] == REFINED == standing(chunks[-1]["response"])


@pytest.mark.parametrize("cut", range(1, len(RESETS)))
def test_a_run_that_fails_at_any_point_says_why(cut: int) -> None:
    response = told(failed_at(cut, RESETS))[-1]["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": "server_error", "message": "It broke.", "reason": "internal"}


@pytest.mark.parametrize("cut", range(1, len(REFINES) - 3))
def test_where_events_are_missing_the_answer_still_stands_at_the_end(cut: int) -> None:
    view = responses_view()
    items: list[Entry | Gap] = [Entry(seq, 0.0, event) for seq, event in enumerate(REFINES, 1)]
    frames = b"".join(map(view.encode, [*items[:cut], Gap(cut, cut + 4), *items[cut + 3 :]]))
    chunks = read(frames)
    assert messages(chunks)[-1] == REFINED == standing(chunks[-1]["response"])


def test_a_lost_log_is_told_after_all_that_was_said_under_its_last_number() -> None:
    view = responses_view()
    events = failed_at(2, KEEPS)
    frames = [view.encode(Entry(seq, 0.0, event)) for seq, event in enumerate(events[:-1], 1)]
    lost = read(view.encode(Entry(len(events) - 1, 0.0, events[-1])))
    numbers = [chunk["sequence_number"] for chunk in (*read(b"".join(frames)), *lost)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] // PER_ENTRY == len(events) - 1


def test_a_response_that_goes_on_holds_what_was_said_so_far() -> None:
    view = responses_view()
    for seq, event in enumerate(KEEPS[:20], 1):
        view.encode(Entry(seq, 0.0, event))
    response = view.response
    assert response["status"] == "in_progress"
    assert DRAFT.startswith(standing(response))
    assert standing(response)


def test_a_stream_ends_as_open_responses_wants_it() -> None:
    assert b"".join(responses(KEEPS)).endswith(DONE)
