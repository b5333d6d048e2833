"""What stands before every route: who may ask, from which pages, and how much at once; plain ASGI, so streams pass."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Final, Self

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_graph.errors import BodyTooLarge, CrossSite, RagGraphError, SettingsError, Unauthorized
from rag_graph.http.problems import problem_of, render

OPEN_PATHS: Final = frozenset({"/health", "/health/live", "/health/ready"})
"""What load balancers ask has no key."""
EXPOSED_HEADERS: Final = ("x-run-id", "idempotency-key", "idempotent-replayed", "retry-after")
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HASHED = re.compile(r"sha256:[0-9a-fA-F]{64}")


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
            await _answer(error, scope, receive, send, headers={"www-authenticate": challenge})
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


class SameSite:
    """Refuses what pages of other sites make a browser send: it may carry the key that the browser remembers."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            is_foreign = headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}
            if is_foreign and not self._origins & {headers.get("origin", ""), "*"}:
                error = CrossSite("Pages of other sites may not ask here: name them in RAG_ALLOWED_ORIGINS.")
                await _answer(error, scope, receive, send)
                return
        await self._app(scope, receive, send)


class BodyLimit:
    """Reads the body before anything parses it, and refuses one that is too large as soon as it is.

    Uploads have a limit of their own and pass as they come, since they may be too large to hold.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_upload = headers.get("content-type", "").startswith("multipart/form-data")
        max_bytes = self._max_upload_bytes if is_upload else self._max_bytes
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told) > max_bytes:
            await self._refuse(max_bytes, scope, receive, send)
        elif is_upload:
            await self._app(scope, _counted(receive, max_bytes), send)
        elif first := await self._read(receive):
            await self._app(scope, _replay(first, receive), send)
        else:
            await self._refuse(max_bytes, scope, receive, send)

    async def _refuse(self, max_bytes: int, scope: Scope, receive: Receive, send: Send) -> None:
        error = BodyTooLarge(f"The body may have {max_bytes} bytes: send less.")
        await _answer(error, scope, receive, send, headers={"connection": "close"})

    async def _read(self, receive: Receive) -> Message | None:
        """Give the whole body as one message, or None when it is too large."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return message
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_bytes:
                return None
            if not message.get("more_body", False):
                return {"type": "http.request", "body": b"".join(parts), "more_body": False}


def protect(
    app: ASGIApp, *, keys: AccessKeys, origins: Sequence[str], max_body_bytes: int, max_upload_bytes: int
) -> ASGIApp:
    """Put everything in its order: CORS outermost, so that a page of an allowed origin can read refusals too."""
    app = BodyLimit(app, max_bytes=max_body_bytes, max_upload_bytes=max_upload_bytes)
    if keys:
        app = KeyGuard(app, keys=keys)  # before a body is read: who has no key cannot make us hold one
    app = SameSite(app, origins=origins)
    if origins:
        app = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )
    return app


def parse_origins(listed: str) -> tuple[str, ...]:
    """Read origins separated by commas. Raises SettingsError."""
    origins = tuple(origin.rstrip("/") for origin in map(str.strip, listed.split(",")) if origin)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
            raise SettingsError(f"RAG_ALLOWED_ORIGINS: {origin!r} is no origin; write it as https://example.org.")
    return origins


def _replay(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


def _counted(receive: Receive, max_bytes: int) -> Receive:
    left = max_bytes

    async def receive_counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"The files may have {max_bytes} bytes in all: send fewer at a time.")
        return message

    return receive_counted


def _key_in(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            try:
                return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
        case _:
            return ""


def _sha256(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()


async def _answer(
    error: RagGraphError, scope: Scope, receive: Receive, send: Send, *, headers: dict[str, str] | None = None
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    response = render(problem_of(error))
    MutableHeaders(raw=response.raw_headers).update(headers or {})
    await response(scope, receive, send)
