"""A run's log over HTTP as it grows: frames as they come, a sign of life when there is silence."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from time import monotonic, time
from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from rag_graph.errors import RagGraphError
from rag_graph.events import RunFailed
from rag_graph.http.encoding import Encoder
from rag_graph.http.state import closing_of
from rag_graph.runs.log import Batch, Entry

LAST: Final[Message] = {"type": "http.response.body", "body": b"", "more_body": False}
LAST_FRAMES_S = 0.5
"""So long may readers take the last frames of runs that their server has let go of."""
# nginx holds back what comes from a server unless `x-accel-buffering` says no.
UNBUFFERED = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""What keeps proxies from holding frames back."""

log = logging.getLogger(__name__)


class FrameStream(Response):
    """An ASGI response that writes every batch of a log as soon as it is there.

    One task writes and one watches for the reader's leaving; a third sends the heartbeat, so that a token costs no
    timer. A reader that takes nothing for `write_timeout_s` is cut off. When the server closes, the stream ends; the
    run may go on elsewhere. A log that is lost is told as the run's end, under the number of the last entry, so that
    who asks again goes on from there. What breaks in the encoder is logged, and the stream is left without its end.
    """

    def __init__(
        self,
        run_id: str,
        reading: AbstractAsyncContextManager[AsyncIterator[Batch]],
        encoder: Encoder,
        *,
        headers: Mapping[str, str],
        heartbeat_s: float = 15.0,
        write_timeout_s: float = 60.0,
    ) -> None:
        self.status_code = 200
        self.media_type = encoder.media_type
        self.background = None
        self.init_headers({**UNBUFFERED, **encoder.headers, **headers})
        self._run_id = run_id
        self._reading = reading
        self._encoder = encoder
        self._heartbeat_s = heartbeat_s
        self._write_timeout_s = write_timeout_s
        self._sent_at = monotonic()
        self._sending = False
        self._last_seq = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        tasks = [asyncio.create_task(work) for work in (self._write(send), gone(receive), self._watch(send))]
        closing = asyncio.create_task(server_closing(scope))
        try:
            done, _ = await asyncio.wait({*tasks, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
        for error in errors:
            self._report(error)
        # Never in the middle of a frame, and not behind an error. A stream that
        # ends in good order without a terminal event is one to come back to.
        if closing in done and not self._sending and not errors:
            await send(LAST)

    async def _write(self, send: Send) -> None:
        encode = self._encoder.encode
        try:
            async with self._reading as batches:
                async for batch in batches:
                    if frames := b"".join(map(encode, batch)):
                        self._sent_at = monotonic()
                        self._sending = True
                        await send({"type": "http.response.body", "body": frames, "more_body": True})
                        self._sending = False
                    newest = batch[-1]
                    self._last_seq = newest.seq if isinstance(newest, Entry) else newest.first_kept - 1
        except RagGraphError as exc:
            self._report(exc)
            lost = RunFailed(code=exc.code, message=str(exc), retryable=exc.retryable, answer="")
            # The status was sent long ago, so what is wrong can only be told as an event.
            frames = encode(Entry(self._last_seq, time(), lost))
            self._sending = True
            await send({"type": "http.response.body", "body": frames, "more_body": True})
        self._sending = True
        await send(LAST)

    async def _watch(self, send: Send) -> None:
        """Return when the reader has stopped reading; until then, break every silence."""
        heartbeat: Message = {"type": "http.response.body", "body": self._encoder.heartbeat, "more_body": True}
        while True:
            silent_s = monotonic() - self._sent_at
            if self._sending and silent_s >= self._write_timeout_s:
                return
            if heartbeat["body"] and not self._sending and silent_s >= self._heartbeat_s:
                self._sent_at = monotonic()
                self._sending = True
                await send(heartbeat)
                self._sending = False
                silent_s = 0.0
            # While a frame waits for longer than a heartbeat the rest is negative: without the floor this would spin.
            await asyncio.sleep(max(min(self._heartbeat_s, self._write_timeout_s) - silent_s, 0.05))

    def _report(self, error: BaseException) -> None:
        named = {"run_id": self._run_id}
        if isinstance(error, OSError):
            # Servers may say so that the reader has left.
            log.debug("a reader has left: %s", error, extra=named)
        elif isinstance(error, RagGraphError):
            log.warning("a stream ended early: %s", error, extra=named)
        else:
            log.error("a stream broke", exc_info=error, extra=named)


async def server_closing(scope: Scope) -> None:
    """Return when the server has let go of its runs, and their last frames have had time to be sent."""
    await closing_of(scope).wait()
    await asyncio.sleep(LAST_FRAMES_S)


async def gone(receive: Receive) -> None:
    """Return when the client has left; the request's body has been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass
