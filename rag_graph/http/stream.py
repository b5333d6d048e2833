"""A run's log over HTTP as it grows: frames as they come, a comment when there is silence."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from time import monotonic
from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from rag_graph.runs.log import Batch, Entry, Gap

EVENT_STREAM: Final = "text/event-stream"
JSON_LINES: Final = "application/x-ndjson"
HEARTBEAT = b": keep-alive\n\n"
LAST: Final[Message] = {"type": "http.response.body", "body": b"", "more_body": False}
LAST_FRAMES_S = 0.5
UNBUFFERED = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""What keeps proxies from holding frames back."""


class FrameStream(Response):
    """An ASGI response that writes every batch of a log as soon as it is there.

    One task writes and one watches for the reader's leaving; a third sends the heartbeat, so that a token costs no
    timer. A reader that takes nothing for `write_timeout_s` is cut off. When the server closes, the stream ends; the
    run may go on elsewhere.
    """

    def __init__(
        self,
        batches: AsyncGenerator[Batch],
        frame: Callable[[Entry | Gap], bytes],
        *,
        media_type: str,
        headers: Mapping[str, str],
        heartbeat: bytes | None = None,
        heartbeat_s: float = 15.0,
        write_timeout_s: float = 60.0,
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers({**UNBUFFERED, **headers})
        self._batches = batches
        self._frame = frame
        self._heartbeat = heartbeat
        self._heartbeat_s = heartbeat_s
        self._write_timeout_s = write_timeout_s
        self._sent_at = monotonic()
        self._sending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        tasks = {
            asyncio.create_task(self._write(send)),
            asyncio.create_task(gone(receive)),
            asyncio.create_task(self._watch(send)),
        }
        closing = asyncio.create_task(server_closing(scope))
        try:
            done, _ = await asyncio.wait({*tasks, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._batches.aclose()
        if closing in done and not self._sending:
            await send(LAST)

    async def _write(self, send: Send) -> None:
        async with aclosing(self._batches) as batches:
            async for batch in batches:
                if frames := b"".join(map(self._frame, batch)):
                    await self._send(send, frames)
        self._sending = True
        await send(LAST)

    async def _send(self, send: Send, body: bytes) -> None:
        self._sent_at = monotonic()
        self._sending = True
        await send({"type": "http.response.body", "body": body, "more_body": True})
        self._sending = False

    async def _watch(self, send: Send) -> None:
        """Return when the reader has stopped reading; until then, break every silence."""
        while True:
            silent_s = monotonic() - self._sent_at
            if self._sending and silent_s >= self._write_timeout_s:
                return
            if self._heartbeat and not self._sending and silent_s >= self._heartbeat_s:
                await self._send(send, self._heartbeat)
                silent_s = 0.0
            await asyncio.sleep(max(min(self._heartbeat_s, self._write_timeout_s) - silent_s, 0.05))


async def server_closing(scope: Scope) -> None:
    """Return when the server has let go of its runs, and their last frames have had time to be sent."""
    await scope["app"].state.closing.wait()
    await asyncio.sleep(LAST_FRAMES_S)


async def gone(receive: Receive) -> None:
    """Return when the client has left; the request's body has been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass
