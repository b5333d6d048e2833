"""How many runs may go on at a time, in all and for one caller; who finds all taken waits in a bounded line."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from rag_graph.errors import RunRefused, TooManyRuns

ADVICE = "wait for one to end, or cancel one by its x-run-id: POST /runs/ID/cancel"
# Retry-After counts whole seconds, and 0 would be "at once".
SHORTEST_WAIT_S = 1.0
FIRST_GUESS_S = 5.0
"""How long a run takes, before any has ended."""
NEWEST_COUNTS = 0.1
"""Of how long runs take, each that ends makes up so much of the mean: the last twenty or so count."""


class _Waiter(NamedTuple):
    caller: str
    turn: asyncio.Future[None]
    name: str


class Admission:
    """First come, first served; a caller who has all of their own is refused at once, since others need not wait.

    A refusal says when to come back: as long as it takes, by how long runs have taken, until a slot is left over.
    """

    def __init__(
        self,
        *,
        limit: int,
        limit_per_caller: int,
        line: int = 0,
        patience_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        what: str = "questions",
    ) -> None:
        self._what = what
        self._limit = limit
        self._limit_per_caller = limit_per_caller
        self._line = line
        self._patience_s = patience_s
        self._clock = clock
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)
        self._count = 0
        self._usual_s = FIRST_GUESS_S
        self._waiting: deque[_Waiter] = deque()

    @property
    def free(self) -> int:
        return max(0, self._limit - self._count)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def ahead_of(self, name: str) -> int | None:
        """How many wait before the first one of this name; None where none of it waits."""
        return next((place for place, waiter in enumerate(self._waiting) if waiter.name == name), None)

    async def take(self, caller: str, *, advice: str = ADVICE, name: str = "") -> None:
        """Have a slot until `leave`; who waits for it is found by its name.

        Raises `TooManyRuns`, with this advice for a caller who has all of their own.
        """
        taken = self._taken.get(caller, ())
        own = len(taken) + sum(waiter.caller == caller for waiter in self._waiting)
        if own >= self._limit_per_caller:
            raise TooManyRuns(
                f"You have {own} {self._what} running, as many as one caller may: {advice}.",
                retry_after_s=self._wait_s(taken, ahead=0),
            )
        # Nobody goes past those who wait, whatever is free.
        if self.free and not self._waiting:
            self.take_anyway(caller)
            return
        if len(self._waiting) >= self._line:
            raise self._busy()
        waiter = _Waiter(caller, asyncio.get_running_loop().create_future(), name)
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._patience_s):
                await waiter.turn
        except (TimeoutError, asyncio.CancelledError) as exc:
            # Out of the line at once, as its length is what others are refused by.
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self.leave(caller)  # the slot was given in the same moment: it goes to the next
            if isinstance(exc, TimeoutError):
                raise self._busy() from None
            raise

    @asynccontextmanager
    async def slot(self, caller: str, *, advice: str = ADVICE) -> AsyncIterator[None]:
        """Have a slot for the length of the block, as `take` gives it."""
        await self.take(caller, advice=advice)
        try:
            yield
        finally:
            self.leave(caller)

    def take_anyway(self, caller: str) -> None:
        """Count a run that goes on whatever the limits are."""
        self._taken[caller].append(self._clock())
        self._count += 1

    def leave(self, caller: str) -> None:
        """Give a slot back. Whichever of the caller's it was, the mean of how long they took is the same."""
        took_s = self._clock() - self._taken[caller].popleft()
        self._usual_s += NEWEST_COUNTS * (took_s - self._usual_s)
        self._count -= 1
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

    def _busy(self) -> TooManyRuns:
        taken = (began for slots in self._taken.values() for began in slots)
        return TooManyRuns(
            f"This server is at its limit of {self._limit} {self._what} at a time: ask again in a moment.",
            retry_after_s=self._wait_s(taken, ahead=self.waiting),
        )

    def _wait_s(self, taken: Iterable[float], *, ahead: int) -> float:
        """How long until one of these slots is left over, if as many as are `ahead` come first."""
        began = sorted(taken)
        if not began:
            return SHORTEST_WAIT_S
        rounds, nth = divmod(ahead, len(began))
        return max(SHORTEST_WAIT_S, began[nth] + self._usual_s * (1 + rounds) - self._clock())
