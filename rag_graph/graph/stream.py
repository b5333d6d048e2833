"""From the running graph to one whole list of events: the function that everything which shows a run reads."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from time import monotonic
from typing import Any
from uuid import uuid4

from anyio import CancelScope
from langchain_core.runnables import RunnableConfig

from rag_graph.errors import RagGraphError
from rag_graph.events import AnswerDelta, Event, RunFailed, RunFinished, RunStarted
from rag_graph.graph.build import RagGraph
from rag_graph.graph.step import SINK
from rag_graph.query import Query
from rag_graph.transcript import Transcript

log = logging.getLogger(__name__)


async def stream_events(
    graph: RagGraph,
    query: Query,
    *,
    run_id: str | None = None,
    attempt: int = 1,
    config: RunnableConfig | None = None,
) -> AsyncGenerator[Event]:
    """Run the graph on `query`: `RunStarted`, what the nodes tell, then one terminal event.

    What the nodes opened is closed before the end, whatever happens. Closing the iterator cancels the run,
    down to the model's HTTP stream. Deltas that are ready at the same time come as one.
    """
    run_id = run_id or str(uuid4())
    began = monotonic()
    transcript = Transcript()
    failure: RunFailed | None = None

    def noted(event: Event) -> Event:
        transcript.add(event, at_ms=_ms_since(began))
        return event

    yield noted(RunStarted(run_id=run_id, question=query.question, mode=query.mode, attempt=attempt))
    async with aclosing(_told(graph, query, _configured(config, run_id))) as told:
        try:
            async for event in told:
                yield noted(event)
        except RagGraphError as exc:
            failure = _failure(exc, transcript)
        except Exception:
            log.exception("run %s failed", run_id)
            failure = _failure(RagGraphError("Something broke in the server; its log says what."), transcript)
    for event in transcript.closings(at_ms=_ms_since(began)):
        yield noted(event)
    yield failure or _finish(transcript, total_ms=_ms_since(began))


def _ms_since(began: float) -> float:
    return round((monotonic() - began) * 1000, 3)


def _configured(config: RunnableConfig | None, run_id: str) -> RunnableConfig:
    configurable = {"thread_id": run_id, **(config or {}).get("configurable", {})}
    return RunnableConfig(**{**(config or {}), "configurable": configurable})


def _finish(transcript: Transcript, *, total_ms: float) -> RunFinished:
    return RunFinished(
        version=transcript.standing,
        answer=transcript.answer,
        citations=transcript.citations,
        timings=transcript.timings.model_copy(update={"total_ms": total_ms}),
    )


def _failure(error: RagGraphError, transcript: Transcript) -> RunFailed:
    return RunFailed(code=error.code, message=str(error), retryable=error.retryable, answer=transcript.answer)


async def _told(graph: RagGraph, query: Query, config: RunnableConfig) -> AsyncGenerator[Event]:
    """What the nodes tell, from a task of its own.

    Under a cancel scope of anyio, as web servers use it, LangGraph leaves a running node to its end; a plain
    `task.cancel()` reaches it.
    """
    arrived: list[Event] = []
    wake = asyncio.Event()
    question: Any = query.model_dump()

    def hear(event: Event) -> None:
        arrived.append(event)
        wake.set()

    configurable = {**config["configurable"], SINK: hear}
    running = graph.ainvoke(question, RunnableConfig(**{**config, "configurable": configurable}))
    task = asyncio.create_task(running, name=f"run {configurable['thread_id']}")
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
