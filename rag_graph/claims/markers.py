"""Citation markers in a text that is being written: found, normalised, dropped when they point to nothing."""

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import regex  # type: ignore[import-untyped]  # it ships no types

MAX_MARKER_CHARS = 64
MAX_HELD_CHARS = MAX_MARKER_CHARS + 2
"""No more than this is held back: an unfinished marker, and two characters that tell it from a link or index."""
MAX_TARGET_CHARS = 512
"""So much of a link's address is held back besides, since it tells a marker from a link; nobody reads half of one."""

_MAX_NUMBERS = 12
_RECENT_CHARS = 32
_SURE = ("double", "square", "lens", "wide", "round", "named")
_RAISED = ("sup", "caret", "digits")
_BRACED = ("braced", "braces")
_LISTS = (*_SURE, *_RAISED, *_BRACED, "tag", "void", "latex", "escaped", "linked")
# Longer pieces are taken bit by bit, as in `text.sentences`: what is held would be copied with all of the rest.
_PIECE_CHARS = 1_024


@dataclass(frozen=True, slots=True)
class Marker:
    """One number that the text cites, where it stands in the normalised text; `start == end` if it was dropped."""

    start: int
    end: int
    number: int


class MarkerScanner:
    r"""Passes a text through piece by piece and collects its markers; code, maths, links and footnotes are left alone.

    A marker is `[1]`, `[1, 2]`, `[1-3]`, `[[1]]`, `[^1]`, `[Source 1]`, `[ID:1]`, `(Source 1)`, `[1, p. 3]`, `［1］`,
    `【1】` or `【1†source】`. Where all its numbers are known it is also `[1](#1)`, `[[1]](…)`, `{1}`, `¹`, `^1^`,
    `<sup>1</sup>`, `<cite>1</cite>`, `\cite{1}` or `\[1\]`, unless it is an exponent, a set or a link elsewhere. A
    single space is held back with it, so that dropping a marker leaves no gap. Inline code
    that is still open at the end of a line ends there.
    """

    def __init__(self, known: AbstractSet[int], addresses: Mapping[int, str] | None = None) -> None:
        self.length = 0
        self.found: list[Marker] = []
        self._known = known
        self._addresses = addresses or {}
        self._held = ""
        self._recent = ""
        self._line = ""
        self._fence = ""
        self._ticks = 0
        self._run = ""
        self._in_target = False
        self._maths = ""

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
            if sign in _OPENERS and not self._is_verbatim():
                marker = _MARKER.match(text, at)
                if not final and self._may_grow(text, at, marker):
                    self._held = text[at:]
                    return
                if marker and (end := self._end_of(text, marker)):
                    yield self._normalise(marker)
                    at = end
                    continue
            if sign in "$\\" and not final and special.end() == len(text):
                self._held = text[at:]  # what follows tells what it is
                return
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
            if self._maths not in _DISPLAYED or not self._line.strip():  # none goes on over an empty line
                self._maths = ""
            self._line, self._ticks = "", 0
        elif sign in "$\\" and not (self._fence or self._ticks):
            self._turn_maths(run.lstrip(" "), text[at : at + 1])
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

    def _turn_maths(self, sign: str, following: str) -> None:
        """Begin or end what is typeset as maths; prices and names of shares are none."""
        before = self._recent[: -len(sign)][-1:]
        if sign == "\\":
            sign += following
            if not self._maths and sign in _MATHS:
                self._maths = _MATHS[sign]
            elif sign == self._maths:
                self._maths = ""
        elif self._maths:
            if self._maths == sign and (sign != "$" or not (before.isspace() or following.isdigit())):
                self._maths = ""
        elif not (before.isalnum() or following.isdigit()) and (
            following.strip() or (sign == "$$" and self._is_line_lead(self._line[: -len(sign)]))
        ):
            self._maths = sign

    def _is_verbatim(self) -> bool:
        return bool(self._fence or self._ticks or (self._maths and self._maths != "$"))

    def _may_grow(self, text: str, at: int, marker: "regex.Match[str] | None") -> bool:
        """Tell whether more text could make this a marker, or show that it is none."""
        if marker:
            behind = len(text) - int(marker.end())
            if text.startswith("(", marker.end()):
                target = _LINK.match(text, marker.end(), partial=True)
                return bool(target and target.partial)
            # Behind a space a sign of a formula may follow a raised number: `ax² + bx`.
            is_told_late = (".", "⁻", " ") if any(marker[kind] for kind in _RAISED) else (".", "⁻")
            return behind < (2 if text.startswith(is_told_late, marker.end()) else 1)
        if len(text) - at > MAX_MARKER_CHARS:
            return False
        begun = _MARKER.match(text, at, partial=True)
        return bool(begun and begun.partial)

    def _end_of(self, text: str, marker: "regex.Match[str]") -> int | None:
        """Where a marker ends, with the address that it links to; None where it is none."""
        end = int(marker.end())
        if end - marker.start() > MAX_MARKER_CHARS or _INTERVAL.search(self._recent):
            return None
        following = text[end : end + 2]
        is_spaced = marker[0].startswith(" ")
        if self._maths and not is_spaced:  # `$f[1]$` is an index; behind a space it may still be a marker after `$AAPL`
            return None
        if marker["start"]:
            return end
        kind, numbers = self._listed(marker)
        if following.startswith("(") or kind == "linked":
            target = _LINK.match(text, end)
            is_own = target and (kind in ("double", "linked") or self._is_own(target[1], numbers))
            return int(target.end()) if target and is_own and set(numbers) <= self._known else None
        if following.startswith(":") and self._is_line_lead(self._line):
            return None
        if kind not in _SURE:
            is_other = not set(numbers) <= self._known or following[:1].isalnum()
            if is_other or (kind in _RAISED and _is_power(self._recent, following)):
                return None
            return None if kind in _BRACED and not self._is_braced(following, is_spaced=is_spaced) else end
        if not is_spaced and (self._recent.endswith(("[", "\\", "^")) or _is_index(self._recent, following)):
            return None
        return end

    def _listed(self, marker: "regex.Match[str]") -> tuple[str, list[int]]:
        """How the marker is written, and its numbers."""
        kind = next(name for name in _LISTS if marker[name])
        numbers = _numbers(marker[kind])
        if kind == "named":  # what follows is a title or a place, with numbers of its own
            return kind, numbers[:1]
        if kind == "digits" and not set(numbers) <= self._known:  # `¹³` for 1 and 3
            return kind, [int(digit) for digit in marker[kind].translate(_RAISED_DIGITS) if digit.isdigit()]
        return kind, numbers

    def _is_own(self, target: str, numbers: list[int]) -> bool:
        """Whether a link leads to where its numbers are told, not elsewhere."""
        if _OWN_TARGET.fullmatch(target):
            return True
        addresses = {
            unquote(self._addresses[number].partition("#")[0]) for number in numbers if number in self._addresses
        }
        return addresses == {unquote(target.partition("#")[0])}

    def _is_braced(self, following: str, *, is_spaced: bool) -> bool:
        """Tell `tall {1}.` from a set, a count in a pattern and an argument."""
        if following[:1] in ("{", "}", "_", "^", "/", "=") or (following[:1] == "." and following[1:].isalnum()):
            return False
        if _SETS.search(self._recent):
            return False
        return bool((_BEFORE_BRACES if is_spaced else _AT_BRACES).search(self._recent))

    def _normalise(self, marker: "regex.Match[str]") -> str:
        if marker["start"]:  # Gemini's, before what it cites for
            return self._pass(" " if marker[0].startswith(" ") else "")
        numbers = self._listed(marker)[1]
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


