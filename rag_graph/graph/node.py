"""A node that can be run with and without an event loop."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from threading import Thread
from typing import Any, TypeVar

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.types import StreamWriter

from rag_graph.graph.state import State

T = TypeVar("T")


@dataclass(frozen=True)
class Node(Runnable[State, State]):
    """A step of the graph. Called without an event loop, it works in one that all such calls of the process share.

    One for all: models keep connections, which belong to the loop that opened them. It runs in a thread of its own,
    so that a notebook, whose own loop is running, may wait for it.
    """

    step: Callable[[State, StreamWriter, RunnableConfig], Awaitable[State]]

    async def ainvoke(self, input: State, config: RunnableConfig | None = None, **_: Any) -> State:  # noqa: A002 - LangChain's name
        return await self.step(input, get_stream_writer(), config or RunnableConfig())

    def invoke(self, input: State, config: RunnableConfig | None = None, **_: Any) -> State:  # noqa: A002 - as above
        return wait_for(self.ainvoke(input, config))


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """What it gives, from the loop for those who have none of their own, or may not wait in it."""
    working = asyncio.run_coroutine_threadsafe(work, _loop(os.getpid()))
    try:
        return working.result()
    finally:
        working.cancel()  # whoever waited was interrupted; of no effect after the end


@cache
def _loop(process: int) -> asyncio.AbstractEventLoop:  # noqa: ARG001 - threads do not outlive a fork
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="rag_graph", daemon=True).start()
    return loop
