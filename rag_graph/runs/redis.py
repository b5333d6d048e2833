"""Runs kept in Redis Streams: any process can read any run, and takes over those whose process has stopped.

The number of an entry is its id in the stream, so replay and live are one read. Only the process that executes
a run appends to it, in batches and always in order; a batch whose reply was lost is sent again, which Redis
notices by the numbers. Readers see what Redis has taken, never what is still on its way. Written for one primary.
"""

import asyncio
import hashlib
import logging
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar, cast

from pydantic import ValidationError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from rag_graph.errors import KeyReused, LogUnavailable, UnknownRun
from rag_graph.events import Event, EventAdapter
from rag_graph.query import Query
from rag_graph.runs import lua
from rag_graph.runs.lease import Claim, Pulse
from rag_graph.runs.log import (
    BATCH_ENTRIES,
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
    status_of,
    stop,
)
from rag_graph.runs.tail import Tail

FLUSH_ENTRIES = 128
MAX_PENDING = 1_024
"""An execution that is so far ahead of Redis waits."""
BLOCK_MS = 2_000
BELL_S = 60.0
FORGOTTEN_CHECK_S = 5.0
COMPLAIN_S = 10.0
ABANDONED_S = 3_600.0
"""A run that no process executes is forgotten after this and the ordinary time to live."""
RETRY_S = (0.02, 0.5)
SOCKET_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 32

log = logging.getLogger(__name__)
T = TypeVar("T")
_SHA = {
    script: hashlib.sha1(script.encode()).hexdigest()  # noqa: S324  (the name Redis gives a script)
    for script in (lua.CREATE, lua.APPEND, lua.RENEW, lua.CLAIM, lua.RELEASE, lua.CANCEL)
}
_FIELDS = ("caller", "query", "created_at", "status", "attempt", "last", "ended_at", "cancel", "key")


