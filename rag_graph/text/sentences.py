"""Where the sentences of a text are, as exact spans: of a whole text, or of one that is still being written.

Rules, no model: full stops that end nothing (abbreviations, initials, decimals), Markdown's blocks, and the
full stops of scripts without spaces. A wrapped line is not a sentence's end; a new block is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from rag_graph.text.languages import OPENERS

Kind = Literal["prose", "heading", "row", "code"]

MAX_SENTENCE_CHARS = 4_000
"""A stretch with no end in sight is cut here, so that work per character stays bounded."""

_LOOKAHEAD_CHARS = 256
_PIECE_CHARS = 1_024
"""Longer pieces are taken bit by bit, or one without stops would be searched again and again."""
_ABBREVIATION_CHARS = 24


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, heading, table row or line of code: `text[start:end]`, without a list's or quote's mark."""

    start: int
    end: int
    kind: Kind = "prose"


class SentenceStream:
    """Finds sentences in a text that arrives in pieces; what it finds does not depend on where those are cut.

    A sentence is reported as soon as it is surely finished: one or two characters into the next one.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._offset = 0
        self._scanned = 0
        self._waiting = False
        self._on_new_line = True
        self._fence = ""
        self._above = 0
        self._directives: list[str] = []

    @property
    def is_waiting(self) -> bool:
        """Whether a stop has been read, and the next piece says if it ends the sentence."""
        return self._waiting

    def feed(self, piece: str) -> list[Sentence]:
        """Take the next piece; give the sentences that are finished now."""
        if len(piece) <= _PIECE_CHARS:
            return self._take(piece)
        return [
            found for at in range(0, len(piece), _PIECE_CHARS) for found in self._take(piece[at : at + _PIECE_CHARS])
        ]

    def finish(self) -> list[Sentence]:
        """Give what is left: no more text comes."""
        found = list(self._advance(final=True))
        found += self._code_line(len(self._pending)) if self._fence else self._cut(len(self._pending))
        return found

    def _take(self, piece: str) -> list[Sentence]:
        self._pending += piece
        if self._waiting or len(self._pending) > MAX_SENTENCE_CHARS or _STOP.search(piece):
            return list(self._advance(final=False))
        return []

    def _advance(self, *, final: bool) -> Iterator[Sentence]:
        while True:
            self._waiting = False
            if self._fence:
                end = self._pending.find("\n", self._scanned, MAX_SENTENCE_CHARS) + 1
                if not end and len(self._pending) <= MAX_SENTENCE_CHARS:
                    self._scanned = len(self._pending)
                    return
                yield from self._code_line(end or MAX_SENTENCE_CHARS)
                continue
            end = self._next_end(final=final)
            if not end or end > MAX_SENTENCE_CHARS:
                if len(self._pending) < MAX_SENTENCE_CHARS + _LOOKAHEAD_CHARS and not (final and end):
                    return
                end = min(end or MAX_SENTENCE_CHARS, MAX_SENTENCE_CHARS)
            yield from self._cut(end)

    def _next_end(self, *, final: bool) -> int:
        """Find the end of the sentence in hand; 0 when it is not to be seen yet."""
        while stop := _STOP.search(self._pending, self._scanned):
            at = stop.start()
            if self._pending[at] == "\n":
                end = _line_end(self._pending, at, self._block(), final=final)
            elif self._is_inert(at):
                end = 0
            else:
                end = _stop_end(self._pending, at, final=final)
            if end is None:
                self._waiting = True
                return 0
            if end:
                return end
            self._scanned = at + 1
        return 0

    def _is_inert(self, at: int) -> bool:
        """Tell whether a stop belongs to a block's mark, a heading, a row, or to inline code."""
        block = self._block()
        if block["fence"] or block["heading"] or block["row"] or at < block.end():
            return True
        if self._pending.startswith(_MARKUP_SIGNS, block.end()):
            return True
        line = self._pending.rfind("\n", 0, at) + 1
        return len(_TICKS.findall(self._pending, line, at)) % 2 == 1

    def _block(self) -> re.Match[str]:
        pattern = _BLOCK if self._on_new_line else _BLOCK_AFTER_TEXT
        found = pattern.match(self._pending)
        assert found is not None  # noqa: S101 - each part of the pattern is optional
        return found

    def _cut(self, end: int) -> Iterator[Sentence]:
        block = self._block()
        stop = len(self._pending[:end].rstrip())
        start = end - len(self._pending[block.end() : end].lstrip()) if block.end() < end else end
        if self._underlines(block, start, stop):
            pass
        elif block["fence"] and "`" not in self._pending[start:stop]:
            self._open(block["fence"], self._pending[start:stop])
        elif start < stop and not _SILENT.fullmatch(self._pending, start, stop):
            kind: Kind = "heading" if block["heading"] else "row" if block["row"] else "prose"
            yield Sentence(self._offset + start, self._offset + stop, kind)
        self._drop(end)

    def _underlines(self, block: re.Match[str], start: int, stop: int) -> bool:
        """Tell whether waves underline the line above, as in reStructuredText, or open code."""
        if not block["fence"] or block["fence"][0] != "~" or start < stop:
            return False
        return "\n" not in self._pending[: block.start("fence")] and 0 < self._above <= len(block["fence"])

    def _open(self, fence: str, info: str) -> None:
        """Begin what a fence opens: code, or with MyST a note, whose text is prose; or end such a note."""
        if ASIDE.match(info) and len(self._directives) < _DEEPEST:
            self._directives.append(fence)
        elif not info and self._directives and fence.startswith(self._directives[-1]):
            self._directives.pop()
        else:
            self._fence = fence

    def _code_line(self, end: int) -> Iterator[Sentence]:
        line = self._pending[:end]
        closing = line.strip()
        if len(closing) >= len(self._fence) and not closing.strip(self._fence[0]):
            self._fence = ""
        elif closing:
            start = len(line) - len(line.lstrip())
            yield Sentence(self._offset + start, self._offset + len(line.rstrip()), "code")
        self._drop(end)

    def _drop(self, end: int) -> None:
        if end:
            self._on_new_line = self._pending[end - 1] == "\n"
            self._above = len(self._pending[:end].rpartition("\n")[0].rpartition("\n")[2].strip())
        self._pending = self._pending[end:]
        self._offset += end
        self._scanned = 0


