"""The way of one token through our own code: `python -m tests.benchmarks.trip [--tokens 300] [--list] [--path /v1/…]`.

The real app answers one question in the words of a model that speaks every 20 ms. A token's way begins when its
chunk has been received from the model's connection and ends when its frame is sent to the reader's. Counted is every
entry into a Python function under `rag_graph/` meanwhile, on the event loop's thread: a call, and also a coroutine or
generator that goes on, since each one that stands between the loop and the code that runs costs a frame. What runs
after the frame was sent, until the next chunk comes, is "the way back".

The answer's first tokens do not count, nor does a token that came, or was sent, together with another one.
"""

import argparse
import asyncio
import inspect
import os
import socket
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import mean
from types import CodeType, FrameType
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvicorn
from rich.console import Console
from rich.table import Table

import rag_graph
from tests.benchmarks.rig import answering, make_library, paced_model
from tests.benchmarks.stream_reader import open_streams, until
from tests.servers import free_port

OURS = f"{Path(rag_graph.__file__).parent}{os.sep}"
WARM_UP_TOKENS = 50
"""By then the passages are told, the draft is under way, and its first frames have been written."""
PATIENCE_S = 60
BODIES = {
    "/query": {"question": "How tall is the tower?"},
    "/v1/chat/completions": {
        "model": "rag-fast",
        "messages": [{"role": "user", "content": "How tall is the tower?"}],
        "stream": True,
    },
}
"""What is asked by each protocol, by its path."""
READS, WRITES = ("recv", "recv_into"), ("send", "sendmsg")
GOES_ON = 0b11
"""The bits of RESUME's argument that are 0 where a function begins, and not where it goes on after yield or await."""


@dataclass(frozen=True)
class Entry:
    """One entry into a function; `nested` counts our asynchronous generators on the stack, itself included."""

    code: CodeType
    goes_on: bool
    nested: int

    @property
    def file(self) -> str:
        return self.code.co_filename.removeprefix(OURS)

    @property
    def is_generator(self) -> bool:
        return bool(self.code.co_flags & inspect.CO_ASYNC_GENERATOR)


@dataclass
class Trip:
    """A chunk's way to the reader and the way back; no write when it was sent together with the next one."""

    way: list[Entry] = field(default_factory=list)
    back: list[Entry] = field(default_factory=list)
    writes: int = 0


@dataclass
class Follower:
    """A profile function: a thread's reads from the model begin trips, its writes to the reader end their way."""

    model_port: int
    server_port: int
    trips: list[Trip] = field(default_factory=lambda: [Trip()])

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            trip = self.trips[-1]
            (trip.back if trip.writes else trip.way).append(_entry(frame))
        elif event == "c_return" and arg.__name__ in READS and self._ports(arg.__self__)[1] == self.model_port:
            self.trips.append(Trip())
        elif event == "c_call" and arg.__name__ in WRITES and self._ports(arg.__self__)[0] == self.server_port:
            self.trips[-1].writes += 1

    def _ports(self, owner: Any) -> tuple[int, int]:
        """The connection's port here and there; zeros of what is none: generators have a `send` too."""
        if not isinstance(owner, socket.socket) or owner.family is not socket.AF_INET:
            return 0, 0
        with suppress(OSError):  # it may be closed
            return owner.getsockname()[1], owner.getpeername()[1]
        return 0, 0


def _entry(frame: FrameType) -> Entry:
    goes_on = bool(frame.f_code.co_code[frame.f_lasti + 1] & GOES_ON)
    nested = 0
    outer: FrameType | None = frame
    while outer is not None:
        code = outer.f_code
        nested += bool(code.co_flags & inspect.CO_ASYNC_GENERATOR) and code.co_filename.startswith(OURS)
        outer = outer.f_back
    return Entry(frame.f_code, goes_on, nested)


@contextmanager
def serving(follower: Follower) -> Iterator[None]:
    """The app in a thread of this process, on asyncio's own loop: a profile does not see uvloop's reads and writes."""
    config = uvicorn.Config("server:app", port=follower.server_port, loop="asyncio", log_level="warning")
    server = uvicorn.Server(config)

    def serve() -> None:
        sys.setprofile(follower)
        server.run()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


async def follow(follower: Follower, path: str, tokens: int) -> list[Trip]:
    """Read an answer; the trips of about so many tokens, those that travelled alone."""
    url, body = f"http://127.0.0.1:{follower.server_port}{path}", orjson.dumps(BODIES[path])
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                [stream] = await open_streams(url, [body])
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)
    await until(lambda: stream.tokens >= WARM_UP_TOKENS, PATIENCE_S)
    first = len(follower.trips)
    await until(lambda: stream.tokens >= WARM_UP_TOKENS + tokens, PATIENCE_S)
    trips = follower.trips[first - 1 : -1]
    stream.close()
    return [trip for before, trip in pairwise(trips) if before.writes == trip.writes == 1]


def summary(trips: Sequence[Trip]) -> Table:
    """Means of all trips; functions and files as they are counted in a single one."""
    table = Table("of one token", "way", "and back")
    sides = [[trip.way for trip in trips], [trip.way + trip.back for trip in trips]]
    rows: dict[str, Callable[[list[Entry]], int]] = {
        "calls": len,
        "that begin": lambda side: sum(not entry.goes_on for entry in side),
        "that go on": lambda side: sum(entry.goes_on for entry in side),
        "functions": lambda side: len({entry.code for entry in side}),
        "files": lambda side: len({entry.file for entry in side}),
        "asynchronous generators": lambda side: len({entry.code for entry in side if entry.is_generator}),
        "of them nested": lambda side: max(entry.nested for entry in side),
    }
    for name, counted in rows.items():
        table.add_row(name, *(f"{mean(map(counted, side)):.1f}" for side in sides))
    return table


def listing(trips: Sequence[Trip]) -> Table:
    """The commonest trip, entry by entry."""
    table = Table("", "file", "function", "line")
    [(steps, times)] = Counter((*trip.way, None, *trip.back) for trip in trips).most_common(1)
    table.title = f"{times} of {len(trips)} trips"
    for entry in steps:
        if entry is None:
            table.add_row("", "", "- the frame is sent -", end_section=True)
        else:
            goes_on = "goes on" if entry.goes_on else ""
            table.add_row(goes_on, entry.file, entry.code.co_qualname, str(entry.code.co_firstlineno))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--path", choices=BODIES, default="/query", help="the protocol")
    parser.add_argument("--list", action="store_true", help="every function of the commonest trip")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, paced_model() as upstream:
        os.environ |= answering(make_library(Path(folder)), upstream)
        follower = Follower(model_port=urlsplit(upstream).port or 0, server_port=free_port())
        with serving(follower):
            trips = asyncio.run(follow(follower, given.path, given.tokens))
    console = Console(width=120)
    console.print(f"{len(trips)} tokens of {given.tokens} travelled alone")
    if not trips:
        sys.exit("No token was sent alone: is the machine too busy?")
    console.print(summary(trips))
    if given.list:
        console.print(listing(trips))


if __name__ == "__main__":
    main()
