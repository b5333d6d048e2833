"""The server's connections: uvicorn's protocol, with bounds on what comes before a body, how long it takes, how many.

Over httptools uvicorn bounds none of it: a head may be endless, or never come, and the last descriptor may be taken.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from rag_graph.http.problems import Problem, render
from rag_graph.server.security import OPEN_PATHS, deny, note_denied

if sys.platform != "win32":
    import resource

MAX_HEAD_BYTES: Final = 32_768
"""Request line and headers; nginx takes as much by default, in four buffers of 8 kB."""
# nginx refuses longer lines too: one has to fit a buffer of 8 kB.
MAX_TARGET_BYTES: Final = 8_192
MAX_HEADERS: Final = 100
MAX_PIPELINED: Final = 16
"""Requests that one connection may send before the first is answered."""
MIN_BODY_BYTES_S: Final = 10_000
"""A body may take so long as this rate allows, beyond the patience that every request has."""
SPARE: Final = 16
"""Connections beyond the most, for those who ask whether the server is well: a crowd must not look like a fault."""
RESERVED_DESCRIPTORS: Final = 96
"""For the index, the stores, the models and their clients, and the spare connections."""
QUIET_S: Final = 10.0
"""A flood is told of once in so long."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Connections:
    """All connections of one server: how many there may be, and which of them have sent no whole request yet."""

    patience_s: float
    most: int
    in_head: "dict[BoundedProtocol, None]" = field(default_factory=dict)
    in_body: "dict[BoundedProtocol, None]" = field(default_factory=dict)
    _cut: dict[str, int] = field(default_factory=dict)
    _quiet: asyncio.TimerHandle | None = None

    def oldest_unused(self) -> "BoundedProtocol | None":
        """The one that has waited longest for its request, or else for a request's body."""
        return next(iter(self.in_head or self.in_body), None)

    def tell(self, why: str, client: tuple[str, int] | None) -> None:
        """Log that a connection was cut: the first at once, those that follow soon after as a number."""
        if self._quiet is not None:
            self._cut[why] = self._cut.get(why, 0) + 1
            return
        log.warning("a connection was cut: %s (client %s)", why, client[0] if client else "unknown")
        self._quiet = asyncio.get_running_loop().call_later(QUIET_S, self._tell_sum)

    def _tell_sum(self) -> None:
        self._quiet = None
        for why, count in self._cut.items():
            log.warning("%d more connections were cut: %s", count, why)
        self._cut.clear()


