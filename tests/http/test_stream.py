"""The stream of a run at ASGI level: what it sends, what it says of what breaks, how it ends."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import SimpleNamespace

import anyio
import pytest
from starlette.types import Message

from rag_graph.errors import LogUnavailable, RagGraphError, RunExpired
from rag_graph.http.encoding import Encoder
from rag_graph.http.native.encoding import EventFrames
from rag_graph.http.stream import FrameStream
from rag_graph.runs.log import Batch, Entry, Gap
from tests.http.recorded import KEEPS, RUN_ID

pytestmark = pytest.mark.anyio
ENTRIES = [Entry(seq, 0.0, event) for seq, event in enumerate(KEEPS, 1)]


@dataclass
class Reader:
    """The other end: it stays until `leaving` is set."""

    sent: list[Message] = field(default_factory=list)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, stream: FrameStream) -> None:
        scope = {"type": "http", "app": SimpleNamespace(state=SimpleNamespace(closing=self.closing))}
        with anyio.fail_after(10):
            await stream(scope, self._receive, self._send)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_whole(self) -> bool:
        return not self.sent[-1].get("more_body", True)

    async def _receive(self) -> Message:
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self.grown.set()


class Breaking(Encoder):
    """Cannot tell the third entry."""

    def encode(self, item: Entry | Gap) -> bytes:
        if isinstance(item, Entry) and item.seq == 3:
            raise KeyError("a fault of ours")
        return b"."


async def of(*batches: Batch, then: Exception | None = None) -> AsyncGenerator[Batch]:
    for batch in batches:
        yield batch
    if then is not None:
        raise then


def stream(batches: AsyncGenerator[Batch], encoder: Encoder | None = None, *, heartbeat_s: float = 60) -> FrameStream:
    return FrameStream(RUN_ID, aclosing(batches), encoder or EventFrames(RUN_ID), headers={}, heartbeat_s=heartbeat_s)


def records(caplog: pytest.LogCaptureFixture) -> Sequence[tuple[int, str]]:
    return [(record.levelno, getattr(record, "run_id", "")) for record in caplog.records]


async def test_a_run_is_sent_to_its_end() -> None:
    reader = Reader()
    await reader.read(stream(of(ENTRIES[:4], ENTRIES[4:])))
    assert reader.body == b"".join(map(EventFrames(RUN_ID).encode, ENTRIES))
    assert reader.is_whole


async def test_an_encoder_that_breaks_is_logged_with_its_run_and_leaves_the_stream_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader, batches = Reader(), of(ENTRIES[:2], ENTRIES[2:])
    await reader.read(stream(batches, Breaking()))
    assert reader.body == b".."
    assert not reader.is_whole
    assert records(caplog) == [(logging.ERROR, RUN_ID)]
    assert "a fault of ours" in caplog.text
    assert "a fault of ours" not in reader.body.decode()
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_a_fault_of_ours_in_the_log_is_logged_and_leaves_the_stream_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader = Reader()
    await reader.read(stream(of(ENTRIES[:2], then=ValueError("x"))))
    assert reader.body.count(b"event: ") == 2
    assert not reader.is_whole
    assert records(caplog) == [(logging.ERROR, RUN_ID)]


@pytest.mark.parametrize("error", [LogUnavailable("Redis is away."), RunExpired("The run is lost.")])
async def test_a_log_that_is_lost_is_told_as_the_end_of_the_run(
    error: RagGraphError, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader()
    await reader.read(stream(of(ENTRIES[:2], then=error)))
    assert reader.is_whole
    last = reader.body.decode().split("\n\n")[-2]
    assert last.startswith("event: run_failed")
    assert f'"code":"{error.code}","message":"{error}"' in last
    assert last.endswith(f"id: {RUN_ID}:{ENTRIES[1].seq}")  # who comes back goes on behind what it has seen
    assert records(caplog) == [(logging.WARNING, RUN_ID)]


async def test_a_reader_that_leaves_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader()

    async def until_it_leaves() -> AsyncGenerator[Batch]:
        yield ENTRIES[:1]
        reader.leaving.set()
        await asyncio.Event().wait()

    await reader.read(stream(until_it_leaves()))
    assert records(caplog) == []


async def test_a_server_that_closes_ends_the_stream_so_that_clients_come_back() -> None:
    reader = Reader()

    async def until_it_closes() -> AsyncGenerator[Batch]:
        yield ENTRIES[:1]
        reader.closing.set()
        await asyncio.Event().wait()

    await reader.read(stream(until_it_closes()))
    assert reader.is_whole


async def test_silence_is_broken_until_there_is_something_to_say() -> None:
    reader = Reader()

    async def until_it_has_beaten_twice() -> AsyncGenerator[Batch]:
        yield ENTRIES[:1]
        while reader.body.count(b": keep-alive\n\n") < 2:
            reader.grown.clear()
            await reader.grown.wait()
        yield ENTRIES[1:]

    await reader.read(stream(until_it_has_beaten_twice(), heartbeat_s=0.01))
    assert reader.is_whole
