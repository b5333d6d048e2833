"""The contract of a run's log: append numbered entries, follow them from a cursor; its keepers are elsewhere.

Entries are numbered 1, 2, 3 … without holes. The first terminal event ends the log: it takes nothing more.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self, TypeGuard, cast

from rag_graph.errors import BadCursor
from rag_graph.events import (
    KNOWN_TYPES,
    AnswerDelta,
    Event,
    EventAdapter,
    RunCancelled,
    RunFailed,
    RunFinished,
    Terminal,
    ThinkingDelta,
    UnknownEvent,
)
from rag_graph.query import Query
from rag_graph.runs.ids import digest

BATCH_ENTRIES = 256
"""At most so many entries are handed to a reader at once, which bounds what a slow one can hold."""
# More than the JSON of a delta has beside its text, some 50 to 60 bytes.
DELTA_OVERHEAD_BYTES = 80

Status = Literal["running", "finished", "failed", "cancelled"]

_TERMINALS = frozenset({RunFinished, RunFailed, RunCancelled})
_LINE_BREAKS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
# `type` is the first field of every event, and pydantic writes fields in their order: so an event's kind is told
# without parsing it, also where only a newer version knows it.
_OPENING = b'{"type":"'
_TERMINAL_KINDS = frozenset({"run_finished", "run_failed", "run_cancelled"})


class RunEnded(Exception):
    """The log has its terminal event, so it takes no more."""


class Superseded(Exception):
    """Another process has taken the run over; what this one says no longer counts."""


class Entry:
    """An event with its number, and when it was appended, in seconds since the epoch. Treat it as frozen.

    One is made for every token, so it is a plain class. It is made of an event, or of the event's JSON. `ends` says
    that it is the run's last.
    """

    __slots__ = ("_data", "_event", "at", "ends", "kind", "seq")

    def __init__(self, seq: int, at: float, event: Event | None, data: bytes | None = None) -> None:
        self.seq = seq
        self.at = at
        self.kind: str = event.type if event is not None else _kind_of(data or b"")
        self.ends = self.kind in _TERMINAL_KINDS
        self._event = event
        self._data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and (self.seq, self.at, self.event) == (other.seq, other.at, other.event)

    def __hash__(self) -> int:
        return hash(self.seq)

    def __repr__(self) -> str:
        return f"Entry({self.seq}, {self.at}, {self.event!r})"

    @property
    def event(self) -> Event:
        """The event; one that only a newer version knows is an `UnknownEvent`, which no `match` over events names."""
        if self._event is None:
            if self.kind in KNOWN_TYPES:
                self._event = EventAdapter.validate_json(self.data)
            else:
                self._event = cast("Event", UnknownEvent(type=self.kind))
        return self._event

    @property
    def data(self) -> bytes:
        """The event as JSON, encoded once however many read it."""
        if self._data is None:
            # ASCII has none of the line breaks, and nearly every token is ASCII: then nothing is searched.
            json = (self._event or self.event).model_dump_json()
            self._data = json.encode() if json.isascii() else line_safe(json.encode())
        return self._data

    @property
    def size(self) -> int:
        """About how many bytes this takes, told without encoding a token."""
        if isinstance(self._event, (AnswerDelta, ThinkingDelta)):
            return DELTA_OVERHEAD_BYTES + len(self._event.delta)
        return len(self.data)


def line_safe(json: bytes) -> bytes:
    """JSON without the raw characters that are line breaks to Unicode, at which httpx and others cut a line in two.

    ASCII has none of them, as JSON escapes those that it has.
    """
    for char, escape in _LINE_BREAKS:
        if char in json:
            json = json.replace(char, escape)
    return json


def _kind_of(data: bytes) -> str:
    """The type of an event, which is the first thing in its JSON."""
    return data[len(_OPENING) : data.index(b'"', len(_OPENING))].decode()


@dataclass(frozen=True, slots=True)
class Gap:
    """The log no longer holds what followed `after`; it goes on at `first_kept`."""

    after: int
    first_kept: int


Batch = Sequence[Entry | Gap]


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a run is created from; `caller`, `key` and `chat` come hashed.

    `follows` is the id of the run whose answer this question replies to. An `unattended` run needs no reader.
    """

    run_id: str
    caller: str
    query: Query
    created_at: float
    key: str | None = None
    chat: str | None = None
    follows: str = ""
    unattended: bool = False


