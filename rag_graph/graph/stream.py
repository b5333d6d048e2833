"""A run of the graph as an iterator of events, for whoever reads it in this process."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from uuid import uuid4

from anyio import CancelScope
from langchain_core.runnables import RunnableConfig

from rag_graph.events import AnswerDelta, Event
from rag_graph.graph.build import RagGraph
from rag_graph.graph.run import Budget, run_graph
from rag_graph.query import Query


async def stream_events(
    graph: RagGraph,
    query: Query,
    *,
    run_id: str | None = None,
    config: RunnableConfig | None = None,
    budget: Budget | None = None,
) -> AsyncGenerator[Event]:
    """Run the graph on `query`: `RunStarted`, what the nodes tell, then one terminal event.

    Closing the iterator cancels the run, down to the model's HTTP stream. Deltas that are ready at the same time
    come as one.
    """
    arrived: list[Event] = []
    wake = asyncio.Event()

    async def emit(event: Event) -> None:
        arrived.append(event)
        wake.set()

    running = run_graph(graph, query, emit, run_id=run_id or str(uuid4()), config=config, budget=budget)
    task = asyncio.create_task(running)
    task.add_done_callback(lambda _: wake.set())
    try:
        while not task.done() or arrived:
            await wake.wait()
            wake.clear()
            batch = arrived.copy()
            arrived.clear()
            for event in _joined(batch):
                yield event
        task.result()
    finally:
        task.cancel()
        with CancelScope(shield=True):
            await asyncio.wait({task})


def _joined(batch: list[Event]) -> Iterator[Event]:
    """The same events, with neighbouring deltas of one version as one."""
    waiting: AnswerDelta | None = None
    for event in batch:
        if isinstance(event, AnswerDelta):
            if waiting and waiting.version == event.version:
                waiting = AnswerDelta(version=event.version, delta=waiting.delta + event.delta)
            else:
                if waiting:
                    yield waiting
                waiting = event
            continue
        if waiting:
            yield waiting
            waiting = None
        yield event
    if waiting:
        yield waiting
