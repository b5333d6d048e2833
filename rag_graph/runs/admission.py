"""How many runs may go on at a time, in all and for one caller; who finds all taken waits in a bounded line."""

import asyncio
from collections import Counter, deque
from typing import NamedTuple

from rag_graph.errors import RunRefused, TooManyRuns

BUSY_RETRY_S = 2.0


class _Waiter(NamedTuple):
    caller: str
    turn: asyncio.Future[None]


class Admission:
    """First come, first served; a caller who has all of their own is refused at once, since others need not wait."""

    def __init__(self, *, limit: int, limit_per_caller: int, line: int = 0, patience_s: float = 0.0) -> None:
        self._limit = limit
        self._limit_per_caller = limit_per_caller
        self._line = line
        self._patience_s = patience_s
        self._taken: Counter[str] = Counter()
        self._waiting: deque[_Waiter] = deque()

    @property
    def free(self) -> int:
        return max(0, self._limit - self._taken.total())

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def take(self, caller: str) -> None:
        """Have a slot until `leave`. Raises `TooManyRuns`."""
        own = self._taken[caller] + sum(waiter.caller == caller for waiter in self._waiting)
        if own >= self._limit_per_caller:
            raise TooManyRuns(
                f"You have {own} questions running: wait for one to end, or cancel it.", retry_after_s=BUSY_RETRY_S
            )
        if self.free and not self._waiting:
            self.take_anyway(caller)
            return
        busy = TooManyRuns("This server is at its limit: ask again in a moment.", retry_after_s=BUSY_RETRY_S)
        if len(self._waiting) >= self._line:
            raise busy
        waiter = _Waiter(caller, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._patience_s):
                await waiter.turn
        except (TimeoutError, asyncio.CancelledError) as exc:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self.leave(caller)  # the slot was given in the same moment: it goes to the next
            if isinstance(exc, TimeoutError):
                raise busy from None
            raise

    def take_anyway(self, caller: str) -> None:
        """Count a run that goes on whatever the limits are."""
        self._taken[caller] += 1

    def leave(self, caller: str) -> None:
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]
        while self._waiting and self.free:
            waiter = self._waiting.popleft()
            if not waiter.turn.done():
                self.take_anyway(waiter.caller)
                waiter.turn.set_result(None)

    def dismiss(self, error: RunRefused) -> None:
        """Refuse all who wait."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.turn.done():
                waiter.turn.set_exception(error)