_OPENERS = "[【［(（〔〖⟦{｛<^\\⁽¹²³⁴⁵⁶⁷⁸⁹ "
_SPECIAL = re.compile(r" ?[\[【［(（〔〖⟦{｛<^\\⁽¹²³⁴⁵⁶⁷⁸⁹]|`+|~+|\n| ?\$\$?| \Z")
_MATHS: Final = {"\\(": "\\)", "\\[": "\\]"}
_DISPLAYED: Final = ("$$", "\\]")
_RUN = re.compile(r"`+|~+")
_MIN_FENCE = 3
_LINE_LEAD = re.compile(r"[ \t>]*(?:[-*+•][ \t]+|\d{1,3}[.)][ \t]+)?")
_TARGET = re.compile(r"[^\s)]*")
_LINK = regex.compile(rf"\(([^\s()]{{0,{MAX_TARGET_CHARS}}})\)")
_OWN_TARGET = re.compile(
    r"(?:#?(?:user-content-)?(?:fn|cite|ref|note|source|src|doc|document|passage|citation|footnote|reference|bib)?s?"
    r"[-_.:]?\d{0,3}|#.*|url|link|source|citation)",
    re.IGNORECASE,
)
"""Where a number leads that is a source's: a place of this page, the number again, or what was never filled in."""
_UNSEEN = r"[\u200b-\u200f\u2060\u00a0\ufeff]{0,2}"
"""Characters without a shape that right-to-left texts and copied ones have around a number."""
_LABELS = (
    r"(?:sources?|documents?|docs?|passages?|references?|refs?|citations?|cite|context|chunks?|excerpts?|snippets?"
    r"|evidence|src|id|results?|sources? no"
    r"|quellen?|dokument(?:ente|e|er|o|y)?|abschnitte?|kontext|fuentes?|documentos?|fonti|fontes?|documenti|bron(?:nen)?"
    r"|kilder?|källor|källa|źródł[oa]|zdroj[e]?|lähde|kaynak|источники?|документы?|джерел[оа]|πηγή|المصدر|مصدر|المستند"
    r"|מקור|स्रोत|出典|出处|来源|來源|文档|文檔|文件|资料|資料|文書|文献|参考(?:文献|资料)?|片段|출처|문서|자료)"
    r"(?: ?(?:no|nr|n)[.°º]| ?№|[_ ]id)?[ :：#.=_-]{0,2}"
)
_SEE = r"(?:(?:see|cf\.?|per|via|vgl\.?|siehe|voir|ver) )?"
_FIRST = r"[1-9１-９١-٩۱-۹१-९]"
_NUMBER = rf"{_FIRST}\d{{0,2}}(?: ?(?:[-–—~～]|\.\.|…|to|through|bis|à) ?{_FIRST}\d{{0,2}})?"
_ITEM = rf"{_UNSEEN}(?:{_LABELS}|[\^#@№])?{_NUMBER}\^?{_UNSEEN}"
_MORE = rf"(?: ?(?:[,，、;；&]|and|und|et|y|e|or|и|和|与|及) ?{_ITEM}){{0,20}}"
_LIST = rf"{_ITEM}{_MORE}"
_PLACE = (
    r"(?: ?(?::\d{1,3})?†[^】\]\[\n]{0,60}"
    r"|,? \(?(?:pp?\.|pages?|lines?|S\.|Seiten?|p[áa]g(?:ina)?s?\.?|стр\.|с\.|sidan?|sections?|sec\."
    r"|chapters?|ch\.|§§?|¶|para\.?|art\.|Absatz|Abs\.) ?\d{1,4}(?:[-–.]\d{1,4})?\)?"
    r"|[,，、]? ?第 ?\d{1,4} ?[页頁ページ章节節]{1,3}|,? ?§ ?\d{1,4})?"
)
_NAMED = rf"{_SEE}{_LABELS}{_NUMBER} ?[:,–—-] ?(?! ?(?:\d|{_LABELS}\d))[^\[\]\n]{{1,40}}"
_TAGS = r"(?:cite|ref|citation|source)"
_MARKER = regex.compile(
    rf" ?(?:\[\[ ?(?P<double>{_LIST}) ?\]\]|\[(?:\\\[|\*\*?) ?(?P<linked>{_LIST}) ?(?:\\\]|\*\*?)\](?=\()"
    rf"|\[ ?{_SEE}(?P<square>{_LIST}){_PLACE} ?\]|\[(?P<named>{_NAMED})\]|【 ?(?P<lens>{_LIST}){_PLACE} ?】"
    rf"|[［〔〖⟦] ?(?P<wide>{_LIST}) ?[］〕〗⟧]|[(（](?P<round>{_LABELS}{_NUMBER}{_MORE})[)）]"
    r"|(?P<start>\[cite_start\])"
    rf"|[{{｛] ?(?P<braced>{_LIST}) ?[}}｝]|\{{\{{ ?(?P<braces>{_LIST}) ?\}}\}}"
    rf"|<sup>(?:<a [^<>\n]{{0,30}}>)?\[?(?P<sup>{_LIST})\]?(?:</a>)?</sup>"
    rf"|<{_TAGS}>\[?(?P<tag>{_LIST})\]?</{_TAGS}>|<{_TAGS}(?: [a-z_]{{2,10}}=)?[\"' ]?(?P<void>{_LIST})[\"']? ?/>"
    rf"|\^\[?(?P<caret>{_LIST})(?:\]\^?|\^)|\\cite[pt]?\{{(?P<latex>{_LIST})\}}|\\\[ ?(?P<escaped>{_LIST}) ?\\\]"
    r"|(?P<digits>⁽?[¹²³⁴⁵⁶⁷⁸⁹][⁰¹²³⁴⁵⁶⁷⁸⁹]{0,2}(?:⁻[¹²³⁴⁵⁶⁷⁸⁹][⁰¹²³⁴⁵⁶⁷⁸⁹]{0,2})?⁾?))",
    regex.IGNORECASE,
)
"""Matched in part it tells whether more text could make a marker; nothing in it repeats without a bound."""
_INTERVAL = re.compile(r"(?:∈|\\in|\b(?:interval|range|Intervall|Bereich)) ?\Z")
_RANGE = re.compile(r"(\d+)(?: ?(?:[-–—~～]|\.\.|…|to|through|bis|à) ?(\d+))?", re.IGNORECASE)
_RAISED_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", "⁽⁾")
_BEFORE_BRACES = re.compile(r"""[^\W_]\Z|[.!?)\]”"'%°*]\Z""")
_SETS = re.compile(r"\b(?:sets?|subsets?|Mengen?|arrays?|values?|placeholders?|indices|digits|keys?|ids?|of)\Z")
_AT_BRACES = re.compile(r"(?<![\\A-Za-z_])[^\W\d_]{2,}\Z|[.!?”\"]\Z")
_POWERS = re.compile(
    r"(?:[kcmdnµμ]?m|ft|in|yd|mi|km|nm|sec|min|hr?|kg|mg|Hz|Pa|mol|rad|log|ln|exp|sin|cos|tan|sinh|cosh|tanh|chi|det|dim"
    r"|(?:kilo|centi|milli|deci|micro|nano)?met(?:er|re)s?|Meter|mètres?|inch(?:es)?|foot|feet|yards?|miles?|seconds?"
    r"|[A-Z][a-z]?)"
)
"""What an exponent, a charge or a power stands at: units, functions, and the signs of elements and groups."""
_FACTORS = 3
"""As many letters stand together in `mc²` and `abc²`."""
_OPERATORS = tuple("=+−·×÷≈≠<>≤≥√±")
_GREEK_AND_LATIN = re.compile(r"(?=.*[α-ωΑ-Ω])(?=.*[a-zA-Z]).*")
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d\Z")
_IN_WORDS = re.compile(r"[^\W\d_]{3,}\)\Z")
_WORD_END = re.compile(r"[^\W\d_⁰¹²³⁴⁵⁶⁷⁸⁹]+\Z")
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_SENTENCE_SIGNS = tuple(".:!?\"'”’»]%…。，；：！？」』）】")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_$]+\Z")


