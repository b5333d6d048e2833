"""A TCP proxy that breaks links on command, and spreads them over servers, in a thread of its own."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from tests.upstream import WITHIN_S

Fate = tuple[str, float]
"""After n bytes `("cut", n)` breaks a link and `("hush", n)` lets nothing more through; `("pass", 0)` does neither."""
PASS: Fate = ("pass", 0)


class Links:
    """Every new connection takes the next fate for what the server sends; after the last it is left alone."""

    def __init__(self, fates: Iterator[Fate], *target_ports: int) -> None:
        self.opened = 0
        self.broken = 0
        self._target_ports = itertools.cycle(target_ports)
        self._targets = len(target_ports)
        self._fates = fates
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="links", daemon=True)
        self._started = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(WITHIN_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        fate, limit = next(self._fates, PASS)
        far = await self._reach()
        if far is None:
            writer.close()
            return
        far_reader, far_writer = far
        up = asyncio.ensure_future(_pass(reader, far_writer, lambda _: True))
        down = asyncio.ensure_future(_pass(far_reader, writer, _until(fate, limit)))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if fate == "hush" and down.done():
                self.broken += 1
                await up
            elif fate == "cut" and down.done():
                self.broken += 1
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            for end in (writer, far_writer):
                end.close()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The next target that answers, as a load balancer would choose."""
        for port in itertools.islice(self._target_ports, self._targets):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None


def _until(fate: str, limit: float) -> Callable[[int], bool]:
    return (lambda _: True) if fate == "pass" else (lambda sent: sent < limit)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, goes_on: Callable[[int], bool]) -> None:
    sent = 0
    with contextlib.suppress(OSError):
        while goes_on(sent) and (data := await reader.read(256)):
            writer.write(data)
            await writer.drain()
            sent += len(data)
