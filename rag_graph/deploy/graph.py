"""The graph for `langgraph dev`, Studio, LangGraph's platform and Aegra, which bring their own keeping of threads.

Such a server imports this module to look at the graph, so nothing is read or opened before the first step of a run.
"""

import asyncio
from asyncio import AbstractEventLoop, Task
from contextlib import AsyncExitStack
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamWriter

from rag_graph.graph.build import build_graph
from rag_graph.graph.nodes import Nodes
from rag_graph.graph.state import State
from rag_graph.pipeline import open_pipeline
from rag_graph.settings import Settings


class LateNodes:
    """The graph's steps, over parts that the first run in an event loop opens; they stay open as long as the loop."""

    def __init__(self) -> None:
        self._opened: WeakKeyDictionary[AbstractEventLoop, Task[Nodes]] = WeakKeyDictionary()
        self._open_until_exit = AsyncExitStack()

    async def condense(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        return await (await self._nodes()).condense(state, writer, config)

    async def fast_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        return await (await self._nodes()).fast_retrieve(state, writer, config)

    async def draft(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        return await (await self._nodes()).draft(state, writer, config)

    async def deep_retrieve(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        return await (await self._nodes()).deep_retrieve(state, writer, config)

    async def decide(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        return await (await self._nodes()).decide(state, writer, config)

    async def refine(self, state: State, writer: StreamWriter, config: RunnableConfig) -> State:
        return await (await self._nodes()).refine(state, writer, config)

    async def _nodes(self) -> Nodes:
        """The opened steps; a run that is cancelled meanwhile leaves the opening to the others."""
        loop = asyncio.get_running_loop()
        opening = self._opened.get(loop)
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
            opening = self._opened[loop] = loop.create_task(self._open())
        return await asyncio.shield(opening)

    async def _open(self) -> Nodes:
        settings = await asyncio.to_thread(Settings.load)
        pipeline = await self._open_until_exit.enter_async_context(open_pipeline(settings))
        return pipeline.nodes


graph = build_graph(LateNodes())
