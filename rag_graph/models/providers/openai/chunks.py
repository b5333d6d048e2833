"""Chunks of a chat stream as services really send them, brought into the shape that the protocol describes.

What is odd is used where it says something, and left out where it does not; what is not the first choice's reply never
becomes part of it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from rag_graph.models.thinking import REASONING_KEYS

Chunk = dict[str, Any]

_DECODER: Final = json.JSONDecoder(strict=False)  # raw control characters in strings are some services' habit
_HIGH: Final = range(0xD800, 0xDC00)
SURROGATE: Final = re.compile("[\ud800-\udfff]")
_OTHER_REASONING: Final = ("reasoning_text", "thinking_content", "thought", "reasoning_details")
_TEXTS: Final = ("text", "content", "thinking", "reasoning", "summary", "refusal")
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")
_NO_REASONS: Final = ("", "null", "none")


class ChunkReader:
    """Reads the events of one stream; some of what they hold goes on from one to the next."""

    def __init__(self) -> None:
        self._half: dict[str, str] = {}
        self._has_text = False

    def read(self, events: Iterable[tuple[str, bytes]]) -> Iterator[tuple[Chunk, str | None]]:
        """The chunks of events, given by name and data; neighbours that hold nothing but text are one, with that text.

        Raises ValueError for data that begin as JSON and are none; what came before them is given first.
        """
        held: Chunk | None = None
        parts: list[str] = []
        try:
            for name, data in events:
                try:
                    values: Iterable[Any] = (orjson.loads(data),)
                except orjson.JSONDecodeError:
                    values = _lenient_values(data.decode("utf-8", "replace").strip())
                for value in values:
                    if not isinstance(value, dict):
                        continue
                    is_error = name == "error" and not value.get("error")
                    text = None if is_error else self._plain_text(value)
                    if text is not None:
                        held = held or value
                        parts.append(text)
                        continue
                    if held is not None:
                        yield _with_text(held, parts)
                        held, parts = None, []
                    yield {"choices": [], "error": value} if is_error else self._shaped(value), None
        except ValueError:
            if held is not None:
                yield _with_text(held, parts)
            raise
        if held is not None:
            yield _with_text(held, parts)

    def read_whole(self, body: Chunk) -> Chunk:
        """A reply that was asked for as a whole, in the shape of one."""
        shaped = self._shaped(body)
        for choice in shaped["choices"]:
            choice["message"] = choice.pop("delta")
        return shaped

    def _plain_text(self, chunk: Chunk) -> str | None:
        """The text of a chunk as nearly all are: a piece of text, and nothing else that says anything or is odd."""
        choices = chunk.get("choices")
        if self._half or type(choices) is not list or len(choices) != 1 or chunk.get("usage") or chunk.get("error"):
            return None
        choice = choices[0]
        if type(choice) is not dict or choice.get("finish_reason") or choice.get("logprobs") or choice.get("index"):
            return None
        delta = choice.get("delta")
        if type(delta) is not dict or type(text := delta.get("content")) is not str:
            return None
        if len(delta) > 1 and any(
            value for key, value in delta.items() if key != "content" and (key, value) != ("role", "assistant")
        ):
            return None
        # What orjson reads has no lone surrogates, but the lenient reader's text may.
        if SURROGATE.search(text):
            return None
        self._has_text = self._has_text or bool(text)
        return text

    def _shaped(self, chunk: Chunk) -> Chunk:
        error = _error_of(chunk)
        choice = _first(chunk.get("choices"))
        if choice is None and isinstance(chunk.get("message"), Mapping):
            choice = {"message": chunk["message"]}
        shaped = {**chunk, "choices": [], "usage": _usage_of(chunk, choice or {}), "error": error}
        if not isinstance(chunk.get("model"), str):
            shaped.pop("model", None)
        if choice is not None:
            delta = self._delta_of(choice)
            reason = choice.get("finish_reason")
            if not isinstance(reason, str) or reason.lower() in _NO_REASONS:
                reason = "stop" if choice.get("message") and not choice.get("delta") else None
            if reason and self._half.pop("content", ""):
                delta["content"] += "\ufffd"
            shaped["choices"] = [{**choice, "index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
        return shaped

    def _delta_of(self, choice: Mapping[str, Any]) -> Chunk:
        given: Any = choice.get("delta") or choice.get("text")
        # A whole message beside or after deltas says again what they said; alone it is the reply.
        if not given and not self._has_text:
            given = choice.get("message")
        if isinstance(given, str):
            given = {"content": given}
        delta: Chunk = {**given} if isinstance(given, Mapping) else {}
        thoughts = [_text_of(delta.pop(key, None)) for key in (*REASONING_KEYS, *_OTHER_REASONING)]
        content = delta.get("content")
        if isinstance(content, list):
            thoughts.append(_text_of([part for part in content if _is_thought(part)]))
            content = [part for part in content if not _is_thought(part)]
        delta["content"] = self._joined("content", _text_of(content))
        if thought := self._joined("reasoning", next((thought for thought in thoughts if thought), "")):
            delta["reasoning_content"] = thought
        delta["refusal"] = self._joined("refusal", _text_of(delta.get("refusal"))) or None
        delta["role"] = "assistant"
        for key in ("tool_calls", "function_call"):
            if not delta.get(key):
                delta.pop(key, None)
        self._has_text = self._has_text or bool(delta["content"])
        return delta

    def _joined(self, field: str, text: str) -> str:
        """Put the halves of a character that two chunks share together; a half that stays alone becomes U+FFFD."""
        text = self._half.pop(field, "") + text
        if not SURROGATE.search(text):
            return text
        if ord(text[-1]) in _HIGH:
            self._half[field], text = text[-1], text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _lenient_values(rest: str) -> Iterator[Any]:
    """The values of an event that strict JSON does not know.

    Without a blank line between events, or on one line, there are several; characters may be half or raw.
    """
    if not rest.startswith(("{", "[{")):
        return  # such as `ping`; if it was the service's way of failing, the stream ends without an answer
    has_value = False
    while rest:
        try:
            value, end = _DECODER.raw_decode(rest)
        except (ValueError, RecursionError) as exc:  # the latter of data nested thousands deep
            if has_value:
                return
            raise ValueError("data that begin as JSON and are none") from exc
        has_value = True
        yield value
        rest = rest[end:].lstrip().removeprefix("data:").lstrip()


def _first(choices: Any) -> Chunk | None:
    """The reply that was asked for; services that are told to write several mix their chunks."""
    found = choices if isinstance(choices, list) else [choices]
    return next((choice for choice in found if isinstance(choice, dict) and not choice.get("index")), None)


def _text_of(value: Any) -> str:
    """Text in whichever wrapping: a string, a number, a part, a list of parts."""
    match value:
        case None | bool():
            return ""
        case str():
            return value
        case int() | float():
            return str(value)
        case list():
            return "".join(map(_text_of, value))
        case Mapping():
            return next((_text_of(value[key]) for key in _TEXTS if value.get(key)), "")
    return ""


def _with_text(chunk: Chunk, parts: list[str]) -> tuple[Chunk, str]:
    text = parts[0] if len(parts) == 1 else "".join(parts)
    chunk["choices"][0]["delta"]["content"] = text
    return chunk, text


def _is_thought(part: Any) -> bool:
    """Whether a part of the content is the model's thinking, as Mistral and Anthropic-like gateways mark it."""
    return isinstance(part, Mapping) and str(part.get("type")).startswith(("thinking", "reasoning", "redacted"))


