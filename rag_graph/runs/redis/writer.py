"""What this process appends to the runs that it executes, on its way to Redis: in batches, and always in order.

A batch whose reply was lost is sent again, which Redis notices by the numbers.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rag_graph.errors import LogUnavailable, UnknownRun
from rag_graph.events import Event
from rag_graph.query import Query
from rag_graph.runs.log import Bounds, Entry, RunEnded, Superseded, outline_of, status_of
from rag_graph.runs.redis import lua
from rag_graph.runs.redis.connection import SHA, Connection, ms
from rag_graph.tasks import stop

FLUSH_ENTRIES = 128
MAX_PENDING = 1_024
"""An execution that is so far ahead of Redis waits."""
ABANDONED_S = 3_600.0
"""A run that no process executes is forgotten after this and the ordinary time to live."""


@dataclass(slots=True, eq=False)
class RunWriter:
    """What was appended to one run and Redis has not taken yet.

    `key` is the hashed idempotency key, or empty; `outline` is kept of the query when the run has ended, as JSON.
    """

    run_id: str
    key: str
    outline: str
    attempt: int
    next_seq: int
    pending: list[Entry] = field(default_factory=list)
    ended: bool = False
    broken: Exception | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def flushed(self) -> None:
        """Return when Redis has taken everything; raises what keeps it from that."""
        while self.pending and self.broken is None:
            await self.moved.wait()
        if self.broken is not None:
            raise self.broken

    def move(self) -> None:
        self.moved.set()
        self.moved.clear()


class Writer:
    """Sends what was appended to all runs of this process, one batch of each in every round trip.

    `on_taken` hears what Redis has taken; `on_dropped` that a run is no longer written here.
    """

    def __init__(
        self,
        connection: Connection,
        bounds: Bounds,
        *,
        outage_s: float,
        clock: Callable[[], float],
        on_taken: Callable[[str, Sequence[Entry]], None],
        on_dropped: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._bounds = bounds
        self._outage_s = outage_s
        self._clock = clock
        self._on_taken = on_taken
        self._on_dropped = on_dropped
        self._runs: dict[str, RunWriter] = {}
        self._unflushed: dict[str, RunWriter] = {}
        self._flushing: asyncio.Task[None] | None = None

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def get(self, run_id: str) -> RunWriter | None:
        return self._runs.get(run_id)

    def adopt(self, run_id: str, query: Query, *, key: str, attempt: int, next_seq: int) -> None:
        """Write to this run from now on."""
        outline = outline_of(query).model_dump_json()
        self._runs[run_id] = RunWriter(run_id, key, outline, attempt=attempt, next_seq=next_seq)

    async def append(self, run: RunWriter, event: Event, *, attempt: int) -> Entry:
        while len(run.pending) >= MAX_PENDING and run.broken is None:
            await run.moved.wait()
        if run.broken is not None:
            raise run.broken
        if run.attempt != attempt:
            raise Superseded(run.run_id)
        if run.ended:
            raise RunEnded(run.run_id)
        # From here on nothing is awaited: an append that is cancelled has not happened, as `RunLog.append` promises.
        entry = Entry(run.next_seq, self._clock(), event)
        run.next_seq += 1
        run.ended = entry.ends
        run.pending.append(entry)
        self._unflushed[run.run_id] = run
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return entry

    def drop(self, run: RunWriter, error: Exception) -> None:
        """Write no more to this run; its readers here go on by what Redis has."""
        self._unflushed.pop(run.run_id, None)
        # A run that was lost and claimed back has a successor here under the same id.
        if self._runs.get(run.run_id) is run:
            del self._runs[run.run_id]
        run.broken = error
        run.move()
        self._on_dropped()

    async def aclose(self) -> None:
        """Stop; what was appended and not flushed is lost to this process' runs."""
        if self._flushing is not None:
            await stop(self._flushing)

    async def _flush(self) -> None:
        """Send until there is no more."""
        while self._unflushed:
            batches = [(run, run.pending[:FLUSH_ENTRIES]) for run in self._unflushed.values()]
            try:
                # One round trip for all runs, and no MULTI around it:
                # each script is atomic, and no run waits for another's.
                replies = await self._connection.patiently(partial(self._send, batches), for_s=self._outage_s)
            except LogUnavailable as exc:
                for run, _ in batches:
                    self.drop(run, exc)
                continue
            for (run, batch), reply in zip(batches, replies, strict=True):
                self._settle(run, batch, reply.decode())

    async def _send(self, batches: Sequence[tuple[RunWriter, Sequence[Entry]]]) -> Sequence[bytes]:
        key = self._connection.key
        async with self._connection.redis.pipeline(transaction=False) as pipe:
            for run, batch in batches:
                newest = batch[-1]
                # The newest event tells how the run stands after this
                # batch, as nothing is appended behind a terminal one.
                status = status_of(newest.event)
                keep_s = self._bounds.ttl_s + (ABANDONED_S if status == "running" else 0.0)
                keys = [key("run", run.run_id), key("log", run.run_id), key("live")]
                if run.key:
                    keys.append(key("key", run.key))
                args: list[Any] = [
                    run.run_id,
                    run.attempt,
                    status,
                    repr(newest.at),
                    self._bounds.max_entries,
                    self._bounds.max_bytes,
                    ms(keep_s),
                    batch[0].seq,
                    run.outline,
                    *(part for entry in batch for part in (repr(entry.at), entry.data)),
                ]
                pipe.evalsha(SHA[lua.APPEND], len(keys), *keys, *args)
            replies: Sequence[bytes] = await pipe.execute()
            return replies

    def _settle(self, run: RunWriter, batch: Sequence[Entry], reply: str) -> None:
        if run.broken is not None:
            return
        if reply != "ok":
            self.drop(run, _refusal(reply, run.run_id))
            return
        del run.pending[: len(batch)]
        self._on_taken(run.run_id, batch)
        if not run.pending:
            del self._unflushed[run.run_id]
        if batch[-1].ends:
            del self._runs[run.run_id]
        run.move()


def _refusal(reply: str, run_id: str) -> Exception:
    match reply:
        case "unknown":
            return UnknownRun("This run has expired: ask again.")
        case "superseded":
            return Superseded(run_id)
        case "ended":
            return RunEnded(run_id)
        case _:
            return LogUnavailable("The store of the runs has lost a part of this run: ask again.")
