"""The contract by which several processes share runs: one executes a run and says so again and again, or loses it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag_graph.events import CancelledBy
from rag_graph.runs.log import Run


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the others want of a run that this process executes, and how long no process has read it."""

    cancelled_by: CancelledBy | None
    unread_s: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this process executes from now on, under a new attempt number; it may have been cancelled."""

    run: Run
    cancelled_by: CancelledBy | None


class Leases(Protocol):
    """Who executes what. A run that nobody renews for `lease_s` seconds is free to be claimed."""

    @property
    def lease_s(self) -> float: ...

    async def renew(self, executed: Mapping[str, int], read: Collection[str]) -> Mapping[str, Pulse | None]:
        """Go on executing these runs, by their attempts, and reading those; None stands for a lost run."""

    async def claim(self, limit: int) -> Sequence[Claim]:
        """Take over runs whose process has stopped, at most so many."""

    async def release(self, run_id: str, attempt: int) -> None:
        """Leave a run to be claimed at once."""

    async def request_cancel(self, run_id: str, by: CancelledBy) -> None:
        """Ask the process that executes a run, or will, to cancel it."""