@dataclass(slots=True, eq=False)
class _Writer:
    """What this process has appended to a run that it executes, and Redis has not taken yet."""

    run_id: str
    key: str
    attempt: int
    next_seq: int
    pending: list[Entry] = field(default_factory=list)
    ended: bool = False
    broken: Exception | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self) -> None:
        self.moved.set()
        self.moved.clear()

    def fail(self, error: Exception) -> None:
        self.broken = error
        self.move()


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
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Requests give up on an unreachable Redis after `patience_s`, runs and their readers after `outage_s`."""
        self._bounds = bounds or Bounds()
        self._prefix = prefix
        self._lease_s = lease_s
        self._patience_s = patience_s
        self._outage_s = outage_s
        self._clock = clock
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._redis: Any = Redis.from_pool(pool)  # its types are those of the sync and async clients at once
        self._writers: dict[str, _Writer] = {}
        self._unflushed: dict[str, _Writer] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._complain_at = 0.0
        self._tails: dict[str, Tail] = {}
        self._pumping: asyncio.Task[None] | None = None
        self._bell = f"{prefix}:bell:{secrets.token_hex(8)}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of Redis; what was appended and not flushed is lost to this process' runs."""
        for task in (self._flushing, self._pumping):
            if task is not None:
                await stop(task)
        await self._redis.aclose()

    @property
    def lease_s(self) -> float:
        return self._lease_s

    async def create(self, new: NewRun) -> StartedRun:
        reply = await self._run(
            lua.CREATE,
            [self._key("run", new.run_id), self._key("live"), *self._idempotency(new.key)],
            [
                self._key("run", ""),
                new.run_id,
                new.caller,
                new.query.model_dump_json(),
                repr(new.created_at),
                new.key or "",
                _ms(self._lease_s),
                _ms(ABANDONED_S + self._bounds.ttl_s),
            ],
        )
        run_id = reply[0].decode()
        if run_id == new.run_id:
            self._writers[run_id] = _Writer(run_id, new.key or "", attempt=1, next_seq=1)
        elif Query.model_validate_json(reply[1]) != new.query:
            raise KeyReused("This idempotency key was used for another question: send a new key.")
        return StartedRun(run_id, replayed=run_id != new.run_id)

    async def find(self, key: str) -> str | None:
        run_id = await self._call("GET", self._key("key", key))
        return None if run_id is None else run_id.decode()

    async def append(self, run_id: str, event: Event, *, attempt: int) -> Entry:
        writer = self._writers.get(run_id)
        if writer is None:
            run = await self.describe(run_id)
            raise RunEnded(run_id) if run.status != "running" else Superseded(run_id)
        while len(writer.pending) >= MAX_PENDING and writer.broken is None:
            await writer.moved.wait()
        if writer.broken is not None:
            raise writer.broken
        if writer.attempt != attempt:
            raise Superseded(run_id)
        if writer.ended:
            raise RunEnded(run_id)
        entry = Entry(writer.next_seq, self._clock(), event, event.model_dump_json().encode())
        writer.next_seq += 1
        writer.ended = entry.ends
        writer.pending.append(entry)
        self._flush_soon(writer)
        return entry

    async def flush(self, run_id: str) -> None:
        writer = self._writers.get(run_id)
        if writer is None:
            return
        while writer.pending and writer.broken is None:
            await writer.moved.wait()
        if writer.broken is not None:
            raise writer.broken

    async def describe(self, run_id: str) -> Run:
        return _run_of(run_id, await self._fields(run_id))

    async def follow_batches(self, run_id: str, after: int = 0) -> AsyncGenerator[Batch]:
        tail = self._tails.setdefault(run_id, Tail())
        tail.readers += 1
        try:
            run = await self.describe(run_id)
            check_cursor(run_id, after, last_seq=run.last_seq)
            if run.status != "running" and after == run.last_seq:
                return
            tail.begin(run.last_seq)
            await self._watch(run_id)
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
                del self._tails[run_id]

    async def renew(self, executed: Mapping[str, int], read: Collection[str]) -> Mapping[str, Pulse | None]:
        reply = await self._run(
            lua.RENEW,
            [self._key("live")],
            [
                self._key("run", ""),
                self._key("log", ""),
                self._key("key", ""),
                _ms(self._lease_s),
                _ms(ABANDONED_S + self._bounds.ttl_s),
                len(executed),
                *(part for held in executed.items() for part in held),
                *read,
            ],
        )
        pulses = dict(zip(executed, map(_pulse_of, reply), strict=True))
        for run_id, pulse in pulses.items():
            if pulse is None and run_id in self._writers:
                self._drop(self._writers[run_id], Superseded(run_id))
        return pulses

    async def claim(self, limit: int) -> Sequence[Claim]:
        run_ids = await self._run(lua.CLAIM, [self._key("live")], [self._key("run", ""), limit, _ms(self._lease_s)])
        claims = []
        for run_id in map(bytes.decode, run_ids):
            with suppress(UnknownRun):
                claims.append((run_id, await self._fields(run_id)))
        return [self._adopt(run_id, fields) for run_id, fields in claims]

    def _adopt(self, run_id: str, fields: Mapping[str, bytes]) -> Claim:
        run, key = _run_of(run_id, fields), fields["key"].decode()
        self._writers[run_id] = _Writer(run_id, key, attempt=run.attempt, next_seq=run.last_seq + 1)
        return Claim(run, _cancelled_by(fields["cancel"]))

    async def release(self, run_id: str, attempt: int) -> None:
        if run_id in self._writers:
            self._drop(self._writers[run_id], Superseded(run_id))
        await self._run(lua.RELEASE, [self._key("run", run_id), self._key("live")], [run_id, attempt])

    async def request_cancel(self, run_id: str, by: CancelledBy) -> None:
        await self._run(lua.CANCEL, [self._key("run", run_id)], [by])

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))

    def _idempotency(self, key: str | None) -> list[str]:
        return [self._key("key", key)] if key else []

    async def _fields(self, run_id: str) -> dict[str, bytes]:
        values = await self._call("HMGET", self._key("run", run_id), *_FIELDS)
        if values[0] is None:
            raise UnknownRun("No run has this id, or it has expired: ask again.")
        return {name: value or b"" for name, value in zip(_FIELDS, values, strict=True)}

    async def _stored(self, run_id: str, cursor: int) -> Sequence[Entry]:
        """Read what follows the cursor; when nothing does, the run is forgotten, or Redis has lost its newest."""
        items = await self._call("XRANGE", self._key("log", run_id), f"0-{cursor + 1}", "+", "COUNT", BATCH_ENTRIES)
        if not items:
            check_cursor(run_id, cursor, last_seq=(await self.describe(run_id)).last_seq)
        return [_entry_of(item) for item in items]

    async def _watch(self, run_id: str) -> None:
        """See to it that somebody fills this run's tail: our own writer, or the pump."""
        if run_id in self._writers:
            return
        if self._pumping is None or self._pumping.done():
            self._pumping = asyncio.create_task(self._pump())
        else:
            await self._call("XADD", self._bell, "MAXLEN", 100, "*", "run", run_id)
            await self._call("PEXPIRE", self._bell, _ms(BELL_S))

    async def _pump(self) -> None:
        """Read all followed runs that other processes execute, over one connection, while there are any."""
        heard = "0-0"
        reachable_at = checked_at = time.monotonic()
        while remote := self._remote_tails():
            try:
                reply = await self._read_new(heard, remote)
                if time.monotonic() - checked_at > FORGOTTEN_CHECK_S:
                    checked_at = time.monotonic()
                    await self._end_forgotten(remote)
            except RedisError as exc:
                if time.monotonic() - reachable_at > self._outage_s:
                    _fail_tails(remote.values(), exc)
                    return
                await asyncio.sleep(_jitter(RETRY_S[1]))
                continue
            reachable_at = time.monotonic()
            for stream, items in reply:
                name = stream.decode()
                if name == self._bell:
                    heard = items[-1][0].decode()
                else:
                    _fill(remote[name.rpartition(":")[2]], items)

    async def _read_new(self, heard: str, tails: Mapping[str, Tail]) -> Sequence[Any]:
        """Wait for anything new in these runs, or for the bell, which says that there is one more to read."""
        logs = [self._key("log", run_id) for run_id in tails]
        seen = [f"0-{tail.last_seq}" for tail in tails.values()]
        limits = ("COUNT", BATCH_ENTRIES, "BLOCK", BLOCK_MS)
        reply = await self._redis.execute_command("XREAD", *limits, "STREAMS", self._bell, *logs, heard, *seen)
        return reply or ()

    def _remote_tails(self) -> dict[str, Tail]:
        return {
            run_id: tail
            for run_id, tail in self._tails.items()
            if run_id not in self._writers and tail.last_seq is not None
        }

    async def _end_forgotten(self, tails: Mapping[str, Tail]) -> None:
        """Nothing has come for a while: let readers go whose run does not exist any more."""
        for run_id, tail in tails.items():
            if not await self._redis.execute_command("EXISTS", self._key("run", run_id)):
                tail.fail(UnknownRun("This run has expired: ask again."))

    def _flush_soon(self, writer: _Writer) -> None:
        self._unflushed[writer.run_id] = writer
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_all())

    async def _flush_all(self) -> None:
        """Send what all writers have, one batch of each in every round trip, until there is no more."""
        while self._unflushed:
            batches = [(writer, writer.pending[:FLUSH_ENTRIES]) for writer in self._unflushed.values()]
            try:
                replies = await self._patiently(partial(self._send, batches), for_s=self._outage_s)
            except LogUnavailable as exc:
                for writer, _ in batches:
                    self._drop(writer, exc)
                continue
            for (writer, batch), reply in zip(batches, replies, strict=True):
                self._settle(writer, batch, reply.decode())

    async def _send(self, batches: Sequence[tuple[_Writer, Sequence[Entry]]]) -> Sequence[bytes]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for writer, batch in batches:
                keys, args = self._append_arguments(writer, batch)
                pipe.evalsha(_SHA[lua.APPEND], len(keys), *keys, *args)
            replies: Sequence[bytes] = await pipe.execute()
            return replies

    def _append_arguments(self, writer: _Writer, batch: Sequence[Entry]) -> tuple[list[str], list[Any]]:
        newest = batch[-1]
        status = status_of(newest.event)
        keep_s = self._bounds.ttl_s + (ABANDONED_S if status == "running" else 0.0)
        keys = [
            self._key("run", writer.run_id),
            self._key("log", writer.run_id),
            self._key("live"),
            *self._idempotency(writer.key),
        ]
        args = [
            writer.run_id,
            writer.attempt,
            status,
            repr(newest.at),
            self._bounds.max_entries,
            self._bounds.max_bytes,
            _ms(keep_s),
            batch[0].seq,
            *(part for entry in batch for part in (repr(entry.at), entry.data)),
        ]
        return keys, args

    def _settle(self, writer: _Writer, batch: Sequence[Entry], reply: str) -> None:
        if writer.broken is not None:
            return
        if reply != "ok":
            self._drop(writer, _refusal(reply, writer.run_id))
            return
        del writer.pending[: len(batch)]
        tail = self._tails.get(writer.run_id)
        if tail is not None:
            tail.take(batch)
        if not writer.pending:
            del self._unflushed[writer.run_id]
        if batch[-1].ends:
            del self._writers[writer.run_id]
        writer.move()

    def _drop(self, writer: _Writer, error: Exception) -> None:
        """Write no more to this run; its readers here go on by the pump."""
        self._unflushed.pop(writer.run_id, None)
        if self._writers.get(writer.run_id) is writer:
            del self._writers[writer.run_id]
        writer.fail(error)
        if self._remote_tails() and (self._pumping is None or self._pumping.done()):
            self._pumping = asyncio.create_task(self._pump())

    async def _run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        return await self._call("EVALSHA", _SHA[script], len(keys), *keys, *args)

    async def _call(self, *command: str | int) -> Any:
        return await self._patiently(partial(self._redis.execute_command, *command))

    async def _patiently(self, command: Callable[[], Awaitable[T]], *, for_s: float | None = None) -> T:
        """Send a command that may be sent twice until Redis answers."""
        give_up_at = time.monotonic() + (self._patience_s if for_s is None else for_s)
        pause_s = RETRY_S[0]
        while True:
            try:
                return await command()
            except NoScriptError:
                await self._load_scripts()
            except RedisError as exc:
                if time.monotonic() > give_up_at:
                    raise _unavailable() from exc
                self._complain(exc)
                await asyncio.sleep(_jitter(pause_s))
                pause_s = min(pause_s * 2, RETRY_S[1])

    def _complain(self, error: RedisError) -> None:
        """Log an outage once in a while, not once for every command that meets it."""
        if time.monotonic() > self._complain_at:
            self._complain_at = time.monotonic() + COMPLAIN_S
            log.warning("Redis does not answer: %s", type(error).__name__)

    async def _load_scripts(self) -> None:
        with suppress(RedisError):
            for script in _SHA:
                await self._redis.script_load(script)


