"""The runner: starts runs, records what they say, lets any number of readers follow, and ends each once.

A run belongs to no connection. It is a plain asyncio task: cancelling by an anyio scope, as web frameworks do,
would leave a LangGraph node and its model call running. Whatever happens to that task, the log gets the events
that close what is open, and one terminal event.

With leases, several runners share the runs: each renews those it executes, learns by that what was asked of them
elsewhere, and takes over those whose runner has stopped.
"""

import asyncio
import copy
import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

from rag_graph.errors import (
    Draining,
    KeyMalformed,
    LogUnavailable,
    RagGraphError,
    RunAbandoned,
    TooManyRuns,
    UnknownRun,
)
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
from rag_graph.runs.lease import Claim, Leases, Pulse
from rag_graph.runs.log import (
    RUN_ID,
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
    stop,
)
from rag_graph.transcript import Transcript

MAX_KEY_CHARS = 255
MAX_ATTEMPTS = 5
"""A run that so many processes have not survived may be what stops them."""
BUSY_RETRY_S = 2.0
DRAINING_RETRY_S = 1.0
BEAT_S = 0.1
"""How soon a cancel from another process is heard."""
TELL_READERS_S = 1.0
SILENCE_S = 1.0
REMOTE_CANCEL_S = 5.0

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
    readable: bool = True
    """False when the log has lost its beginning, so that a takeover cannot know what was said."""
    cancelled_by: CancelledBy | None = None
    given_up: bool = False
    """Another process executes it, or will."""
    left_at: float = field(default_factory=time.monotonic)
    """When its last reader in this process left."""
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
        leases: Leases | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = run_log
        self._execute = execute
        self._grace_s = grace_s
        self._max_runs = max_runs
        self._max_runs_per_caller = max_runs_per_caller
        self._leases = leases
        self._sharing: asyncio.Task[None] | None = None
        self._renewed_at = 0.0
        self._tell_readers_at = 0.0
        self._believe_absence_at = 0.0
        self._clock = clock
        self._executions: dict[str, _Execution] = {}
        self._readers: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starting = asyncio.Lock()
        self._draining = False

    async def __aenter__(self) -> Self:
        if self._leases is not None:
            self._sharing = asyncio.create_task(self._share(self._leases))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain(0)
        if self._sharing is not None:
            await stop(self._sharing)

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
        run = await self._log.describe(run_id) if RUN_ID.fullmatch(run_id) else None
        if run is None or run.caller != _digest(caller):
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
        """Stop a run, wait until it has let go of all it held, and tell how it ended.

        When another process executes it, the wait has a limit, and the run may still be told as running.
        """
        run = await self.state(run_id, caller=caller)
        execution = self._executions.get(run_id)
        if execution is not None:
            self._stop(execution, by)
            await execution.ended.wait()
        elif self._leases is not None and run.status == "running":
            await self._leases.request_cancel(run_id, by)
            await self._await_end(run)
        return await self.state(run_id, caller=caller)

    async def drain(self, limit_s: float) -> None:
        """Take no new runs, let those that run end within the limit, and stop the others or hand them over."""
        self._draining = True
        async with self._starting:
            tasks = set(self._tasks)
        if tasks and limit_s > 0:
            await asyncio.wait(tasks, timeout=limit_s)
        for execution in list(self._executions.values()):
            if self._leases is None:
                self._stop(execution, "shutdown")
            else:
                self._give_up(execution)
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
        await self._record(execution, _opening(execution))
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
        if execution.cancelled_by is not None or execution.given_up:
            execution.producing.cancel()
        try:
            await asyncio.wait([execution.producing])
            if execution.given_up and execution.transcript.terminal is None:
                await self._hand_over(execution)
            else:
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
        after = await self._mend(execution) if execution.attempt > 1 else None
        events = self._execute(execution.query, run_id=execution.run_id, attempt=execution.attempt, after=after)
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

    async def _mend(self, execution: _Execution) -> Transcript:
        """Void and close what the process that stopped has left open, and tell all that was said so far."""
        transcript = execution.transcript
        if execution.attempt > MAX_ATTEMPTS:
            raise RunAbandoned(f"This run was given up after {MAX_ATTEMPTS} attempts: ask again.")
        if not execution.readable:
            raise RunAbandoned("This run has said too much for another server to take over: ask again.")
        if not transcript.run_id:
            await self._record(execution, _opening(execution))
        for version in transcript.open_versions:
            reset = AnswerReset(
                version=version, attempt=execution.attempt, reason="Another server took over in the middle."
            )
            await self._record(execution, reset)
        for event in transcript.closings(at_ms=self._at_ms(execution)):
            await self._record(execution, event)
        return copy.deepcopy(transcript)

    async def _hand_over(self, execution: _Execution) -> None:
        """Let others claim the run now; if the store does not answer, they will when the lease is over."""
        if self._leases is not None:
            async with asyncio.timeout(self._leases.lease_s):
                await self._log.flush(execution.run_id)
                await self._leases.release(execution.run_id, execution.attempt)

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

    def _give_up(self, execution: _Execution) -> None:
        if not execution.given_up and execution.transcript.terminal is None:
            execution.given_up = True
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
                execution.left_at = time.monotonic()
                self._await_readers(execution)

    def _await_readers(self, execution: _Execution) -> None:
        """Begin the grace time; with leases, the readers of all processes count, and every beat tells of them."""
        if self._leases is None and self._grace_s < math.inf:
            loop = asyncio.get_running_loop()
            execution.absence = loop.call_later(self._grace_s, self._stop, execution, "absence")

    async def _share(self, leases: Leases) -> None:
        """Renew and sweep until the runner closes; an unreachable store is tried again at the next beat."""
        sweep_at = 0.0
        while True:
            try:
                await self._renew(leases)
                if not self._draining and time.monotonic() >= sweep_at:
                    sweep_at = time.monotonic() + leases.lease_s / 3
                    await self._sweep(leases)
            except LogUnavailable as exc:
                log.warning("the runs could not be renewed: %s", exc)
            except Exception:
                log.exception("sharing the runs with other processes failed")
            await asyncio.sleep(BEAT_S)

    async def _renew(self, leases: Leases) -> None:
        executed = {execution.run_id: execution.attempt for execution in self._executions.values()}
        read = self._read_elsewhere(leases.lease_s)
        pulses = await leases.renew(executed, read) if executed or read else {}
        self._doubt_absence()
        for run_id, pulse in pulses.items():
            execution = self._executions.get(run_id)
            if execution is not None and execution.attempt == executed[run_id]:
                self._heed(execution, pulse)

    def _read_elsewhere(self, lease_s: float) -> list[str]:
        """List, now and then, what is read here and executed by others, who must hear of it."""
        if time.monotonic() < self._tell_readers_at:
            return []
        self._tell_readers_at = time.monotonic() + min(TELL_READERS_S, lease_s / 3)
        return [run_id for run_id in self._readers if run_id not in self._executions]

    def _doubt_absence(self) -> None:
        """After a silence of the store, give the processes with readers time to say that they have some."""
        now = time.monotonic()
        if now - self._renewed_at > SILENCE_S:
            self._believe_absence_at = now + self._grace_s
        self._renewed_at = now

    def _heed(self, execution: _Execution, pulse: Pulse | None) -> None:
        if pulse is None:
            self._give_up(execution)
        elif pulse.cancelled_by is not None:
            self._stop(execution, pulse.cancelled_by)
        elif self._is_absent(execution, pulse):
            self._stop(execution, "absence")

    def _is_absent(self, execution: _Execution, pulse: Pulse) -> bool:
        now = time.monotonic()
        unread_s = min(pulse.unread_s, now - execution.left_at)
        return not self._readers[execution.run_id] and unread_s > self._grace_s and now > self._believe_absence_at

    async def _sweep(self, leases: Leases) -> None:
        room = self._max_runs - len(self._executions)
        if room > 0:
            for claim in await leases.claim(room):
                self._spawn(self._take_over(claim, leases))

    async def _take_over(self, claim: Claim, leases: Leases) -> None:
        log.warning("taking over a run", extra={"run_id": claim.run.run_id})
        try:
            await self._resume(claim)
        except RagGraphError as exc:
            log.warning("the run could not be taken over: %s", exc, extra={"run_id": claim.run.run_id})
            with suppress(RagGraphError):
                await leases.release(claim.run.run_id, claim.run.attempt)

    async def _resume(self, claim: Claim) -> None:
        run = claim.run
        execution = _Execution(
            run_id=run.run_id,
            caller=run.caller,
            query=run.query,
            created_at=run.created_at,
            attempt=run.attempt,
            transcript=Transcript(),
            cancelled_by=claim.cancelled_by,
        )
        await self._read_back(execution, run.last_seq)
        self._launch(execution)
        if self._draining:
            self._give_up(execution)

    async def _read_back(self, execution: _Execution, last_seq: int) -> None:
        """Fold what earlier attempts have said."""
        if last_seq == 0:
            return
        async with aclosing(self._log.follow(execution.run_id)) as items:
            async for item in items:
                if isinstance(item, Gap):
                    execution.readable = False
                    continue
                at_ms = (item.at - execution.created_at) * 1000
                execution.transcript.add(item.event, at_ms=at_ms)
                if item.seq >= last_seq:
                    return

    async def _await_end(self, run: Run) -> None:
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(REMOTE_CANCEL_S),
                aclosing(self._log.follow_batches(run.run_id, run.last_seq)) as batches,
            ):
                async for _ in batches:
                    pass


def _opening(execution: _Execution) -> RunStarted:
    query = execution.query
    return RunStarted(run_id=execution.run_id, question=query.question, mode=query.mode, attempt=execution.attempt)


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
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def _hash_key(owner: str, key: str | None) -> str | None:
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise KeyMalformed(f"An idempotency key has 1 to {MAX_KEY_CHARS} characters.")
    return _digest(f"{owner} {key}")