def _numbers(listed: str) -> list[int]:
    """Expand `1, 3-5`, without repeats."""
    numbers: dict[int, None] = {}
    for first, last in _RANGE.findall(listed.translate(_RAISED_DIGITS)):
        low, high = int(first), int(last or first)
        numbers |= dict.fromkeys(range(low, high + 1) if low <= high < low + _MAX_NUMBERS else (low, high))
    return list(numbers)


def _is_power(before: str, following: str) -> bool:
    """Tell `m²`, `x¹`, `10³`, `mc²` and `(a+b)²` from a source's number, raised behind a word or a sentence's end."""
    before = before.rstrip("*_ ")
    if word := _WORD_END.search(before):
        is_sign = len(word[0]) == 1 and word[0] < "\u0530"  # of Latin, Greek and Cyrillic letters, one is no word
        ahead = before[: word.start()].rstrip("0123456789 ")
        is_product = len(word[0]) <= _FACTORS and (
            ahead.endswith(_OPERATORS)
            or following.lstrip().startswith(_OPERATORS)
            or bool(_GREEK_AND_LATIN.fullmatch(word[0]))
        )
        return is_sign or is_product or bool(_POWERS.fullmatch(word[0])) or before[: word.start()].endswith("\\")
    if before[-1:] in (",", ";"):
        return before[-2:-1] in _SUPERSCRIPTS
    if before[-1:] == ")":
        return not _IN_WORDS.search(before)
    return not (_YEAR.search(before) or before[-1:] in _SENTENCE_SIGNS)


def _is_index(before: str, following: str) -> bool:
    """Tell `items[1].name`, `row_1[2]` and `x[1]` from a marker right after a word, as in `the tower[1]`."""
    word = _IDENTIFIER.search(before)
    if not word:
        return False
    if following[:1].isalnum() or following[:1] == "=" or following == " =":
        return True
    if following[:1] == "_" and following != "__":  # which may only end what is set in bold
        return True
    if following[:1] == "." and following[1:].islower():
        return True
    is_unit = before[: word.start()].rstrip()[-1:].isdigit()
    return "_" in word[0].strip("_") or (len(word[0]) == 1 and word[0].islower() and not is_unit)
