"""What stands before every route: under which names, from which pages and by whom it may be asked.

Plain ASGI, so that streams pass. What is denied is logged in one line, without the secrets that came with it.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_graph.errors import CrossSite, HostNotAllowed, SettingsError, Unauthorized
from rag_graph.http.problems import problem_of, render
from rag_graph.server.hosts import AllowedHosts, Host, is_own_origin

# By the whole path, never by its beginning: a prefix would open what is added below it one day.
OPEN_PATHS: Final = frozenset({"/health", "/health/live", "/health/ready"})
"""What load balancers ask has no key."""
EXPOSED_HEADERS: Final = ("x-run-id", "idempotency-key", "idempotent-replayed", "retry-after")
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SHOWN_CHARS: Final = 200
"""So much of what comes from outside is shown in a log line."""
_HASHED = re.compile(r"sha256:[0-9a-fA-F]{64}")

log = logging.getLogger(__name__)


class AccessKeys:
    """The keys that open this server, of which only hashes are kept."""

    def __init__(self, digests: Iterable[bytes]) -> None:
        self._digests = tuple(digests)

    @classmethod
    def parse(cls, listed: str) -> Self:
        """Read keys separated by commas, each plain or as `sha256:` and its digest in hexadecimal."""
        given = [key for key in map(str.strip, listed.split(",")) if key]
        return cls(
            bytes.fromhex(key.removeprefix("sha256:")) if _HASHED.fullmatch(key) else _sha256(key) for key in given
        )

    def __bool__(self) -> bool:
        return bool(self._digests)

    def caller(self, key: str) -> str | None:
        """Name whose key this is, in a time that does not tell how nearly it was right; None for nobody's."""
        digest = _sha256(key)
        # All are compared, also behind a match, so that the time does not tell which key it was.
        matches = [known for known in self._digests if hmac.compare_digest(known, digest)]
        return f"key-{matches[0].hex()[:16]}" if matches else None


class KeyGuard:
    """Lets in who sends a key: `Authorization: Bearer KEY`, or HTTP Basic with the key as the password.

    Browsers that open a page are asked for it; what a script fetches is not, so that a page can ask in its own way.
    """

    def __init__(self, app: ASGIApp, *, keys: AccessKeys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        caller = self._keys.caller(_key_in(headers.get("authorization", "")))
        if caller is None:
            is_page = "text/html" in headers.get("accept", "")
            challenge = 'Basic realm="rag_graph", charset="UTF-8"' if is_page else 'Bearer realm="rag_graph"'
            error = Unauthorized("Send one of this server's keys: `Authorization: Bearer KEY`.")
            await deny("key", error, scope, receive, send, headers={"www-authenticate": challenge})
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


class HostRule:
    """Answers under this server's own names only."""

    def __init__(self, app: ASGIApp, *, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and (error := self._refusal(scope)) is not None:
            await deny("host", error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Exception | None:
        given = Headers(scope=scope).getlist("host")
        if not given and scope.get("http_version") == "1.0":
            return None  # what load balancers still ask in; no browser does
        host = Host.parse(given[0]) if len(given) == 1 else None
        if host is None:
            return HTTPException(400, "Send one Host header: the server's name, and its port if need be.")
        if not self._hosts.allow(host):
            return HostNotAllowed(
                f"This server is not asked under the name {host.name[:100]}: list it in RAG_ALLOWED_HOSTS."
            )
        return None


class OriginRule:
    """Refuses what pages of other sites make a browser send: it may carry the key that the browser remembers.

    Browsers send `Sec-Fetch-Site` only to hosts whose connection they trust; to others `Origin` must do.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._may_ask(scope.get("method", "GET"), Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        error = CrossSite("Pages of other sites may not ask here: name their origin in RAG_ALLOWED_ORIGINS.")
        await deny("origin", error, scope, receive, send)

    def _may_ask(self, method: str, headers: Headers) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        # Before anything else: browsers call a page that was allowed here `cross-site` all the same.
        if self._origins & {origin, "*"}:
            return True
        if origin is None and method in SAFE_METHODS:
            return True  # a link or an address that was typed
        if site is not None:
            return site in {"same-origin", "none"}
        host = Host.parse(headers.get("host", ""))
        return origin is None or (host is not None and is_own_origin(origin, host))


def protect(
    app: ASGIApp, *, hosts: AllowedHosts, origins: Sequence[str], keys: AccessKeys, bodies: Callable[[ASGIApp], ASGIApp]
) -> ASGIApp:
    """Put everything in its order; `bodies` bounds what may be sent."""
    app = bodies(app)
    if keys:
        app = KeyGuard(app, keys=keys)  # before a body is read: who has no key cannot make us hold one
    app = OriginRule(app, origins=origins)
    if origins:
        # So far outside that a page of an allowed origin can read refusals too.
        app = CORSMiddleware(
            app,
            allow_origins=origins,
            # All that our routes take: a browser asks beforehand for those that change something.
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )
    return HostRule(app, hosts=hosts)


def parse_origins(listed: str) -> tuple[str, ...]:
    """Read origins separated by commas. Raises SettingsError."""
    origins = tuple(origin.rstrip("/") for origin in map(str.strip, listed.split(",")) if origin)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
            raise SettingsError(f"RAG_ALLOWED_ORIGINS: {origin!r} is no origin; write it as https://example.org.")
    return origins


def _key_in(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            try:
                # The user's name before the colon is whatever the browser was given.
                return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
        case _:
            return ""


def _sha256(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()


async def deny(
    rule: str, error: Exception, scope: Scope, receive: Receive, send: Send, *, headers: dict[str, str] | None = None
) -> None:
    """Answer in place of a route, and tell the operator who was denied what."""
    problem = problem_of(error)
    note_denied(rule, problem.status, scope)
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    response = render(problem)
    MutableHeaders(raw=response.raw_headers).update(headers or {})
    await response(scope, receive, send)


def note_denied(rule: str, status: int, scope: Scope) -> None:
    """One line of the audit. Neither the query string nor a header is in it: both may be secrets."""
    client = scope.get("client") or ("unknown", 0)
    # `ascii`, since all of it comes from outside and may hold what steers a terminal or looks like another line.
    path, address = ascii(scope.get("path", "")[:SHOWN_CHARS])[1:-1], ascii(str(client[0])[:SHOWN_CHARS])[1:-1]
    method = scope.get("method", "")
    log.warning("denied rule=%s status=%d method=%s path=%s client=%s", rule, status, method, path, address)
