from collections.abc import Iterable
from typing import Any

import pytest
from pydantic import ValidationError

from rag_graph.errors import InvalidRequest, UnknownModel
from rag_graph.events import Event, RunFinished
from rag_graph.http.openai.encoding import CompletionChunks, Envelope, completion
from rag_graph.http.openai.request import MODELS, ChatRequest, Draft, Presentation, query_of
from rag_graph.query import MAX_HISTORY_TURNS, Turn
from rag_graph.transcript import Transcript
from tests.http.encodings import openai_view
from tests.http.recorded import (
    DRAFT,
    FAILS,
    KEEPS,
    QUESTION,
    REFINED,
    REFINES,
    RESETS,
    RUN_ID,
    RUNS,
    failed_at,
    taken_over_at,
)

PRESENTATIONS = [
    Presentation(draft=draft, sources=sources)
    for draft in ("reasoning", "content", "none")
    for sources in ("annotations", "markdown", "events")
]


def chunks_of(events: Iterable[Event], presentation: Presentation | None = None) -> list[dict[str, Any]]:
    view = openai_view(presentation or Presentation(draft="reasoning"))
    return [chunk for event in events for chunk in view.add(event)]


def deltas(chunks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]


def said(chunks: Iterable[dict[str, Any]], channel: str = "content") -> str:
    return "".join(delta.get(channel, "") for delta in deltas(chunks))


def request(**given: Any) -> ChatRequest:
    return ChatRequest.model_validate(
        {"model": "rag-fast", "messages": [{"role": "user", "content": QUESTION}], **given}
    )


@pytest.mark.parametrize("presentation", PRESENTATIONS, ids=str)
@pytest.mark.parametrize("run", RUNS)
def test_a_stream_begins_with_the_role_and_ends_with_one_reason_or_an_error(
    run: str, presentation: Presentation
) -> None:
    chunks = chunks_of(RUNS[run], presentation)
    assert deltas(chunks)[0] == {"role": "assistant", "content": ""}
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", ())]
    if isinstance(RUNS[run][-1], RunFinished):
        assert [reason for reason in reasons if reason] == ["stop"]
        assert chunks[-1]["choices"] == []
        assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    else:
        assert not any(reasons)
        assert chunks[-1]["error"]["message"]


def test_a_draft_that_stands_is_thought_aloud_and_then_said_once() -> None:
    chunks = chunks_of(KEEPS)
    assert said(chunks) == DRAFT
    assert DRAFT in said(chunks, "reasoning_content")


def test_a_refinement_is_all_that_is_said() -> None:
    assert said(chunks_of(REFINES)) == REFINED
    assert said(chunks_of(REFINES, Presentation(draft="none"))) == REFINED
    assert DRAFT not in said(chunks_of(REFINES, Presentation(draft="none")), "reasoning_content")


def test_a_draft_as_content_is_followed_by_its_refinement_under_a_heading() -> None:
    spoken = said(chunks_of(REFINES, Presentation(draft="content")))
    assert spoken == f"{DRAFT}\n\n---\n\n**This replaces the answer above: The date was missing.**\n\n{REFINED}"
    assert said(chunks_of(KEEPS, Presentation(draft="content"))) == DRAFT


def test_annotations_point_to_the_words_that_were_said() -> None:
    drafts: tuple[Draft, ...] = ("reasoning", "content", "none")
    for draft in drafts:
        chunks = chunks_of(RESETS, Presentation(draft=draft))
        spoken = said(chunks)
        (annotations,) = [delta["annotations"] for delta in deltas(chunks) if "annotations" in delta]
        first = annotations[0]["url_citation"]
        assert spoken[first["start_index"] : first["end_index"]] == REFINED[:30]
        assert first["content"] == "It was built by Eiffel’s company."


@pytest.mark.parametrize("cut", range(1, len(REFINES)))
def test_a_run_taken_over_at_any_point_says_its_answer_last_and_once(cut: int) -> None:
    chunks = chunks_of(taken_over_at(cut, REFINES))
    assert said(chunks) == REFINED
    assert sum("role" in delta for delta in deltas(chunks)) == 1


@pytest.mark.parametrize("cut", range(1, len(KEEPS)))
@pytest.mark.parametrize("draft", ["reasoning", "content", "none"])
def test_a_draft_taken_over_at_any_point_is_said_once(cut: int, draft: Draft) -> None:
    assert said(chunks_of(taken_over_at(cut, KEEPS), Presentation(draft=draft))) == DRAFT


