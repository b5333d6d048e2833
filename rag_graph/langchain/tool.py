"""The graph as a tool of an agent's: the answer for the agent, citations and passages as the artifact."""

from contextlib import aclosing
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import StructuredTool, ToolException
from langgraph.config import get_stream_writer
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StreamWriter
from pydantic import BaseModel, Field

from rag_graph.errors import InvalidRequest, SettingsError
from rag_graph.events import RunCancelled, RunFailed
from rag_graph.graph.build import RagGraph
from rag_graph.graph.messages import asked_query
from rag_graph.graph.node import wait_for
from rag_graph.graph.stream import stream_events
from rag_graph.query import MAX_QUESTION_CHARS
from rag_graph.result import run_result
from rag_graph.transcript import Transcript

DESCRIPTION: Final = (
    "Answers a question from the documents, with numbered citations. Ask one whole question that stands by itself."
)


class ToolInput(BaseModel):
    """What an agent asks."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION_CHARS, description="One that stands by itself.")


def rag_tool(
    graph: RagGraph, *, name: str = "ask_documents", description: str = DESCRIPTION, **query: Any
) -> StructuredTool:
    """Let an agent ask the graph; `mode` and `filters` hold for all that it asks.

    The content is the answer that stands, and the artifact the whole run as a dict: `citations`, `documents`,
    `decision`, `draft` and what else `RunResult` has. Meanwhile every event goes to the agent's own custom stream. A
    run that gives no answer is told to the agent as the tool's error, so that it can go on. Raises SettingsError.
    """
    if not isinstance(graph, CompiledStateGraph):
        raise SettingsError(f"A {type(graph).__name__} is no graph of create_rag_graph's.")
    try:
        asked_query({"question": "What?", **query})
    except InvalidRequest as exc:
        raise SettingsError(f"rag_tool: {exc}") from None

    async def ask(question: str) -> tuple[str, dict[str, Any]]:
        try:
            asked = asked_query({"question": question, **query})
        except InvalidRequest as exc:
            raise ToolException(str(exc)) from None
        transcript = Transcript()
        # No more of the agent's config: its thread and its checkpoints are not those of this graph.
        config, tell = RunnableConfig(callbacks=ensure_config().get("callbacks")), _writer()
        async with aclosing(stream_events(graph, asked, config=config)) as events:
            async for event in events:
                transcript.add(event)
                if tell is not None:
                    tell(event)
        match transcript.terminal:
            case RunFailed(message=message):
                raise ToolException(message)
            case RunCancelled():
                raise ToolException("The question took longer than it may.")
        result = run_result(transcript)
        return result.answer, result.model_dump(mode="json")

    def ask_and_wait(question: str) -> tuple[str, dict[str, Any]]:
        return wait_for(ask(question))

    return StructuredTool.from_function(
        func=ask_and_wait,
        coroutine=ask,
        name=name,
        description=description,
        args_schema=ToolInput,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _writer() -> StreamWriter | None:
    """The custom stream of the graph that is going on, if one is."""
    try:
        return get_stream_writer()
    except (RuntimeError, KeyError):  # called by itself
        return None
