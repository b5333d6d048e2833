"""What is told of a request that is wrong."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from rag_graph.http.openai.request import ChatRequest
from rag_graph.http.problems import problem_of
from rag_graph.http.responses.request import ResponseRequest

PICTURE = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (
            ChatRequest,
            {"messages": [{"role": "user", "content": PICTURE}]},
            "messages.0.content.1.type: this server reads text, not image_url",
        ),
        (
            ChatRequest,
            {"messages": [{"role": "user", "content": 5}]},
            "messages.0.content: Input should be a valid string",
        ),
        (
            ResponseRequest,
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "input.0.content.0.type: this server reads text, not input_file",
        ),
        (
            ResponseRequest,
            {"input": [{"role": "wizard", "content": "x"}]},
            "input.0.role: Input should be 'system', 'developer', 'user', 'assistant' or 'tool'",
        ),
        (ResponseRequest, {"input": {"role": "user"}}, "input: Input should be a valid string"),
    ],
)
def test_where_a_value_may_be_of_several_kinds_what_is_told_is_of_the_nearest(
    kind: type[BaseModel], body: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        kind.model_validate({"model": "rag-fast", **body})
    assert problem_of(refused.value).message == told
