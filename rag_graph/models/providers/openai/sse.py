"""Server-sent events of an OpenAI-compatible stream: bytes cut anywhere in, each event's name and data out."""

import re
from collections.abc import Iterator
from typing import Any, Final

_CARRIAGE_RETURN = re.compile(rb"\r\n|\r(?=[^\n])")
_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = frozenset({b"[DONE]", b'"[DONE]"', b"[done]"})
_OTHER_FIELDS: Final = (b":", b"id:", b"retry:")
_MOST_BARE_BYTES: Final = 4 * 1024 * 1024
"""Of a body that is no stream of events; a whole reply is far smaller."""


class EventReader:
    """Reads events out of bytes that were cut anywhere; `data: [DONE]` ends them.

    A service that was asked for a stream and sends one JSON body all the same is read by `end`.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._rest = b""
        self._data: list[bytes] = []
        self._name = ""
        self._bare = bytearray()
        self._is_stream = False

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The name, mostly none, and the data of each event that is whole now."""
        if self.is_done:
            return
        lines = self._rest + data
        if b"\r" in lines:
            lines = _CARRIAGE_RETURN.sub(b"\n", lines)
        *whole, self._rest = lines.split(b"\n")
        for line in whole:
            if line.startswith(b"data:"):
                self._data.append(line[5:])
            elif line:
                self._take_other(line)
            else:
                if self._data:
                    event, self._data = b"\n".join(self._data).strip(), []
                    self._is_stream = True
                    if event in _DONE:
                        self.is_done = True
                        return
                    yield self._name, event
                self._name = ""

    def end(self) -> Iterator[tuple[str, bytes]]:
        """What a body held that ended without a blank line, or was no stream of events at all."""
        yield from self.feed(b"\n\n")
        if self._bare and not (self._is_stream or self.is_done):
            yield "", bytes(self._bare)

    def _take_other(self, line: bytes) -> None:
        line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._data.append(line[5:])
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode("utf-8", "replace")
        elif line.startswith(b"error:"):  # llama.cpp's way of failing in the middle
            self._data.append(line[6:])
            self._name = "error"
        elif line.startswith(_OTHER_FIELDS):
            pass
        elif self._data:
            self._data.append(line)  # JSON that was written over several lines, of which only the first is marked
        elif not self._is_stream and len(self._bare) + len(line) < _MOST_BARE_BYTES:
            self._bare += line + b"\n"


def has_finished(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    return bool(choices and choices[0].get("finish_reason"))