def _error_of(chunk: Mapping[str, Any]) -> Any:
    """What the service says went wrong, wherever it says it."""
    if chunk.get("error"):
        return chunk["error"]
    if isinstance(groq := chunk.get("x_groq"), Mapping) and groq.get("error"):
        return groq["error"]
    base = chunk.get("base_resp")  # MiniMax
    if not chunk.get("choices") and isinstance(base, Mapping) and base.get("status_code"):
        return {"message": _text_of(base.get("status_msg")), "code": base["status_code"]}
    is_error = "error" in (chunk.get("object"), chunk.get("type"))
    if is_error or (not chunk.get("choices") and (chunk.get("detail") or {"code", "message"} <= set(chunk))):
        return {"message": _text_of(chunk.get("message")) or str(chunk.get("detail")), "code": chunk.get("code")}
    return None


def _usage_of(chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> Chunk | None:
    """Counts that are counts; Moonshot puts them into the choice, Groq beside it."""
    beside = chunk.get("x_groq")
    found = chunk.get("usage") or choice.get("usage") or (beside.get("usage") if isinstance(beside, Mapping) else None)
    if not isinstance(found, Mapping):
        return None
    counts: Chunk = {key: found[key] for key in _COUNTS if type(found.get(key)) is int}
    if not counts:
        return None
    for name in _DETAILS:
        details = found.get(name)
        if isinstance(details, Mapping):
            counts[name] = {key: value for key, value in details.items() if type(value) is int}
    return counts
