"""One run of the graph from its first event to its last: whoever wants to show it is told, event by event."""

import asyncio
import copy
import logging
from dataclasses import dataclass
from time import monotonic
from typing import Any

from langchain_core.runnables import RunnableConfig

from rag_graph.errors import RagGraphError
from rag_graph.events import (
    AnswerDelta,
    AnswerStarted,
    Emit,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    Terminal,
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


async def run_graph(
    graph: RagGraph,
    query: Query,
    emit: Emit,
    *,
    run_id: str,
    attempt: int = 1,
    config: RunnableConfig | None = None,
    budget: Budget | None = None,
    after: Transcript | None = None,
) -> None:
    """Run the graph on `query` and tell `RunStarted`, what the nodes tell, then one terminal event.

    `after` is what an earlier attempt at this run has told: the graph goes on from its last checkpoint, if it keeps
    them and has one.

    What the nodes opened is closed before the end, whatever happens. A node waits until what it tells is taken, so a
    log that falls behind slows the model instead of filling the memory; what `emit` raises ends the run, and is
    raised. Cancelling reaches the model's HTTP stream, if it is a task's: under a cancel scope of anyio, as web
    servers use it, LangGraph leaves a running node to its end.
    """
    configured = _configured(config, run_id)
    resumed = after is not None and await can_resume(graph, configured, after)
    telling = _Telling(emit, _Spent(budget), after if resumed else None)
    early: RunFailed | RunCancelled | None = None
    await telling.emit(RunStarted(run_id=run_id, question=query.question, mode=query.mode, attempt=attempt))
    try:
        async with asyncio.timeout(budget.max_s if budget else None) as limit:
            await _invoke(graph, None if resumed else query, configured, telling)
    except Exception as exc:
        if telling.is_broken:
            raise
        if limit.expired() or isinstance(exc, _BudgetSpent):
            early = RunCancelled(by="budget", answer=telling.transcript.answer)
        else:
            early = _failure(exc, telling.transcript, run_id)
    for event in telling.transcript.closings(at_ms=telling.at_ms):
        await telling.emit(event)
    await telling.emit(early or _finish(telling.transcript, total_ms=telling.at_ms))


class _Telling:
    """Tells events on, and knows what was told."""

    def __init__(self, emit: Emit, spent: "_Spent", after: Transcript | None) -> None:
        self.is_broken = False
        self.transcript = Transcript() if after is None else copy.deepcopy(after)
        self._resumes = after is not None
        self._emit = emit
        self._spent = spent
        self._began = monotonic()

    @property
    def at_ms(self) -> float:
        return round((monotonic() - self._began) * 1000, 3)

    async def emit(self, event: Event) -> None:
        if self._resumes and isinstance(event, AnswerStarted):
            self.transcript.answers[event.version].void()
        self.transcript.add(event, at_ms=self.at_ms)
        try:
            await self._emit(event)
        except Exception:
            self.is_broken = True
            raise

    async def hear(self, event: Event) -> None:
        """Take what a node tells, while the budget lasts."""
        await self.emit(event)
        self._spent.count(event)


async def _invoke(graph: RagGraph, query: Query | None, config: RunnableConfig, telling: _Telling) -> None:
    """Run the nodes. What they tell goes to the sink, so LangGraph's own stream is the one that stays empty."""
    question: Any = query and query.model_dump()
    configurable = {**config["configurable"], SINK: telling.hear}
    await graph.ainvoke(question, RunnableConfig(**{**config, "configurable": configurable}), stream_mode="custom")


def _configured(config: RunnableConfig | None, run_id: str) -> RunnableConfig:
    configurable = {"thread_id": run_id, **(config or {}).get("configurable", {})}
    return RunnableConfig(**{**(config or {}), "configurable": configurable})


def _finish(transcript: Transcript, *, total_ms: float) -> Terminal:
    return RunFinished(
        version=transcript.standing,
        answer=transcript.answer,
        citations=transcript.citations,
        timings=transcript.timings.model_copy(update={"total_ms": total_ms}),
    )


def _failure(exc: Exception, transcript: Transcript, run_id: str) -> RunFailed:
    if isinstance(exc, RagGraphError):
        error = exc
    else:
        log.error("run %s failed", run_id, exc_info=exc)
        error = RagGraphError("Something broke in the server; its log says what.")
    return RunFailed(code=error.code, message=str(error), retryable=error.retryable, answer=transcript.answer)


class _Spent:
    """What a run has taken so far; raises `_BudgetSpent` when that is too much."""

    def __init__(self, budget: Budget | None) -> None:
        self._budget = budget
        self._tokens = 0
        self._chars = 0

    def count(self, event: Event) -> None:
        if isinstance(event, (AnswerDelta, ThinkingDelta)):
            self._chars += len(event.delta)
        elif isinstance(event, Usage):
            self._tokens += event.input_tokens + event.output_tokens
            self._chars = 0
        if self._budget and self._tokens + self._chars // CHARS_PER_TOKEN > self._budget.max_tokens:
            raise _BudgetSpent
