"""The newest entries of a followed run, shared by all its readers in this process so that each is read once."""

import asyncio
from collections.abc import Sequence

from rag_graph.errors import RagGraphError
from rag_graph.runs.log import BATCH_ENTRIES, Entry

TAIL_ENTRIES = 1_024


class Tail:
    """Holds every entry after number `start`; what came before must be read from the store."""

    def __init__(self) -> None:
        self.readers = 0
        self._start: int | None = None
        self._entries: list[Entry] = []
        self._grown = asyncio.Event()
        self._broken: RagGraphError | None = None

    @property
    def last_seq(self) -> int | None:
        """The number of the newest entry known, None until the first `take` or `begin`."""
        return None if self._start is None else self._start + len(self._entries)

    def begin(self, last_seq: int) -> None:
        """Hold what follows `last_seq`, unless it is known already where to start."""
        if self._start is None:
            self._start = last_seq

    def take(self, entries: Sequence[Entry]) -> None:
        """Add entries that may repeat known ones; after a hole only what follows it is held."""
        last = self.last_seq
        if last is None or entries[0].seq > last + 1:
            self._start, self._entries = entries[0].seq - 1, list(entries)
        else:
            self._entries.extend(entries[last + 1 - entries[0].seq :])
        if len(self._entries) > TAIL_ENTRIES:
            # Half at once: dropping one for each that comes would move the whole list at every token.
            dropped = len(self._entries) - TAIL_ENTRIES // 2
            del self._entries[:dropped]
            self._start = (self._start or 0) + dropped
        self._wake()

    def fail(self, error: RagGraphError) -> None:
        """Let every reader end with this error."""
        self._broken = error
        self._wake()

    def after(self, cursor: int) -> Sequence[Entry] | None:
        """Give what follows the cursor, or None if that reaches back too far."""
        if self._start is None or cursor < self._start:
            return None
        first = cursor - self._start
        return self._entries[first : first + BATCH_ENTRIES]

    async def wait(self) -> None:
        """Return when there may be more."""
        if self._broken is None:
            await self._grown.wait()
        if self._broken is not None:
            raise self._broken

    def _wake(self) -> None:
        # Who waits now is woken all the same; who comes later waits for the next entry.
        self._grown.set()
        self._grown.clear()
