"""From the running graph to one whole list of events: the function that everything which shows a run reads."""

import asyncio
import copy
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import uuid4

from anyio import CancelScope
from langchain_core.runnables import RunnableConfig

from rag_graph.errors import RagGraphError
from rag_graph.events import (
    AnswerDelta,
    AnswerStarted,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    ThinkingDelta,
    Usage,
)
from rag_graph.graph.build import RagGraph
from rag_graph.graph.resuming import can_resume
from rag_graph.graph.step import SINK
from rag_graph.query import Query
from rag_graph.transcript import Transcript

CHARS_PER_TOKEN = 4
"""A guess, for what a model is still writing: it counts only at its end."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Budget:
    """What one run may take; at its end the run is stopped with what it has."""

    max_s: float
    max_tokens: int


class _BudgetSpent(Exception):
    """The run has taken all it may."""


async def stream_events(
    graph: RagGraph,
    query: Query,
    *,
    run_id: str | None = None,
    attempt: int = 1,
    config: RunnableConfig | None = None,
    budget: Budget | None = None,
    after: Transcript | None = None,
) -> AsyncGenerator[Event]:
    """Run the graph on `query`: `RunStarted`, what the nodes tell, then one terminal event.

    `after` is what an earlier attempt at this run has told: the graph goes on from its last checkpoint, if it keeps
    them and has one.

    What the nodes opened is closed before the end, whatever happens. Closing the iterator cancels the run,
    down to the model's HTTP stream. Deltas that are ready at the same time come as one.
    """
    run_id = run_id or str(uuid4())
    began = monotonic()
    configured = _configured(config, run_id)
    resumed = after is not None and await can_resume(graph, configured, after)
    transcript = copy.deepcopy(after) if after is not None and resumed else Transcript()
    early: RunFailed | RunCancelled | None = None

    def noted(event: Event) -> Event:
        if isinstance(event, AnswerStarted) and resumed:
            transcript.answers[event.version].void()
        transcript.add(event, at_ms=_ms_since(began))
        return event

    yield noted(RunStarted(run_id=run_id, question=query.question, mode=query.mode, attempt=attempt))
    async with aclosing(_told(graph, None if resumed else query, configured, budget)) as told:
        try:
            async for event in told:
                yield noted(event)
        except _BudgetSpent:
            early = RunCancelled(by="budget", answer=transcript.answer)
        except RagGraphError as exc:
            early = _failure(exc, transcript)
        except Exception:
            log.exception("run %s failed", run_id)
            early = _failure(RagGraphError("Something broke in the server; its log says what."), transcript)
    for event in transcript.closings(at_ms=_ms_since(began)):
        yield noted(event)
    yield early or _finish(transcript, total_ms=_ms_since(began))


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


async def _told(
    graph: RagGraph, query: Query | None, config: RunnableConfig, budget: Budget | None
) -> AsyncGenerator[Event]:
    """What the nodes tell, from a task of its own.

    Under a cancel scope of anyio, as web servers use it, LangGraph leaves a running node to its end; a plain
    `task.cancel()` reaches it.
    """
    arrived: list[Event] = []
    wake = asyncio.Event()
    spent = _Spent(budget)
    question: Any = query and query.model_dump()

    def hear(event: Event) -> None:
        arrived.append(event)
        wake.set()

    configurable = {**config["configurable"], SINK: hear}
    running = graph.ainvoke(question, RunnableConfig(**{**config, "configurable": configurable}))
    task = asyncio.create_task(running, name=f"run {configurable['thread_id']}")
    task.add_done_callback(lambda _: wake.set())

    def time_is_up() -> None:
        spent.time_is_up = True
        wake.set()

    alarm = asyncio.get_running_loop().call_later(budget.max_s, time_is_up) if budget else None
    try:
        while not task.done() or arrived:
            await wake.wait()
            wake.clear()
            spent.check_time()
            batch = arrived.copy()
            arrived.clear()
            for event in _joined(batch):
                yield event
                spent.count(event)
        task.result()
    finally:
        if alarm:
            alarm.cancel()
        task.cancel()
        with CancelScope(shield=True):
            await asyncio.wait({task})


class _Spent:
    """What a run has taken so far; raises `_BudgetSpent` when that is too much."""

    def __init__(self, budget: Budget | None) -> None:
        self._budget = budget
        self.time_is_up = False
        self._tokens = 0
        self._chars = 0

    def check_time(self) -> None:
        if self.time_is_up:
            raise _BudgetSpent

    def count(self, event: Event) -> None:
        if isinstance(event, (AnswerDelta, ThinkingDelta)):
            self._chars += len(event.delta)
        elif isinstance(event, Usage):
            self._tokens += event.input_tokens + event.output_tokens
            self._chars = 0
        if self._budget and self._tokens + self._chars // CHARS_PER_TOKEN > self._budget.max_tokens:
            raise _BudgetSpent


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
