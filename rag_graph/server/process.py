"""The server's processes: uvicorn, how it stops without cutting anybody off, and workers that share one address."""

import asyncio
import gc
import logging
import logging.config
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final, cast

import uvicorn
from fastapi import FastAPI
from prometheus_client.multiprocess import mark_process_dead
from sse_starlette.sse import AppStatus
from uvicorn.importer import import_from_string

from rag_graph.client.announcement import Announcement
from rag_graph.errors import RagGraphError, SettingsError
from rag_graph.server.connections import Connections, bounded, most_connections
from rag_graph.settings import Settings
from rag_graph.telemetry.logs import log_config
from rag_graph.telemetry.metrics import SHARED_DIR

FAREWELL_S: Final = 3
"""Readers may take this long for their last frames, however little is left of the time to drain."""
STEADY_S: Final = 10.0
"""A worker that has served for so long did not end because of how it was started."""
GC_THRESHOLDS: Final = (20_000, 20, 10)
"""With 50 and 100, what runs leave in cycles waited an hour for the oldest generation: 5 MB a minute at 14 runs/s."""

Work = Callable[[Connection], None]
"""What a worker process does. It sends None once it serves, or the error for which it cannot."""

log = logging.getLogger(__name__)


class WorkersFailed(RagGraphError):
    """Look at what the workers wrote before they ended."""


def serve(app: FastAPI, settings: Settings, *, is_announced: bool = True) -> None:
    """Serve until a signal comes; then refuse new runs, and let those that go on end first.

    With `is_announced`, this user's own commands let this server answer. Raises what keeps the app from starting, such
    as SettingsError.
    """
    server = _server(app, settings)
    if is_announced:
        server.announcing = partial(_announce, app, settings)
    server.run()


def serve_workers(settings: Settings, workers: int, parts: str = "") -> None:
    """Serve by several processes at one address, which share their runs in Redis; one that dies is replaced.

    Each opens the `parts` of that name, as `module:name`, or those that the settings choose.

    Raises SettingsError, whatever else keeps the first workers from starting, and `WorkersFailed`.
    """
    if not settings.redis_url.get_secret_value():
        raise SettingsError("Several workers share their runs in Redis: set RAG_REDIS_URL, or use one worker.")
    logging.config.dictConfig(log_config(settings.log_format, settings.log_level))
    with ExitStack() as stack:
        # Before any worker starts: prometheus_client reads it when it is imported.
        os.environ[SHARED_DIR] = stack.enter_context(TemporaryDirectory(prefix="rag-graph-metrics-"))
        try:
            address = (settings.host, settings.port)
            # One socket for all, which each worker accepts from; its backlog is that of uvicorn.
            listening = stack.enter_context(socket.create_server(address, backlog=2048))
        except OSError as exc:
            raise SettingsError(f"RAG_HOST, RAG_PORT: this address cannot be listened on: {exc.strerror}.") from None
        Workers(partial(_work, settings, listening, parts), workers, patience_s=settings.drain_s + 2 * FAREWELL_S).run()


@dataclass
class BackOff:
    """How long to wait before a process that has ended is started again: each time twice as long."""

    first_s: float = 0.5
    longest_s: float = 30.0
    give_up_after: int = 5
    """So many starts in a row that came to nothing; with these waits, in less than ten seconds."""
    failures: int = 0

    def next_s(self, *, served_s: float) -> float:
        """Note that one has ended. The first failure is an accident, and is mended at once."""
        self.failures = 1 if served_s >= STEADY_S else self.failures + 1
        return min(self.longest_s, self.first_s * 2 ** (self.failures - 2)) if self.failures > 1 else 0.0

    @property
    def is_hopeless(self) -> bool:
        return self.failures >= self.give_up_after


@dataclass
class _Worker:
    process: SpawnProcess
    told: Connection
    serves_since: float | None = None
    problem: RagGraphError | None = None

    def hear(self) -> None:
        """Take what the process has sent; that it ended is told by its sentinel too."""
        try:
            while not self.told.closed and self.told.poll():
                self.problem = self.told.recv()
                self.serves_since = self.serves_since if self.problem else monotonic()
        except EOFError:
            self.told.close()