def sentences(text: str) -> list[Sentence]:
    """Find all sentences of a text, each with its kind."""
    stream = SentenceStream()
    return [*stream.feed(text), *stream.finish()]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Find the spans of all sentences of a text."""
    return [(sentence.start, sentence.end) for sentence in sentences(text)]


_STOP = re.compile(r"[.!?…。！？｡।॥؟۔\n]")
_WIDE_STOPS = frozenset("。！？｡।॥؟۔")
_TICKS = re.compile(r"`+")
ASIDE: Final = re.compile(
    r"\{(?:note|warning|tip|hint|important|caution|attention|danger|error|seealso|see-also|admonition|topic|sidebar|margin"
    r"|epigraph|dropdown|versionadded|versionchanged|deprecated|tab-set|tab-item|grid|grid-item|card|glossary)[^}]*\}"
)
"""Directives that hold prose, see https://mystmd.org/guide/directives and https://sphinx-design.readthedocs.io."""
_DEEPEST = 16
_MARKUP = (
    r":{3,}[^\n]*|/{3,}(?:[ \t]*\w+(?:[ \t]*\|[^\n]*)?)?|(?:!!!|\?\?\?\+?)[ ][^\n]*|\(\S{1,80}\)="
    r"|\.\.[ ](?:[\w:-]{1,40}::|_[^\n]{1,80}:"
    r"|(?:code|code-block|sourcecode|highlight|include|literalinclude|image|figure|raw|auto\w{1,20}|module)::[^\n]*)"
)
"""Lines that are not to be read: of MyST, Docusaurus and Pandoc, of Material for MkDocs and its blocks, of
reStructuredText."""
_MARKUP_SIGNS = (":::", "///", "!!! ", "??? ", "???+ ", ".. ")
_MARKUP_LINE = re.compile(rf"(?:{_MARKUP})[ \t\r]*$", re.MULTILINE)
_SILENT = re.compile(rf"[-=*_|:\s]+|(?:{_MARKUP})\s*")

