"""The graph itself: which step follows which."""

from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from rag_graph.clock import steady_time
from rag_graph.graph.nodes import Nodes
from rag_graph.graph.parts import OpenParts, Parts
from rag_graph.graph.state import Output, State
from rag_graph.query import Query

RagGraph = CompiledStateGraph[State, None, Query, Output]


def build_graph(
    parts: Parts | OpenParts,
    *,
    name: str = "rag_graph",
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    clock: Callable[[], float] = steady_time,
) -> RagGraph:
    """Compile the state machine over these parts, or over what will give them when a run needs them.

    Drafting and deep retrieval run in the same superstep, so at the same time.
    """
    nodes = Nodes(parts, clock)
    graph = StateGraph(State, input_schema=Query, output_schema=Output)
    graph.add_node("condense", nodes.condense)
    graph.add_node("fast_retrieve", nodes.fast_retrieve)
    graph.add_node("draft", nodes.draft)
    graph.add_node("deep_retrieve", nodes.deep_retrieve)
    graph.add_node("decide", nodes.decide)
    graph.add_node("refine", nodes.refine)
    # A question without a conversation stands by itself, and a step costs time.
    graph.add_conditional_edges(
        START, lambda state: "condense" if state.get("history") else "fast_retrieve", ["condense", "fast_retrieve"]
    )
    graph.add_edge("condense", "fast_retrieve")
    graph.add_edge("fast_retrieve", "draft")
    graph.add_edge("fast_retrieve", "deep_retrieve")
    graph.add_edge(["draft", "deep_retrieve"], "decide")
    graph.add_conditional_edges("decide", lambda state: state["decision"].decision, {"refine": "refine", "keep": END})
    graph.add_edge("refine", END)
    return graph.compile(name=name, checkpointer=checkpointer)
