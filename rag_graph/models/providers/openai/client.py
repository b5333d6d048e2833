"""The OpenAI SDK's client at a fraction of its cost: aiohttp carries the bytes, and a stream's chunks stay dicts.

This leans on hooks of two libraries; where one is missing, the plain client serves.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from typing import Any, Final, cast

import openai

from rag_graph.models.providers.openai.bounds import AS_IT_IS, STREAMED, BoundedStream, bound, http
from rag_graph.models.providers.openai.chunks import ChunkReader
from rag_graph.models.providers.openai.sse import EventReader, has_finished

CUT_SHORT: Final = "The stream ended before the answer did."
DRAIN_S: Final = 1.0

DictChunks = AsyncGenerator[tuple[dict[str, Any], str | None], None]
"""Chunks, and of those that hold nothing but text, the text."""


def aiohttp_or(default: Any, offered: Any) -> Any:
    """The SDK's client over aiohttp; where its packages are missing, what it offers is an empty one that refuses."""
    return default if offered is None or http.AsyncClient in offered.__bases__ else offered


_AnyClient: Any = aiohttp_or(openai.DefaultAsyncHttpxClient, getattr(openai, "DefaultAioHttpClient", None))


class LoopClient(_AnyClient):  # type: ignore[misc]  # the SDK chooses its HTTP library at import
    """An HTTP client for each event loop that asks, as its sockets belong to one: `asyncio.run` may come twice.

    What its answers may have is bounded.
    """

    def __init__(self, **options: Any) -> None:
        options |= {"headers": AS_IT_IS, "event_hooks": {"response": [bound]}}
        super().__init__(**options)
        self._options = options
        self._by_loop: dict[asyncio.AbstractEventLoop, Any] = {}

    async def send(self, request: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            await self._close(loop for loop in self._by_loop if loop.is_closed())
            self._by_loop[loop] = _AnyClient(**self._options)
        request.extensions[STREAMED] = options.get("stream", False)
        return await self._by_loop[loop].send(request, **options)

    async def aclose(self) -> None:
        await self._close(self._by_loop)
        await super().aclose()

    async def _close(self, loops: Iterable[asyncio.AbstractEventLoop]) -> None:
        for loop in list(loops):
            await self._by_loop.pop(loop).aclose()


class DictCompletions:
    """The SDK's chat completions, but that a stream gives dicts instead of its objects."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.chat.completions, name)

    async def create(self, **body: Any) -> Any:
        if not body.get("stream"):
            return await self._client.chat.completions.create(**body)
        renamed = {
            "extra_headers": "headers",
            "extra_query": "params",
            "extra_body": "extra_json",
            "timeout": "timeout",
        }
        options = {option: body.pop(name) for name, option in renamed.items() if name in body}
        return await self._client.post(
            "/chat/completions", body=body, options=options, cast_to=object, stream=True, stream_cls=DictStream
        )


class DictStream(openai.AsyncStream[object]):
    """A stream's chunks as dicts; text that came in one read of the network is one chunk."""

    async def __stream__(self) -> AsyncIterator[object]:
        async with aclosing(self.chunks()) as chunks:
            async for chunk, _ in chunks:
                yield chunk

    async def chunks(self) -> DictChunks:
        """The same, without the layers of the SDK around it."""
        sse, reader, finished = EventReader(), ChunkReader(), False
        reads = aiter(self._bytes())
        data: bytes | None = b""
        try:
            while data is not None and not sse.is_done:
                data = await anext(reads, None)
                events = sse.end() if data is None else sse.feed(data)
                for chunk, text in reader.read(events):
                    if text is None:
                        self._raise_if_error(chunk)
                        finished = finished or has_finished(chunk)
                    yield chunk, text
            if sse.is_done:
                await _drain(reads)
        except http.HTTPError as exc:
            raise openai.APIConnectionError(request=self.response.request) from exc
        finally:
            await self.response.aclose()
        if not finished and not sse.is_done:
            raise openai.APIConnectionError(message=CUT_SHORT, request=self.response.request)

    def _bytes(self) -> AsyncIterable[bytes]:
        """The body; where nothing is to be unpacked, without the layers of the HTTP library and our own."""
        stream: Any = self.response.stream
        if isinstance(stream, BoundedStream):
            return cast("AsyncIterable[bytes]", stream.plain or stream)
        return self.response.aiter_bytes()

    def _raise_if_error(self, chunk: dict[str, Any]) -> None:
        error = chunk.get("error")
        if error:
            message = error.get("message") if isinstance(error, dict) else error
            raise openai.APIError(str(message), self.response.request, body=error)


async def _drain(reads: AsyncIterator[bytes]) -> None:
    """Read to the end, so that the connection can be used again; a server that leaves it open loses it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in reads:
                pass
