"""The graph itself: which step follows which."""

from typing import Any, Literal, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StreamWriter

from rag_graph.graph.state import Output, State
from rag_graph.query import Query

RagGraph = CompiledStateGraph[State, None, Query, Output]


class Steps(Protocol):
    """What the graph is built from: one method a node."""

    async def condense(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State: ...
    async def fast_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State: ...
    async def draft(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State: ...
    async def deep_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State: ...
    async def decide(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State: ...
    async def refine(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State: ...


def build_graph(
    nodes: Steps, *, name: str = "rag_graph", checkpointer: BaseCheckpointSaver[Any] | None = None
) -> RagGraph:
    """Compile the state machine over these steps.

    Drafting and deep retrieval run in the same superstep, so at the same time.
    """
    graph = StateGraph(State, input_schema=Query, output_schema=Output)
    graph.add_node("condense", nodes.condense)
    graph.add_node("fast_retrieve", nodes.fast_retrieve)
    graph.add_node("draft", nodes.draft)
    graph.add_node("deep_retrieve", nodes.deep_retrieve)
    graph.add_node("decide", nodes.decide)
    graph.add_node("refine", nodes.refine)
    graph.add_conditional_edges(START, _before_retrieval, ["condense", "fast_retrieve"])
    graph.add_edge("condense", "fast_retrieve")
    graph.add_edge("fast_retrieve", "draft")
    graph.add_edge("fast_retrieve", "deep_retrieve")
    graph.add_edge(["draft", "deep_retrieve"], "decide")
    graph.add_conditional_edges("decide", _after_decide, {"refine": "refine", "keep": END})
    graph.add_edge("refine", END)
    return graph.compile(name=name, checkpointer=checkpointer)


def _before_retrieval(state: State) -> Literal["condense", "fast_retrieve"]:
    """A question without a conversation stands by itself, and a step costs time."""
    return "condense" if state.get("history") else "fast_retrieve"


def _after_decide(state: State) -> Literal["refine", "keep"]:
    return state["decision"].decision
