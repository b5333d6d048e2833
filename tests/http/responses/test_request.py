from typing import Any

import pytest
from pydantic import ValidationError

from rag_graph.errors import InvalidRequest, UnknownModel
from rag_graph.http.conversation import MAX_MESSAGES
from rag_graph.http.responses.request import ResponseRequest, query_of
from rag_graph.query import Turn
from tests.http.recorded import QUESTION

CODEX: dict[str, Any] = {
    "model": "rag-deep",
    "instructions": "You are a coding agent.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandbox: read-only."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<cwd>/tmp</cwd>"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "1"},
        {"type": "function_call_output", "call_id": "1", "output": "done"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
    ],
    "tools": [{"type": "function", "name": "shell", "parameters": {}}, {"type": "web_search"}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
}


def request(**given: Any) -> ResponseRequest:
    return ResponseRequest.model_validate({"model": "rag-fast", "input": QUESTION, **given})


def test_a_plain_input_is_the_question() -> None:
    assert query_of(request(), ()).question == QUESTION


def test_what_a_coding_agent_sends_is_read_and_what_it_offers_passed_by() -> None:
    query = query_of(ResponseRequest.model_validate(CODEX), ())
    assert (query.question, query.mode) == (QUESTION, "deep")
    assert [turn.content for turn in query.history] == ["<cwd>/tmp</cwd>"]


def test_what_the_server_knows_comes_before_what_is_sent() -> None:
    earlier = [Turn(role="user", content="Who?"), Turn(role="assistant", content="He.")]
    assert query_of(request(), earlier).history == earlier


def test_a_message_that_was_replaced_is_no_turn_when_a_client_sends_it_back() -> None:
    sent = [
        {"role": "user", "content": "Who?"},
        {"type": "message", "role": "assistant", "phase": "commentary", "content": "Wrong."},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Right."}]},
        {"role": "user", "content": QUESTION},
    ]
    assert [turn.content for turn in query_of(request(input=sent), ()).history] == ["Who?", "Right."]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", []),
        ("input", [{"role": "user", "content": "x"}] * (MAX_MESSAGES + 1)),
        ("input", [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]),
        ("input", [{"role": "wizard", "content": "x"}]),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "name": "f"}),
        ("text", {"format": {"type": "json_schema", "name": "x", "schema": {}}}),
        ("rag", {"drafts": "content"}),
        ("conversation", {"id": ""}),
    ],
)
def test_what_would_change_the_meaning_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        request(**{field: value})
    assert refused.value.errors()[0]["loc"][0] == field


def test_one_thing_can_be_followed() -> None:
    with pytest.raises(ValidationError, match="not both"):
        request(previous_response_id="resp_1", conversation="conv_1")


@pytest.mark.parametrize("sent", ["  ", [{"type": "function_call_output", "output": "x"}], "x" * 5000])
def test_a_question_that_is_none_is_refused(sent: Any) -> None:
    with pytest.raises(InvalidRequest):
        query_of(request(input=sent), ())


def test_an_unknown_model_is_told_of_those_there_are() -> None:
    with pytest.raises(UnknownModel, match="rag-fast or rag-deep"):
        query_of(request(model="gpt-5"), ())
