"""Citation markers in a text that is being written: found, normalised, dropped when they point to nothing."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import regex  # type: ignore[import-untyped]  # it ships no types

MAX_MARKER_CHARS = 64
MAX_HELD_CHARS = MAX_MARKER_CHARS + 2
"""No more than this is held back: an unfinished marker, and two characters that tell it from a link or index."""

_MAX_NUMBERS = 12
_RECENT_CHARS = 32
_LISTS = ("double", "square", "lens", "wide", "round")
# Longer pieces are taken bit by bit, as in `text.sentences`: what is held would be copied with all of the rest.
_PIECE_CHARS = 1_024


@dataclass(frozen=True, slots=True)
class Marker:
    """One number that the text cites, where it stands in the normalised text; `start == end` if it was dropped."""

    start: int
    end: int
    number: int


class MarkerScanner:
    """Passes a text through piece by piece and collects its markers; code, links and footnotes are left alone.

    A marker is `[1]`, `[1, 2]`, `[1-3]`, `[[1]]`, `[^1]`, `[Source 1]`, `[ID:1]`, `(Source 1)`, `[1, p. 3]`, `［1］`,
    `【1】` or `【1†source】`. A single space is held back with it, so that dropping a marker leaves no gap. Inline code
    that is still open at the end of a line ends there.
    """

    def __init__(self, known: AbstractSet[int]) -> None:
        self.length = 0
        self.found: list[Marker] = []
        self._known = known
        self._held = ""
        self._recent = ""
        self._line = ""
        self._fence = ""
        self._ticks = 0
        self._run = ""
        self._in_target = False

    @property
    def is_holding(self) -> bool:
        """Whether the next piece may change what has been read: a marker, a run of signs or a link is unfinished."""
        return bool(self._held or self._run or self._in_target)

    def feed(self, piece: str) -> str:
        """Take the next piece of raw text; give the text that may be shown now."""
        slices = (piece[at : at + _PIECE_CHARS] for at in range(0, len(piece), _PIECE_CHARS))
        return "".join(shown for part in slices for shown in self._scan(self._held + part, final=False))

    def finish(self) -> str:
        """Give what was held back: no more text comes."""
        return "".join(self._scan(self._held, final=True))

    def _pass(self, text: str) -> str:
        self.length += len(text)
        self._recent = (self._recent + text)[-_RECENT_CHARS:]
        if len(self._line) <= _RECENT_CHARS:
            self._line += text
        return text

    def _scan(self, text: str, *, final: bool) -> Iterator[str]:
        self._held = ""
        at = self._more_of_run(text)
        yield self._pass(text[:at])
        if self._run and at < len(text):
            self._end_run(text[at])
        if self._in_target:
            at = self._skip_target(text, at)
            yield self._pass(text[:at])
        while special := _SPECIAL.search(text, at):
            yield self._pass(text[at : special.start()])
            at = special.start()
            sign = text[special.end() - 1]
            if sign in "[【［(（ " and not self._is_verbatim():
                marker = _MARKER.match(text, at)
                if not final and self._may_grow(text, at, marker):
                    self._held = text[at:]
                    return
                if marker and self._is_marker(text, marker):
                    yield self._normalise(marker)
                    at = marker.end()
                    continue
            yield self._pass(special[0])
            at = special.end()
            end = self._follow(sign, special[0], text, at)
            yield self._pass(text[at:end])
            at = end
        yield self._pass(text[at:])

    def _follow(self, sign: str, run: str, text: str, at: int) -> int:
        """Note what a sign that was passed on changes; give where the scan goes on."""
        if sign in "`~":
            self._run = run[:_PIECE_CHARS]  # as long as any that means something; more would be copied at each piece
            if at < len(text):
                self._end_run(text[at])
        elif sign == "\n":
            self._line, self._ticks = "", 0
        elif sign == "(" and not self._is_verbatim() and self._recent.endswith("]("):
            return self._skip_target(text, at)
        return at

    def _more_of_run(self, text: str) -> int:
        """Find where the run of backticks or tildes that the last piece ended in ends in this one."""
        more = _RUN.match(text) if self._run else None
        if not more or more[0][0] != self._run[0]:
            return 0
        self._run = (self._run + more[0])[:_PIECE_CHARS]
        return more.end()

    def _skip_target(self, text: str, at: int) -> int:
        end = _TARGET.match(text, at)
        stop = end.end() if end else at
        self._in_target = stop == len(text)
        return stop

    def _end_run(self, following: str) -> None:
        """Take in a whole run of backticks or tildes: a fence, inline code, or nothing."""
        run, self._run = self._run, ""
        opens_line = self._is_line_lead(self._line[: -len(run)])
        if self._fence:
            if opens_line and run.startswith(self._fence) and following.isspace():
                self._fence = ""
        elif opens_line and len(run) >= _MIN_FENCE and not self._ticks:
            self._fence = run
        elif run[0] == "`" and self._ticks in (0, len(run)):
            self._ticks = 0 if self._ticks else len(run)

    def _is_line_lead(self, line: str) -> bool:
        return len(self._line) <= _RECENT_CHARS and bool(_LINE_LEAD.fullmatch(line))

    def _is_verbatim(self) -> bool:
        return bool(self._fence or self._ticks)

    def _may_grow(self, text: str, at: int, marker: "regex.Match[str] | None") -> bool:
        """Tell whether more text could make this a marker, or show that it is none."""
        if marker:
            behind = len(text) - int(marker.end())
            return behind < (2 if text.startswith(".", marker.end()) else 1)
        if len(text) - at > MAX_MARKER_CHARS:
            return False
        begun = _MARKER.match(text, at, partial=True)
        return bool(begun and begun.partial)

    def _is_marker(self, text: str, marker: "regex.Match[str]") -> bool:
        following = text[marker.end() : marker.end() + 2]
        if following.startswith("(") or marker.end() - marker.start() > MAX_MARKER_CHARS:
            return False
        if following.startswith(":") and self._is_line_lead(self._line):
            return False
        if _INTERVAL.search(self._recent):
            return False
        if marker[0].startswith(" "):
            return True
        return not self._recent.endswith(("[", "\\")) and not _is_index(self._recent, following)

    def _normalise(self, marker: "regex.Match[str]") -> str:
        if marker["start"]:  # Gemini's, before what it cites for
            return self._pass(" " if marker[0].startswith(" ") else "")
        numbers = _numbers(next(marker[name] for name in _LISTS if marker[name]))
        text = " " if marker[0].startswith(" ") and not self._known.isdisjoint(numbers) else ""
        for number in numbers:
            label = f"[{number}]" if number in self._known else ""
            start = self.length + len(text)
            self.found.append(Marker(start, start + len(label), number))
            text += label
        return self._pass(text)


def cited_numbers(text: str, known: AbstractSet[int]) -> frozenset[int]:
    """The known numbers that a whole text cites."""
    scanner = MarkerScanner(known)
    scanner.feed(text)
    scanner.finish()
    return frozenset(marker.number for marker in scanner.found) & known


_SPECIAL = re.compile(r" ?[\[【［(（]|`+|~+|\n| \Z")
_RUN = re.compile(r"`+|~+")
_MIN_FENCE = 3
_LINE_LEAD = re.compile(r"[ \t>]*(?:[-*+•][ \t]+|\d{1,3}[.)][ \t]+)?")
_TARGET = re.compile(r"[^\s)]*")
_LABELS = (
    r"(?:sources?|documents?|docs?|passages?|references?|refs?|citations?|cite|context|chunks?|excerpts?|snippets?"
    r"|evidence|src|id|quellen?|fuentes?|来源|文档|资料)[ :：#.=_-]{0,2}"
)
_NUMBER = r"[1-9]\d{0,2}(?: ?(?:[-–—]|to|bis) ?[1-9]\d{0,2})?"
_ITEM = rf"(?:{_LABELS}|[\^#])?{_NUMBER}\^?"
_MORE = rf"(?: ?(?:[,，、;&]|and|und|et|y|or) ?{_ITEM}){{0,20}}"
_LIST = rf"{_ITEM}{_MORE}"
_PLACE = r"(?: ?†[^】\]\[\n]{0,60}|,? (?:pp?\.|pages?|lines?|S\.) ?\d{1,4}(?:[-–]\d{1,4})?)?"
_MARKER = regex.compile(
    rf" ?(?:\[\[ ?(?P<double>{_LIST}) ?\]\]|\[ ?(?P<square>{_LIST}){_PLACE} ?\]|【 ?(?P<lens>{_LIST}){_PLACE} ?】"
    rf"|［ ?(?P<wide>{_LIST}) ?］|[(（](?P<round>{_LABELS}{_NUMBER}{_MORE})[)）]|(?P<start>\[cite_start\]))",
    regex.IGNORECASE,
)
"""Matched in part it tells whether more text could make a marker; nothing in it repeats without a bound."""
_INTERVAL = re.compile(r"(?:∈|\b(?:interval|range|Intervall|Bereich)) ?\Z")
_RANGE = re.compile(r"(\d+)(?: ?(?:[-–—]|to|bis) ?(\d+))?", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[A-Za-z0-9_$]+\Z")


def _numbers(listed: str) -> list[int]:
    """Expand `1, 3-5`, without repeats."""
    numbers: dict[int, None] = {}
    for first, last in _RANGE.findall(listed):
        low, high = int(first), int(last or first)
        numbers |= dict.fromkeys(range(low, high + 1) if low <= high < low + _MAX_NUMBERS else (low, high))
    return list(numbers)


def _is_index(before: str, following: str) -> bool:
    """Tell `items[1].name`, `row_1[2]` and `x[1]` from a marker right after a word, as in `the tower[1]`."""
    word = _IDENTIFIER.search(before)
    if not word:
        return False
    if following[:1].isalnum() or following[:1] in ("=", "_") or following == " =":
        return True
    if following[:1] == "." and following[1:].islower():
        return True
    is_unit = before[: word.start()].rstrip()[-1:].isdigit()
    return "_" in word[0] or (len(word[0]) == 1 and word[0].islower() and not is_unit)
