"""Telling a model's thinking from its answer, in whichever of the known spellings it comes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import regex  # type: ignore[import-untyped]  # it ships no types
from langchain_core.messages import BaseMessage

from rag_graph.models.pieces import Content, Restarted, Thinking

Part = Content | Thinking | Restarted

REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking")
"""DeepSeek, llama.cpp and older vLLM; newer vLLM, OpenRouter and gpt-oss; Ollama."""

WAS_THINKING: Final = "What had come so far was the model's thinking."

# The patterns are matched with `partial=True`, which says whether more text could still make a match; so long text is
# held back. None of them repeats without a bound before its end.
_NAMES: Final = (
    r"(?:[a-z:_]{0,24}(?:think(?:ing)?|thoughts?|reasoning)|(?:[a-z]{1,12}[:_])?"
    r"(?:reason|cot|scratch(?:pad)?|reflection|analysis|(?:inner_)?monologue|思考))(?:_[a-z]{1,12})?"
)
_TOKENS: Final = r"(?:assistant_)?(?:think(?:ing)?|thought|reasoning)"
_OPENING: Final = regex.compile(
    r"\s{0,80}(?:"
    rf"(?P<token><[|｜]?(?i:(?:begin|start)[_▁]?of[_▁]?{_TOKENS})[|｜]?>"
    rf"|<[|｜](?i:(?:(?:begin|start)[_▁])?{_TOKENS}(?:[_▁](?:start|begin))?|inner_prefix)[|｜]>)"
    rf"|(?P<tag>(?i:(?:[<＜]|&lt;){_NAMES}(?:\s[^<>]{{0,80}})?(?:[>＞]|&gt;)))|(?P<mistral>\[THINK\])"
    r"|(?P<fence>```(?:thinking|thoughts?|reasoning)[ \t]*\n)|(?P<s1><\|im_start\|>think\n)"
    r"|(?P<details><details type=.reasoning.[^<>]{0,80}>(?:\s{0,9}<summary>[^<>]{0,80}</summary>)?)"
    rf"|(?P<kimi>◁think▷)|(?P<medgemma><unused94>thought\n?)|(?P<gemma><\|channel>thought\n?)"
    r"|(?P<harmony>(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[\w .=]{0,80}<\|message\|>)"
    r"|(?P<bare_harmony>analysis(?=[A-Z][a-z']{0,20}[ ,])))"
)
"""The last is harmony (gpt-oss) from a service that leaves its marks out and its words in."""
_CLOSING_TAG: Final = rf"(?i:(?:[<＜]|&lt;)/{_NAMES}\s{{0,9}}(?:[>＞]|&gt;))"
_CLOSINGS: Final[Mapping[str | None, "regex.Pattern[str]"]] = {
    "tag": regex.compile(_CLOSING_TAG),
    "mistral": regex.compile(r"\[/THINK\]"),
    "fence": regex.compile(r"\n[ \t]{0,3}```[ \t]{0,9}\n"),
    "s1": regex.compile(r"(?:<\|im_end\|>\s{0,9})?<\|im_start\|>answer\n"),
    "details": regex.compile(r"</details>"),
    "kimi": regex.compile(r"◁/think▷"),
    "medgemma": regex.compile(r"<unused95>"),
    "gemma": regex.compile(r"<channel\|>"),
    "token": regex.compile(
        rf"<[|｜]?(?i:end[_▁]?of[_▁]?{_TOKENS})[|｜]?>"
        rf"|<[|｜](?i:(?:/|end[_▁]){_TOKENS}|{_TOKENS}[_▁]end|inner_suffix)[|｜]>"
    ),
    "harmony": regex.compile(r"<\|end\|>|(?=<\|start\|>assistant)|(?=<\|channel\|>final)"),
    "bare_harmony": regex.compile(r"assistantfinal"),
}
_PREAMBLE: Final = regex.compile(
    r"[\s\ufeff]{0,80}(?:\ufeff|<s>|<bos>|<\|begin_of_text\|>|<\|START_RESPONSE\|>|<\|begin_of_solution\|>"
    r"|<\|im_start\|>assistant\n?|<\|(?:start_header_id|header_start)\|>assistant<\|(?:end_header_id|header_end)\|>\s{0,4}"
    r"|assistant\n|[Aa]ssistant:\s"
    r"|<\|start_of_role\|>assistant<\|end_of_role\|>|<(?:start_of_turn|\|turn)>model\n?|[<\[]\|assistant\|[>\]]\n?"
    r"|<(?:(?:final_)?(?:answer|response|output)|assistant)>\n?|(?:\[INST\])?\s?\[/INST\]|<unused95>|\]~b\]ai\n?"
    r"|### ?(?:Response|Assistant|Answer|Output):\n{1,2}"
    r"|(?:(?:<\|start\|>)?assistant)?<\|channel\|>final[\w .=]{0,40}(?:<\|constrain\|>\w{0,20})?<\|message\|>)"
)
"""What chat templates put before the answer, where the service leaves it in."""
_STRAY_CLOSING: Final = regex.compile(rf"\s{{0,80}}{_CLOSING_TAG}")
_LONE_CLOSING: Final = regex.compile(rf"(?:\A|\n)[ \t]*(?i:</{_NAMES}>)")
_CLOSING: Final = regex.compile(rf"(?i:</{_NAMES}>)")
_OPENED: Final = regex.compile(rf"(?i:<{_NAMES}>)")
_TAGS_AROUND: Final = regex.compile(rf"\A\s{{0,80}}(?i:<{_NAMES}>)|(?i:</{_NAMES}>)\s{{0,80}}\Z")
_APART: Final = frozenset(" \t\n`'\"(")
"""What stands before a tag that the text speaks of."""
_CONTROL: Final = regex.compile(
    r"<[|｜](?P<name>[^\s<>|｜`]{1,40})[|｜]>|(?P<call><tool_call>(?=\s{0,9}[{<])|<function=\w{1,60}>)"
    r"|(?P<end><end_of_turn>|<turn\|>|<start_of_turn>|<\|turn>|<end_of_utterance>|<seed:eos>|<extra_id_1>"
    r"|</?\|?im_end\|?>|\[TOOL_CALLS\])"
    r"|(?P<last></?s>|<eos>|<(?:eo[td]|EO[TS])>|<\[EOS\]>|<pad>|<unk>|</(?:(?:final_)?(?:answer|response|output)|assistant)>|\[(?:/?INST|EOS|e~)[\]\[]"
    r"|\[\|endofturn\|\])"
)
"""Control tokens, in whichever form a tokenizer has them; `last` are text where more text is behind them."""
_CALL_ENDS: Final = {"<tool_call>": "</tool_call>", "<function=": "</function>"}
_TURN_ENDS: Final = frozenset(
    {
        "im_end",
        "eot_id",
        "eom_id",
        "eot",
        "eom",
        "eos",
        "eod",
        "end",
        "endoftext",
        "endofturn",
        "end_of_text",
        "end_of_turn",
        "return",
        "call",
        "end▁of▁sentence",
        "end_response",
        "end_of_turn_token",
    }
)
_TURN_BEGINNINGS: Final = frozenset(
    {
        "im_start",
        "im_user",
        "start",
        "start_header_id",
        "header_start",
        "start_of_role",
        "channel",
        "user",
        "human",
        "system",
        "observation",
        "python_tag",
        "tool_calls_section_begin",
        "tool_call_begin",
        "tool▁calls▁begin",
        "tool▁call▁begin",
    }
)
"""Behind what was said they end it, as what follows is no more of it; before it they are only left out."""
_SIGN: Final = re.compile(r"[<\[]")
# About as long as blanks and a tag with its attributes may be: what is still open by then is taken for text.
_MOST_HELD_CHARS: Final = 200
_PIECE_CHARS: Final = 4_096
"""Longer pieces are taken bit by bit, or one that is full of tags would be copied at each of them."""


class ThinkingFilter:
    """Reads the messages (or chunks) of one reply.

    Beside the text: `additional_kwargs` under each of REASONING_KEYS, and content blocks that hold reasoning, as
    LangChain's standard writes them or as Anthropic, Google, Mistral and Bedrock do. In the text: `<think>…</think>`
    and its like where the reply begins, or right after such a block; further on the tags are text, for an answer may
    speak of them. Thinking that is never closed goes on to the end. Some prompts open the tag themselves, so that
    only `</think>` arrives: at the start of a line, in a reply with no other thinking, it makes everything before it
    thinking. Control tokens of chat templates, such as `<|im_end|>`, are left out of the answer, but for code in it.
    """

    def __init__(self) -> None:
        self._tags = _TagFilter()
        self._control = _ControlFilter()
        self._summary: object = None

    def read(self, message: BaseMessage) -> Iterator[Part]:
        extra = message.additional_kwargs
        if extra:
            yield from self._think(_TAGS_AROUND.sub("", "".join(_beside(extra))))
        content = message.content
        if isinstance(content, str):
            if content:
                yield from self._feed(content)
            return
        for block in content:
            yield from self._read_block(block)

    def read_text(self, text: str) -> Iterable[Part]:
        """Read what came as mere text."""
        # Nearly every token comes this way, so that it takes no generator and no further call.
        tags = self._tags
        if "<" in text or "[" in text or not self._control.is_idle or tags.state != "answer" or tags.held:
            return self._feed(text)
        if not tags.has_thought:
            tags.said.append(text)
        if "`" in text:
            self._control.count_ticks(text)
        if not self._control.has_said:
            self._control.has_said = bool(text.strip())
        return (Content(text),) if text else ()

    def end(self) -> Iterator[Part]:
        yield from self._cleaned(self._tags.end())
        yield from self._control.end()

    def _feed(self, text: str) -> Iterator[Part]:
        return self._cleaned(self._tags.feed(text))

    def _cleaned(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            if isinstance(part, Content):
                yield from self._control.feed(part.delta)
            else:
                if isinstance(part, Restarted):
                    self._control = _ControlFilter()
                yield part

    def _read_block(self, block: str | dict[str, Any]) -> Iterator[Part]:
        if isinstance(block, str):
            yield from self._feed(block)
        elif block.get("type") in ("reasoning", "thinking"):
            yield from self._think("".join(self._of_block(block)))
        elif isinstance(inner := block.get("reasoning_content"), Mapping):
            # Bedrock's Converse API wraps the thought once more.
            yield from self._think(str(inner.get("text") or ""))
        elif isinstance(text := block.get("text"), str):
            yield from self._feed(text)

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
        self.state: Literal["beginning", "thinking", "answer"] = "beginning"
        self.held = ""
        self.has_thought = False
        self.said: list[str] = []
        """The answer so far, until there is thinking; who passes `feed` by, with text without a tag, adds to it."""
        self._looked_at = 0
        self._line_is_blank = True
        self._speaks_of_tags = False
        self._is_fresh = False
        self._has_preamble = False
        self._closing = _CLOSINGS["tag"]

    def feed(self, text: str) -> Iterator[Part]:
        for start in range(0, len(text), _PIECE_CHARS):
            yield from self._feed(text[start : start + _PIECE_CHARS])

    def _feed(self, text: str) -> Iterator[Part]:
        self.held += text
        before = None
        # Until nothing changes: one piece may end a thought, hold the answer's preamble and begin the answer.
        while self.held and (self.state, self.held) != before:
            before = (self.state, self.held)
            match self.state:
                case "beginning":
                    self._begin()
                case "thinking":
                    yield from self._think()
                case "answer":
                    yield from self._answer()

    def end(self) -> Iterator[Part]:
        held, self.held = self.held, ""
        if self.state == "thinking":
            yield from _thoughts(held)
        elif self.state == "beginning" and (self.has_thought or self._has_preamble):
            yield from self._say(held.lstrip())
        else:
            yield from self._say(held)

    def _begin(self) -> None:
        opening = _OPENING.match(self.held, partial=True)
        preamble = _PREAMBLE.match(self.held, partial=True)
        if opening and not opening.partial:
            self.state, self.held = "thinking", self.held[opening.end() :]
            self._closing = _CLOSINGS[opening.lastgroup]
            self.has_thought = self._is_fresh = True
        elif preamble and not preamble.partial:
            self.held = self.held[preamble.end() :]
            self._has_preamble = True
        elif self.has_thought and (stray := _STRAY_CLOSING.match(self.held, partial=True)):
            if not stray.partial:  # of thinking that came beside the text
                self.held = self.held[stray.end() :]
            elif len(self.held) > _MOST_HELD_CHARS:
                self.state = "answer"
        elif not (opening or preamble) or len(self.held) > _MOST_HELD_CHARS:
            self.state = "answer"
            if self.has_thought or self._has_preamble:
                self.held = self.held.lstrip()

    def _think(self) -> Iterator[Part]:
        if self._is_fresh:
            self.held = self.held.lstrip("\n")
            self._is_fresh = not self.held
        closing = self._closing.search(self.held, partial=True)
        if closing and not closing.partial:
            thought, self.held = self.held[: closing.start()], self.held[closing.end() :]
            self.state = "beginning"
        else:
            cut = closing.start() if closing else len(self.held)
            thought, self.held = self.held[:cut], self.held[cut:]
        yield from _thoughts(thought)

    def _answer(self) -> Iterator[Part]:
        text, self.held = self.held, ""
        if closing := None if self.has_thought else self._lone_closing(text):
            said = "".join(self.said)
            if said:
                yield Restarted(WAS_THINKING)
            if thought := (said + text[: closing.start()]).rstrip():
                yield Thinking(thought)
            self.state, self.said, self.has_thought = "beginning", [], True
            self.held = text[closing.end() :]
            return
        kept = 0 if self.has_thought else self._unfinished(text)
        self.held = text[len(text) - kept :]
        yield from self._say(text[: len(text) - kept])

    def _lone_closing(self, text: str) -> "regex.Match[str] | None":
        """A closing tag that nothing opened: on a line of its own, or glued to what is before and behind it."""
        closing = _LONE_CLOSING.search(text)
        if closing and text[closing.start()] != "\n" and not self._is_line_blank():
            closing = None
        for found in () if self._speaks_of_tags else _CLOSING.finditer(text):
            if closing and closing.end() <= found.end():
                break
            before = text[found.start() - 1] if found.start() else self._last_char()
            behind = text[found.end() : found.end() + 1]
            if before and before not in _APART and (behind == "\n" or behind.isalnum()):
                self._speaks_of_tags = bool(_OPENED.search("".join(self.said) + text[: found.start()]))
                return closing if self._speaks_of_tags else found
        return closing

    def _unfinished(self, text: str) -> int:
        """Length of the end of `text` that may be a closing tag, or is one of which the sign behind it will tell."""
        before, newline, line = text.rpartition("\n")
        tag = line.lstrip(" \t")
        at_start = bool(newline) or (not before and self._is_line_blank())
        if at_start and tag and (closing := _CLOSING.match(tag, partial=True)) and closing.partial:
            return len(tag)
        start = text.rfind("<")
        if start < 0 or self._speaks_of_tags or (text[start - 1] if start else self._last_char()) in _APART:
            return 0
        closing = _CLOSING.match(text[start:], partial=True)
        return len(text) - start if closing and (closing.partial or start + closing.end() == len(text)) else 0

    def _last_char(self) -> str:
        return next((text[-1] for text in reversed(self.said) if text), "")

    def _say(self, text: str) -> tuple[Content, ...]:
        if not self.has_thought:
            self.said.append(text)
        return (Content(text),) if text else ()

    def _is_line_blank(self) -> bool:
        """Whether the last line of what was said is blank so far; each piece is looked at once."""
        for text in self.said[self._looked_at :]:
            _, newline, line = text.rpartition("\n")
            self._line_is_blank = (bool(newline) or self._line_is_blank) and not line.strip(" \t")
        self._looked_at = len(self.said)
        return self._line_is_blank


class _ControlFilter:
    """Leaves control tokens of chat templates out of the answer, and what a model goes on to say after its end.

    In code they are text, for an answer may speak of them; so are those that are HTML's tags as well, with more text
    behind them. Calls of tools, which nobody offered, are left out too.
    """

    def __init__(self) -> None:
        self.is_idle = True
        """Whether text without `<` and `[` is said as it is; its backticks have to be counted."""
        self.has_said = False
        self._held = ""
        self._in_code = False
        self._is_over = False
        self._call_end = ""

    def count_ticks(self, text: str) -> None:
        self._in_code ^= bool(text.count("`") % 2)

    def feed(self, text: str) -> Iterator[Content]:
        if self._is_over:
            return
        text, self._held = self._held + text, ""
        said: list[str] = []
        while text and not self._is_over:
            if self._call_end:
                text = self._after_call(text)
                continue
            sign = _SIGN.search(text)
            start = sign.start() if sign else len(text)
            self.count_ticks(text[:start])
            said.append(text[:start])
            self.has_said = self.has_said or (not said[-1].isspace() and bool(said[-1]))
            text = text[start:]
            found = _CONTROL.match(text, partial=True) if text and not self._in_code else None
            if found is None:
                said.append(text[:1])
                text = text[1:]
            elif found.partial:
                self._held, text = text, ""
            elif found["last"]:
                behind = self._behind(text) if len(text) < _MOST_HELD_CHARS else "text"
                if behind == "text":
                    said.append(found[0])
                    text = text[found.end() :]
                else:
                    self._is_over = behind == "end"
                    self._held, text = text, ""
            elif found["call"]:
                self._call_end = next(end for call, end in _CALL_ENDS.items() if found[0].startswith(call))
                text = text[found.end() :]
            else:
                name = (found["name"] or "").lower()
                is_next = self.has_said and name in _TURN_BEGINNINGS
                self._is_over = bool(found["end"]) or name in _TURN_ENDS or is_next
                text = "" if self._is_over else text[found.end() :]
        self.is_idle = not (self._held or self._is_over or self._call_end)
        if whole := "".join(said):
            yield Content(whole)

    def end(self) -> Iterator[Content]:
        held, self._held = self._held, ""
        found = _CONTROL.match(held)
        if held and not (self._is_over or self._call_end or (found and found["last"])):
            yield Content(held)

    def _behind(self, text: str) -> Literal["text", "nothing", "end"]:
        """What is behind the tokens that a text begins with; the last of them may be unfinished."""
        at = 0
        while at < len(text):
            found = _CONTROL.match(text, at, partial=True)
            if found is None and not text[at].isspace():
                return "text"
            if found and (found.partial or found["call"]):
                return "nothing"
            if found and (found["end"] or (found["name"] or "").lower() in _TURN_ENDS):
                return "end"
            at = found.end() if found else at + 1
        return "nothing"

    def _after_call(self, text: str) -> str:
        """What comes behind the call; its end may be cut in two."""
        _, end, behind = text.partition(self._call_end)
        if end:
            self._call_end = ""
            return behind
        self._held = text[1 - len(self._call_end) :]
        return ""


def _thoughts(delta: str) -> Iterator[Part]:
    if delta:
        yield Thinking(delta)