_MARKS = r"[ \t>]*(?:[-*+•–][ \t]+|\d{1,3}[.)][ \t]+)?(?:\[[ xX]\][ \t]+)?"
_KINDS = r"(?:(?P<fence>`{3,}|~{3,})|(?P<heading>#{1,6}[ \t]+)|(?P<row>\|[ \t]*))?"
_BLOCK = re.compile(rf"\s*{_MARKS}{_KINDS}")
_BLOCK_AFTER_TEXT = re.compile(rf"[ \t]*(?:\n\s*{_MARKS}{_KINDS})?")
_INDENT = re.compile(r"[ \t\r]*")
_BLOCK_START = re.compile(
    r"[-*+•–][ \t]|\d{1,3}[.)][ \t]|#{1,6}[ \t]|>|\||`{3}|~{3}|:{3}|/{3}|!{3}[ ]|\?{3}|\.\.[ ]|\(\S{1,80}\)=|"
    r"(?:-{3}|={3}|\*{3}|_{3})[-=*_]*\s*$",
    re.MULTILINE,
)
# Six marks of a heading and a blank are seven; only labels may need more to be told.
_BLOCK_START_CHARS = 8

_KEY = re.compile(r"[ \t]*[*_`]{0,3}[^\W\d_][\w ./()-]{0,38}[*_`]{0,3}(?::[*_`]{0,3}(?:[ \t]+\S|[ \t]*(?:\n|$))|：)")
"""A line such as "Port: 8080", or "server:" above it; after another such line it is no wrapped one."""
_MAY_BE_KEY = re.compile(r"[*_`]{0,3}(?:[^\W\d_][\w ./()-]{0,38})?[*_`]{0,3}(?::[*_`]{0,3}[ \t]*|：)?")
_KEY_CHARS = 64
_TAIL = re.compile(r"[.!?…。！？｡।॥؟۔]*[\"'”’»)\]」』）】*_]{0,8}((?:[ \t]?\[\d{1,3}\])*)")
_UNFINISHED_MARKER = re.compile(r"[ \t]?(?:\[\d{0,3})?")
_GAP = re.compile(r"\s*[\"'“‘«„(\[「『（*_¿¡]*")
_BLANK_LINE = re.compile(r"[ \t\r]*\n[ \t\r]*\n")
_LAST_WORD = re.compile(r"[^\s()\[\]\"“‘«*_—–/]+$")
_WORD = re.compile(r"\w+")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_BEFORE_NAMES = _words(
    "mr mrs ms mx dr prof st mt ft sr jr gen col lt sgt capt cmdr gov sen rep rev hon pres messrs mme"
    " mlle hr fr vs v b d lit e.g i.e cf viz approx ca c fig figs eq eqs sec art ch vol vols ed eds al op z.b"
    " d.h bzw u.a vgl"
)
_BEFORE_NUMBERS = _words("no nos nr p pp para paras pt ver jan feb mar apr jun jul aug sep sept oct nov dec")
_BEFORE_LOWER_CASE = _words(
    "etc inc ltd co corp llc plc dept est assn assoc bros univ a.m p.m u.s u.k u.n e.u d.c b.c a.d"
    " ph.d m.d b.a m.a min max avg misc tel temp usw"
)
_LETTERED = _words(
    "vitamin vitamins plan type group hepatitis class grade appendix figure table section option part"
    " point side case influenza factor schedule annex exhibit category level phase stage team model"
    " version protein and or"
)


_RANK = re.compile(r"(?<![\w.,])\d{1,2}$")
_AFTER_RANKS = (
    *("Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez", "Jänner", "Jahrhundert"),
    *("Weltkrieg", "Stock", "Etage", "Obergeschoss", "Klasse", "Auflage", "Kapitel", "Platz", "Semester", "Quartal"),
)
"""What a German number with a stop, which is a rank, stands before: "am 3. Mai", "im 19. Jahrhundert"."""


