"""Readers that cost little and check every frame, over raw sockets; some of them misbehave.

Each asks a question of its own, whose answer `Scripted`, the model, knows too.
"""

import asyncio
import itertools
import random
import socket
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import orjson

from tests.chaos import number_of, question
from tests.upstream import Request, Script, Upstream

WORDS = 200
PACE_S = 0.02
PATIENCE_S = 60.0
"""A reader that has no end after this long hangs."""
SLOW_S = 0.04
ROOM, LITTLE_ROOM = 65_536, 4_096
"""Bytes that a reader takes before it has read them."""
TERMINALS = {"run_finished", "run_failed", "run_cancelled"}
BAD = (b"{", b"{}", b'{"question": ""}', b'{"question": 5}', b'{"question": "Why?", "mode": "loud"}')


def words(number: int) -> list[str]:
    return [f"word{number}.{place} " for place in range(WORDS)]


class Scripted(Upstream):
    """Answers each question in words of its own; it runs for long, and remembers nothing."""

    def _take(self, request: Request) -> Script:
        self.requests.clear()
        self.connections.clear()
        return Script(content=words(number_of(request)), pace_s=PACE_S)


@dataclass
class Told:
    """What a reader was told of a run, over one link or several; `wrong` is the first thing that must not be."""

    run_id: str = ""
    seq: int = 0
    deltas: list[str] = field(default_factory=list)
    terminal: str = ""
    wrong: str = ""
    first_token_at: float = 0.0
    last_token_at: float = 0.0
    gaps: list[float] = field(default_factory=list)

    def take(self, frame: bytes) -> None:
        if frame.startswith(b":"):
            return
        head, data, ident = frame.split(b"\n")
        name, (run_id, _, seq) = head[7:].decode(), ident[4:].decode().partition(":")
        self._note(self.terminal == "", f"{name} after {self.terminal}")
        self._note(int(seq) == self.seq + 1, f"event {seq} after event {self.seq}")
        self._note(run_id == (self.run_id or run_id), "an event of another run")
        self.run_id, self.seq = run_id, int(seq)
        if name == "answer_delta":
            self.deltas.append(orjson.loads(data[6:])["delta"])
            self._time()
        elif name in TERMINALS:
            self.terminal = name
            self._note(orjson.loads(data[6:])["answer"].strip() == self.answer, "the end does not repeat the answer")

    @property
    def answer(self) -> str:
        return "".join(self.deltas).strip()

    def fault(self, number: int, *, terminal: str = "run_finished") -> str:
        """What is wrong with the whole of it; nothing, when it is what the model said."""
        said = "".join(words(number)).strip()
        if self.wrong:
            return self.wrong
        if self.terminal != terminal:
            return f"it ended with {self.terminal or 'nothing'}"
        if terminal == "run_finished" and self.answer != said:
            return "the answer is not what the model said"
        return "" if said.startswith(self.answer) else "the answer does not begin as the model's"

    def _time(self) -> None:
        now = perf_counter()
        if self.last_token_at:
            self.gaps.append(now - self.last_token_at)
        self.first_token_at = self.first_token_at or now
        self.last_token_at = now

    def _note(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.wrong = self.wrong or otherwise


@dataclass(frozen=True)
class Link:
    """The answer to one request, over a connection of its own."""

    status: int
    frames: AsyncGenerator[bytes]

    async def read(self, told: Told, *, frames: int | None = None, pause_s: float = 0.0) -> None:
        """Take all frames, or go on until so many have been told."""
        if self.status != 200:
            told.wrong = told.wrong or f"HTTP {self.status}"
            return
        async for frame in self.frames:
            told.take(frame)
            if pause_s:
                await asyncio.sleep(pause_s)
            if frames is not None and told.seq >= frames:
                return


async def frames_of(reader: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    """The frames in a chunked body."""
    rest = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunk = await reader.readexactly(size + 2)
        *whole, rest = (rest + chunk[:-2]).split(b"\n\n")
        for frame in whole:
            yield frame


@dataclass
class Window:
    """Times since somebody last looked, in seconds."""

    first_tokens: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    def take(self, told: Told, began: float) -> None:
        self.first_tokens.append(told.first_token_at - began)
        self.gaps += told.gaps


@dataclass
class Crowd:
    """Keeps so many readers at one server until it is told to go home."""

    port: int
    chance: random.Random
    numbers: Iterator[int] = field(default_factory=itertools.count)
    outcomes: Counter[tuple[str, bool]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    window: Window = field(default_factory=Window)
    going_home: bool = False

    async def visit_forever(self) -> None:
        """Ask one question after the other, now and then with bad manners."""
        names, shares = list(MANNERS), [share for share, _ in MANNERS.values()]
        while not self.going_home:
            await self.visit(*self.chance.choices(names, shares))

    async def visit(self, manner: str) -> None:
        number = next(self.numbers)
        _, behave = MANNERS[manner]
        try:
            async with asyncio.timeout(PATIENCE_S):
                fault = await behave(self, number)
        except TimeoutError:
            fault = "a reader hung"
        except (OSError, EOFError, ValueError) as exc:
            fault = f"the link broke: {exc!r}"
        self.outcomes[manner, not fault] += 1
        if fault:
            self.faults.append(f"{number}, who {manner}: {fault}")

    def look(self) -> Window:
        """The times since the last look."""
        seen, self.window = self.window, Window()
        return seen

    async def _reads(self, number: int) -> str:
        told, began = Told(), perf_counter()
        async with self._ask(number) as link:
            await link.read(told)
        self.window.take(told, began)
        return told.fault(number)

    async def _leaves(self, number: int) -> str:
        told = Told()
        async with self._ask(number) as link:
            await link.read(told, frames=self._some())
        return told.wrong

    async def _resumes(self, number: int) -> str:
        told = Told()
        async with self._ask(number) as link:
            await link.read(told, frames=self._some())
        await asyncio.sleep(self.chance.uniform(0, 2))
        cursor = f"last-event-id: {told.run_id}:{told.seq}\r\n"
        async with self._send("GET", f"/runs/{told.run_id}/events", headers=cursor) as link:
            await link.read(told)
        return told.fault(number)

    async def _reads_slowly(self, number: int) -> str:
        told = Told()
        async with self._ask(number, buffer=LITTLE_ROOM) as link:
            await link.read(told, pause_s=SLOW_S)
        return told.fault(number)

    async def _asks_twice(self, number: int) -> str:
        async def ask() -> Told:
            told = Told()
            async with self._ask(number, headers=f"idempotency-key: key-{number}\r\n") as link:
                await link.read(told)
            return told

        first, second = await asyncio.gather(ask(), ask())
        is_same = first.run_id == second.run_id
        return first.fault(number) or second.fault(number) or ("" if is_same else "one key began two runs")

    async def _cancels(self, number: int) -> str:
        told = Told()
        async with self._ask(number) as link:
            await link.read(told, frames=self._some())
            async with self._send("POST", f"/runs/{told.run_id}/cancel") as cancel:
                told.wrong = told.wrong or ("" if cancel.status == 200 else f"cancel: HTTP {cancel.status}")
            await link.read(told)
        return told.fault(number, terminal="run_cancelled")

    async def _asks_badly(self, number: int) -> str:
        async with self._send("POST", "/query", body=BAD[number % len(BAD)]) as link:
            return "" if link.status in {400, 422} else f"HTTP {link.status}"

    def _some(self) -> int:
        """A number of frames that ends in the middle of an answer."""
        return self.chance.randrange(1, WORDS // 2)

    @asynccontextmanager
    async def _ask(self, number: int, *, headers: str = "", buffer: int = 0) -> AsyncIterator[Link]:
        body = orjson.dumps({"question": question(number)})
        async with self._send("POST", "/query", headers=headers, body=body, buffer=buffer) as link:
            yield link

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, *, headers: str = "", body: bytes = b"", buffer: int = 0
    ) -> AsyncIterator[Link]:
        fixed = "host: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
        head = f"{method} {path} HTTP/1.1\r\n{fixed}content-length: {len(body)}\r\n{headers}\r\n"
        link = await _connected(self.port, buffer)
        reader, writer = await asyncio.open_connection(sock=link, limit=buffer or ROOM)
        try:
            writer.write(head.encode() + body)
            answered = await reader.readuntil(b"\r\n\r\n")
            async with aclosing(frames_of(reader)) as frames:
                yield Link(int(answered.split(b" ", 2)[1]), frames)
        finally:
            writer.close()


async def _connected(port: int, buffer: int) -> socket.socket:
    link = socket.socket()
    if buffer:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    link.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(link, ("127.0.0.1", port))
    except BaseException:
        link.close()
        raise
    return link


PLAIN = "reads"
MANNERS: dict[str, tuple[float, Callable[[Crowd, int], Coroutine[Any, Any, str]]]] = {
    PLAIN: (0.76, Crowd._reads),
    "leaves": (0.05, Crowd._leaves),
    "resumes": (0.05, Crowd._resumes),
    "reads slowly": (0.05, Crowd._reads_slowly),
    "asks twice at once": (0.05, Crowd._asks_twice),
    "cancels": (0.02, Crowd._cancels),
    "asks badly": (0.02, Crowd._asks_badly),
}
"""How often each is seen, and what it does."""
