"""One attempt at a run: whatever becomes of the work, what was opened is closed and one terminal event ends it.

Two tasks: one answers, and may be cancelled at any step; the one that awaits `run` writes the end. An attempt knows
no log and no graph: it is given work that emits events, and a sink that takes them.
"""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from rag_graph.clock import steady_time
from rag_graph.errors import RagGraphError, RunAbandoned
from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    AnswerStarted,
    CancelledBy,
    Emit,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    Terminal,
    ThinkingDelta,
    Usage,
    Version,
)
from rag_graph.query import Query
from rag_graph.runs.observer import Watch
from rag_graph.transcript import Transcript

MAX_ATTEMPTS = 5
"""A run that so many processes have not survived may be what stops them."""
CHARS_PER_TOKEN = 4
"""A guess, for what a model is still writing: the service counts a call's tokens only at its end."""

log = logging.getLogger(__name__)


class Work(Protocol):
    """Whatever answers a question by emitting what happens between a run's start and its terminal event.

    `emit` returns when the event is taken, so a sink that falls behind slows the work instead of filling the memory;
    what it raises must not be caught. `after` is what earlier attempts at this run have said, None in the first.
    """

    async def __call__(
        self, query: Query, emit: Emit, *, run_id: str, attempt: int, after: Transcript | None
    ) -> None: ...


@dataclass(frozen=True)
class Budget:
    """What one attempt may take, in seconds and in tokens of all its model calls; then it ends with what it has."""

    max_s: float
    max_tokens: int


class _BudgetSpent(Exception):
    """The run has taken all it may."""


