"""The graph for `langgraph dev`, Studio, LangGraph's platform and Aegra, which bring their own keeping of threads.

Such a server imports this module to look at the graph, so nothing is read or opened before the first step of a run.
"""

import asyncio
from asyncio import AbstractEventLoop, Task
from contextlib import AsyncExitStack
from weakref import WeakKeyDictionary

from rag_graph.graph.build import build_graph
from rag_graph.graph.parts import Parts
from rag_graph.settings import Settings
from rag_graph.wiring import open_answerer

# By the event loop, to which connections belong; weakly, or every loop that is closed would stay with its parts.
_opened: WeakKeyDictionary[AbstractEventLoop, Task[Parts]] = WeakKeyDictionary()
_open_until_exit = AsyncExitStack()


async def open_parts() -> Parts:
    """The parts that the settings choose, opened by the first run in an event loop; they stay open as long as that."""
    loop = asyncio.get_running_loop()
    opening = _opened.get(loop)
    if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
        opening = _opened[loop] = loop.create_task(_open())
    return await asyncio.shield(opening)  # a run that is cancelled meanwhile leaves the opening to the others


async def _open() -> Parts:
    settings = await asyncio.to_thread(Settings.load)
    answerer = await _open_until_exit.enter_async_context(open_answerer(settings))
    return answerer.parts


graph = build_graph(open_parts)