def _unavailable() -> LogUnavailable:
    return LogUnavailable("The store of the runs cannot be reached: ask again in a moment.")


def _fail_tails(tails: Collection[Tail], cause: Exception) -> None:
    error = _unavailable()
    error.__cause__ = cause
    for tail in tails:
        tail.fail(error)


def _fill(tail: Tail, items: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> None:
    try:
        tail.take([_entry_of(item) for item in items])
    except LogUnavailable as exc:
        tail.fail(exc)


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
    )


def _entry_of(item: tuple[bytes, Mapping[bytes, bytes]]) -> Entry:
    entry_id, fields = item
    data = fields[b"d"]
    try:
        event = EventAdapter.validate_json(data)
    except ValidationError as exc:
        raise LogUnavailable("A newer version writes this run: update this server.") from exc
    return Entry(int(entry_id[2:]), float(fields[b"a"]), event, data)


def _pulse_of(reply: Sequence[bytes]) -> Pulse | None:
    held, cancelled_by, unread_ms = reply
    return None if held == b"lost" else Pulse(_cancelled_by(cancelled_by), int(unread_ms) / 1000)


def _cancelled_by(value: bytes) -> CancelledBy | None:
    return cast("CancelledBy", value.decode()) if value else None


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _jitter(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311  (spreads retries, guards nothing)
