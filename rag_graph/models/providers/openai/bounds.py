"""What a model's service may send: answers are unpacked and counted as they come, so that none can fill the memory.

Both are response hooks of the SDK's HTTP client, as only these also see redirects, whose bodies it reads by itself.
"""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from importlib import import_module
from typing import Any, Final

import openai

from rag_graph.models.providers.errors import Oversized

MAX_EVENT_BYTES: Final = 1_000_000
"""A chunk is a token, or at most an answer that a service only pretends to stream, which takes a tenth of this."""
MAX_ANSWER_BYTES: Final = 8_000_000
"""An answer that comes whole: four times what a run's tokens make, or 64 vectors of 4,096 numbers in decimals."""
MAX_STREAM_BYTES: Final = 64_000_000
"""A stream that others read than `stream.EventReader`: 100,000 tokens, each in an event of its own, take half of it."""
STREAMED: Final = "rag_graph.streamed"
"""The extension of a request whose answer is read as it comes; its content type would be the service's word."""
STEP_BYTES: Final = 65_536
"""So much is unpacked at a time; a packed read may hold a thousand times as much."""
AS_IT_IS: Final = {"accept-encoding": "identity"}
"""What is asked for: packing saves nothing on a stream of tokens, and whoever does it holds them back."""

_PACKED: Final = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}

http: Any = import_module(openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library that the SDK was built on: httpx, or since its version 3 httpx2."""


async def bound(response: Any) -> None:
    """Let no more of a response be read than an answer may have."""
    is_stream = bool(response.request.extensions.get(STREAMED))
    response.stream = BoundedStream(response.stream, _Meter(response.headers, is_stream=is_stream))
    response.headers.pop("content-encoding", None)


class BoundedClient(openai.DefaultHttpxClient):
    """A blocking client, each of whose answers must also have come whole within some time."""

    def __init__(self, *, within_s: float) -> None:
        super().__init__(headers=AS_IT_IS, event_hooks={"response": [partial(_bound_blocking, within_s)]})

    def __del__(self) -> None:
        self.close()  # as the SDK's own does: those who are given a client do not close it


def _bound_blocking(within_s: float, response: Any) -> None:
    response.stream = _BoundedBlockingStream(
        response.stream, _Meter(response.headers, is_stream=False, limit_s=within_s)
    )
    response.headers.pop("content-encoding", None)


class _Meter:
    """Unpacks what comes, bit by bit, and stops it when it is too much or takes too long."""

    def __init__(self, headers: Any, *, is_stream: bool, limit_s: float | None = None) -> None:
        self._is_stream = is_stream
        self._limit = self._left = MAX_STREAM_BYTES if is_stream else MAX_ANSWER_BYTES
        self._line_bytes = 0
        self._ends_at = None if limit_s is None else time.monotonic() + limit_s
        encoding = str(headers.get("content-encoding", "")).strip().lower()
        self.is_packed = encoding not in ("", "identity")
        if self.is_packed and encoding not in _PACKED:
            raise ValueError(f"the answer is packed as {encoding[:20]!r}, which was not asked for")
        self._unpacker = zlib.decompressobj(_PACKED[encoding]) if self.is_packed else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._ends_at is not None and time.monotonic() > self._ends_at:
            raise http.ReadTimeout("the answer did not come whole in time")
        if self._unpacker is None:
            yield self._counted(data)
            return
        piece = data
        # A full piece may have left more of it inside the unpacker, when all that came was taken in.
        while data or len(piece) == STEP_BYTES:
            try:
                piece = self._unpacker.decompress(data, STEP_BYTES)
            except zlib.error as exc:
                raise ValueError("the answer cannot be unpacked") from exc
            data = self._unpacker.unconsumed_tail
            yield self._counted(piece)

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise Oversized("one answer", self._limit)
        if self._is_stream:
            last = piece.rfind(b"\n")
            self._line_bytes = len(piece) - last - 1 if last >= 0 else self._line_bytes + len(piece)
            if self._line_bytes > MAX_EVENT_BYTES:
                raise Oversized("one line", MAX_EVENT_BYTES)
        return piece


class BoundedStream(http.AsyncByteStream):  # type: ignore[misc]  # the SDK chooses its HTTP library at import
    """The unpacked bytes of a response."""

    def __init__(self, source: Any, meter: _Meter) -> None:
        self._source = source
        self._meter = meter

    @property
    def plain(self) -> Any:
        """The bytes as they come, uncounted, for whoever bounds what it makes of them; None if they are packed."""
        return None if self._meter.is_packed else self._source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._source:
            for piece in self._meter.feed(data):
                yield piece
                await asyncio.sleep(0)  # a service that is quick, or a packed read that is large, keeps nobody waiting

    async def aclose(self) -> None:
        await self._source.aclose()


class _BoundedBlockingStream(http.SyncByteStream):  # type: ignore[misc]  # as above
    def __init__(self, source: Any, meter: _Meter) -> None:
        self._source = source
        self._meter = meter

    def __iter__(self) -> Iterator[bytes]:
        for data in self._source:
            yield from self._meter.feed(data)

    def close(self) -> None:
        self._source.close()
