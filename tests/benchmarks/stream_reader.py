"""A reader of many streams that costs little: `echo JSON | python -m tests.benchmarks.stream_reader`.

It timestamps each network read and counts the scripted model's tokens in it by their bytes; nothing is parsed. Standard
input is `{"url": ..., "bodies": [...]}`, standard output what every stream received in a window of ten seconds.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import uvloop

from tests.benchmarks.paced_model import TOKENS_PER_S

TOKEN = b"word"
"""What every token of the scripted models begins with."""
FIRST = b"word0"
"""The first of them; a passage may hold the word alone."""
OPENING_S = 0.02
"""Between one stream's request and the next one's."""
WARM_UP_STREAMS, WARM_UP_TOKENS = 3, 25
STARTING_S, SETTLING_S, WINDOW_S = 15.0, 2.0, 10.0


@dataclass(frozen=True)
class Reading:
    """What the streams of one level received. A gap of zero is counted for each token that came with another."""

    p99_gap_ms: float
    slowest_rate: float
    """Of the stream that got the least, as a share of what the model sent."""
    refusal: str = ""
    """The first status line that was not 200."""


class Stream(asyncio.Protocol):
    """One request's response: when tokens arrived, and how many."""

    def __init__(self, request: bytes) -> None:
        self.arrivals: list[tuple[float, int]] = []
        self.tokens = 0
        self.first_at = 0.0
        self.status = b""
        self._request = request
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if not self.status:
            self.status = data.partition(b"\r\n")[0]
        text = self._tail + data
        if not self.first_at and FIRST in text:
            self.first_at = now
        self._tail = text[1 - len(TOKEN) :]
        if tokens := text.count(TOKEN):
            self.arrivals.append((now, tokens))
            self.tokens += tokens

    def close(self) -> None:
        self._transport.abort()


async def open_streams(url: str, bodies: Sequence[bytes], *, every_s: float = OPENING_S) -> list[Stream]:
    """Ask one after another; each stream reads from then on."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    loop = asyncio.get_running_loop()
    streams: list[Stream] = []
    for body in bodies:
        head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        _, stream = await loop.create_connection(partial(Stream, request), host, port)
        streams.append(stream)
        await asyncio.sleep(every_s)
    return streams


async def warm_up(url: str, bodies: Sequence[bytes]) -> None:
    """Let the server answer a few requests in part."""
    streams = await open_streams(url, bodies)
    with suppress(TimeoutError):
        await until(lambda: all(stream.tokens >= WARM_UP_TOKENS for stream in streams), STARTING_S)
    for stream in streams:
        stream.close()
    await asyncio.sleep(SETTLING_S)


async def until(holds: Callable[[], bool], timeout_s: float) -> None:
    """Wait until it holds, or for so long; raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - an event per token would cost the reader more
            await asyncio.sleep(0.02)


async def read(url: str, bodies: Sequence[bytes]) -> Reading:
    """Warm the server up, open a stream for each further request, let them settle, and read them for the window."""
    await warm_up(url, bodies[:WARM_UP_STREAMS])
    streams = await open_streams(url, bodies[WARM_UP_STREAMS:])
    with suppress(TimeoutError):
        await until(lambda: all(stream.tokens for stream in streams), STARTING_S)
    await asyncio.sleep(SETTLING_S)
    begin = time.perf_counter()
    await asyncio.sleep(WINDOW_S)
    end = time.perf_counter()
    for stream in streams:
        stream.close()
    return judged(streams, begin, end)


def judged(streams: Sequence[Stream], begin: float, end: float) -> Reading:
    gaps: list[float] = []
    received: list[int] = []
    for stream in streams:
        pairs = [pair for pair in pairwise(stream.arrivals) if begin <= pair[1][0] < end]
        gaps += [later - earlier for (earlier, _), (later, _) in pairs]
        received.append(sum(tokens for _, (_, tokens) in pairs))
    gaps.sort(reverse=True)
    beyond = sum(received) // 100
    refusals = [stream.status for stream in streams if b" 200 " not in stream.status]
    return Reading(
        p99_gap_ms=round(gaps[beyond] * 1_000, 1) if beyond < len(gaps) else 0.0,
        slowest_rate=round(min(received) / (TOKENS_PER_S * (end - begin)), 3),
        refusal=refusals[0].decode() if refusals else "",
    )


if __name__ == "__main__":
    given: dict[str, Any] = orjson.loads(sys.stdin.read())
    reading = uvloop.run(read(given["url"], [body.encode() for body in given["bodies"]]))
    sys.stdout.write(orjson.dumps(asdict(reading)).decode())
