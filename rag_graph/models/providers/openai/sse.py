"""Server-sent events of an OpenAI-compatible stream: bytes cut anywhere in, chunks as dicts out."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from rag_graph.models.providers.errors import Oversized

MAX_EVENT_BYTES: Final = 1_000_000
"""A chunk is a token, or at most an answer that a service only pretends to stream, which takes a tenth of this."""

_CARRIAGE_RETURN = re.compile(rb"\r\n|\r(?=[^\n])")


class JsonEvents:
    """Server-sent events whose data are JSON objects, out of bytes cut anywhere; `data: [DONE]` ends them.

    Raises `Oversized` for an event, or a line, of more than `MAX_EVENT_BYTES`, before it has come whole.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
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
                self._data.append(line[5:])
                self._data_bytes += len(line)
                self._check_size()
            elif not line and self._data:
                event = b"\n".join(self._data).strip()
                self._data, self._data_bytes = [], 0
                if event == b"[DONE]":
                    self.is_done = True
                    return
                yield _as_object(event)
        self._check_size()

    def _check_size(self) -> None:
        if self._rest_bytes + self._data_bytes > MAX_EVENT_BYTES:
            raise Oversized("one event", MAX_EVENT_BYTES)


def _as_object(event: bytes) -> dict[str, Any]:
    value = orjson.loads(event)
    if not isinstance(value, dict):
        raise ValueError("a chunk of the stream is no JSON object")  # noqa: TRY004 - broken data, like broken JSON
    return value


def joined(chunks: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Join neighbours that hold nothing but text, and give that; what came before broken data is still given."""
    held: dict[str, Any] | None = None
    parts: list[str] = []
    try:
        for chunk in chunks:
            delta = _only_text(chunk)
            if delta is not None:
                held = held or chunk
                parts.append(delta)
                continue
            if held:
                yield _with_text(held, parts)
            held, parts = None, []
            yield chunk, None
    except ValueError:
        if held:
            yield _with_text(held, parts)
        raise
    if held:
        yield _with_text(held, parts)


def _only_text(chunk: dict[str, Any]) -> str | None:
    """Text of a chunk that says nothing else, so that it may be joined with its neighbours."""
    choices = chunk.get("choices")
    if not choices or len(choices) != 1 or chunk.get("usage") or chunk.get("error"):
        return None
    choice = choices[0]
    if choice.get("finish_reason") or choice.get("logprobs") or choice.get("index"):
        return None
    delta = choice.get("delta")
    if not delta or not isinstance(content := delta.get("content"), str):
        return None
    if len(delta) > 1 and any(value for key, value in delta.items() if key not in ("content", "role")):
        return None
    return content


def _with_text(chunk: dict[str, Any], parts: list[str]) -> tuple[dict[str, Any], str]:
    text = parts[0] if len(parts) == 1 else "".join(parts)
    chunk["choices"][0]["delta"]["content"] = text
    return chunk, text


def has_finished(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    return bool(choices and choices[0].get("finish_reason"))
