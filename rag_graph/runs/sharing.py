"""Sharing runs with other processes: renewing what is executed here, heeding what was asked elsewhere, taking over."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from rag_graph.errors import LogUnavailable
from rag_graph.runs.attempt import Attempt
from rag_graph.runs.lease import Claim, Leases, Pulse
from rag_graph.tasks import stop

BEAT_S = 0.1
"""How soon a cancel from another process is heard."""
TELL_READERS_S = 1.0
"""How often, at most, other processes hear of readers here; the grace time is longer by that."""
SILENCE_S = 1.0
"""After so long without the store, what it says of readers elsewhere may be old."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Execution:
    """An attempt at work in this process, and who waits for what of it."""

    attempt: Attempt
    caller: str
    unattended: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    absence: asyncio.TimerHandle | None = None
    """Stops the run when its readers have been away for too long."""
    left_at: float = field(default_factory=time.monotonic)


class LocalRuns(Protocol):
    """What is executed and read in this process; a `Runner`."""

    executions: dict[str, Execution]
    readers: Counter[str]
    draining: bool

    @property
    def room(self) -> int: ...

    async def take_over(self, claim: Claim, leases: Leases) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


class Sharing:
    """One task that renews, heeds and claims until it is ended; an unreachable store is tried again at each beat."""

    def __init__(
        self,
        leases: Leases,
        local: LocalRuns,
        *,
        grace_s: float,
        is_ready: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._leases = leases
        self._local = local
        self._grace_s = grace_s
        self._is_ready = is_ready
        self._tell_readers_s = min(TELL_READERS_S, leases.lease_s / 3)
        self._tell_readers_at = 0.0
        self._renewed_at = 0.0
        self._believe_absence_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._share())

    async def end(self) -> None:
        if self._task is not None:
            await stop(self._task)

    async def _share(self) -> None:
        sweep_at = 0.0
        while True:
            try:
                await self._renew()
                if not self._local.draining and time.monotonic() >= sweep_at:
                    sweep_at = time.monotonic() + self._leases.lease_s / 3
                    await self._claim()
            except LogUnavailable as exc:
                log.warning("the runs could not be renewed: %s", exc)
            # Whatever a beat meets must not end this task: without it every lease of this process runs out, and its
            # runs are taken over while they go on.
            except Exception:
                log.exception("sharing the runs with other processes failed")
            await asyncio.sleep(BEAT_S)

    async def _claim(self) -> None:
        """Take over what others have left, if there is room and this process could answer.

        One with an empty index, or whose database is away, would fail a run that another could have finished.
        """
        room = self._local.room
        if room and (self._is_ready is None or await self._is_ready()):
            for claim in await self._leases.claim(room):
                self._local.spawn(self._local.take_over(claim, self._leases))

    async def _renew(self) -> None:
        # A copy, for runs begin and end while the store answers;
        # below, an execution counts only if it is still the same one.
        held = dict(self._local.executions)
        read = self._read_elsewhere()
        attempts = {run_id: execution.attempt.number for run_id, execution in held.items()}
        pulses = await self._leases.renew(attempts, read) if attempts or read else {}
        # After a silence of the store, the processes with readers get time to say that they have some.
        now = time.monotonic()
        if now - self._renewed_at > SILENCE_S:
            self._believe_absence_at = now + self._grace_s
        self._renewed_at = now
        for run_id, pulse in pulses.items():
            if self._local.executions.get(run_id) is held[run_id]:
                self._heed(held[run_id], pulse)

    def _read_elsewhere(self) -> list[str]:
        """List, now and then, what is read here and executed by others, who must hear of it."""
        if time.monotonic() < self._tell_readers_at:
            return []
        self._tell_readers_at = time.monotonic() + self._tell_readers_s
        return [run_id for run_id in self._local.readers if run_id not in self._local.executions]

    def _heed(self, execution: Execution, pulse: Pulse | None) -> None:
        if pulse is None:
            execution.attempt.give_up()
        elif pulse.cancelled_by is not None:
            execution.attempt.stop(pulse.cancelled_by)
        elif not execution.unattended and not self._local.readers.get(execution.attempt.run_id):
            now = time.monotonic()
            # The store hears of readers elsewhere only; when the last one left here, this process knows itself.
            unread_s = min(pulse.unread_s, now - execution.left_at)
            if unread_s > self._grace_s + self._tell_readers_s and now > self._believe_absence_at:
                execution.attempt.stop("absence")
