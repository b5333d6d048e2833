"""A stream of chat chunks as it comes over the wire: bytes cut anywhere in, chunks out, text apart from the rest.

This is the way of every token, so a read of the network passes each of the three stages in one call.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Any, Final, TypeVar, cast

import openai
import orjson

from rag_graph.models.providers.errors import Oversized
from rag_graph.models.providers.openai.bounds import MAX_EVENT_BYTES, BoundedStream, http
from rag_graph.models.providers.openai.chunks import UNSHOWN, Chunk, Shaper, lenient_values

CUT_SHORT: Final = "The stream ended before the answer did."
NO_REPLY: Final = "Nothing that came was part of a reply."
DRAIN_S: Final = 1.0
"""So long may a service take to end the body behind its last event; a connection that is left before is lost."""

T = TypeVar("T")

# One at the end of a read waits for the next, which may begin with the line feed that belongs to it.
_CARRIAGE_RETURN = re.compile(rb"\r\n|\r(?=[^\n])")
_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = re.compile(rb'(?:\A|data:\s*|\s|(?<=}))(?:"?\[DONE\]"?|DONE)\Z', re.IGNORECASE)
"""How a stream says that it has ended, alone or glued to its last chunk."""
# Only the end of an event is searched, for no mark has more bytes.
_DONE_BYTES: Final = 16
_OTHER_FIELDS: Final = (b":", b"id:", b"retry:")


class StreamCut(openai.APIConnectionError):
    """The service was reached, and ended its stream before the reply."""


class EventReader:
    """Reads server-sent events out of bytes that were cut anywhere; `data: [DONE]` ends them.

    A service that was asked for a stream and sends one JSON body all the same is read by `end`. Raises `Oversized` for
    an event, or a line, of more than `MAX_EVENT_BYTES`, before it has come whole.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = ""
        self._bare: list[bytes] = []
        self._is_stream = False

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:  # noqa: C901, PLR0912 - in parts, every token would take more calls
        """The name, mostly none, and the data of each event that is whole now."""
        events: list[tuple[str, bytes]] = []
        if self.is_done:
            return events
        whole: list[bytes] = []
        if self._rest and not self._rest[-1].endswith(b"\r") and b"\n" not in data and b"\r" not in data:
            # Joined at each read, a line without an end would be copied as often as it has reads.
            self._rest.append(data)
            self._rest_bytes += len(data)
        else:
            lines = b"".join([*self._rest, data])
            if b"\r" in lines:
                lines = _CARRIAGE_RETURN.sub(b"\n", lines)
            *whole, rest = lines.split(b"\n")
            self._rest = [rest] if rest else []
            self._rest_bytes = len(rest)
        for line in whole:
            if line.startswith(b"data:"):
                self._data.append(line[5:])
                self._data_bytes += len(line) - 5
            elif line:
                self._take_other(line)
            else:
                if self._data_bytes > MAX_EVENT_BYTES:
                    break
                if self._data:
                    event, self._data, self._data_bytes = b"\n".join(self._data).strip(), [], 0
                    self._is_stream = True
                    # Chunks end with a brace, so that hardly any is searched.
                    if not event.endswith(b"}") and (done := _DONE.search(event, max(0, len(event) - _DONE_BYTES))):
                        self.is_done = True
                        if event := event[: done.start()].strip():
                            events.append((self._name, event))
                        return events
                    events.append((self._name, event))
                self._name = ""
        if self._rest_bytes + self._data_bytes > MAX_EVENT_BYTES:
            raise Oversized("one event", MAX_EVENT_BYTES)
        return events

    def end(self) -> list[tuple[str, bytes]]:
        """What a body held that ended without a blank line, or was no stream of events at all."""
        events = self.feed(b"\n\n")
        if self._bare and not (self._is_stream or self.is_done):
            events.append(("", b"\n".join(self._bare)))
        return events

    def _take_other(self, line: bytes) -> None:
        # A mark of the byte order may stand before the first field, and some services indent theirs.
        line = line.removeprefix(_BOM).lstrip()
        if line.startswith(b"data:"):
            self._keep(line[5:])
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode("utf-8", "replace")
        elif line.startswith(b"error:"):  # llama.cpp's way of failing in the middle
            self._keep(line[6:])
            self._name = "error"
        elif line.startswith(_OTHER_FIELDS):
            pass
        elif self._data:
            self._keep(line)  # JSON that was written over several lines, of which only the first is marked
        elif self._is_stream:
            self.is_done = self.is_done or bool(_DONE.fullmatch(line))
        else:
            self._bare.append(line)
            self._data_bytes += len(line)

    def _keep(self, data: bytes) -> None:
        self._data.append(data)
        self._data_bytes += len(data)


