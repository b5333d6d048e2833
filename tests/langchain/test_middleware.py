"""An agent of `create_agent` whose last message is checked against what was found for its question."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field

from rag_graph import GroundedAnswers
from rag_graph.events import Citation, PassagesRetrieved, Unsupported, Warned
from tests.langchain.conftest import ANSWER, OPENED, QUESTION, Found, saying, store

WRONG = f"{ANSWER} It was closed in 1950 [1]."
ASKED: Any = {"messages": [("human", QUESTION)]}


class Listening(GenericFakeChatModel):
    """Says what it is told to, and notes what it is asked."""

    heard: list[list[BaseMessage]] = Field(default_factory=list)

    def _generate(self, messages: list[BaseMessage], *rest: Any, **more: Any) -> Any:
        self.heard.append(messages)
        return super()._generate(messages, *rest, **more)


def test_the_model_is_given_the_sources_and_its_answer_the_citations() -> None:
    model = Listening(messages=iter([ANSWER]))
    agent: Any = create_agent(model, [], system_prompt="Be brief.", middleware=[GroundedAnswers(store())])
    output = agent.invoke(ASKED)
    system = model.heard[0][0].text
    assert system.startswith("Be brief.")
    assert '<source number="1"' in system
    assert OPENED in system
    assert len(output["messages"]) == 2
    [block] = output["messages"][-1].content_blocks
    assert block["text"] == ANSWER
    assert [citation["cited_text"] for citation in block["annotations"]] == [OPENED]


@pytest.mark.anyio
async def test_citations_and_what_no_source_bears_out_are_in_the_custom_stream() -> None:
    agent: Any = create_agent(saying(WRONG), [], middleware=[GroundedAnswers(store())], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "one"}}
    events = [event async for event in agent.astream(ASKED, thread, stream_mode="custom")]
    assert [type(event) for event in events if not isinstance(event, PassagesRetrieved)].count(Citation) == 1
    [flag] = [event for event in events if isinstance(event, Unsupported)]
    assert WRONG[flag.start : flag.end].startswith("It was closed in 1950")


def test_an_agent_goes_on_without_sources_when_the_search_fails() -> None:
    agent: Any = create_agent(saying(), [], middleware=[GroundedAnswers(Found(documents=[KeyError("secret")]))])
    told = list(agent.stream(ASKED, stream_mode=["custom", "values"]))
    [warning] = [event for _, event in told if isinstance(event, Warned)]
    assert warning.message.startswith("The retriever Found failed")
    assert told[-1][1]["messages"][-1].text == ANSWER


def test_what_else_the_message_holds_and_what_the_system_prompt_says_of_caching_is_kept() -> None:
    thinking = {"type": "reasoning", "reasoning": "It says 1931.", "extras": {"signature": "signed"}}
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    parts: list[Any] = [thinking, {"type": "text", "text": ANSWER[:10]}, {"type": "text", "text": ANSWER[10:]}]
    model = Listening(messages=iter([AIMessage(parts, usage_metadata=usage, name="guide")]))
    brief = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    agent: Any = create_agent(model, [], system_prompt=SystemMessage([brief]), middleware=[GroundedAnswers(store())])
    last = agent.invoke(ASKED)["messages"][-1]
    first, text = last.content_blocks
    assert first == thinking
    assert (text["text"], [citation["cited_text"] for citation in text["annotations"]]) == (ANSWER, [OPENED])
    assert (last.usage_metadata, last.name) == (usage, "guide")
    system = model.heard[0][0]
    assert system.content[0] == brief
    assert OPENED in system.text


NO_QUESTIONS: dict[str, list[Any]] = {
    "a picture": [{"role": "user", "content": [{"type": "image", "url": "https://x/y.png"}]}],
    "an answer": [("ai", "Good morning.")],
    "nothing": [],
}


@pytest.mark.parametrize("messages", NO_QUESTIONS.values(), ids=NO_QUESTIONS)
def test_an_agent_that_is_asked_no_question_goes_on_without_sources(messages: list[Any]) -> None:
    agent: Any = create_agent(saying(), [], middleware=[GroundedAnswers(store())])
    told = list(agent.stream({"messages": messages}, stream_mode=["custom", "values"]))
    [warning] = [event for _, event in told if isinstance(event, Warned)]
    assert warning.code == "invalid_request"
    assert told[-1][1]["messages"][-1].text == ANSWER