def _line_end(text: str, at: int, block: re.Match[str], *, final: bool) -> int | None:
    """Find a sentence's end at a newline; 0 if the line is only wrapped, None if the next line must come first."""
    if at < block.end():
        return 0
    if block["fence"] or block["heading"] or block["row"] or _MARKUP_LINE.match(text, block.end(), at):
        return at + 1
    indent = _INDENT.match(text, at + 1)
    begin = indent.end() if indent else at + 1
    if begin == len(text):
        return 0 if final else None
    if text[begin] == "\n":
        return at + 1
    if _KEY.match(text, text.rfind("\n", 0, at) + 1, at):
        following = _KEY.match(text, begin)
        if following:
            return at + 1
        if (
            not final
            and len(text) - begin < _KEY_CHARS
            and "\n" not in text[begin:]
            and _MAY_BE_KEY.fullmatch(text, begin)
        ):
            return None
    if text[begin].isalpha() or (text[begin] == ">" and _is_quoted(text, at)):
        return 0
    if not final and len(text) - begin < _BLOCK_START_CHARS and "\n" not in text[begin:]:
        return None
    return at + 1 if _BLOCK_START.match(text, begin) else 0


def _is_quoted(text: str, at: int) -> bool:
    return text[text.rfind("\n", 0, at) + 1 : at].lstrip().startswith(">")


def _stop_end(text: str, at: int, *, final: bool) -> int | None:
    """Find a sentence's end at a full stop; 0 if it ends none, None if what follows must come first."""
    tail = _TAIL.match(text, at)
    end = tail.end() if tail else at + 1
    if not final and (end == len(text) or _UNFINISHED_MARKER.fullmatch(text, end)):
        return None
    if end == len(text) or text[at] in _WIDE_STOPS:
        return end
    if not text[end].isspace():
        has_marker = bool(tail and tail[1])
        return end if has_marker and not text[end].islower() else 0
    if _BLANK_LINE.match(text, end):
        return end
    gap = _GAP.match(text, end)
    following = gap.end() if gap else end
    if following == len(text):
        return end if final else None
    if not _may_end_sentence(text, at, text[following]):
        return 0
    is_rank = text[at] == "." and _RANK.search(text, max(0, at - _ABBREVIATION_CHARS), at) is not None
    is_short = is_rank or _is_initial(text, at) or "." in _word_before(text, at)
    if not (is_short and text[following].isupper()):
        return end
    word = _WORD.match(text, following)
    if not final and word and word.end() == len(text):
        return None
    if is_rank:
        return 0 if word and word[0].startswith(_AFTER_RANKS) else end
    return end if word and word[0].lower() in OPENERS else 0


def _word_before(text: str, at: int) -> str:
    last = _LAST_WORD.search(text, max(0, at - _ABBREVIATION_CHARS), at)
    return last[0] if last else ""


def _may_end_sentence(text: str, at: int, following: str) -> bool:
    """Tell whether the stop before a word that begins with `following` can end a sentence."""
    if text[at] != "." or text[at - 1 : at] == ".":
        return not following.islower() or _is_uncapitalised(text)
    if text[at - 1 : at] == " ":
        return True  # text that was cut into words, whose small letters tell nothing
    word = _word_before(text, at)
    known = word if word.isupper() and len(word) == 1 else word.lower()
    if known in _BEFORE_NAMES or (following.isdigit() and known in _BEFORE_NUMBERS | _BEFORE_LOWER_CASE):
        return False
    if following.islower():
        return known not in _BEFORE_LOWER_CASE and len(word) > 1 and "." not in word and _is_uncapitalised(text)
    return True


def _is_initial(text: str, at: int) -> bool:
    """Tell `J.` in "J. K. Rowling" from "vitamin C." and "World War I."."""
    word = _word_before(text, at)
    if len(word) != 1 or not word.isupper():
        return False
    before = text[max(0, at - 1 - _ABBREVIATION_CHARS) : at - 1].split()
    return not before or not (word == "I" or before[-1].lower() in _LETTERED)


def _is_uncapitalised(text: str) -> bool:
    """Tell whether a text begins its sentences with small letters, as notes do."""
    first = next((char for char in text if char.isalpha()), "")
    return first.islower()
