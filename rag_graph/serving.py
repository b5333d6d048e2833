"""The server process: uvicorn, and how it stops without cutting anybody off."""

import asyncio
import math
import socket
from time import monotonic

import uvicorn
from fastapi import FastAPI
from sse_starlette.sse import AppStatus

from rag_graph.settings import Settings
from rag_graph.telemetry.logs import log_config

FAREWELL_S = 3
"""Readers may take this long for their last frames, however little is left of the time to drain."""


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve until a signal comes; then refuse new runs, and let those that go on end first.

    LangServe's streams come from sse-starlette, which would cut them at the signal.
    """
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # it has no annotations
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=log_config(settings.log_format, settings.log_level),
    )
    DrainingServer(config, app, drain_s=settings.drain_s, write_timeout_s=settings.write_timeout_s).run()


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
        draining = asyncio.create_task(self._app.state.pipeline.runner.drain(self._drain_s))
        while not draining.done() and not self.force_exit:
            await asyncio.wait([draining], timeout=0.1)
        self._app.state.closing.set()
        left_s = self._drain_s - (monotonic() - began)
        self.config.timeout_graceful_shutdown = max(FAREWELL_S, math.ceil(left_s))
        await super().shutdown(sockets)
