"""The runs that are read here and executed elsewhere: one blocking read of all of them, for all their readers."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from redis.exceptions import RedisError

from rag_graph.errors import LogUnavailable, RunExpired
from rag_graph.runs.log import BATCH_ENTRIES, Entry
from rag_graph.runs.redis.connection import RETRY_S, Connection, jitter, ms, unavailable
from rag_graph.runs.redis.tail import Tail
from rag_graph.tasks import stop

# Shorter than the socket's timeout, and how soon at the latest a forgotten run is looked for.
BLOCK_MS = 2_000
# A process that dies leaves its bell behind; Redis drops it by itself.
BELL_S = 60.0
# XREAD of a stream that does not exist waits like one of a stream that is silent: nobody would ever be told.
FORGOTTEN_CHECK_S = 5.0
LOST = "The store of the runs has lost this run before its end: ask again."


class Pump:
    """Fills the tails of runs that other processes execute, while there are any; `is_ours` are fed by their writer."""

    def __init__(self, connection: Connection, *, outage_s: float, is_ours: Callable[[str], bool]) -> None:
        self._connection = connection
        self._outage_s = outage_s
        self._is_ours = is_ours
        self._bell = connection.key("bell", secrets.token_hex(8))
        self._task: asyncio.Task[None] | None = None
        self.tails: dict[str, Tail] = {}

    async def watch(self, run_id: str) -> None:
        """See to it that this run's tail is filled: a blocking read that goes on has to hear of one more run."""
        # What this process writes itself is handed to its readers by `take`, without a way over Redis.
        if self._is_ours(run_id):
            return
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._pump())
        else:
            # The blocking read has its list of streams already; what
            # wakes it is a stream of this process that is always on it.
            await self._connection.call("XADD", self._bell, "MAXLEN", 100, "*", "run", run_id)
            await self._connection.call("PEXPIRE", self._bell, ms(BELL_S))

    def resume(self) -> None:
        """Take up runs that were written here until now."""
        if self._remote() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._pump())

    def take(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Hand what Redis has taken from this process to its readers here."""
        tail = self.tails.get(run_id)
        if tail is not None:
            tail.take(entries)

    async def aclose(self) -> None:
        if self._task is not None:
            await stop(self._task)

    async def _pump(self) -> None:
        heard = "0-0"
        reachable_at = checked_at = time.monotonic()
        while remote := self._remote():
            try:
                reply = await self._read_new(heard, remote)
                if time.monotonic() - checked_at > FORGOTTEN_CHECK_S:
                    checked_at = time.monotonic()
                    await self._end_forgotten(remote)
            except RedisError as exc:
                # Readers wait as long as the runs themselves do: both are given up after the same outage.
                if time.monotonic() - reachable_at > self._outage_s:
                    error = unavailable()
                    error.__cause__ = exc
                    for tail in remote.values():
                        tail.fail(error)
                    return
                await asyncio.sleep(jitter(RETRY_S[1]))
                continue
            reachable_at = time.monotonic()
            for stream, items in reply:
                name = stream.decode()
                if name == self._bell:
                    heard = items[-1][0].decode()
                    continue
                tail = remote[name.rpartition(":")[2]]
                try:
                    tail.take([entry_of(item) for item in items])
                except LogUnavailable as exc:
                    tail.fail(exc)

    async def _read_new(self, heard: str, tails: Mapping[str, Tail]) -> Sequence[Any]:
        """Wait for anything new in these runs, or for the bell, which says that there is one more to read."""
        logs = [self._connection.key("log", run_id) for run_id in tails]
        seen = [f"0-{tail.last_seq}" for tail in tails.values()]
        limits = ("COUNT", BATCH_ENTRIES, "BLOCK", BLOCK_MS)
        reply = await self._connection.redis.execute_command(
            "XREAD", *limits, "STREAMS", self._bell, *logs, heard, *seen
        )
        return reply or ()

    def _remote(self) -> dict[str, Tail]:
        return {
            run_id: tail
            for run_id, tail in self.tails.items()
            if tail.last_seq is not None and not self._is_ours(run_id)
        }

    async def _end_forgotten(self, tails: Mapping[str, Tail]) -> None:
        """Nothing has come for a while: let readers go whose run does not exist any more."""
        for run_id, tail in tails.items():
            if not await self._connection.redis.execute_command("EXISTS", self._connection.key("run", run_id)):
                tail.fail(RunExpired(LOST))


def entry_of(item: tuple[bytes, Mapping[bytes, bytes]]) -> Entry:
    """An entry of a stream. An event of a type that only a newer version knows is one, a malformed one is not."""
    entry_id, fields = item
    entry = Entry(int(entry_id[2:]), float(fields[b"a"]), None, fields[b"d"])
    try:
        entry.event  # noqa: B018  (reading it is the check)
    except ValidationError as exc:
        raise LogUnavailable("This server cannot read what is kept of the run: ask again.") from exc
    return entry
