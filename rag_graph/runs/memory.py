"""Runs kept in this process: nothing to install, and gone when it stops."""

import asyncio
from array import array
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import cast, overload

from rag_graph.clock import steady_time
from rag_graph.errors import KeyReused, UnknownRun
from rag_graph.events import Event
from rag_graph.runs.log import (
    BATCH_ENTRIES,
    Batch,
    Bounds,
    Entry,
    Gap,
    NewRun,
    Run,
    RunEnded,
    RunLog,
    StartedRun,
    asked_of,
    check_cursor,
    outline_of,
    status_of,
)


class _Packed(Sequence[Entry]):
    """Entries as JSON in one piece, made anew when they are read.

    Thousands of ended runs may be kept; as objects they would take seven times as much, scatter over the memory that
    live runs need, and be visited by every full garbage collection.
    """

    __slots__ = ("_ends", "_first_seq", "_json", "_times")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._first_seq = entries[0].seq
        self._json = b"".join(entry.data for entry in entries)
        self._ends = array("Q", accumulate(len(entry.data) for entry in entries))
        self._times = array("d", (entry.at for entry in entries))

    @property
    def size(self) -> int:
        return len(self._json)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> list[Entry]: ...
    def __getitem__(self, place: int | slice) -> Entry | list[Entry]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        at = range(len(self))[place]
        begin = self._ends[at - 1] if at else 0
        return Entry(self._first_seq + at, self._times[at], None, self._json[begin : self._ends[at]])


@dataclass(slots=True, eq=False)
class _Kept:
    new: NewRun
    asked: str = ""
    entries: list[Entry] | _Packed = field(default_factory=list)
    first_seq: int = 1
    size: int = 0
    ended_at: float | None = None
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.entries) - 1

    def end(self, at: float) -> None:
        self.ended_at = at
        self.entries = _Packed(self.entries)
        self.size = self.entries.size
        self.new = replace(self.new, query=outline_of(self.new.query))

    def trim(self, live: list[Entry], bounds: Bounds) -> None:
        """Drop the oldest eighth or more, so that trimming costs little per entry."""
        keep_entries = bounds.max_entries - bounds.max_entries // 8
        keep_bytes = bounds.max_bytes - bounds.max_bytes // 8
        dropped = 0
        # The newest entry stays, however large: it may be the one that ends the run.
        while dropped < len(live) - 1 and (len(live) - dropped > keep_entries or self.size > keep_bytes):
            self.size -= live[dropped].size
            dropped += 1
        del live[:dropped]
        self.first_seq += dropped


class MemoryRunLog(RunLog):
    """Keeps the newest runs that have ended: at most `max_ended`, and `max_ended_bytes` of their events."""

    def __init__(
        self,
        bounds: Bounds | None = None,
        *,
        max_ended: int = 1_000,
        max_ended_bytes: int = 256_000_000,
        clock: Callable[[], float] = steady_time,
    ) -> None:
        self._bounds = bounds or Bounds()
        self._max_ended = max_ended
        self._max_ended_bytes = max_ended_bytes
        self._ended_bytes = 0
        self._clock = clock
        self._runs: dict[str, _Kept] = {}
        self._ended: dict[str, float] = {}
        self._keys: dict[str, str] = {}
        self._chats: dict[str, str] = {}

    async def create(self, new: NewRun) -> StartedRun:
        self._forget()
        asked = "" if new.key is None else asked_of(new.query)
        if new.key is not None:
            earlier = self._keys.get(new.key)
            if earlier is not None:
                if self._runs[earlier].asked != asked:
                    raise KeyReused("This idempotency key was used for another question: send a new key.")
                return StartedRun(earlier, replayed=True)
            self._keys[new.key] = new.run_id
        if new.chat is not None:
            self._chats[new.chat] = new.run_id
        self._runs[new.run_id] = _Kept(new, asked)
        return StartedRun(new.run_id, replayed=False)

    async def find(self, key: str) -> str | None:
        self._forget()
        return self._keys.get(key)

    async def latest(self, chat: str) -> str | None:
        self._forget()
        return self._chats.get(chat)

    async def append(self, run_id: str, event: Event, *, attempt: int) -> Entry:  # noqa: ARG002  (nobody else can execute it)
        kept = self._runs.get(run_id) or self._kept(run_id)
        if kept.ended_at is not None:
            raise RunEnded(run_id)
        live = cast("list[Entry]", kept.entries)
        entry = Entry(kept.first_seq + len(live), self._clock(), event)
        live.append(entry)
        kept.size += entry.size
        if len(live) > self._bounds.max_entries or kept.size > self._bounds.max_bytes:
            kept.trim(live, self._bounds)
        if entry.ends:
            kept.end(entry.at)
            self._ended[run_id] = entry.at
            self._ended_bytes += kept.size
            self._forget()
        # Who waits now is woken all the same; who comes later waits for the next entry.
        kept.grown.set()
        kept.grown.clear()
        return entry

    async def flush(self, run_id: str) -> None:
        """Return at once: what is appended here can be read."""

    async def describe(self, run_id: str) -> Run:
        self._forget()
        kept = self._kept(run_id)
        return Run(
            run_id=run_id,
            caller=kept.new.caller,
            query=kept.new.query,
            created_at=kept.new.created_at,
            status=status_of(kept.entries[-1].event) if kept.entries else "running",
            attempt=1,
            last_seq=kept.last_seq,
            ended_at=kept.ended_at,
            follows=kept.new.follows,
            unattended=kept.new.unattended,
        )

    async def forget(self, run_id: str) -> None:
        if run_id in self._ended:
            self._drop(run_id)

    async def follow_batches(self, run_id: str, after: int = 0) -> AsyncGenerator[Batch]:
        cursor = after
        check_cursor(run_id, cursor, last_seq=self._kept(run_id).last_seq)
        while True:
            kept = self._runs.get(run_id) or self._kept(run_id)
            if kept.ended_at is not None:
                # Only an ended run can be forgotten, so that no token has to look for runs that are too old.
                self._forget()
                kept = self._kept(run_id)
            start = cursor + 1 - kept.first_seq
            batch: Batch = kept.entries[start : start + BATCH_ENTRIES] if start >= 0 else (Gap(cursor, kept.first_seq),)
            if batch:
                newest = batch[-1]
                cursor = newest.first_kept - 1 if isinstance(newest, Gap) else newest.seq
                yield batch
                if isinstance(newest, Entry) and newest.ends:
                    return
            elif kept.ended_at is not None:
                return
            else:
                await kept.grown.wait()

    def _kept(self, run_id: str) -> _Kept:
        kept = self._runs.get(run_id)
        if kept is None:
            raise UnknownRun("No run has this id, or it has expired: ask again.")
        return kept

    def _forget(self) -> None:
        """Drop ended runs that are too old, too many or too large; `_ended` is in the order of their ends."""
        oldest_kept = self._clock() - self._bounds.ttl_s
        while self._ended:
            run_id, ended_at = next(iter(self._ended.items()))
            fits = len(self._ended) <= self._max_ended and self._ended_bytes <= self._max_ended_bytes
            # The newest stays however large it is: its readers are still on their way to its end.
            if ended_at >= oldest_kept and (fits or len(self._ended) == 1):
                return
            self._drop(run_id)

    def _drop(self, run_id: str) -> None:
        del self._ended[run_id]
        kept = self._runs.pop(run_id)
        self._ended_bytes -= kept.size
        new = kept.new
        if new.key is not None:
            del self._keys[new.key]
        # A later run of the chat may have taken its place there.
        if new.chat is not None and self._chats.get(new.chat) == run_id:
            del self._chats[new.chat]
