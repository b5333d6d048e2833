"""The log of runs in Redis: any process can read any run, and takes over those whose process has stopped.

The number of an entry is its id in the stream, so replay and live are one read. Only the process that executes
a run appends to it. Readers see what Redis has taken, never what is still on its way.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, cast

from rag_graph.clock import steady_time
from rag_graph.errors import KeyReused, UnknownRun
from rag_graph.events import CancelledBy, Event
from rag_graph.query import Query
from rag_graph.runs.lease import Claim, Pulse
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
    Superseded,
    asked_of,
    check_cursor,
)
from rag_graph.runs.redis import lua
from rag_graph.runs.redis.connection import Connection, ms
from rag_graph.runs.redis.pump import Pump, entry_of
from rag_graph.runs.redis.tail import Tail
from rag_graph.runs.redis.writer import ABANDONED_S, Writer

_FIELDS = (
    "caller",
    "query",
    "created_at",
    "status",
    "attempt",
    "last",
    "ended_at",
    "cancel",
    "key",
    "follows",
    "unattended",
)


class RedisRunLog(RunLog):
    """Both the log and the leases of runs that several processes share."""

    def __init__(
        self,
        url: str,
        *,
        bounds: Bounds | None = None,
        prefix: str = "rag",
        lease_s: float = 3.0,
        patience_s: float = 5.0,
        outage_s: float = 60.0,
        clock: Callable[[], float] = steady_time,
    ) -> None:
        """Requests give up on an unreachable Redis after `patience_s`, runs and their readers after `outage_s`."""
        self._bounds = bounds or Bounds()
        self._lease_s = lease_s
        self._connection = Connection(url, prefix=prefix, patience_s=patience_s)
        self._key = self._connection.key
        self._pump = Pump(self._connection, outage_s=outage_s, is_ours=lambda run_id: run_id in self._writer)
        self._writer = Writer(
            self._connection,
            self._bounds,
            outage_s=outage_s,
            clock=clock,
            on_taken=self._pump.take,
            on_dropped=self._pump.resume,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def check(self) -> None:
        """Raise the SettingsError of an address or a password with which Redis can never be used."""
        await self._connection.check()

    async def aclose(self) -> None:
        """Let go of Redis; what was appended and not flushed is lost to this process' runs."""
        await self._writer.aclose()
        await self._pump.aclose()
        await self._connection.aclose()

    @property
    def lease_s(self) -> float:
        return self._lease_s

    async def create(self, new: NewRun) -> StartedRun:
        asked = asked_of(new.query) if new.key else ""
        reply = await self._connection.run(
            lua.CREATE,
            [
                self._key("run", new.run_id),
                self._key("live"),
                self._key("key", new.key or ""),
                self._key("chat", new.chat or ""),
            ],
            [
                self._key("run", ""),
                new.run_id,
                new.caller,
                new.query.model_dump_json(),
                # `repr` gives back the very same float.
                repr(new.created_at),
                new.key or "",
                ms(self._lease_s),
                ms(ABANDONED_S + self._bounds.ttl_s),
                new.chat or "",
                asked,
                new.follows,
                "1" if new.unattended else "",
            ],
        )
        run_id = reply[0].decode()
        if run_id == new.run_id:
            self._writer.adopt(run_id, new.query, key=new.key or "", attempt=1, next_seq=1)
        # A run that an older server has created has no hash of what was asked: there the query itself is compared.
        elif reply[2].decode() != asked and (reply[2] or Query.model_validate_json(reply[1]) != new.query):
            raise KeyReused("This idempotency key was used for another question: send a new key.")
        return StartedRun(run_id, replayed=run_id != new.run_id)

    async def find(self, key: str) -> str | None:
        run_id = await self._connection.call("GET", self._key("key", key))
        return None if run_id is None else run_id.decode()

    async def latest(self, chat: str) -> str | None:
        run_id = await self._connection.call("GET", self._key("chat", chat))
        return None if run_id is None else run_id.decode()

    async def append(self, run_id: str, event: Event, *, attempt: int) -> Entry:
        writing = self._writer.get(run_id)
        if writing is None:
            run = await self.describe(run_id)
            raise RunEnded(run_id) if run.status != "running" else Superseded(run_id)
        return await self._writer.append(writing, event, attempt=attempt)

    async def flush(self, run_id: str) -> None:
        writing = self._writer.get(run_id)
        if writing is not None:
            await writing.flushed()

    async def describe(self, run_id: str) -> Run:
        return _run_of(run_id, await self._fields(run_id))

    async def forget(self, run_id: str) -> None:
        await self._connection.run(
            lua.FORGET, [self._key("run", run_id), self._key("log", run_id)], [self._key("key", "")]
        )

    async def follow_batches(self, run_id: str, after: int = 0) -> AsyncGenerator[Batch]:
        tail = self._pump.tails.setdefault(run_id, Tail())
        # Before anything is awaited: the last of the other readers
        # may leave meanwhile, and would drop the tail that is shared.
        tail.readers += 1
        try:
            run = await self.describe(run_id)
            check_cursor(run_id, after, last_seq=run.last_seq)
            if run.status != "running" and after == run.last_seq:
                return
            # Before `watch`, for the pump reads only what it knows where to begin with.
            tail.begin(run.last_seq)
            await self._pump.watch(run_id)
            cursor = after
            while True:
                batch = tail.after(cursor)
                if batch is None:
                    batch = await self._stored(run_id, cursor)
                if not batch:
                    await tail.wait()
                    continue
                if batch[0].seq > cursor + 1:
                    yield (Gap(cursor, batch[0].seq),)
                cursor = batch[-1].seq
                yield batch
                if batch[-1].ends:
                    return
        finally:
            tail.readers -= 1
            if tail.readers == 0:
                del self._pump.tails[run_id]

    async def renew(self, executed: Mapping[str, int], read: Collection[str]) -> Mapping[str, Pulse | None]:
        reply = await self._connection.run(
            lua.RENEW,
            [self._key("live")],
            [
                self._key("run", ""),
                self._key("log", ""),
                self._key("key", ""),
                ms(self._lease_s),
                ms(ABANDONED_S + self._bounds.ttl_s),
                len(executed),
                *(part for held in executed.items() for part in held),
                *read,
            ],
        )
        pulses = dict(zip(executed, map(_pulse_of, reply), strict=True))
        for run_id, pulse in pulses.items():
            writing = self._writer.get(run_id)
            # Only if it is still the attempt that was asked about: the run
            # may have been claimed back while the reply was on its way.
            if pulse is None and writing is not None and writing.attempt == executed[run_id]:
                self._writer.drop(writing, Superseded(run_id))
        return pulses

    async def claim(self, limit: int) -> Sequence[Claim]:
        claimed = await self._connection.run(
            lua.CLAIM, [self._key("live")], [self._key("run", ""), limit, ms(self._lease_s)]
        )
        claims = []
        for run_id in map(bytes.decode, claimed):
            # It may have expired between the claim and this look at it.
            with suppress(UnknownRun):
                fields = await self._fields(run_id)
                run = _run_of(run_id, fields)
                key = fields["key"].decode()
                self._writer.adopt(run_id, run.query, key=key, attempt=run.attempt, next_seq=run.last_seq + 1)
                claims.append(Claim(run, _cancelled_by(fields["cancel"])))
        return claims

    async def release(self, run_id: str, attempt: int) -> None:
        writing = self._writer.get(run_id)
        if writing is not None and writing.attempt == attempt:
            # Before the lease is let go: from then on another process may append, and its numbers would meet ours.
            self._writer.drop(writing, Superseded(run_id))
        await self._connection.run(lua.RELEASE, [self._key("run", run_id), self._key("live")], [run_id, attempt])

    async def request_cancel(self, run_id: str, by: CancelledBy) -> None:
        await self._connection.run(lua.CANCEL, [self._key("run", run_id)], [by])

    async def _fields(self, run_id: str) -> dict[str, bytes]:
        values = await self._connection.call("HMGET", self._key("run", run_id), *_FIELDS)
        if values[0] is None:
            raise UnknownRun("No run has this id, or it has expired: ask again.")
        return {name: value or b"" for name, value in zip(_FIELDS, values, strict=True)}

    async def _stored(self, run_id: str, cursor: int) -> Sequence[Entry]:
        """Read what follows the cursor; when nothing does, the run is forgotten, or Redis has lost its newest."""
        items = await self._connection.call(
            "XRANGE", self._key("log", run_id), f"0-{cursor + 1}", "+", "COUNT", BATCH_ENTRIES
        )
        if not items:
            check_cursor(run_id, cursor, last_seq=(await self.describe(run_id)).last_seq)
        return [entry_of(item) for item in items]


def _run_of(run_id: str, fields: Mapping[str, bytes]) -> Run:
    return Run(
        run_id=run_id,
        caller=fields["caller"].decode(),
        query=Query.model_validate_json(fields["query"]),
        created_at=float(fields["created_at"]),
        status=cast("Any", fields["status"].decode()),
        attempt=int(fields["attempt"]),
        last_seq=int(fields["last"]),
        ended_at=float(fields["ended_at"]) if fields["ended_at"] else None,
        follows=fields["follows"].decode(),
        unattended=bool(fields["unattended"]),
    )


def _pulse_of(reply: Sequence[bytes]) -> Pulse | None:
    held, cancelled_by, unread_ms = reply
    return None if held == b"lost" else Pulse(_cancelled_by(cancelled_by), int(unread_ms) / 1000)


def _cancelled_by(value: bytes) -> CancelledBy | None:
    return cast("CancelledBy", value.decode()) if value else None
