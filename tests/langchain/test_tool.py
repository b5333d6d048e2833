"""The graph as a tool of a `create_agent` agent's."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from rag_graph import rag_tool
from rag_graph.errors import SettingsError
from rag_graph.events import Citation, RunFinished
from tests.langchain.conftest import ANSWER, OPENED, QUESTION, Found, graph_over, saying, store


class Caller(FakeMessagesListChatModel):
    """An agent's model that calls what it is told to, whatever tools it is bound to."""

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        return self


def calling(**arguments: Any) -> Caller:
    call = AIMessage(content="", tool_calls=[{"name": "ask_documents", "args": arguments, "id": "1"}])
    return Caller(responses=[call, AIMessage("It was in 1931.")])


def tool_message(messages: list[BaseMessage]) -> ToolMessage:
    [message] = [message for message in messages if isinstance(message, ToolMessage)]
    return message


def test_an_agent_gets_the_answer_and_its_caller_the_citations() -> None:
    agent: Any = create_agent(calling(question=QUESTION), [rag_tool(graph_over(saying(), store()))])
    output = agent.invoke({"messages": [("human", QUESTION)]})
    message = tool_message(output["messages"])
    assert message.content == ANSWER
    assert [citation["quote"] for citation in message.artifact["citations"]] == [OPENED]
    assert [passage["content"] for passage in message.artifact["documents"]] == [OPENED]


@pytest.mark.anyio
async def test_every_event_is_in_the_agents_custom_stream_and_no_draft_among_its_messages() -> None:
    agent: Any = create_agent(calling(question=QUESTION), [rag_tool(graph_over(saying(), store()))])
    events, said = [], []
    asked = {"messages": [("human", QUESTION)]}
    async for mode, item in agent.astream(asked, stream_mode=["custom", "messages"]):
        events += [item] if mode == "custom" else []
        said += [item[0]] if mode == "messages" and not isinstance(item[0], ToolMessage) else []
    assert isinstance(events[-1], RunFinished)
    assert any(isinstance(event, Citation) for event in events)
    assert "".join(chunk.text for chunk in said) == "It was in 1931."


def test_a_question_that_could_not_be_answered_is_the_tools_error_and_the_agent_goes_on() -> None:
    broken = graph_over(saying(), Found(documents=[KeyError("secret")]))
    agent: Any = create_agent(calling(question=QUESTION), [rag_tool(broken)])
    output = agent.invoke({"messages": [("human", QUESTION)]})
    message = tool_message(output["messages"])
    assert message.status == "error"
    assert message.content == "The retriever Found failed; ask again, or check its service."
    assert output["messages"][-1].text == "It was in 1931."


def test_called_by_itself_it_gives_the_answer_alone() -> None:
    assert rag_tool(graph_over(saying(), store())).invoke({"question": QUESTION}) == ANSWER


@pytest.mark.parametrize(
    ("graph", "query", "problem"),
    [
        (graph_over(saying()), {"mode": "slow"}, "rag_tool: mode: "),
        (graph_over(saying()), {"modes": "fast"}, "rag_tool: modes: "),
        (saying(), {}, "A GenericFakeChatModel is no graph"),
    ],
)
def test_what_holds_for_all_questions_is_refused_when_the_tool_is_made(graph: Any, query: Any, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"^{problem}"):
        rag_tool(graph, **query)


def test_a_blank_question_is_the_tools_error_in_one_sentence() -> None:
    agent: Any = create_agent(calling(question="  "), [rag_tool(graph_over(saying(), store()))])
    message = tool_message(agent.invoke({"messages": [("human", QUESTION)]})["messages"])
    assert message.status == "error"
    assert message.text.startswith("question: ")
