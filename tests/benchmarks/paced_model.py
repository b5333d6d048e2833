"""A model that paces hundreds of streams at 50 tokens/s for little CPU: `python -m tests.benchmarks.paced_model PORT`.

Every frame is made beforehand. The streams are spread over the milliseconds of a 20 ms round, so that they do not all
speak at once, and the round keeps to the clock: a late token is not followed by late ones.
"""

import asyncio
import sys
from itertools import count, cycle
from typing import cast

import uvloop

from tests.upstream import Script, chat_frames

ROUND_MS = 20
TOKENS_PER_S = 1_000 / ROUND_MS
TOKENS = 3_000
"""Of one answer: more than any measure reads."""
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FRAMES = tuple(
    b"%x\r\n%b\r\n" % (len(frame), frame)
    for frame, _ in chat_frames(Script(content=[f"word{number} " for number in range(TOKENS)]), asks_usage=False)
)
LAST = b"0\r\n\r\n"


class Wheel:
    """The round: each stream speaks in its own millisecond."""

    def __init__(self) -> None:
        self._slots: list[dict[Answer, None]] = [{} for _ in range(ROUND_MS)]
        self._next = cycle(self._slots)

    def add(self, answer: "Answer") -> None:
        next(self._next)[answer] = None

    def remove(self, answer: "Answer") -> None:
        for slot in self._slots:
            slot.pop(answer, None)

    async def turn(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        for tick in count(1):
            for answer in tuple(self._slots[tick % ROUND_MS]):
                answer.speak()
            await asyncio.sleep(max(0, began + tick / 1_000 - clock()))


class Answer(asyncio.Protocol):
    """One connection, which carries one answer after another."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._request = bytearray()
        self._said = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._request += data
        head, blank, body = self._request.partition(b"\r\n\r\n")
        if blank and len(body) >= _length(head):
            self._request.clear()
            self._said = 0
            self._transport.write(HEAD)
            self._wheel.add(self)

    def speak(self) -> None:
        self._transport.write(FRAMES[self._said])
        self._said += 1
        if self._said == len(FRAMES):
            self._transport.write(LAST)
            self._wheel.remove(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._wheel.remove(self)


def _length(head: bytes | bytearray) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0] or 0)


async def serve(port: int) -> None:
    wheel = Wheel()
    await asyncio.get_running_loop().create_server(lambda: Answer(wheel), "127.0.0.1", port)
    await wheel.turn()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
