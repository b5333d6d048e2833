"""One run being executed: what its producer says is recorded, and whatever happens to that, the run is ended."""

import asyncio
import copy
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Protocol

from rag_graph.errors import RagGraphError, RunAbandoned
from rag_graph.events import AnswerReset, AnswerStarted, Emit, Event, RunCancelled, RunFailed, RunStarted, Terminal
from rag_graph.query import Query
from rag_graph.runs.log import CancelledBy, Gap, Run, RunEnded, RunLog, Superseded, is_terminal
from rag_graph.runs.observer import Observer, Unobserved, Watch
from rag_graph.transcript import Transcript

MAX_ATTEMPTS = 5
"""A run that so many processes have not survived may be what stops them."""

log = logging.getLogger(__name__)


class Execute(Protocol):
    """Whatever answers a question by telling events; `after` is what an earlier attempt at this run had said."""

    async def __call__(
        self, query: Query, emit: Emit, *, run_id: str, attempt: int, after: Transcript | None
    ) -> None: ...


class Execution:
    """An attempt at a run, in two tasks: one produces and may be cancelled at any step, the other ends the run."""

    def __init__(
        self,
        run: Run,
        *,
        run_log: RunLog,
        execute: Execute,
        clock: Callable[[], float],
        observer: Observer,
        cancelled_by: CancelledBy | None = None,
    ) -> None:
        self.run_id = run.run_id
        self.caller = run.caller
        self.attempt = run.attempt
        self.given_up = False
        self.ended = asyncio.Event()
        self.absence: asyncio.TimerHandle | None = None
        self.left_at = time.monotonic()
        self._query = run.query
        self._created_at = run.created_at
        self._log = run_log
        self._execute = execute
        self._clock = clock
        self._cancelled_by = cancelled_by
        self._transcript = Transcript()
        self._observer = observer
        self._watch: Watch = Unobserved()
        self._readable = True
        self._producing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Record that the run has started."""
        query = self._query
        await self._record(
            RunStarted(run_id=self.run_id, question=query.question, mode=query.mode, attempt=self.attempt)
        )

    async def read_back(self, last_seq: int) -> None:
        """Learn what earlier attempts have said."""
        if last_seq == 0:
            return
        async with aclosing(self._log.follow(self.run_id)) as items:
            async for item in items:
                if isinstance(item, Gap):
                    self._readable = False
                    continue
                self._transcript.add(item.event, at_ms=(item.at - self._created_at) * 1000)
                if item.seq >= last_seq:
                    return

    async def run(self) -> None:
        """Produce, and end the run, unless it was given up; raises `RunEnded` or `Superseded` if others did."""
        self._watch = self._observer.watch(self.run_id, mode=self._query.mode, attempt=self.attempt)
        self._producing = asyncio.create_task(self._produce())
        if self._cancelled_by is not None or self.given_up:
            self._producing.cancel()
        try:
            await asyncio.wait([self._producing])
            if not self.given_up:
                await self._conclude(self._verdict(self._producing))
        finally:
            self._watch.close()

    def stop(self, by: CancelledBy) -> None:
        """Cancel the run; whoever comes first, and before its end, has cancelled it."""
        if self._cancelled_by is None and not self._is_over:
            self._cancelled_by = by
            if self._producing is not None:
                self._producing.cancel()

    def give_up(self) -> None:
        """Stop executing without ending the run: another process goes on with it."""
        if not self.given_up and not self._is_over:
            self.given_up = True
            if self._producing is not None:
                self._producing.cancel()

    @property
    def _is_over(self) -> bool:
        return self._transcript.terminal is not None

    async def _produce(self) -> None:
        after = await self._mend() if self.attempt > 1 else None
        await self._execute(self._query, self._hear, run_id=self.run_id, attempt=self.attempt, after=after)

    async def _hear(self, event: Event) -> None:
        if is_terminal(event):
            await self._conclude(event)
        elif event.type != "run_started":
            if event.type == "answer_started":
                await self._void_earlier(event)
            await self._record(event)

    async def _mend(self) -> Transcript:
        """Void and close what the attempt before has left open, and tell all that was said so far."""
        if self.attempt > MAX_ATTEMPTS:
            raise RunAbandoned(f"This run was given up after {MAX_ATTEMPTS} attempts: ask again.")
        if not self._readable:
            raise RunAbandoned("This run has said too much for another server to take over: ask again.")
        if not self._transcript.run_id:
            await self.open()
        for version in self._transcript.open_versions:
            reason = "Another server took over in the middle."
            await self._record(AnswerReset(version=version, attempt=self.attempt, reason=reason))
        await self._close()
        return copy.deepcopy(self._transcript)

    async def _void_earlier(self, event: AnswerStarted) -> None:
        """Reset a version that is written a second time, so that no reader joins the two."""
        if self._transcript.answers[event.version].deltas:
            reason = "This version is written anew."
            await self._record(AnswerReset(version=event.version, attempt=self.attempt, reason=reason))

    async def _conclude(self, terminal: Terminal) -> None:
        if not self._is_over:
            await self._close()
            await self._record(terminal)
        await self._log.flush(self.run_id)

    async def _close(self) -> None:
        at_ms = (self._clock() - self._created_at) * 1000
        for event in self._transcript.closings(at_ms=at_ms):
            await self._record(event)

    async def _record(self, event: Event) -> None:
        entry = await self._log.append(self.run_id, event, attempt=self.attempt)
        self._transcript.add(event, at_ms=(entry.at - self._created_at) * 1000)
        self._watch.on_event(event)

    def _verdict(self, producing: asyncio.Task[None]) -> Terminal:
        """Say how the run ends, now that its producer has ended without saying so."""
        answer = self._transcript.answer
        if producing.cancelled() and self._cancelled_by is not None:
            return RunCancelled(by=self._cancelled_by, answer=answer)
        error = None if producing.cancelled() else producing.exception()
        if isinstance(error, (RunEnded, Superseded)):
            raise error
        if isinstance(error, RagGraphError):
            return RunFailed(code=error.code, message=str(error), retryable=error.retryable, answer=answer)
        if error is not None or not self._is_over:
            log.error("the run broke", exc_info=error, extra={"run_id": self.run_id})
        message = "Something broke on our side: ask again."
        return RunFailed(code=RagGraphError.code, message=message, retryable=True, answer=answer)