@pytest.mark.parametrize("cut", range(1, len(RESETS)))
def test_a_run_that_fails_at_any_point_ends_in_an_error_that_says_why(cut: int) -> None:
    chunks = chunks_of(failed_at(cut, RESETS))
    assert chunks[-1] == {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": "internal"}}


@pytest.mark.parametrize("cut", range(1, len(REFINES)))
def test_where_events_are_missing_the_answer_still_stands_at_the_end(cut: int) -> None:
    view = CompletionChunks(Envelope(RUN_ID, "rag-fast", 1), Presentation(draft="reasoning"))
    chunks = [chunk for event in REFINES[:cut] for chunk in view.add(event)]
    view.tear()
    chunks += [chunk for event in REFINES[cut + 3 :] for chunk in view.add(event)]
    if cut + 3 < len(REFINES):
        assert said(chunks) == REFINED


def test_a_whole_completion_holds_only_the_answer_that_stands() -> None:
    whole = completion(Transcript.of(RESETS), Envelope(RUN_ID, "rag-deep", 1), Presentation(draft="reasoning"))
    assert whole is not None
    message = whole["choices"][0]["message"]
    assert message["content"] == REFINED
    assert message["reasoning_content"].startswith("Reading 1 passage.")
    assert whole["usage"]["total_tokens"] == 460
    assert completion(Transcript.of(FAILS), Envelope(RUN_ID, "rag-deep", 1), Presentation()) is None


def test_open_webui_gets_its_sources_in_the_order_of_their_numbers_and_a_last_done() -> None:
    events = [chunk["event"] for chunk in chunks_of(RESETS, Presentation(sources="events")) if "event" in chunk]
    sources = [event["data"]["source"]["name"] for event in events if event["type"] == "source"]
    assert sources == ["1. Eiffel [Tower]", "2. Openings"]
    assert [event["data"]["done"] for event in events if event["type"] == "status"][-1] is True


def test_earlier_messages_are_the_history_without_instructions_and_tools() -> None:
    query = query_of(
        request(
            model="rag-deep",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]},
                {"role": "assistant", "content": None, "tool_calls": []},
                {"role": "tool", "content": "42", "tool_call_id": "x"},
                {"role": "assistant", "content": "Hi."},
                {"role": "user", "content": QUESTION},
            ],
        )
    )
    assert query.mode == "deep"
    assert query.question == QUESTION
    assert query.history == [Turn(role="user", content="Hello\nthere"), Turn(role="assistant", content="Hi.")]


def test_a_conversation_longer_than_a_query_holds_keeps_its_latest_turns() -> None:
    talk = [{"role": "user", "content": str(number)} for number in range(MAX_HISTORY_TURNS + 5)]
    query = query_of(request(messages=[*talk, {"role": "user", "content": QUESTION}]))
    assert len(query.history) == MAX_HISTORY_TURNS
    assert query.history[-1].content == str(MAX_HISTORY_TURNS + 4)


@pytest.mark.parametrize(
    "harmless",
    [
        {"temperature": 0.2, "max_tokens": 5, "stop": ["\n"], "seed": 1, "user": "me", "top_p": None},
        {"n": 1, "response_format": {"type": "text"}, "tool_choice": "auto", "tools": [{"type": "function"}]},
        {"rag": None, "tools": None, "stop": None, "store": False, "metadata": {"a": "b"}, "reasoning_effort": "low"},
        {"stream_options": None, "logprobs": False, "modalities": ["text"], "never_heard_of": {"a": 1}},
    ],
)
def test_what_clients_send_without_need_is_accepted(harmless: dict[str, Any]) -> None:
    assert query_of(request(**harmless)).question == QUESTION


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("n", 0),
        ("response_format", {"type": "json_object"}),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("function_call", {"name": "f"}),
        ("logprobs", True),
        ("modalities", ["text", "audio"]),
        ("messages", []),
        ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
        ("messages", [{"role": "wizard", "content": "x"}]),
        ("rag", {"drafts": "content"}),
    ],
)
def test_what_would_change_the_meaning_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        request(**{field: value})
    assert refused.value.errors()[0]["loc"][0] == field


def test_an_unknown_model_is_told_of_those_there_are() -> None:
    with pytest.raises(UnknownModel, match=" or ".join(MODELS)):
        query_of(request(model="gpt-4"))


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": "x"}],
        [{"role": "user", "content": "  "}],
        [{"role": "user", "content": "x" * 5000}],
    ],
)
def test_a_question_that_is_none_is_refused(messages: list[dict[str, str]]) -> None:
    with pytest.raises(InvalidRequest):
        query_of(request(messages=messages))
