"""What may be sent to a route: which type, how many bytes, and of JSON how many values and how deep."""

from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_graph.errors import BodyTooLarge, WrongContentType
from rag_graph.server.security import SAFE_METHODS, deny

UPLOAD_PATH: Final = "/documents"
MAX_JSON_VALUES: Final = 100_000
"""So many take the event loop 0.05 s to build. A long chat of the AI SDK, which comes back with all its parts, has some
ten thousand; 3.9 MB of empty objects would be 1.3 million."""
MAX_JSON_DEPTH: Final = 100
"""No request of ours is nested a tenth as deep; Python's own parser gives up at a thousand."""


class BodyRule:
    """Reads a body before anything parses it, and refuses one of the wrong type, size or shape as soon as it is.

    Uploads pass as they come, since they may be too large to hold; only their route may have them, where it is open.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_upload_bytes: int, uploads: bool) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_upload_bytes = max_upload_bytes
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_upload = (scope["method"], scope["path"]) == ("POST", UPLOAD_PATH)
        max_bytes = self._max_upload_bytes if is_upload and self._uploads else self._max_bytes
        refuse = partial(_refuse, scope=scope, receive=receive, send=send)
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told) > max_bytes:
            await refuse(_too_large(max_bytes))
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if (told not in {"", "0"} or "transfer-encoding" in headers) and not _is_read(kind, is_upload=is_upload):
            await refuse(_wrong_type(kind, is_upload=is_upload))
        elif (packed := headers.get("content-encoding", "identity").strip().lower()) not in {"", "identity"}:
            # Unpacked, a body of the allowed size may be a thousand times as large.
            await refuse(
                WrongContentType(f"Send the body as it is, without Content-Encoding; this came as {packed[:80]}.")
            )
        # Not read here: multipart goes to the disk as it comes, and is only counted.
        elif is_upload:
            await self._app(scope, _counted(receive, max_bytes), send)
        elif (first := await _read(receive, max_bytes)) is None:
            await refuse(_too_large(max_bytes))
        elif first["type"] == "http.disconnect":
            return
        elif (problem := shape_problem(first["body"])) is not None:
            await refuse(BodyTooLarge(problem))
        else:
            await self._app(scope, _replay(first, receive), send)


def limit_bodies(*, max_bytes: int, max_upload_bytes: int, uploads: bool) -> Callable[[ASGIApp], ASGIApp]:
    """`BodyRule` with these limits."""
    return partial(BodyRule, max_bytes=max_bytes, max_upload_bytes=max_upload_bytes, uploads=uploads)


def shape_problem(body: bytes) -> str | None:
    """What makes JSON too large for its size: more values, or deeper, than any request of ours has.

    It counts by what C does in a pass each, so that the largest body takes milliseconds. Whether it is JSON at all is
    the parser's matter.
    """
    if b"\0" in body:
        return "JSON is sent in UTF-8."  # Python's parser takes UTF-16 too, of which nothing below would be true
    too_many = f"JSON may have {MAX_JSON_VALUES:,} values in all: send less at once."
    # Marks count outside of texts; in one, a backslash keeps a quotation mark from ending it.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    if plain.count(b'"') > 4 * MAX_JSON_VALUES:
        return too_many  # each value may be a text and have a name
    marks = b"".join(plain.split(b'"')[::2]).translate(None, _NO_MARKS)
    if marks.count(b",") + marks.count(b"[") + marks.count(b"{") > MAX_JSON_VALUES:
        return too_many
    open_and_close = marks.translate(_SQUARE, b",")
    for _ in range(MAX_JSON_DEPTH):
        open_and_close = open_and_close.replace(b"[]", b"")
    return f"JSON may be nested {MAX_JSON_DEPTH} deep: send it flatter." if b"[]" in open_and_close else None


_NO_MARKS: Final = bytes(byte for byte in range(256) if byte not in b"[]{},")
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")


def _is_read(kind: str, *, is_upload: bool) -> bool:
    if is_upload:
        return kind == "multipart/form-data"
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _wrong_type(kind: str, *, is_upload: bool) -> WrongContentType:
    wanted = "the files as multipart/form-data" if is_upload else "JSON, and the header Content-Type: application/json"
    return WrongContentType(f"Send {wanted}; this came as {kind[:80] or 'nothing that has a name'}.")


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have {max_bytes} bytes: send less.")


async def _refuse(error: Exception, *, scope: Scope, receive: Receive, send: Send) -> None:
    # The rest of the body is still coming; on a connection that stays open it would be taken for the next request.
    await deny("body", error, scope, receive, send, headers={"connection": "close"})


async def _read(receive: Receive, max_bytes: int) -> Message | None:
    """Give the whole body as one message, or None when it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return message
        body += message.get("body", b"")
        if len(body) > max_bytes:
            return None
        if not message.get("more_body", False):
            return {"type": "http.request", "body": bytes(body), "more_body": False}


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