def outline_of(query: Query) -> Query:
    """What is kept of a query when its run has ended: history and filters, which may be megabytes, have served."""
    return query.model_copy(update={"history": [], "filters": {}})


def asked_of(query: Query) -> str:
    """A hash by which a kept outline is known to be of this query."""
    return digest(json.dumps(query.model_dump(mode="json"), sort_keys=True))


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands; `last_seq` is the number of its newest entry. Of an ended one, `query` is the outline."""

    run_id: str
    caller: str
    query: Query
    created_at: float
    status: Status
    attempt: int
    last_seq: int
    ended_at: float | None
    follows: str = ""
    unattended: bool = False

    @classmethod
    def of(cls, new: NewRun) -> Self:
        """Describe a run of which nothing has happened yet."""
        return cls(
            run_id=new.run_id,
            caller=new.caller,
            query=new.query,
            created_at=new.created_at,
            status="running",
            attempt=1,
            last_seq=0,
            ended_at=None,
            follows=new.follows,
            unattended=new.unattended,
        )


class StartedRun(NamedTuple):
    """`replayed` says that an earlier request with the same key had started it."""

    run_id: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of one run is kept, and how long after its end."""

    max_entries: int = 20_000
    max_bytes: int = 8_000_000
    ttl_s: float = 3600.0


class RunLog(ABC):
    """Where runs are kept."""

    @abstractmethod
    async def create(self, new: NewRun) -> StartedRun:
        """Keep a new run, or give back the one that its key has started; raises `KeyReused`."""

    @abstractmethod
    async def find(self, key: str) -> str | None:
        """Give the id of the kept run that this key has started."""

    @abstractmethod
    async def latest(self, chat: str) -> str | None:
        """Give the id of the run that was created last in this chat; the run itself may be forgotten by now."""

    @abstractmethod
    async def append(self, run_id: str, event: Event, *, attempt: int) -> Entry:
        """Take the next event.

        Once the entry has its number nothing is awaited: an append that was cancelled has not happened.
        Raises `RunEnded` and `Superseded`.
        """

    @abstractmethod
    async def flush(self, run_id: str) -> None:
        """Return when everything appended so far can be read by all."""

    @abstractmethod
    async def describe(self, run_id: str) -> Run:
        """Tell how the run stands; raises `UnknownRun`."""

    @abstractmethod
    async def forget(self, run_id: str) -> None:
        """Drop all of a run that has ended; of one that goes on, or is unknown, nothing is dropped."""

    @abstractmethod
    def follow_batches(self, run_id: str, after: int = 0) -> AsyncGenerator[Batch]:
        """Yield what follows the cursor, all that is ready at a time; wait for more until the run has ended.

        Raises `UnknownRun`, at any step, once the run is forgotten; `BadCursor` if it has not come so far.
        """

    async def follow(self, run_id: str, after: int = 0) -> AsyncGenerator[Entry | Gap]:
        """Yield what follows the cursor one by one, as `follow_batches` does."""
        async with aclosing(self.follow_batches(run_id, after)) as batches:
            async for batch in batches:
                for item in batch:
                    yield item


def is_terminal(event: Event) -> TypeGuard[Terminal]:
    """Tell by the exact type: `isinstance` is slow on pydantic models, and this is asked of every token."""
    return type(event) in _TERMINALS


def status_of(last: Event) -> Status:
    match last:
        case RunFinished():
            return "finished"
        case RunFailed():
            return "failed"
        case RunCancelled():
            return "cancelled"
        case _:
            return "running"


def check_cursor(run_id: str, after: int, *, last_seq: int) -> None:
    if after > last_seq:
        raise BadCursor(f"Run {run_id} has {last_seq} events, not {after}: follow it from 0.")