class Workers:
    """Processes that do the same work until a signal comes; one that ends is replaced, with a back-off."""

    def __init__(self, work: Work, count: int, *, patience_s: float, back_off: BackOff | None = None) -> None:
        self._work = work
        self._patience_s = patience_s
        self._back_off = back_off or BackOff()
        self._running: list[_Worker] = []
        self._due = [0.0] * count
        self._have_served = False

    def run(self) -> None:
        """Keep them running until SIGINT or SIGTERM, and let every process end its runs.

        Raises the error that one has sent before any has served, and `WorkersFailed`.
        """
        with _signals() as signalled:
            try:
                while True:
                    self._start_those_due()
                    pipes = [worker.told for worker in self._running if not worker.told.closed]
                    sentinels = [worker.process.sentinel for worker in self._running]
                    in_s = max(0.0, min(self._due) - monotonic()) if self._due else None
                    if signalled in wait([signalled, *pipes, *sentinels], in_s):
                        return
                    for worker in self._running:
                        worker.hear()
                        self._have_served |= worker.serves_since is not None
                    for worker in [worker for worker in self._running if not worker.process.is_alive()]:
                        self._replace(worker)
            finally:
                self._stop()

    def _start_those_due(self) -> None:
        while self._due and min(self._due) <= monotonic():
            self._due.remove(min(self._due))
            # Spawned, as a fork would inherit locks that threads of
            # this process hold, without the threads to release them.
            told, tell = get_context("spawn").Pipe(duplex=False)
            process = get_context("spawn").Process(target=self._work, args=(tell,))
            # A terminal tells its whole process group of Ctrl-C. A worker that still loads would answer with a
            # traceback: it inherits that it is deaf to it until uvicorn listens, and hears of the end from us.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                process.start()
            finally:
                signal.signal(signal.SIGINT, before)
            # The worker's end is its own now: while this process held it too, its end would never be heard as an EOF.
            tell.close()
            self._running.append(_Worker(process, told))

    def _replace(self, worker: _Worker) -> None:
        self._running.remove(worker)
        process = worker.process
        if SHARED_DIR in os.environ:
            mark_process_dead(process.pid)  # type: ignore[no-untyped-call]  # it has no annotations
        if worker.problem and not self._have_served:
            raise worker.problem
        served_s = monotonic() - worker.serves_since if worker.serves_since else 0.0
        in_s = self._back_off.next_s(served_s=served_s)
        if self._back_off.is_hopeless and not any(other.serves_since for other in self._running):
            raise WorkersFailed(
                f"{self._back_off.failures} workers in a row have ended, the last with code {process.exitcode}; "
                "see what they wrote before."
            )
        why = worker.problem or f"it ended with code {process.exitcode}"
        log.error("worker %s is replaced in %.1f s: %s", process.pid, in_s, why)
        self._due.append(monotonic() + in_s)

    def _stop(self) -> None:
        for worker in self._running:
            worker.process.terminate()
        give_up_at = monotonic() + self._patience_s
        for worker in self._running:
            worker.process.join(max(0.0, give_up_at - monotonic()))
            worker.process.kill()


@contextmanager
def _signals() -> Iterator[Connection]:
    """What can be read from once somebody wants this process to end: a wait for processes is not ended by a signal."""
    signalled, signals = get_context("spawn").Pipe(duplex=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with signalled, signals:
        for number in before:
            signal.signal(number, lambda *_: signals.send_bytes(b"end"))
        try:
            yield signalled
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _work(settings: Settings, listening: socket.socket, parts: str, supervisor: Connection) -> None:
    try:
        # By its name, for the app itself imports this module.
        own = import_from_string("rag_graph.wiring:load_parts")(parts, settings)
        app = import_from_string("rag_graph.server.app:create_app")(settings, own)
        _server(app, settings, on_serving=lambda: supervisor.send(None)).run([listening])
    except RagGraphError as exc:
        supervisor.send(exc)
        sys.exit(1)


def _server(app: FastAPI, settings: Settings, on_serving: Callable[[], None] = lambda: None) -> "DrainingServer":
    # LangServe's streams come from sse-starlette, which would cut them at the signal.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # it has no annotations
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=log_config(settings.log_format, settings.log_level),
    )
    return DrainingServer(
        config,
        app,
        drain_s=settings.drain_s,
        read_timeout_s=settings.read_timeout_s,
        write_timeout_s=settings.write_timeout_s,
        max_connections=settings.max_connections,
        on_serving=on_serving,
    )