class Attempt:
    """An attempt at answering `query`, whose events go to `sink` in their order.

    `said` is what earlier attempts have said, with times that count from `began_at`, in seconds since the epoch.
    """

    def __init__(
        self,
        run_id: str,
        query: Query,
        sink: Callable[[Event], Awaitable[object]],
        *,
        number: int = 1,
        said: Transcript | None = None,
        began_at: float | None = None,
        budget: Budget | None = None,
        clock: Callable[[], float] = steady_time,
        cancelled_by: CancelledBy | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.run_id = run_id
        self.number = number
        self.given_up = False
        self._query = query
        self._sink = sink
        self._transcript = said or Transcript()
        self._clock = clock
        self._began_at = clock() if began_at is None else began_at
        self._budget = budget
        self._tokens = 0
        self._uncounted_chars = 0
        self._cancelled_by = cancelled_by
        self._watch = watch
        self._sink_failure: Exception | None = None
        self._working: asyncio.Task[None] | None = None

    @property
    def transcript(self) -> Transcript:
        """All that this attempt and those before it have said."""
        return self._transcript

    async def run(self, work: Work) -> None:
        """Let `work` answer, and end the run, unless it was given up.

        Raises what the sink raised. Cancelling this cancels the work, down to the model's HTTP stream, and ends
        nothing: nobody listens any more.
        """
        try:
            await self._start()
            self._working = asyncio.create_task(self._work(work))
            # Whoever stopped it while `_start` waited for the sink found no task to cancel.
            if self._cancelled_by is not None or self.given_up:
                self._working.cancel()
            try:
                await asyncio.wait([self._working])
            except asyncio.CancelledError:
                self._working.cancel()
                # Until it has let go of the model's connection; `wait` itself does not cancel what it waits for.
                await asyncio.wait([self._working])
                raise
            if not self.given_up:
                terminal = self._outcome(self._working)
                await self._close()
                await self.emit(terminal)
        finally:
            if self._watch is not None:
                self._watch.close()

    def stop(self, by: CancelledBy) -> None:
        """Cancel the run; whoever comes first, and before its end, has cancelled it."""
        if self._cancelled_by is None and self._transcript.terminal is None:
            self._cancelled_by = by
            if self._working is not None:
                self._working.cancel()

    def give_up(self) -> None:
        """Stop without ending the run: another process goes on with it."""
        if not self.given_up and self._transcript.terminal is None:
            self.given_up = True
            if self._working is not None:
                self._working.cancel()

    async def emit(self, event: Event) -> None:
        """Take what the work says, while the budget lasts, and what the attempt itself says, which costs none of it."""
        # By the exact type: `isinstance` is slow on pydantic's classes, and every token comes by here.
        if type(event) is AnswerStarted:
            await self._void_earlier(event.version)
        try:
            # The sink first: an event whose taking was cancelled has not happened.
            await self._sink(event)
        except Exception as exc:
            self._sink_failure = exc
            raise
        if self._watch is not None:
            self._watch.on_event(event)
        # A time is kept only of the first of each kind, and asking the clock for every token would cost.
        timed = type(event) is not AnswerDelta or not self._transcript.answers[event.version].deltas
        self._transcript.add(event, at_ms=self._at_ms() if timed else None)
        if type(event) is AnswerDelta or type(event) is ThinkingDelta:
            self._uncounted_chars += len(event.delta)
        elif type(event) is Usage:
            # A service that reports no usage is counted by the guess alone.
            self._tokens += event.input_tokens + event.output_tokens
            # Of all calls that go on, as if they were one: draft and
            # deep search overlap, and a budget may be late by a call.
            self._uncounted_chars = 0
        else:
            return
        if self._budget and self._tokens + self._uncounted_chars // CHARS_PER_TOKEN > self._budget.max_tokens:
            raise _BudgetSpent

    async def _start(self) -> None:
        """Say that the run has started, if no attempt has said so."""
        if not self._transcript.run_id:
            query = self._query
            await self.emit(
                RunStarted(run_id=self.run_id, question=query.question, mode=query.mode, attempt=self.number)
            )

    async def _work(self, work: Work) -> None:
        after = None
        if self.number > 1:
            await self._take_up()
            # The attempt's own goes on growing while the work looks at what was said before.
            after = copy.deepcopy(self._transcript)
        limit = asyncio.timeout(self._budget.max_s if self._budget else None)
        try:
            async with limit:
                await work(self._query, self.emit, run_id=self.run_id, attempt=self.number, after=after)
        except Exception as exc:
            # At the limit asyncio raises a TimeoutError; a library may have made another error of the cancellation.
            if limit.expired():
                raise _BudgetSpent from exc
            raise

    async def _take_up(self) -> None:
        """Void and close what the attempt before has left open."""
        if self.number > MAX_ATTEMPTS:
            raise RunAbandoned(f"This run was given up after {MAX_ATTEMPTS} attempts: ask again.")
        for version in self._transcript.open_versions:
            reason = "Another server took over in the middle."
            await self.emit(AnswerReset(version=version, attempt=self.number, reason=reason))
        await self._close()

    async def _void_earlier(self, version: Version) -> None:
        """Reset a version that is written a second time, so that no reader joins the two."""
        if self._transcript.answers[version].deltas:
            reason = "This version is written anew."
            await self.emit(AnswerReset(version=version, attempt=self.number, reason=reason))

    async def _close(self) -> None:
        for event in self._transcript.closings(at_ms=self._at_ms()):
            await self.emit(event)

    def _at_ms(self) -> float:
        return round((self._clock() - self._began_at) * 1000, 3)

    def _outcome(self, working: asyncio.Task[None]) -> Terminal:
        """Say how the run ends, now that the work has ended."""
        # First, since the work may have ended by it in any way: a log that takes nothing cannot be told an end either.
        if self._sink_failure is not None:
            raise self._sink_failure
        answer = self._transcript.answer
        if working.cancelled():
            if self._cancelled_by is not None:
                return RunCancelled(by=self._cancelled_by, answer=answer)
            # A library may cancel the task that it runs in; nobody waits for such a run to be told as cancelled.
            error: BaseException | None = RuntimeError("the work was cancelled, and nobody asked for it")
        else:
            error = working.exception()
        if error is None:
            timings = self._transcript.timings.model_copy(update={"total_ms": self._at_ms()})
            return RunFinished(
                version=self._transcript.standing,
                answer=answer,
                citations=self._transcript.citations,
                timings=timings,
                cut_by=self._transcript.cut_by,
            )
        if isinstance(error, _BudgetSpent):
            return RunCancelled(by="budget", answer=answer)
        if not isinstance(error, RagGraphError):
            log.error("the run broke", exc_info=error, extra={"run_id": self.run_id})
            error = RagGraphError("Something broke in the server; its log says what.")
        return RunFailed(code=error.code, message=str(error), retryable=error.retryable, answer=answer)
