"""The runner: starts runs, records what they say, lets any number of readers follow, and ends each once.

A run belongs to no connection. It is a plain asyncio task: cancelling by an anyio scope, as web frameworks do,
would leave a LangGraph node and its model call running. Whatever happens to that task, the log gets the events
that close what is open, and one terminal event.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

from rag_graph.errors import Draining, KeyMalformed, RagGraphError, TooManyRuns, UnknownRun
from rag_graph.events import (
    AnswerReset,
    AnswerStarted,
    Event,
    RunCancelled,
    RunFailed,
    RunStarted,
    Terminal,
)
from rag_graph.query import Query
from rag_graph.runs.log import (
    Batch,
    CancelledBy,
    Entry,
    Gap,
    NewRun,
    Run,
    RunEnded,
    RunLog,
    StartedRun,
    Superseded,
    check_cursor,
    is_terminal,
    new_run_id,
)
from rag_graph.transcript import Transcript

MAX_KEY_CHARS = 255
BUSY_RETRY_S = 2.0
DRAINING_RETRY_S = 1.0

log = logging.getLogger(__name__)
T = TypeVar("T")


class Execute(Protocol):
    """Whatever answers a question in events; `after` is what an earlier attempt at this run had said."""

    def __call__(
        self, query: Query, *, run_id: str, attempt: int, after: Transcript | None
    ) -> AsyncGenerator[Event]: ...


@dataclass(slots=True, eq=False)
class _Execution:
    """A run that this process executes."""

    run_id: str
    caller: str
    query: Query
    created_at: float
    attempt: int
    transcript: Transcript
    after: Transcript | None = None
    cancelled_by: CancelledBy | None = None
    absence: asyncio.TimerHandle | None = None
    producing: asyncio.Task[None] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Runner:
    """Executes runs in this process and reads those that any process executes."""

    def __init__(
        self,
        run_log: RunLog,
        execute: Execute,
        *,
        grace_s: float,
        max_runs: int,
        max_runs_per_caller: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = run_log
        self._execute = execute
        self._grace_s = grace_s
        self._max_runs = max_runs
        self._max_runs_per_caller = max_runs_per_caller
        self._clock = clock
        self._executions: dict[str, _Execution] = {}
        self._readers: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starting = asyncio.Lock()
        self._draining = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain(0)

    @property
    def draining(self) -> bool:
        return self._draining

    @property
    def running(self) -> int:
        """How many runs this process executes."""
        return len(self._executions)

    async def start(self, query: Query, *, caller: str, key: str | None = None) -> StartedRun:
        """Start a run, or attach to the one that this caller has started with this key.

        Raises `KeyMalformed`, `KeyReused`, `TooManyRuns` and `Draining`.
        """
        owner = _digest(caller)
        new = NewRun(
            run_id=new_run_id(self._clock()),
            caller=owner,
            query=query,
            created_at=self._clock(),
            key=_hash_key(owner, key),
        )
        return await asyncio.shield(self._spawn(self._start(new)))

    async def state(self, run_id: str, *, caller: str) -> Run:
        """Tell how a run stands; a run of another caller is an `UnknownRun`."""
        run = await self._log.describe(run_id)
        if run.caller != _digest(caller):
            raise UnknownRun("No run has this id, or it has expired: ask again.")
        return run

    async def check(self, run_id: str, after: int = 0, *, caller: str) -> Run:
        """Raise what `follow` would raise at its first step: `UnknownRun` or `BadCursor`."""
        run = await self.state(run_id, caller=caller)
        check_cursor(run_id, after, last_seq=run.last_seq)
        return run

    async def follow_batches(self, run_id: str, after: int = 0, *, caller: str) -> AsyncGenerator[Batch]:
        """Read as `RunLog.follow_batches` does, and be counted as a reader meanwhile."""
        await self.check(run_id, after, caller=caller)
        self._arrive(run_id)
        try:
            async with aclosing(self._log.follow_batches(run_id, after)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self._leave(run_id)

    async def follow(self, run_id: str, after: int = 0, *, caller: str) -> AsyncGenerator[Entry | Gap]:
        """Read as `RunLog.follow` does, and be counted as a reader meanwhile."""
        async with aclosing(self.follow_batches(run_id, after, caller=caller)) as batches:
            async for batch in batches:
                for item in batch:
                    yield item

    async def cancel(self, run_id: str, by: CancelledBy = "client", *, caller: str) -> Run:
        """Stop a run, wait until it has let go of all it held, and tell how it ended."""
        await self.state(run_id, caller=caller)
        execution = self._executions.get(run_id)
        if execution is not None:
            self._stop(execution, by)
            await execution.ended.wait()
        return await self.state(run_id, caller=caller)

    async def drain(self, limit_s: float) -> None:
        """Take no new runs, let those that run end within the limit, and stop the others."""
        self._draining = True
        async with self._starting:
            tasks = set(self._tasks)
        if tasks and limit_s > 0:
            await asyncio.wait(tasks, timeout=limit_s)
        for execution in list(self._executions.values()):
            self._stop(execution, "shutdown")
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _start(self, new: NewRun) -> StartedRun:
        async with self._starting:
            if new.key is None or await self._log.find(new.key) is None:
                self._admit(new.caller)
            started = await self._log.create(new)
            if not started.replayed:
                await self._begin(new)
        return started

    def _admit(self, owner: str) -> None:
        if self._draining:
            raise Draining("This server is about to stop: ask again.", retry_after_s=DRAINING_RETRY_S)
        if len(self._executions) >= self._max_runs:
            raise TooManyRuns("This server is at its limit: ask again in a moment.", retry_after_s=BUSY_RETRY_S)
        own = sum(execution.caller == owner for execution in self._executions.values())
        if own >= self._max_runs_per_caller:
            raise TooManyRuns(
                f"You have {own} questions running: wait for one to end, or cancel it.",
                retry_after_s=BUSY_RETRY_S,
            )

    async def _begin(self, new: NewRun) -> None:
        execution = _Execution(
            run_id=new.run_id,
            caller=new.caller,
            query=new.query,
            created_at=new.created_at,
            attempt=1,
            transcript=Transcript(),
        )
        opening = RunStarted(run_id=new.run_id, question=new.query.question, mode=new.query.mode)
        await self._record(execution, opening)
        self._launch(execution)

    def _launch(self, execution: _Execution) -> None:
        self._executions[execution.run_id] = execution
        self._await_readers(execution)
        self._spawn(self._supervise(execution))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that no caller's leaving may interrupt."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _supervise(self, execution: _Execution) -> None:
        """Outlive the producing task, which may be cancelled even before its first step, and end the run."""
        execution.producing = asyncio.create_task(self._produce(execution))
        if execution.cancelled_by is not None:
            execution.producing.cancel()
        try:
            await asyncio.wait([execution.producing])
            await self._conclude(execution, _verdict(execution, execution.producing))
        except (RunEnded, Superseded):
            log.warning("another process goes on with the run", extra={"run_id": execution.run_id})
        except Exception:
            log.exception("the end of the run could not be recorded", extra={"run_id": execution.run_id})
        finally:
            if execution.absence is not None:
                execution.absence.cancel()
            del self._executions[execution.run_id]
            execution.ended.set()

    async def _produce(self, execution: _Execution) -> None:
        events = self._execute(
            execution.query,
            run_id=execution.run_id,
            attempt=execution.attempt,
            after=execution.after,
        )
        async with aclosing(events):
            async for event in events:
                if event.type == "run_started":
                    continue
                if is_terminal(event):
                    await self._conclude(execution, event)
                    return
                if event.type == "answer_started":
                    await self._void_earlier(execution, event)
                await self._record(execution, event)

    async def _void_earlier(self, execution: _Execution, event: AnswerStarted) -> None:
        """Reset a version that is written a second time, so that no reader joins the two."""
        if execution.transcript.answers[event.version].deltas:
            reset = AnswerReset(
                version=event.version, attempt=execution.attempt, reason="This version is written anew."
            )
            await self._record(execution, reset)

    async def _conclude(self, execution: _Execution, terminal: Terminal) -> None:
        transcript = execution.transcript
        if transcript.terminal is None:
            for event in transcript.closings(at_ms=self._at_ms(execution)):
                await self._record(execution, event)
            await self._record(execution, terminal)
        await self._log.flush(execution.run_id)

    async def _record(self, execution: _Execution, event: Event) -> None:
        entry = await self._log.append(execution.run_id, event, attempt=execution.attempt)
        execution.transcript.add(event, at_ms=(entry.at - execution.created_at) * 1000)

    def _at_ms(self, execution: _Execution) -> float:
        return (self._clock() - execution.created_at) * 1000

    def _stop(self, execution: _Execution, by: CancelledBy) -> None:
        if execution.cancelled_by is None and execution.transcript.terminal is None:
            execution.cancelled_by = by
            if execution.producing is not None:
                execution.producing.cancel()

    def _arrive(self, run_id: str) -> None:
        self._readers[run_id] += 1
        execution = self._executions.get(run_id)
        if execution is not None and execution.absence is not None:
            execution.absence.cancel()

    def _leave(self, run_id: str) -> None:
        self._readers[run_id] -= 1
        if self._readers[run_id] == 0:
            del self._readers[run_id]
            execution = self._executions.get(run_id)
            if execution is not None:
                self._await_readers(execution)

    def _await_readers(self, execution: _Execution) -> None:
        if self._grace_s < math.inf:
            loop = asyncio.get_running_loop()
            execution.absence = loop.call_later(self._grace_s, self._stop, execution, "absence")


def _verdict(execution: _Execution, producing: asyncio.Task[None]) -> Terminal:
    """Say how the run ends, now that its task has ended without saying so."""
    answer = execution.transcript.answer
    if producing.cancelled() and execution.cancelled_by is not None:
        return RunCancelled(by=execution.cancelled_by, answer=answer)
    error = None if producing.cancelled() else producing.exception()
    if isinstance(error, (RunEnded, Superseded)):
        raise error
    if isinstance(error, RagGraphError):
        return RunFailed(code=error.code, message=str(error), retryable=error.retryable, answer=answer)
    if error is not None or execution.transcript.terminal is None:
        log.error("the run broke", exc_info=error, extra={"run_id": execution.run_id})
    return RunFailed(
        code=RagGraphError.code, message="Something broke on our side: ask again.", retryable=True, answer=answer
    )


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _hash_key(owner: str, key: str | None) -> str | None:
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise KeyMalformed(f"An idempotency key has 1 to {MAX_KEY_CHARS} characters.")
    return _digest(f"{owner} {key}")
