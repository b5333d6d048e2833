"""The server process: uvicorn, and how it stops without cutting anybody off."""

import asyncio
import logging
import math
import os
import signal
import socket
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic

import uvicorn
from fastapi import FastAPI
from prometheus_client.multiprocess import mark_process_dead
from sse_starlette.sse import AppStatus
from uvicorn.importer import import_from_string

from rag_graph.errors import SettingsError
from rag_graph.settings import Settings
from rag_graph.telemetry.logs import log_config
from rag_graph.telemetry.metrics import SHARED_DIR

FAREWELL_S = 3
"""Readers may take this long for their last frames, however little is left of the time to drain."""
WATCH_S = 0.5

log = logging.getLogger(__name__)


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve until a signal comes; then refuse new runs, and let those that go on end first.

    LangServe's streams come from sse-starlette, which would cut them at the signal.
    """
    _server(app, settings).run()


def serve_workers(settings: Settings, workers: int) -> None:
    """Serve by several processes at one address, which share their runs in Redis; one that dies is replaced.

    Raises SettingsError.
    """
    if not settings.redis_url.get_secret_value():
        raise SettingsError("Several workers share their runs in Redis: set RAG_REDIS_URL, or use one worker.")
    with ExitStack() as stack:
        os.environ[SHARED_DIR] = stack.enter_context(TemporaryDirectory(prefix="rag-graph-metrics-"))
        listening = stack.enter_context(_listen(settings))
        Workers(settings, listening, workers).run()


class Workers:
    """Processes that serve one socket."""

    def __init__(self, settings: Settings, listening: socket.socket, count: int) -> None:
        self._settings = settings
        self._listening = listening
        self._stopping = Event()
        self._processes = [self._start() for _ in range(count)]

    def run(self) -> None:
        """Serve until a signal comes, and let every process end its runs."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stopping.set())
        while not self._stopping.wait(WATCH_S):
            self._processes = [self._kept(process) for process in self._processes]
        for process in self._processes:
            process.terminate()
        give_up_at = monotonic() + self._settings.drain_s + 2 * FAREWELL_S
        for process in self._processes:
            process.join(max(0.0, give_up_at - monotonic()))
            process.kill()

    def _kept(self, process: SpawnProcess) -> SpawnProcess:
        if process.is_alive() or self._stopping.is_set():
            return process
        log.error("worker %s ended with code %s and is replaced", process.pid, process.exitcode)
        mark_process_dead(process.pid)  # type: ignore[no-untyped-call]  # it has no annotations
        return self._start()

    def _start(self) -> SpawnProcess:
        process = get_context("spawn").Process(target=_work, args=(self._settings, self._listening))
        process.start()
        return process


def _work(settings: Settings, listening: socket.socket) -> None:
    app = import_from_string("rag_graph.server.app:create_app")(settings)
    _server(app, settings).run([listening])


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as exc:
        raise SettingsError(f"RAG_HOST, RAG_PORT: this address cannot be listened on: {exc.strerror}.") from None


def _server(app: FastAPI, settings: Settings) -> "DrainingServer":
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # it has no annotations
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=log_config(settings.log_format, settings.log_level),
    )
    return DrainingServer(config, app, drain_s=settings.drain_s, write_timeout_s=settings.write_timeout_s)


def _drop_stuck_readers(listening: socket.socket, *, after_s: float) -> None:
    """Let the kernel reset connections whose other end takes nothing; closing one would wait for it to be read."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and listening.family in {socket.AF_INET, socket.AF_INET6}:
        listening.setsockopt(socket.IPPROTO_TCP, option, int(after_s * 1000))


class DrainingServer(uvicorn.Server):
    """Keeps its sockets open while it drains: new questions are told to come back, old ones are read to the end.

    A second Ctrl-C ends it at once.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, drain_s: float, write_timeout_s: float = 60.0) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s
        self._write_timeout_s = write_timeout_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in getattr(self, "servers", ()):
            for listening in server.sockets:
                _drop_stuck_readers(listening, after_s=self._write_timeout_s)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        began = monotonic()
        draining = asyncio.create_task(self._app.state.runner.drain(self._drain_s))
        while not draining.done() and not self.force_exit:
            await asyncio.wait([draining], timeout=0.1)
        self._app.state.closing.set()
        left_s = self._drain_s - (monotonic() - began)
        self.config.timeout_graceful_shutdown = max(FAREWELL_S, math.ceil(left_s))
        await super().shutdown(sockets)
