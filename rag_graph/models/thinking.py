"""Telling a model's thinking from its answer, in whichever of the known spellings it comes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, Literal

from langchain_core.messages import BaseMessage

from rag_graph.models.pieces import Content, Restarted, Thinking

Part = Content | Thinking | Restarted

REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking")
"""DeepSeek, llama.cpp and older vLLM; newer vLLM, OpenRouter and gpt-oss; Ollama."""

WAS_THINKING: Final = "What had come so far was the model's thinking."

_OPENING: Final = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_CLOSING: Final = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_LONE_CLOSING: Final = re.compile(r"(?:\A|\n)[ \t]*</think(?:ing)?>", re.IGNORECASE)
_OPENING_TAGS: Final = ("<think>", "<thinking>")
_CLOSING_TAGS: Final = ("</think>", "</thinking>")
_LONGEST_TAG: Final = len("</thinking>")
_PIECE_CHARS: Final = 4_096
"""Longer pieces are taken bit by bit, or one that is full of tags would be copied at each of them."""


class ThinkingFilter:
    """Reads the messages (or chunks) of one reply.

    Beside the text: `additional_kwargs` under each of REASONING_KEYS, and content blocks that hold reasoning, as
    LangChain's standard writes them or as Anthropic, Google, Mistral and Bedrock do. In the text: `<think>…</think>`
    and `<thinking>…</thinking>` where the reply begins, or right after such a block; further on the tags are text, for
    an answer may speak of them. Thinking that is never closed goes on to the end. Some prompts open the tag
    themselves, so that only `</think>` arrives: at the start of a line, in a reply with no other thinking, it makes
    everything before it thinking.
    """

    def __init__(self) -> None:
        self._tags = _TagFilter()
        self._summary: object = None

    def read(self, message: BaseMessage) -> Iterator[Part]:
        extra = message.additional_kwargs
        if extra:
            yield from self._think("".join(_beside(extra)))
        content = message.content
        if isinstance(content, str):
            if content:
                yield from self._tags.feed(content)
            return
        for block in content:
            yield from self._read_block(block)

    def read_text(self, text: str) -> Iterable[Part]:
        """Read what came as mere text."""
        return self._tags.feed(text)

    def end(self) -> Iterator[Part]:
        return self._tags.end()

    def _read_block(self, block: str | dict[str, Any]) -> Iterator[Part]:
        if isinstance(block, str):
            yield from self._tags.feed(block)
        elif block.get("type") in ("reasoning", "thinking"):
            yield from self._think("".join(self._of_block(block)))
        elif isinstance(inner := block.get("reasoning_content"), Mapping):
            # Bedrock's Converse API wraps the thought once more.
            yield from self._think(str(inner.get("text") or ""))
        elif isinstance(text := block.get("text"), str):
            yield from self._tags.feed(text)

    def _of_block(self, block: Mapping[str, Any]) -> Iterator[str]:
        for key in ("reasoning", "thinking", "text"):
            if isinstance(thought := block.get(key), str):
                yield thought
            elif isinstance(thought, list):
                # Mistral's thoughts are blocks themselves.
                yield from (part.get("text") or "" for part in thought)
        for part in block.get("summary") or ():
            paragraph = (block.get("index"), part.get("index"))
            if self._summary not in (None, paragraph):
                yield "\n\n"
            self._summary = paragraph
            yield part.get("text") or ""

    def _think(self, delta: str) -> Iterator[Part]:
        if delta:
            self._tags.has_thought = True
            yield Thinking(delta)


def _beside(extra: Mapping[str, Any]) -> Iterator[str]:
    """Reasoning next to the text; a server that fills two of the keys fills them alike."""
    for key in REASONING_KEYS:
        thought = extra.get(key)
        if isinstance(thought, str) and thought:
            yield thought
            return
        if isinstance(thought, Mapping):
            yield from (part.get("text") or "" for part in thought.get("summary") or ())
            return


class _TagFilter:
    """A state machine over text: at a beginning, inside thinking, or in the answer."""

    def __init__(self) -> None:
        self.has_thought = False
        self._state: Literal["beginning", "thinking", "answer"] = "beginning"
        self._held = ""
        self._lead: list[str] = []
        self._lead_chars = 0
        self._said: list[str] = []
        self._line_is_blank = True
        self._is_fresh = False

    def feed(self, text: str) -> Iterable[Part]:
        # Nearly every token comes this way, so that it takes no generator.
        if len(text) > _PIECE_CHARS:
            pieces = (text[at : at + _PIECE_CHARS] for at in range(0, len(text), _PIECE_CHARS))
            return chain.from_iterable(map(self.feed, pieces))
        if self._state == "answer" and not self._held and (self.has_thought or "<" not in text):
            return self._say(text)
        return self._feed(text)

    def _feed(self, text: str) -> Iterator[Part]:
        self._held += text
        before = None
        while self._held and (self._state, self._held) != before:
            before = (self._state, self._held)
            match self._state:
                case "beginning":
                    self._begin()
                case "thinking":
                    yield from self._think()
                case "answer":
                    yield from self._answer()

    def end(self) -> Iterator[Part]:
        lead, self._lead = "".join(self._lead), []
        held, self._held = self._held, ""
        if self._state == "thinking":
            yield from _thoughts(held)
        else:
            yield from self._say(held if self.has_thought else lead + held)

    def _begin(self) -> None:
        """Read on behind the white space, which is kept apart: each piece of it would be read again with the next."""
        start = self._held.lstrip()
        self._lead.append(self._held[: len(self._held) - len(start)])
        self._lead_chars += len(self._lead[-1])
        if opening := _OPENING.match(start):
            self._state, self._held = "thinking", start[opening.end() :]
            self.has_thought = self._is_fresh = True
        elif _may_become(start, _OPENING_TAGS) and self._lead_chars <= _PIECE_CHARS:
            self._held = start
            return
        else:
            self._state = "answer"
            self._held = start if self.has_thought else "".join(self._lead) + start
        self._lead, self._lead_chars = [], 0

    def _think(self) -> Iterator[Part]:
        if self._is_fresh:
            self._held = self._held.lstrip("\n")
            self._is_fresh = not self._held
        if closing := _CLOSING.search(self._held):
            thought, self._held = self._held[: closing.start()], self._held[closing.end() :]
            self._state = "beginning"
        else:
            kept = _unfinished_tag(self._held)
            thought, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        yield from _thoughts(thought)

    def _answer(self) -> Iterator[Part]:
        text, self._held = self._held, ""
        closing = None if self.has_thought else _LONE_CLOSING.search(text)
        if closing and (self._line_is_blank or text[closing.start()] == "\n"):
            said = "".join(self._said)
            if said:
                yield Restarted(WAS_THINKING)
            if thought := (said + text[: closing.start()]).rstrip():
                yield Thinking(thought)
            self._state, self._said, self.has_thought = "beginning", [], True
            self._held = text[closing.end() :]
            return
        kept = 0 if self.has_thought else self._unfinished_line(text)
        self._held = text[len(text) - kept :]
        yield from self._say(text[: len(text) - kept])

    def _unfinished_line(self, text: str) -> int:
        """Length of the end of `text` that may be a closing tag at the start of its line."""
        before, newline, line = text.rpartition("\n")
        tag = line.lstrip(" \t")
        at_start = bool(newline) or (self._line_is_blank and not before)
        return len(tag) if tag and at_start and _may_become(tag, _CLOSING_TAGS) else 0

    def _say(self, text: str) -> tuple[Content, ...]:
        if not text:
            return ()
        if not self.has_thought:
            self._said.append(text)
            _, newline, line = text.rpartition("\n")
            self._line_is_blank = (bool(newline) or self._line_is_blank) and not line.strip(" \t")
        return (Content(text),)


def _may_become(start: str, tags: tuple[str, ...]) -> bool:
    return len(start) < _LONGEST_TAG and any(tag.startswith(start.lower()) for tag in tags)


def _unfinished_tag(text: str) -> int:
    """Length of the end of `text` that may be the beginning of a closing tag."""
    start = text.rfind("<", max(0, len(text) - _LONGEST_TAG))
    return len(text) - start if start >= 0 and _may_become(text[start:], _CLOSING_TAGS) else 0


def _thoughts(delta: str) -> Iterator[Part]:
    if delta:
        yield Thinking(delta)
