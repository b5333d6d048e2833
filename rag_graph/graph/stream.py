"""A run of the graph as an iterator of events, for whoever reads it in this process."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import uuid4

from anyio import CancelScope
from langchain_core.runnables import RunnableConfig

from rag_graph.events import AnswerDelta, Event
from rag_graph.graph.build import RagGraph
from rag_graph.graph.invoke import GraphWork
from rag_graph.query import Query
from rag_graph.runs.attempt import Attempt, Budget
from rag_graph.runs.observer import Watch


async def stream_events(
    graph: RagGraph,
    query: Query,
    *,
    run_id: str | None = None,
    config: RunnableConfig | None = None,
    budget: Budget | None = None,
    watch: Watch | None = None,
) -> AsyncGenerator[Event]:
    """Run the graph on `query`: `RunStarted`, what the nodes emit, then one terminal event.

    Closing the iterator cancels the run, down to the model's HTTP stream. Deltas that are ready at the same time
    come as one.
    """
    arrived: list[Event] = []
    wake = asyncio.Event()

    async def sink(event: Event) -> None:
        last = arrived[-1] if arrived else None
        if isinstance(event, AnswerDelta) and isinstance(last, AnswerDelta) and last.version == event.version:
            event = AnswerDelta(version=event.version, delta=last.delta + event.delta)
            arrived.pop()
        arrived.append(event)
        wake.set()

    attempt = Attempt(run_id or str(uuid4()), query, sink, budget=budget, watch=watch)
    task = asyncio.create_task(attempt.run(GraphWork(graph, config)))
    task.add_done_callback(lambda _: wake.set())
    try:
        while not task.done() or arrived:
            await wake.wait()
            # Before what has arrived is taken: an event that comes while the batch is handed on wakes anew.
            wake.clear()
            batch = arrived.copy()
            arrived.clear()
            for event in batch:
                yield event
        task.result()
    finally:
        task.cancel()
        # Whoever closes the iterator may stand in a cancelled scope of anyio, where nothing could be awaited: the
        # model's connection is to be closed before this returns all the same.
        with CancelScope(shield=True):
            await asyncio.wait({task})