class BoundedProtocol(HttpToolsProtocol):
    """One connection, whose requests must come whole, in time and within their bounds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        among: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._among = among
        self._timer: asyncio.TimerHandle | None = None
        self._fault: Problem | None = None
        self._in_head = True
        self._in_body = False
        self._head_bytes = 0
        self._loose_bytes = 0
        self._body_bytes = 0
        self._body_since = 0.0

    # What happens to the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's signature
        super().connection_made(transport)
        too_many = len(self.connections) - self._among.most
        # Who has sent no whole request makes way, so that idle
        # connections by the thousand cannot shut out those that ask.
        if too_many > 0 and (unused := self._among.oldest_unused()) is not None:
            unused.cut("there are too many, and it waited longest without a whole request")
        elif too_many > SPARE:
            self.cut("there are too many, and all are in use")
            return
        elif too_many > 0:
            self.app = _healthy_only(self.app)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._loose_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._loose_bytes > MAX_HEAD_BYTES:
            # The parser holds it, or throws it away for ever: one endless header, or what stands between chunks.
            self._refuse(_HEAD_TOO_LARGE)
        elif self._in_body and self._timer is None:
            self._await_body()

    # What the parser finds

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._head_bytes += len(url)
        if len(self.url) > MAX_TARGET_BYTES:
            self._fail(Problem(414, "target_too_long", f"A URL may have {MAX_TARGET_BYTES} bytes: send a shorter one."))

    def on_header(self, name: bytes, value: bytes) -> None:
        # The colon, the blank and the line's end are four bytes more.
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            self._fail(_HEAD_TOO_LARGE)
        if self._in_head:  # what trails a body in chunks comes here too, and is nobody's header
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._fail(Problem(429, "too_many_requests", "Wait for an answer before you send more on a connection."))
        self._in_head, self._in_body = False, True
        self._loose_bytes = self._body_bytes = 0
        self._body_since = self.loop.time()
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._loose_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._loose_bytes = 0
        self._stop_waiting()
        super().on_message_complete()
        self._await_next()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_next()

    def _unsupported_upgrade_warning(self) -> None:
        """No route speaks anything else; uvicorn would advise the operator to install something, at every request."""

    # For how long it is waited

    def _await_next(self) -> None:
        is_answered = self.cycle is None or (self.cycle.response_complete and not self.pipeline)
        if is_answered and not self._in_body and not self.transport.is_closing():
            self._await_head()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._among.in_head[self] = None
        self._timer = self.loop.call_later(self._among.patience_s, self._head_is_late)

    def _await_body(self) -> None:
        self._among.in_body[self] = None
        self._timer = self.loop.call_later(self._among.patience_s, self._body_is_late, self._body_bytes)

    def _stop_waiting(self) -> None:
        self._among.in_head.pop(self, None)
        self._among.in_body.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._timer = None
        if self._loose_bytes:
            self._refuse(_LATE)
        else:
            self.cut(f"no request came on it within {self._among.patience_s:g} s")

    def _body_is_late(self, bytes_before: int) -> None:
        self._timer = None
        patience_s = self._among.patience_s
        if self.flow.read_paused:  # it is we who do not read on
            self._body_since += patience_s
        elif self._body_bytes == bytes_before or (
            self.loop.time() > self._body_since + patience_s + self._body_bytes / MIN_BODY_BYTES_S
        ):
            self._refuse(_LATE)
            return
        self._await_body()

    # What is done about it

    def cut(self, why: str) -> None:
        """End it without a word to the client, who has said none."""
        self._stop_waiting()
        self._among.tell(why, self.client)
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn does when its parser has raised, be it by `_fail`."""
        self._refuse(self._fault or Problem(400, "bad_request", f"{msg.rstrip('.')}: it is not HTTP/1.1."))

    def _fail(self, problem: Problem) -> None:
        """Stop the parser, from within one of its callbacks."""
        self._fault = problem
        raise ValueError(problem.message)

    def _refuse(self, problem: Problem) -> None:
        self._stop_waiting()
        if problem is _LATE:
            self._among.tell("its request did not come whole in time", self.client)
        else:
            note_denied("connection", problem.status, {"client": self.client})
        is_answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.pipeline or is_answering:
            self.transport.abort()  # another answer is on its way, and this one would be taken for a part of it
            return
        response = render(problem)
        headers = [*response.raw_headers, (b"connection", b"close")]
        head = STATUS_LINE[problem.status] + b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(head + b"\r\n" + bytes(response.body))
        self.transport.close()


_HEAD_TOO_LARGE: Final = Problem(
    431, "headers_too_large", f"The headers may have {MAX_HEAD_BYTES} bytes and be {MAX_HEADERS}: send fewer."
)
_LATE: Final = Problem(408, "request_timeout", "The request did not come whole in time: send it again.", retryable=True)


def most_connections(wanted: int | None) -> int:
    """As many as are wanted, or for how many this process may have descriptors, but for those that it needs itself."""
    if sys.platform == "win32":
        return wanted or sys.maxsize
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = sys.maxsize if allowed == resource.RLIM_INFINITY else max(SPARE, allowed - RESERVED_DESCRIPTORS)
    return min(wanted or possible, possible)


def bounded(among: Connections) -> Callable[..., BoundedProtocol]:
    """What makes the protocol of each new connection, for uvicorn's configuration."""

    def make(**given: Any) -> BoundedProtocol:
        return BoundedProtocol(**given, among=among)

    return make


def _healthy_only(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS:
            await app(scope, receive, send)
            return
        error = HTTPException(503, "This server has as many connections as it can: come back.", {"retry-after": "5"})
        await deny("connections", error, scope, receive, send, headers={"connection": "close"})

    return answer
