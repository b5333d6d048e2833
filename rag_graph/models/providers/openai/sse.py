"""Server-sent events of an OpenAI-compatible stream: bytes cut anywhere in, each event's name and data out."""

import re
from collections.abc import Iterator
from typing import Any, Final

from rag_graph.models.providers.errors import Oversized

MAX_EVENT_BYTES: Final = 1_000_000
"""A chunk is a token, or at most an answer that a service only pretends to stream, which takes a tenth of this."""

_CARRIAGE_RETURN = re.compile(rb"\r\n|\r(?=[^\n])")
_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = frozenset({b"[DONE]", b'"[DONE]"', b"[done]"})
_OTHER_FIELDS: Final = (b":", b"id:", b"retry:")


class EventReader:
    """Reads events out of bytes that were cut anywhere; `data: [DONE]` ends them.

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

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The name, mostly none, and the data of each event that is whole now."""
        if self.is_done:
            return
        if self._rest and not self._rest[-1].endswith(b"\r") and b"\n" not in data and b"\r" not in data:
            # Joined at each read, a line without an end would be copied as often as it has reads.
            self._rest.append(data)
            self._rest_bytes += len(data)
            self._check_size()
            return
        lines = b"".join([*self._rest, data])
        if b"\r" in lines:
            lines = _CARRIAGE_RETURN.sub(b"\n", lines)
        *whole, rest = lines.split(b"\n")
        self._rest = [rest] if rest else []
        self._rest_bytes = len(rest)
        for line in whole:
            if line.startswith(b"data:"):
                self._keep(line[5:])
            elif line:
                self._take_other(line)
            else:
                if self._data:
                    event, self._data, self._data_bytes = b"\n".join(self._data).strip(), [], 0
                    self._is_stream = True
                    if event in _DONE:
                        self.is_done = True
                        return
                    yield self._name, event
                self._name = ""
        self._check_size()

    def end(self) -> Iterator[tuple[str, bytes]]:
        """What a body held that ended without a blank line, or was no stream of events at all."""
        yield from self.feed(b"\n\n")
        if self._bare and not (self._is_stream or self.is_done):
            yield "", b"\n".join(self._bare)

    def _take_other(self, line: bytes) -> None:
        line = line.removeprefix(_BOM)
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
        elif not self._is_stream:
            self._bare.append(line)
            self._data_bytes += len(line)
            self._check_size()

    def _keep(self, data: bytes) -> None:
        self._data.append(data)
        self._data_bytes += len(data)
        self._check_size()

    def _check_size(self) -> None:
        if self._rest_bytes + self._data_bytes > MAX_EVENT_BYTES:
            raise Oversized("one event", MAX_EVENT_BYTES)


def has_finished(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    return bool(choices and choices[0].get("finish_reason"))
