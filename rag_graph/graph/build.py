"""The graph itself: which step follows which."""

import copy
from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore

from rag_graph.clock import steady_time
from rag_graph.graph.messages import is_conversation
from rag_graph.graph.node import Node
from rag_graph.graph.nodes import Nodes
from rag_graph.graph.parts import OpenParts, Parts
from rag_graph.graph.projections import RagProjections
from rag_graph.graph.state import REMEMBERED, Input, Output, State

RagGraph = CompiledStateGraph[State, None, Input, Output]


def build_graph(
    parts: Parts | OpenParts,
    *,
    name: str = "rag_graph",
    checkpointer: BaseCheckpointSaver[Any] | bool | None = None,
    store: BaseStore | None = None,
    clock: Callable[[], float] = steady_time,
) -> RagGraph:
    """Compile the state machine over these parts, or over what will give them when a run needs them.

    Drafting and deep retrieval run in the same superstep, so at the same time.
    """
    nodes = Nodes(parts, clock)
    graph = StateGraph(State, input_schema=Input, output_schema=Output)
    graph.add_node("condense", Node(nodes.condense))
    graph.add_node("fast_retrieve", Node(nodes.fast_retrieve))
    graph.add_node("draft", Node(nodes.draft))
    graph.add_node("deep_retrieve", Node(nodes.deep_retrieve))
    graph.add_node("decide", Node(nodes.decide))
    graph.add_node("refine", Node(nodes.refine))
    # A question without a conversation stands by itself, and a step costs time.
    graph.add_conditional_edges(
        START, lambda state: "condense" if is_conversation(state) else "fast_retrieve", ["condense", "fast_retrieve"]
    )
    graph.add_edge("condense", "fast_retrieve")
    graph.add_edge("fast_retrieve", "draft")
    graph.add_edge("fast_retrieve", "deep_retrieve")
    # A list waits for all of them, however many steps each branch
    # gets; of two edges each by itself would start `decide`.
    graph.add_edge(["draft", "deep_retrieve"], "decide")
    graph.add_conditional_edges("decide", lambda state: state["decision"].decision, {"refine": "refine", "keep": END})
    graph.add_edge("refine", END)
    return graph.compile(name=name, checkpointer=_knowing(checkpointer), store=store, transformers=[RagProjections])


def _knowing(checkpointer: BaseCheckpointSaver[Any] | bool | None) -> BaseCheckpointSaver[Any] | bool | None:
    """The same checkpointer, which reads our types back; one with a serializer of its own is left as it is."""
    # LangGraph reads back no type that its serializer was not told of: an interrupted thread would go on without it.
    if not isinstance(checkpointer, BaseCheckpointSaver) or type(checkpointer.serde) is not JsonPlusSerializer:
        return checkpointer
    knowing = copy.copy(checkpointer)  # as LangGraph's own `with_allowlist` does; what it keeps is shared
    knowing.serde = JsonPlusSerializer(allowed_msgpack_modules=REMEMBERED)
    return knowing
