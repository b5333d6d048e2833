"""Which sentences of the sources bear on a claim: the few that together hold most of its words."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rag_graph.claims.statements import Statement, take_apart
from rag_graph.claims.structure import is_question, mark_before
from rag_graph.events import NumberedPassage
from rag_graph.text.languages import Language
from rag_graph.text.sentences import Sentence

MOST_SENTENCES = 4
"""More seldom add a word that is not there by chance."""
LEAST_GAIN = 0.04
"""A sentence that adds less than this share of a claim is not picked."""
_SHORT_WORDS = 6
_LENGTH_POWER = 0.3
"""By how much a longer sentence must hold more to be picked."""
_NEAR = 3
"""So many words further two words of a sentence still belong together."""
_KEPT_CHARS = 6
"""So many characters of a stem are compared: "analysis" and "analyze" have one stem no stemmer gives them; nothing is
cut of numbers, nor of names such as "cache_size"."""

Weigh = Callable[[Iterable[str]], float]
_KEY = re.compile(r"[|*_` ]*+([^|:\n]{1,40}?)[*_` ]*(?:\||:[*_`]*\s| [-–—] )")
_HEADING_MARK = re.compile(r"(?:^|\n)[ \t>]*(#{1,6})[ \t]+\Z")


@dataclass(frozen=True, eq=False)
class Line:
    """A sentence of a passage; `context` are the words of what it stands under: title, headings, header, lead-in.

    `key` are the words of a row's first cell, or of what stands before the colon: what the rest of it is about.
    """

    passage: int
    start: int
    end: int
    said: Statement
    words: frozenset[str]
    context: frozenset[str]
    key: frozenset[str] = frozenset()
    step: int = 0
    """Its number in a list of steps."""
    header: str = ""
    """The first row of its table, of a row below that."""
    is_row: bool = False
    is_heading: bool = False
    under: str = ""
    """The headings that it stands under, and the lead-in of its list."""
    is_denied: bool = False
    """Whether it is an item under a lead-in or heading such as "Not supported:"."""

    @property
    def is_header(self) -> bool:
        return self.is_row and not self.header

    @cached_property
    def all_words(self) -> frozenset[str]:
        return self.words | self.context


@dataclass(frozen=True, slots=True)
class Window:
    """The picked lines in the order of the text, and the share of the claim that they hold."""

    lines: tuple[Line, ...]
    covered: float


def comparable(stems: Iterable[str]) -> frozenset[str]:
    """The stems as they are compared here."""
    return frozenset(map(_kept, stems))


def _kept(stem: str) -> str:
    return stem[:_KEPT_CHARS] if stem.isalpha() else stem


def neighbours_apart(claim: Statement, said: Statement) -> int:
    """Count the neighbours among a claim's shared words that stand far apart in a sentence, in either order."""
    theirs = [_kept(word.stem) for word in said.words]
    ours = [word for word in (_kept(word.stem) for word in claim.words) if word in theirs]
    near = {pair for gap in range(1, _NEAR + 1) for pair in zip(theirs, theirs[gap:], strict=False)}
    return sum(pair not in near and pair[::-1] not in near for pair in pairwise(ours))


def lines_of(
    passage: NumberedPassage, statements: Sequence[tuple[Sentence, Statement]], language: Language
) -> Iterator[Line]:
    """Give the lines of a passage, each with its context."""
    title = comparable(take_apart(". ".join((*passage.heading, passage.title)), language).stems)
    headings: list[tuple[int, str, frozenset[str]]] = []
    header: frozenset[str] | None = None
    first_row = ""
    lead_in, led_in_by = _NOTHING, ""
    asked = _NOTHING
    denies = False
    for sentence, said in statements:
        words = comparable(said.stems)
        mark = mark_before(passage.content, sentence.start)
        is_item = mark is not None
        is_row = sentence.kind == "row"
        if not is_row:
            header, first_row = None, ""
        text = passage.content[sentence.start : sentence.end]
        if sentence.kind == "heading":
            hashes = _HEADING_MARK.search(passage.content, max(0, sentence.start - 12), sentence.start)
            level = len(hashes[1]) if hashes else 1
            headings = [*(above for above in headings if above[0] < level), (level, text, words)]
        if sentence.kind == "heading" or is_question(text):
            asked = words if is_question(text) else _NOTHING
        context = title.union(
            *(above for _, _, above in headings), header or _NOTHING, lead_in if is_item else _NOTHING, asked
        )
        if asked is words:
            continue
        keyed = _KEY.match(passage.content, sentence.start, sentence.end)
        key = comparable(take_apart(keyed[1], language).stems) if keyed else _NOTHING
        yield Line(
            passage.number,
            sentence.start,
            sentence.end,
            said,
            words,
            context,
            key,
            step=int("".join(filter(str.isdigit, mark[0])) or 0) if mark else 0,
            header=first_row,
            is_row=is_row,
            is_heading=sentence.kind == "heading",
            under="\n".join((*(above for _, above, _ in headings), led_in_by if is_item else "", first_row)),
            is_denied=is_item and denies,
        )
        if is_row and header is None:
            header, first_row = words, text
        if not is_item:
            is_opening = text.rstrip(" *_").endswith((":", "："))
            lead_in, led_in_by = (words, text) if is_opening else (_NOTHING, "")
            denies = bool(said.negated) and (is_opening or sentence.kind == "heading")


_NOTHING: frozenset[str] = frozenset()


def window_of(need: frozenset[str], lines: Sequence[Line], weigh: Weigh, *, most: int = MOST_SENTENCES) -> Window:
    """Pick the lines that hold most of the words needed, one after the other."""
    whole = weigh(need)
    if not whole:
        return Window((), 0.0)
    picked: list[Line] = []
    left = need
    candidates = [line for line in lines if not need.isdisjoint(line.words)]

    def worth(line: Line) -> tuple[float, float]:
        held = weigh(left & line.words) / math.pow(_SHORT_WORDS + len(line.words), _LENGTH_POWER)
        return held, weigh(need & line.context)  # of items alike the one of the list that is meant

    while candidates and left and len(picked) < most:
        best = max(candidates, key=worth)
        if weigh(left & best.words) < LEAST_GAIN * whole:
            break
        picked.append(best)
        candidates.remove(best)
        left -= best.all_words
    picked.sort(key=lambda line: (line.passage, line.start))
    return Window(tuple(picked), 1 - weigh(left) / whole)
