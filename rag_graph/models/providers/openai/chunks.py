"""Chunks of a chat stream as services really send them, brought into the shape that the protocol describes.

What is odd is used where it says something, and left out where it does not; what is not the first choice's reply never
becomes part of it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, Final

from rag_graph.models.providers.openai.dialects import choice_of, unwrapped
from rag_graph.models.thinking import REASONING_KEYS

Chunk = dict[str, Any]

_DECODER: Final = json.JSONDecoder(strict=False)  # raw control characters in strings are some services' habit
_HIGH: Final = range(0xD800, 0xDC00)
UNSHOWN: Final = re.compile("[\ud800-\udfff\0]")
"""What is no text: halves of characters, and NUL, which no database takes."""
_OTHER_REASONING: Final = (
    "reasoning_text",
    "reasoningContent",
    "thinking_content",
    "thinking_blocks",
    "thought",
    "reasoning_details",
    "thoughts",
    "reasoning_summary",
)
_TEXTS: Final = ("text", "content", "thinking", "reasoning", "summary", "refusal", "value")
_OTHERS: Final = frozenset({"user", "system", "developer", "tool", "function"})
_THINKING_PHASES: Final = frozenset({"think", "thinking", "thinking_summary"})
_TELLING_CHARS: Final = 4
"""A token of so many letters is not said twice at the beginning of a text."""
_WITHOUT_LETTERS_CHARS: Final = 80
"""Lines of dashes and numbers do begin with what was said before; after so many nothing is decided by them any more."""
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")
_NO_REASONS: Final = ("", "null", "none")
# Numbers of its FinishReason, of which 1 is STOP.
_GEMINI_REASONS: Final = {2: "max_tokens", 3: "safety", 4: "recitation"}

_DATA: Final = re.compile(r"(?:data:\s*)+")
_ERROR: Final = re.compile(r"\[?\s*(?:error|exception)\b", re.IGNORECASE)
_MESSAGES: Final = ("message", "msg", "status_msg", "error_msg", "error_message", "errorMessage")
_ONLY_ERRORS: Final = ("detail", "errors", "fault", "error_msg", "error_message", "errorMessage")
_CODES: Final = ("code", "status_code", "statusCode", "error_code", "errorCode")
_ALL_WELL: Final = frozenset({"", "0", "200", "ok", "success", "true", "false", "none"})
_KINDS: Final = ("object", "type", "status")
_FAILED: Final = frozenset({"error", "failed", "failure"})


class Shaper:
    """Shapes the chunks of one stream; some of what they hold goes on from one to the next."""

    def __init__(self) -> None:
        self.half: dict[str, str] = {}
        """First halves of characters whose second half the next chunk may bring, by field."""
        self._index: int | None = None
        """Of the choice that is read; the first that says something is."""
        self.text = Growth()
        """Of the answer's text; once that is over, a piece needs no look at it."""
        self._messages = Growth()
        self._thoughts = Growth()

    def take(self, text: str) -> str:
        """What a text adds to what was said."""
        if text and self._index is None:
            self._index = 0
        return self.text.added(text)

    def read_whole(self, body: Chunk) -> Chunk:
        """A reply that was asked for as a whole, in the shape of one."""
        shaped = self.shaped(body)
        for choice in shaped["choices"]:
            choice["message"] = choice.pop("delta")
        return shaped

    def shaped(self, chunk: Chunk) -> Chunk:
        chunk = unwrapped(chunk)
        choice = self._chosen(chunk.get("choices")) or choice_of(chunk)
        error = error_of(chunk, choice)
        shaped = {**chunk, "choices": [], "usage": _usage_of(chunk, choice or {}), "error": error}
        if not isinstance(chunk.get("model"), str):
            shaped.pop("model", None)
        if choice is not None:
            delta = self._delta_of(choice)
            reason = _reason_of(choice)
            # The reply is over, and the second half of its last character will not come.
            if reason and self.half.pop("content", ""):
                delta["content"] += "\ufffd"
            shaped["choices"] = [{**choice, "index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
        return shaped

    def _chosen(self, choices: Any) -> Chunk | None:
        """The reply that was asked for; services that are told to write several mix their chunks."""
        given = choices if isinstance(choices, list) else [choices]
        found = sorted(((_index_of(choice), choice) for choice in given if isinstance(choice, dict)), key=itemgetter(0))
        if self._index is not None:
            found = [(index, choice) for index, choice in found if index == self._index]
        if not found:
            return None
        index, choice = found[0]
        if choice.get("finish_reason") or any((choice.get("delta"), choice.get("message"), choice.get("text"))):
            self._index = index
        return choice

    def _delta_of(self, choice: Mapping[str, Any]) -> Chunk:
        given: Any = choice.get("delta") or choice.get("text")
        # A whole message beside or after deltas says again what they said; alone it is the reply, or more of it.
        is_message = not given and not self.text.said
        if is_message:
            given = choice.get("message")
        if isinstance(given, str):
            given = {"content": given}
        delta: Chunk = {**given} if isinstance(given, Mapping) else {}
        if str(delta.get("role")) in _OTHERS:
            delta = {}  # the question, said again
        if str(delta.get("phase")) in _THINKING_PHASES or _is_marked_as_thought(delta):
            delta["reasoning_content"] = delta.pop("content", None)
        beside = delta.get("provider_specific_fields")  # LiteLLM's
        thoughts = [
            _text_of(delta.pop(key, None) or (beside.get(key) if isinstance(beside, Mapping) else None))
            for key in (*REASONING_KEYS, *_OTHER_REASONING)
        ]
        content = delta.get("content")
        if isinstance(content, list):
            thoughts.append(_text_of([part for part in content if _is_thought(part)]))
            refusals = [part for part in content if _is_refusal(part)]
            delta["refusal"] = delta.get("refusal") or refusals
            content = [part for part in content if not (_is_thought(part) or part in refusals)]
        text = self._joined("content", _text_of(content))
        delta["content"] = self._messages.added(text, is_message=True) if is_message else self.take(text)
        if thought := self._joined("reasoning", next((thought for thought in thoughts if thought), "")):
            delta["reasoning_content"] = self._thoughts.added(thought)
        delta["refusal"] = self._joined("refusal", _text_of(delta.get("refusal"))) or None
        delta["role"] = "assistant"
        for key in ("tool_calls", "function_call"):
            if not delta.get(key):
                delta.pop(key, None)
        return delta

    def _joined(self, field: str, text: str) -> str:
        """Put the halves of a character that two chunks share together; a half that stays alone becomes U+FFFD."""
        text = self.half.pop(field, "") + text.replace("\0", "")
        if not UNSHOWN.search(text):
            return text
        if ord(text[-1]) in _HIGH:
            self.half[field], text = text[-1], text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Growth:
    """What each of a stream's texts adds to those before: itself, or, where each says all of them again, its end.

    The second text decides which; until then, and where they grow, all that was said is kept.
    """

    def __init__(self) -> None:
        self.said = ""
        self.is_over = False
        """Whether the texts were found to be added to each other."""
        self._grows = False

    def added(self, text: str, *, is_message: bool = False) -> str:
        if self.is_over or not text:
            return text
        if is_message and text == self.said:
            return ""
        if not self._grows and (any(map(str.isalpha, self.said)) or len(self.said) > _WITHOUT_LETTERS_CHARS):
            self._grows = self._begins(text)
            self.is_over = not self._grows
        if not self._grows:
            self.said += text
            return text
        added = text[len(self.said) :] if text.startswith(self.said) else "" if self.said.startswith(text) else text
        self.said += added
        return added

    def _begins(self, text: str) -> bool:
        """Whether it begins with what was said; of a short beginning a whole word, as `No` and `Nothing` may follow."""
        following = text[len(self.said) : len(self.said) + 1]
        is_whole = len(self.said) >= _TELLING_CHARS or following.isspace()
        return bool(following) and is_whole and text.startswith(self.said)


def lenient_values(rest: str, *, is_error: bool = False) -> Iterator[Any]:
    """The values of an event that strict JSON does not know.

    Without a blank line between events, or on one line, there are several; characters may be half or raw.
    """
    rest = _DATA.sub("", rest)
    if not rest.startswith(("{", "[{")):
        if rest and (is_error or _ERROR.match(rest)):
            yield {"error": {"message": rest}}
        return  # such as `ping`
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


def _index_of(choice: Mapping[str, Any]) -> int:
    index = str(choice.get("index"))
    return int(index) if index.isdecimal() else 0


def _reason_of(choice: Mapping[str, Any]) -> str | None:
    """Why the reply ended, if it did, as a word."""
    reason = choice.get("finish_reason")
    if isinstance(reason, Mapping):  # SGLang's own
        reason = reason.get("type")
    if type(reason) is int:
        reason = _GEMINI_REASONS.get(reason, "stop") if reason else None
    if not isinstance(reason, str) or reason.lower() in _NO_REASONS:
        is_whole = choice.get("message") and not choice.get("delta") and "finish_reason" not in choice
        return "stop" if is_whole else None
    return reason


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


def _is_marked_as_thought(delta: Mapping[str, Any]) -> bool:
    """Whether Gemini's OpenAI-compatible endpoint says so beside the text."""
    extra = delta.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    return isinstance(google, Mapping) and google.get("thought") is True


def _is_refusal(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "refusal"


def error_of(chunk: Mapping[str, Any], choice: Mapping[str, Any] | None) -> Any:
    """What the service says went wrong, wherever it says it."""
    beside = chunk.get("x_groq")
    for holder in (chunk, choice, beside):
        if isinstance(holder, Mapping) and (error := holder.get("error")):
            if isinstance(error, Mapping):
                return error
            return {"message": _text_of(error) or _said_of(holder), "code": _code_of(holder)}
    if choice is not None:
        return None
    base = chunk.get("base_resp")  # MiniMax
    if isinstance(base, Mapping):
        return {"message": _said_of(base), "code": _code_of(base)} if _code_of(base) else None
    said, code = _said_of(chunk), _code_of(chunk)
    is_failed = chunk.get("success") is False or any(str(chunk.get(key)) in _FAILED for key in _KINDS)
    if is_failed or (said and code) or any(chunk.get(key) for key in _ONLY_ERRORS):
        return {"message": said, "code": code}
    return None


def _said_of(holder: Mapping[str, Any]) -> str:
    said = next((holder[key] for key in (*_MESSAGES, *_ONLY_ERRORS) if holder.get(key)), "")
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, default=str)


def _code_of(holder: Mapping[str, Any]) -> Any:
    """A code that means a failure; services of some countries send one with all that goes well, too."""
    codes = (holder.get(key) for key in _CODES)
    return next((code for code in codes if isinstance(code, int | str) and str(code).lower() not in _ALL_WELL), None)


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