class ChunkReader:
    """Brings the events of one stream into chunks."""

    def __init__(self) -> None:
        self.failure: ValueError | None = None
        """Of data that begin as JSON and are none; to be raised once what came before them is told."""
        self.has_chunks = False
        """Whether anything was part of a reply: if not, it was no such service that answered."""
        self._shaper = Shaper()

    def read(self, events: Iterable[tuple[str, bytes]]) -> list[tuple[Chunk, str | None]]:
        """The chunks of events, given by name and data; neighbours of nothing but text are one, with that text."""
        found: list[tuple[Chunk, list[str] | None]] = []
        try:
            for name, data in events:
                try:
                    values: Iterable[Any] = (orjson.loads(data),)
                except orjson.JSONDecodeError:
                    values = lenient_values(data.decode("utf-8", "replace").strip(), is_error=name == "error")
                for given in values:
                    for value in given if isinstance(given, list) else (given,):
                        if isinstance(value, dict):
                            self._add(value, found, is_error=name == "error" and not value.get("error"))
        except ValueError as exc:
            self.failure = exc
        chunks: list[tuple[Chunk, str | None]] = []
        for chunk, parts in found:
            text = None if parts is None else parts[0] if len(parts) == 1 else "".join(parts)
            if text is not None:
                chunk["choices"][0]["delta"]["content"] = text
            chunks.append((chunk, text))
        return chunks

    def _add(self, value: Chunk, found: list[tuple[Chunk, list[str] | None]], *, is_error: bool) -> None:
        text = None if is_error else self._plain_text(value)
        if text is None:
            shaped = {"choices": [], "error": value} if is_error else self._shaper.shaped(value)
            self.has_chunks = self.has_chunks or bool(shaped["choices"] or shaped["error"])
            found.append((shaped, None))
        elif found and (parts := found[-1][1]) is not None:
            parts.append(text)
        else:
            found.append((value, [text]))

    def _plain_text(self, chunk: Chunk) -> str | None:
        """The text of a chunk as nearly all are: a piece of text, and nothing else that says anything or is odd."""
        choices = chunk.get("choices")
        has_more = self._shaper.half or chunk.get("usage") or chunk.get("error")
        if has_more or type(choices) is not list or len(choices) != 1:
            return None
        choice = choices[0]
        if type(choice) is not dict or choice.get("finish_reason") or choice.get("logprobs") or choice.get("index"):
            return None
        if choice.get("error"):
            return None
        delta = choice.get("delta")
        if type(delta) is not dict or type(text := delta.get("content")) is not str:
            return None
        for key, value in delta.items():
            if value and key != "content" and (key, value) != ("role", "assistant"):
                return None
        # What orjson reads has no lone surrogates, but the lenient reader's text may.
        if UNSHOWN.search(text):
            return None
        self.has_chunks = True
        return text if self._shaper.text.is_over else self._shaper.take(text)


class DictStream(openai.AsyncStream[object]):
    """The SDK's stream, whose chunks stay dicts; text that came in one read of the network is one chunk."""

    async def __stream__(self) -> AsyncIterator[object]:
        async with aclosing(self.pieces(lambda chunk: chunk, as_text=False)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def pieces(self, told: Callable[[Chunk], T | None], *, as_text: bool = True) -> AsyncGenerator[str | T]:  # noqa: C901 - as `feed`
        """What `told` makes of the chunks, without the layers of the SDK; mere text comes as it is, if not told too."""
        sse, reader, finished = EventReader(), ChunkReader(), False
        reads = aiter(self._bytes())
        data: bytes | None = b""
        try:
            while data is not None and not sse.is_done:
                data = await anext(reads, None)
                for chunk, text in reader.read(sse.end() if data is None else sse.feed(data)):
                    if text is not None and as_text:
                        yield text
                        continue
                    if text is None:
                        self._raise_if_error(chunk)
                        finished = finished or has_finished(chunk)
                    if (piece := told(chunk)) is not None:
                        yield piece
                if reader.failure is not None:
                    raise reader.failure
            if sse.is_done:
                await _drain(reads)
        except http.HTTPError as exc:
            # Who does not end the body behind the reply has said all of it.
            if not (finished or sse.is_done):
                raise openai.APIConnectionError(request=self.response.request) from exc
        finally:
            await self.response.aclose()
        if not (finished or sse.is_done):
            raise self._without_end(reader)

    def _without_end(self, reader: ChunkReader) -> Exception:
        if not reader.has_chunks:
            return ValueError(NO_REPLY)
        return StreamCut(message=CUT_SHORT, request=self.response.request)

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


def has_finished(chunk: Chunk) -> bool:
    choices = chunk.get("choices")
    return bool(choices and choices[0].get("finish_reason"))
