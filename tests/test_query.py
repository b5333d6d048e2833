"""What a question carries along of what was said before it, whichever way it comes."""

from collections.abc import Callable

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from rag_graph.graph.messages import turns_of
from rag_graph.http.langserve.request import Conversation
from rag_graph.http.openai.request import ChatRequest
from rag_graph.http.openai.request import query_of as asked_by_chat
from rag_graph.http.responses.request import ResponseRequest
from rag_graph.http.responses.request import query_of as asked_by_response
from rag_graph.query import MAX_TURN_CHARS, Turn

LONG = "word " * MAX_TURN_CHARS + "the end."


def talk(answer: str) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "When?"},
    ]


def by_chat_completions(answer: str) -> list[Turn]:
    return asked_by_chat(ChatRequest.model_validate({"model": "rag-fast", "messages": talk(answer)})).history


def by_responses(answer: str) -> list[Turn]:
    return asked_by_response(ResponseRequest.model_validate({"model": "rag-fast", "input": talk(answer)}), ()).history


def by_langserve(answer: str) -> list[Turn]:
    return Conversation(messages=[HumanMessage("Who?"), AIMessage(answer), HumanMessage("When?")]).query().history


def by_the_graph(answer: str) -> list[Turn]:
    return turns_of([HumanMessage("Who?"), AIMessage(answer)])


@pytest.mark.parametrize("way", [by_chat_completions, by_responses, by_langserve, by_the_graph])
def test_of_a_turn_that_is_too_long_its_end_is_kept(way: Callable[[str], list[Turn]]) -> None:
    asked, answered = way(LONG)
    assert (asked.content, len(answered.content)) == ("Who?", MAX_TURN_CHARS)
    assert answered.content.endswith("the end.")
    assert way("Short.")[1].content == "Short."