class DrainingServer(uvicorn.Server):
    """Keeps its sockets open while it drains: new questions are told to come back, old ones are read to the end.

    A second Ctrl-C ends it at once. What keeps the app from starting is raised by `run`.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        app: FastAPI,
        *,
        drain_s: float,
        read_timeout_s: float = 20.0,
        write_timeout_s: float = 60.0,
        max_connections: int | None = None,
        on_serving: Callable[[], None] = lambda: None,
    ) -> None:
        # uvicorn would log what the app raises at its start with a traceback, and leave with code 3.
        config.lifespan = "off"
        connections = Connections(patience_s=read_timeout_s, most=most_connections(max_connections))
        config.http = cast("type[asyncio.Protocol]", bounded(connections))
        config.ws = "none"  # no route is one
        super().__init__(config)
        self._app = app
        self._opened = AsyncExitStack()
        self._drain_s = drain_s
        self._write_timeout_s = write_timeout_s
        self._on_serving = on_serving
        self.announcing: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext()
        """How to let others find this server, at its port, from when it serves until it is to end."""
        self._announced = ExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # The app first: whoever can connect is to be answered.
        await self._opened.enter_async_context(self._app.router.lifespan_context(self._app))
        try:
            await super().startup(sockets)
        except BaseException:  # uvicorn exits where it cannot listen
            await self._opened.aclose()
            raise
        for server in self.servers:
            for listening in server.sockets:
                _drop_stuck_readers(listening, after_s=self._write_timeout_s)
        port = self.servers[0].sockets[0].getsockname()[1] if self.servers else 0
        self._announced.enter_context(self.announcing(port))
        self._on_serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # First, so that no command finds a server that is about to stop.
        self._announced.close()
        began = monotonic()
        draining = asyncio.create_task(self._app.state.runner.drain(self._drain_s))
        # In short steps, since a second Ctrl-C only sets a flag.
        while not draining.done() and not self.force_exit:
            await asyncio.wait([draining], timeout=0.1)
        self._app.state.closing.set()
        left_s = self._drain_s - (monotonic() - began)
        # uvicorn counts whole seconds, and would cut the last frames where none are left.
        self.config.timeout_graceful_shutdown = max(FAREWELL_S, math.ceil(left_s))
        await super().shutdown(sockets)
        await self._opened.aclose()


def _drop_stuck_readers(listening: socket.socket, *, after_s: float) -> None:
    """Let the kernel reset connections whose other end takes nothing; closing one would wait for it to be read."""
    # Linux has it, and gives every accepted connection what its listening socket has. Where it is missing,
    # `FrameStream` still cuts who reads nothing.
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and listening.family in {socket.AF_INET, socket.AF_INET6}:
        listening.setsockopt(socket.IPPROTO_TCP, option, int(after_s * 1000))


def _announce(app: FastAPI, settings: Settings, port: int) -> AbstractContextManager[None]:
    # Commands ask from this machine, where "all addresses" is none to connect to.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    announcement = Announcement.of(url, has_keys=bool(settings.api_keys), answering=settings.answering)
    app.state.announcement = announcement
    return announcement.standing(settings.server_file)


@contextmanager
def calm_collector() -> Iterator[None]:
    """Exempt what exists now from garbage collection, and collect more rarely, until the end of the block.

    A full collection over everything that LangChain imports pauses all streams of the process for 200 ms and more.
    """
    before = gc.get_threshold()
    # First, or garbage that lies about would be frozen for good.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
