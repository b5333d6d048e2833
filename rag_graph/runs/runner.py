"""The runner: starts runs, lets any number of readers follow them, and stops what nobody reads.

A run belongs to no connection. It is a plain asyncio task: cancelling by an anyio scope, as web frameworks do,
would leave a LangGraph node and its model call running.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any, Self, TypeVar

from rag_graph.clock import steady_time
from rag_graph.errors import Draining, RagGraphError, RunAbandoned, RunExpired, UnknownRun
from rag_graph.events import CancelledBy
from rag_graph.query import Query
from rag_graph.runs.admission import ADVICE, Admission
from rag_graph.runs.attempt import Attempt, Budget, Work
from rag_graph.runs.ids import RUN_ID, digest, hash_key, made_at, new_run_id
from rag_graph.runs.lease import Claim, Leases
from rag_graph.runs.log import (
    Batch,
    Bounds,
    Entry,
    Gap,
    NewRun,
    Run,
    RunEnded,
    RunLog,
    StartedRun,
    Superseded,
    check_cursor,
)
from rag_graph.runs.observer import Observer, Unobserved
from rag_graph.runs.sharing import Execution, Sharing
from rag_graph.transcript import Transcript

FIRST_READER_S = 5.0
"""Whoever starts a run gets at least this long to begin reading it."""
DRAINING_RETRY_S = 1.0
REMOTE_CANCEL_S = 5.0
"""A cancel waits so long for the process that executes the run, which hears of it within a beat of its leases."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class Runner:
    """Executes runs in this process and reads those that any process executes.

    With `leases` several processes share the runs; this one takes over what others have left while `is_ready` says
    that it could answer. `on_end` hears of every run that has ended here, as a whole.
    """

    def __init__(
        self,
        run_log: RunLog,
        work: Work,
        *,
        grace_s: float,
        max_runs: int,
        max_runs_per_caller: int,
        max_waiting: int = 0,
        max_wait_s: float = 0.0,
        budget: Budget | None = None,
        leases: Leases | None = None,
        is_ready: Callable[[], Awaitable[bool]] | None = None,
        kept_s: float = Bounds().ttl_s,
        clock: Callable[[], float] = steady_time,
        observer: Observer | None = None,
        on_end: Callable[[Transcript], Awaitable[None]] | None = None,
    ) -> None:
        self._log = run_log
        self._work = work
        self._grace_s = grace_s
        self._budget = budget
        self._admission = Admission(
            limit=max_runs, limit_per_caller=max_runs_per_caller, line=max_waiting, patience_s=max_wait_s
        )
        self._kept_s = kept_s
        self._clock = clock
        self._observer = observer or Unobserved()
        self._on_end = on_end
        self._started_at = clock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starting = asyncio.Lock()
        self._leases = leases
        self._sharing = Sharing(leases, self, grace_s=grace_s, is_ready=is_ready) if leases else None
        self.executions: dict[str, Execution] = {}
        self.readers: Counter[str] = Counter()
        self.draining = False

    async def __aenter__(self) -> Self:
        if self._sharing is not None:
            self._sharing.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain(0)
        if self._sharing is not None:
            await self._sharing.end()

    @property
    def running(self) -> int:
        """How many runs this process executes."""
        return len(self.executions)

    @property
    def waiting(self) -> int:
        """How many questions wait for their run to start."""
        return self._admission.waiting

    @property
    def room(self) -> int:
        """How many more runs may start now."""
        return self._admission.free

    @asynccontextmanager
    async def admitted(self, caller: str) -> AsyncIterator[None]:
        """Let a run that is not kept here count as one of this process. Raises `TooManyRuns` and `Draining`."""
        self._check_open()
        async with self._admission.slot(digest(caller), advice=self._advice(caller)):
            yield

    async def start(
        self,
        query: Query,
        *,
        caller: str,
        key: str | None = None,
        chat: str | None = None,
        follows: str = "",
        unattended: bool = False,
    ) -> StartedRun:
        """Start a run, or attach to the one that this caller has started with this key.

        With `chat`, a name for the conversation, it is found by `latest` as well. `follows` names the run whose
        answer it replies to. An `unattended` run goes on without readers.
        An asker who leaves while the question waits takes it along; once the run is created, it stays.
        Raises `KeyMalformed`, `KeyReused`, `TooManyRuns` and `Draining`.
        """
        owner = digest(caller)
        new = NewRun(
            run_id=new_run_id(self._clock()),
            caller=owner,
            query=query,
            created_at=self._clock(),
            key=hash_key(owner, key),
            chat=None if chat is None else digest(f"{owner} {chat}"),
            follows=follows,
            unattended=unattended,
        )
        # One at a time: of many requests with one key at once, the first creates the run and the others find it,
        # instead of each taking one of their caller's slots.
        async with self._starting:
            # Before admission: a question that is sent again finds its run on a full server, too, and costs no slot.
            if new.key is not None and await self._log.find(new.key) is not None:
                return await self._log.create(new)
            self._check_open()
            if self._admission.free:
                await self._admission.take(owner, advice=self._advice(caller))
                # An asker may leave at any step: a run that was created and not
                # launched would be in the log for ever, and executed by nobody.
                return await asyncio.shield(self.spawn(self._create(new)))
        # Whoever has to wait does so outside of the lock, so that others can start, or attach, meanwhile.
        await self._admission.take(owner, advice=self._advice(caller), name=new.key or "")
        return await asyncio.shield(self.spawn(self._create(new)))

    def ahead_of(self, key: str, *, caller: str) -> int | None:
        """How many questions come before the one that this caller has sent with this key; None where none waits here.

        Other processes have lines of their own. Raises `KeyMalformed`.
        """
        name = hash_key(digest(caller), key)
        return None if name is None else self._admission.ahead_of(name)

    async def state(self, run_id: str, *, caller: str) -> Run:
        """Tell how a run stands; a run of another caller is an `UnknownRun`."""
        with suppress(UnknownRun):
            if RUN_ID.fullmatch(run_id):
                run = await self._log.describe(run_id)
                # Another caller's run is told as one that never was, so that ids cannot be tried out.
                if run.caller == digest(caller):
                    return run
        # An id from before this process, or older than runs are kept, may have been a run's; nobody can tell.
        made = made_at(run_id)
        if made is not None and made < max(self._started_at, self._clock() - self._kept_s):
            raise RunExpired("This run is no longer kept: ask again, with the same idempotency key if you had one.")
        raise UnknownRun("No run has this id: ask again.")

    def kept_until(self, run: Run) -> float:
        """When this run is forgotten; of one that goes on, if it ended now."""
        return (run.ended_at or self._clock()) + self._kept_s

    async def latest(self, chat: str, *, caller: str) -> Run | None:
        """Tell how the newest run of this caller's chat stands, in whatever process it was started."""
        run_id = await self._log.latest(digest(f"{digest(caller)} {chat}"))
        with suppress(UnknownRun):
            return await self.state(run_id, caller=caller) if run_id else None
        return None

    async def check(self, run_id: str, after: int = 0, *, caller: str) -> Run:
        """Raise what `follow` would raise at its first step: `UnknownRun` or `BadCursor`."""
        run = await self.state(run_id, caller=caller)
        check_cursor(run_id, after, last_seq=run.last_seq)
        return run

    @asynccontextmanager
    async def reading(self, run_id: str, after: int = 0, *, caller: str) -> AsyncIterator[AsyncGenerator[Batch]]:
        """What `RunLog.follow_batches` gives; whoever holds it is counted as a reader."""
        await self.check(run_id, after, caller=caller)
        self.readers[run_id] += 1
        execution = self.executions.get(run_id)
        if execution is not None and execution.absence is not None:
            execution.absence.cancel()
        self._observer.reader_came(resumes=after > 0)
        try:
            async with aclosing(self._log.follow_batches(run_id, after)) as batches:
                yield batches
        finally:
            self._observer.reader_left()
            self._leave(run_id)

    async def follow(self, run_id: str, after: int = 0, *, caller: str) -> AsyncGenerator[Entry | Gap]:
        """Read as `RunLog.follow` does, and be counted as a reader meanwhile."""
        async with self.reading(run_id, after, caller=caller) as batches:
            async for batch in batches:
                for item in batch:
                    yield item

    async def forget(self, run_id: str, *, caller: str) -> None:
        """Drop all of this run, which is stopped first if it goes on."""
        await self.cancel(run_id, caller=caller)
        await self._log.forget(run_id)

    async def cancel(self, run_id: str, by: CancelledBy = "client", *, caller: str) -> Run:
        """Stop a run, wait until it has let go of all it held, and tell how it ended.

        When another process executes it, the wait has a limit, and the run may still be told as running.
        """
        run = await self.state(run_id, caller=caller)
        execution = self.executions.get(run_id)
        if execution is not None:
            execution.attempt.stop(by)
            # A client that cancels to have its slot back asks again at once.
            await execution.ended.wait()
        elif self._leases is not None and run.status == "running":
            await self._leases.request_cancel(run_id, by)
            with suppress(TimeoutError):
                async with (
                    asyncio.timeout(REMOTE_CANCEL_S),
                    # The log ends by itself behind the terminal event, so reading on is waiting for it.
                    aclosing(self._log.follow_batches(run_id, run.last_seq)) as batches,
                ):
                    async for _ in batches:
                        pass
        return await self.state(run_id, caller=caller)

    async def drain(self, limit_s: float) -> None:
        """Take no new runs, let those that run end within the limit, and stop the others or hand them over."""
        self.draining = True
        self._admission.dismiss(self._refusal())
        async with self._starting:  # whoever has passed the check has its task by then
            pass
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._settle()
        for execution in list(self.executions.values()):
            if self._leases is None:
                execution.attempt.stop("shutdown")
            else:
                execution.attempt.give_up()
        await self._settle()

    async def take_over(self, claim: Claim, leases: Leases) -> None:
        """Go on with a run whose process has stopped; if its log cannot be read, leave it to others."""
        run = claim.run
        log.warning("taking over a run", extra={"run_id": run.run_id})
        try:
            said, began_at = await self._read_back(run)
        except RagGraphError as exc:
            log.warning("the run could not be taken over: %s", exc, extra={"run_id": run.run_id})
            with suppress(RagGraphError):
                await leases.release(run.run_id, run.attempt)
            return
        # Nobody can be refused here: the claim was made because there was room, and the run is ours by now.
        self._admission.take_anyway(run.caller)
        work = self._work if began_at is not None else _refuse_unreadable
        execution = self._launch(run, work, said=said, began_at=began_at, cancelled_by=claim.cancelled_by)
        if self.draining:
            execution.attempt.give_up()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that no caller's leaving may interrupt, and that draining waits for."""
        # The loop keeps weak references only: a task that nobody holds may be collected while it runs.
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _settle(self) -> None:
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _create(self, new: NewRun) -> StartedRun:
        """Create the run under a slot that was taken for it."""
        try:
            started = await self._log.create(new)
            if started.replayed:
                self._admission.leave(new.caller)
                return started
        # A cancellation too, as the slot was taken before this task began.
        except BaseException:
            self._admission.leave(new.caller)
            raise
        self._launch(Run.of(new), self._work)
        return started

    def _advice(self, caller: str) -> str:
        """What a caller who has all of their own can do; without keys, callers are not told of each other's runs."""
        owner = digest(caller)
        own = next((run_id for run_id, execution in self.executions.items() if execution.caller == owner), None)
        if not caller or own is None:
            return ADVICE
        return f"wait for one to end, or cancel one, the oldest by POST /runs/{own}/cancel"

    def _check_open(self) -> None:
        # Launched all the same, so that it is handed over in good order instead of waiting for its lease to end.
        if self.draining:
            raise self._refusal()

    def _refusal(self) -> Draining:
        return Draining("This server is about to stop: ask again.", retry_after_s=DRAINING_RETRY_S)

    async def _read_back(self, run: Run) -> tuple[Transcript, float | None]:
        """Learn what earlier attempts have said, and when the first began: None if the log no longer holds that."""
        said = Transcript()
        began_at = None
        if run.last_seq:
            async with aclosing(self._log.follow(run.run_id)) as items:
                async for item in items:
                    if isinstance(item, Gap):
                        return Transcript(run_id=run.run_id), None
                    began_at = began_at or item.at
                    said.add(item.event, at_ms=(item.at - began_at) * 1000)
                    # Behind the newest entry `follow` would wait: the run
                    # goes on, and it is we who are to write the next one.
                    if item.seq >= run.last_seq:
                        break
        return said, began_at or self._clock()

    def _launch(
        self,
        run: Run,
        work: Work,
        *,
        said: Transcript | None = None,
        began_at: float | None = None,
        cancelled_by: CancelledBy | None = None,
    ) -> Execution:
        attempt = Attempt(
            run.run_id,
            run.query,
            partial(self._log.append, run.run_id, attempt=run.attempt),
            number=run.attempt,
            said=said,
            began_at=began_at,
            budget=self._budget,
            clock=self._clock,
            cancelled_by=cancelled_by,
            watch=self._observer.watch(run.run_id, mode=run.query.mode, attempt=run.attempt),
        )
        execution = Execution(attempt, run.caller, run.unattended)
        # Together with the spawn below, nothing awaited in between: drain waits for tasks and stops executions.
        self.executions[run.run_id] = execution
        self._await_readers(execution, grace_s=max(self._grace_s, FIRST_READER_S))
        self.spawn(self._execute(execution, work))
        return execution

    async def _execute(self, execution: Execution, work: Work) -> None:
        attempt = execution.attempt
        try:
            await attempt.run(work)
            if attempt.given_up and self._leases is not None:
                # Let others claim the run now; if the store does not answer, they will when the lease is over.
                async with asyncio.timeout(self._leases.lease_s):
                    await self._log.flush(attempt.run_id)
                    await self._leases.release(attempt.run_id, attempt.number)
            else:
                await self._log.flush(attempt.run_id)
        except (RunEnded, Superseded):
            log.warning("another process goes on with the run", extra={"run_id": attempt.run_id})
        # Nobody awaits this task: what is not logged here is seen nowhere.
        except Exception:
            log.exception("the end of the run could not be recorded", extra={"run_id": attempt.run_id})
        finally:
            if execution.absence is not None:
                execution.absence.cancel()
            # A lease that was lost and won back has brought a successor, while this one was letting go.
            if self.executions.get(attempt.run_id) is execution:
                del self.executions[attempt.run_id]
            self._admission.leave(execution.caller)
            execution.ended.set()
            # In a task of its own, that a slow database keeps no slot; draining waits for it all the same.
            if self._on_end is not None and attempt.transcript.terminal is not None:
                self.spawn(self._tell_end(self._on_end, attempt.transcript))

    async def _tell_end(self, on_end: Callable[[Transcript], Awaitable[None]], transcript: Transcript) -> None:
        try:
            await on_end(transcript)
        except RagGraphError as exc:
            log.warning("what became of the run was not kept: %s", exc, extra={"run_id": transcript.run_id})

    def _leave(self, run_id: str) -> None:
        self.readers[run_id] -= 1
        if self.readers[run_id] == 0:
            del self.readers[run_id]
            execution = self.executions.get(run_id)
            if execution is not None:
                execution.left_at = time.monotonic()
                self._await_readers(execution, grace_s=self._grace_s)

    def _await_readers(self, execution: Execution, *, grace_s: float) -> None:
        """Begin the grace time; with leases, the readers of all processes count, and every beat tells of them."""
        if self._leases is None and grace_s < math.inf and not execution.unattended:
            loop = asyncio.get_running_loop()
            execution.absence = loop.call_later(grace_s, execution.attempt.stop, "absence")


async def _refuse_unreadable(*_: object, **__: object) -> None:
    raise RunAbandoned("This run has said too much for another server to take over: ask again.")
