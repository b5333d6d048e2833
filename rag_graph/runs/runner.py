"""The runner: starts runs, lets any number of readers follow them, and stops what nobody reads.

A run belongs to no connection. It is a plain asyncio task: cancelling by an anyio scope, as web frameworks do,
would leave a LangGraph node and its model call running.

With leases, several runners share the runs: each renews those it executes, learns by that what was asked of them
elsewhere, and takes over those whose runner has stopped.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Self, TypeVar

from rag_graph.errors import (
    Draining,
    KeyMalformed,
    LogUnavailable,
    RagGraphError,
    RunExpired,
    UnknownRun,
)
from rag_graph.query import Query
from rag_graph.runs.admission import Places
from rag_graph.runs.execution import Execute, Execution
from rag_graph.runs.lease import Claim, Leases, Pulse
from rag_graph.runs.log import (
    RUN_ID,
    Batch,
    Bounds,
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
    made_at,
    new_run_id,
    stop,
)
from rag_graph.runs.observer import Observer, Unobserved

FIRST_READER_S = 5.0
"""Whoever starts a run gets at least this long to begin reading it."""
MAX_KEY_CHARS = 255
DRAINING_RETRY_S = 1.0
BEAT_S = 0.1
"""How soon a cancel from another process is heard."""
TELL_READERS_S = 1.0
"""How often, at most, other processes hear of readers here; the grace time is longer by that."""
SILENCE_S = 1.0
"""After so long without the store, what it says of readers elsewhere may be old."""
REMOTE_CANCEL_S = 5.0

log = logging.getLogger(__name__)
T = TypeVar("T")


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
        max_waiting: int = 0,
        max_wait_s: float = 0.0,
        leases: Leases | None = None,
        kept_s: float = Bounds().ttl_s,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
    ) -> None:
        self._log = run_log
        self._execute = execute
        self._grace_s = grace_s
        self._places = Places(
            limit=max_runs, limit_per_caller=max_runs_per_caller, line=max_waiting, patience_s=max_wait_s
        )
        self._leases = leases
        self._sharing: asyncio.Task[None] | None = None
        self._renewed_at = 0.0
        self._tell_readers_at = 0.0
        self._believe_absence_at = 0.0
        self._kept_s = kept_s
        self._clock = clock
        self._observer = observer or Unobserved()
        self._started_at = clock()
        self._executions: dict[str, Execution] = {}
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

    @property
    def waiting(self) -> int:
        """How many questions wait for their run to start."""
        return self._places.waiting

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[None]:
        """Let a run that is not kept here count as one of this process. Raises `TooManyRuns` and `Draining`."""
        owner = _digest(caller)
        self._check_open()
        await self._places.take(owner)
        try:
            yield
        finally:
            self._places.leave(owner)

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
        try:
            run = await self._log.describe(run_id) if RUN_ID.fullmatch(run_id) else None
        except UnknownRun:
            run = None
        if run is None or run.caller != _digest(caller):
            raise self._missing(run_id)
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
        self._observer.reader_came(resumes=after > 0)
        try:
            async with aclosing(self._log.follow_batches(run_id, after)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self._observer.reader_left()
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
            execution.stop(by)
            await execution.ended.wait()
        elif self._leases is not None and run.status == "running":
            await self._leases.request_cancel(run_id, by)
            await self._await_end(run)
        return await self.state(run_id, caller=caller)

    async def drain(self, limit_s: float) -> None:
        """Take no new runs, let those that run end within the limit, and stop the others or hand them over."""
        self._draining = True
        self._places.dismiss(_drains())
        async with self._starting:
            tasks = set(self._tasks)
        if tasks and limit_s > 0:
            await asyncio.wait(tasks, timeout=limit_s)
        for execution in list(self._executions.values()):
            if self._leases is None:
                execution.stop("shutdown")
            else:
                execution.give_up()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _missing(self, run_id: str) -> UnknownRun:
        """An id from before this process, or older than runs are kept, may have been a run's; nobody can tell."""
        made = made_at(run_id)
        if made is not None and made < max(self._started_at, self._clock() - self._kept_s):
            return RunExpired("This run is no longer kept: ask again, with the same idempotency key if you had one.")
        return UnknownRun("No run has this id: ask again.")

    async def _start(self, new: NewRun) -> StartedRun:
        async with self._starting:
            if new.key is not None and await self._log.find(new.key) is not None:
                return await self._log.create(new)
            self._check_open()
            if self._places.free:
                return await self._create(new)
        return await self._create(new)

    async def _create(self, new: NewRun) -> StartedRun:
        await self._places.take(new.caller)
        try:
            started = await self._log.create(new)
            if not started.replayed:
                execution = self._execution(Run.of(new))
                await execution.open()
                self._launch(execution)
        except BaseException:
            self._places.leave(new.caller)
            raise
        if started.replayed:
            self._places.leave(new.caller)
        return started

    def _check_open(self) -> None:
        if self._draining:
            raise _drains()

    def _execution(self, run: Run, *, cancelled_by: CancelledBy | None = None) -> Execution:
        return Execution(
            run,
            run_log=self._log,
            execute=self._execute,
            clock=self._clock,
            observer=self._observer,
            cancelled_by=cancelled_by,
        )

    def _launch(self, execution: Execution) -> None:
        self._executions[execution.run_id] = execution
        self._await_readers(execution, grace_s=max(self._grace_s, FIRST_READER_S))
        self._spawn(self._supervise(execution))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that no caller's leaving may interrupt."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _supervise(self, execution: Execution) -> None:
        try:
            await execution.run()
            if execution.given_up:
                await self._hand_over(execution)
        except (RunEnded, Superseded):
            log.warning("another process goes on with the run", extra={"run_id": execution.run_id})
        except Exception:
            log.exception("the end of the run could not be recorded", extra={"run_id": execution.run_id})
        finally:
            if execution.absence is not None:
                execution.absence.cancel()
            del self._executions[execution.run_id]
            self._places.leave(execution.caller)
            execution.ended.set()

    async def _hand_over(self, execution: Execution) -> None:
        """Let others claim the run now; if the store does not answer, they will when the lease is over."""
        if self._leases is not None:
            async with asyncio.timeout(self._leases.lease_s):
                await self._log.flush(execution.run_id)
                await self._leases.release(execution.run_id, execution.attempt)

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
                self._await_readers(execution, grace_s=self._grace_s)

    def _await_readers(self, execution: Execution, *, grace_s: float) -> None:
        """Begin the grace time; with leases, the readers of all processes count, and every beat tells of them."""
        if self._leases is None and grace_s < math.inf:
            loop = asyncio.get_running_loop()
            execution.absence = loop.call_later(grace_s, execution.stop, "absence")

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
        read = self._read_elsewhere(leases)
        pulses = await leases.renew(executed, read) if executed or read else {}
        self._doubt_absence()
        for run_id, pulse in pulses.items():
            execution = self._executions.get(run_id)
            if execution is not None and execution.attempt == executed[run_id]:
                self._heed(execution, pulse, grace_s=self._grace_s + _tell_readers_s(leases))

    def _read_elsewhere(self, leases: Leases) -> list[str]:
        """List, now and then, what is read here and executed by others, who must hear of it."""
        if time.monotonic() < self._tell_readers_at:
            return []
        self._tell_readers_at = time.monotonic() + _tell_readers_s(leases)
        return [run_id for run_id in self._readers if run_id not in self._executions]

    def _doubt_absence(self) -> None:
        """After a silence of the store, give the processes with readers time to say that they have some."""
        now = time.monotonic()
        if now - self._renewed_at > SILENCE_S:
            self._believe_absence_at = now + self._grace_s
        self._renewed_at = now

    def _heed(self, execution: Execution, pulse: Pulse | None, *, grace_s: float) -> None:
        if pulse is None:
            execution.give_up()
        elif pulse.cancelled_by is not None:
            execution.stop(pulse.cancelled_by)
        elif not self._readers[execution.run_id]:
            now = time.monotonic()
            unread_s = min(pulse.unread_s, now - execution.left_at)
            if unread_s > grace_s and now > self._believe_absence_at:
                execution.stop("absence")

    async def _sweep(self, leases: Leases) -> None:
        if room := self._places.free:
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
        execution = self._execution(claim.run, cancelled_by=claim.cancelled_by)
        await execution.read_back(claim.run.last_seq)
        self._places.take_anyway(execution.caller)
        self._launch(execution)
        if self._draining:
            execution.give_up()

    async def _await_end(self, run: Run) -> None:
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(REMOTE_CANCEL_S),
                aclosing(self._log.follow_batches(run.run_id, run.last_seq)) as batches,
            ):
                async for _ in batches:
                    pass


def _tell_readers_s(leases: Leases) -> float:
    return min(TELL_READERS_S, leases.lease_s / 3)


def _drains() -> Draining:
    return Draining("This server is about to stop: ask again.", retry_after_s=DRAINING_RETRY_S)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def _hash_key(owner: str, key: str | None) -> str | None:
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise KeyMalformed(f"An idempotency key has 1 to {MAX_KEY_CHARS} characters.")
    return _digest(f"{owner} {key}")
