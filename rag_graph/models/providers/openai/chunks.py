"""Chunks of a chat stream as services really send them, brought into the shape that the protocol describes.

What is odd is used where it says something, and left out where it does not; what is not the first choice's reply never
becomes part of it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

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


class Shaper:
    """Shapes the chunks of one stream; some of what they hold goes on from one to the next."""

    def __init__(self) -> None:
        self.has_text = False
        self.half: dict[str, str] = {}
        """First halves of characters whose second half the next chunk may bring, by field."""

    def read_whole(self, body: Chunk) -> Chunk:
        """A reply that was asked for as a whole, in the shape of one."""
        shaped = self.shaped(body)
        for choice in shaped["choices"]:
            choice["message"] = choice.pop("delta")
        return shaped

    def shaped(self, chunk: Chunk) -> Chunk:
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
            if reason and self.half.pop("content", ""):
                delta["content"] += "\ufffd"
            shaped["choices"] = [{**choice, "index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
        return shaped

    def _delta_of(self, choice: Mapping[str, Any]) -> Chunk:
        given: Any = choice.get("delta") or choice.get("text")
        # A whole message beside or after deltas says again what they said; alone it is the reply.
        if not given and not self.has_text:
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
        self.has_text = self.has_text or bool(delta["content"])
        return delta

    def _joined(self, field: str, text: str) -> str:
        """Put the halves of a character that two chunks share together; a half that stays alone becomes U+FFFD."""
        text = self.half.pop(field, "") + text
        if not SURROGATE.search(text):
            return text
        if ord(text[-1]) in _HIGH:
            self.half[field], text = text[-1], text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def lenient_values(rest: str) -> Iterator[Any]:
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
