"""Sources that say different things of the same: two sentences in nearly the same words, one of which must be wrong.

Told only where rules can be sure of it: the sentences differ in one number, or in a negation, or in the name behind a
relation that a thing has once. Other times, other things and rounded numbers are no conflict.
"""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache

from rag_graph.claims.bearing import comparable
from rag_graph.claims.statements import Statement, Word, language_of_text, take_apart
from rag_graph.claims.strength import agrees_in_negation
from rag_graph.claims.support import says_opposite
from rag_graph.events import NumberedPassage
from rag_graph.text.languages import ENGLISH, PRONOUNS, UNTOLD
from rag_graph.text.sentences import sentences
from rag_graph.text.terms import STOP_TERMS, root, terms

LEAST_SHARED = 2
"""Words that both have, numbers aside: fewer are no statement."""
LEAST_ASKED = 0.5
"""A sentence must hold this share of the question's words, or it is not what was asked."""
MOST_SENTENCES = 200
"""So many sentences that are about the question are compared with one another."""

_YEAR = re.compile(r"[12]\d{3}")
_DATE = re.compile(r"\b(?:19|20)\d\d\b")
_ONCE = frozenset(
    root(word)
    for word in (
        *("born", "died", "founded", "established", "built", "opened", "completed", "invented", "discovered"),
        *("launched", "created", "introduced", "incorporated", "abolished", "ratified", "signed", "adopted"),
        *("erected", "constructed", "inaugurated", "formed", "started", "begun", "began", "expires", "expire"),
        *("effective", "deadline", "due", "released"),
    )
)
"""What happens to a thing once, so that two dates of it cannot both be right."""
_ONE_NAME = frozenset(
    root(word)
    for word in (
        *("capital", "born", "died", "buried", "headquarters", "headquartered", "named", "default", "located"),
        "maintainer",
    )
)
"""What a thing has one of, so that two names of it cannot both be right."""
_NEARLY = re.compile(
    r"\b(?:about|around|approx(?:imately)?|roughly|nearly|almost|some|estimated|estimates?)\b|[~≈]", re.IGNORECASE
)
NEARLY_BY = 2
"""Numbers that are said to be rough must differ by this factor: nobody says "about 120" of 240."""
_QUALIFIED = re.compile(
    r"\b(?:between|up to|at least|at most|over|under|more|less|fewer|former(?:ly)?|previous(?:ly)?|original(?:ly)?"
    r"|until|initially|used to|was once|then|planned|proposed|expected|may|might|could|if|unless|except|per|each|every"
    r"|average)\b",
    re.IGNORECASE,
)
"""What makes a statement one of a time or a condition; where both have the same of these, they speak of one."""
_LOWER_BOUND = re.compile(r"\b(?:over|above|more than|exceed\w*)\b", re.IGNORECASE)
_EXAMPLE = re.compile(
    r"\b(?:for (?:example|instance)|e\.g\b|such as|assum(?:e|ing)|suppos(?:e|ing)|imagine)\b"
    # "See section 3" and "line 7" name a place in a text that is printed anew, "#362" an issue.
    r"|\b(?:sections?|chapters?|items?|lines?|steps?|figures?|tables?|pages?|notes?|paragraphs?|appendix|issues?"
    r"|footnotes?|examples?|PR)[\W_]{0,3}\d|#\d",
    re.IGNORECASE,
)
"""Nobody says of an example's number, or of that of a place, that it is so."""
_IN_A_NAME = re.compile(r"\b[A-Z][\w-]*[ -](\d[\d.]*) [A-Z][a-z]")
"""A number that stands in a name, as in "Airbus 320 Neo": another number, another thing."""
_DENIES_NOTHING = re.compile(
    r"`+(?:no|none|not|never|without|false)`+|\b(?:or (?:no|not|none)|not only)\b", re.IGNORECASE
)
"""A value's name, and what leaves both open: "several or no replicas"."""
_EXACT = re.compile(
    r"\b(?:ports?|codes?|zip|numbers?|rooms?|extensions?|errors?|status|ids?|versions?)\W{1,3}\d|\ba \d{3}\b",
    re.IGNORECASE,
)
"""Numbers that name something are never rounded."""
_SUBJECT_BY = 2
"""A name so many words from the beginning is what the sentence is about: "In 1889 Paris …"."""
LEAST_ROUNDED = 100
"""Smaller numbers are counted, not rounded: 30 days are not 28."""
_DOTTED = re.compile(r"\d+(?:\.\d+){2,}")
_TITLE_WORD = re.compile(r"[^\W\d_][\w'’.-]*")
_SMALL_WORD_CHARS = 3
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SAME_BY = 0.05
"""Measures in two units are one if they differ by no more: a kilobyte is 1,000 or 1,024 bytes, and both are rounded."""
_SCALES = {
    unit: (dimension, Decimal(factor))
    for dimension, factors in {
        "size": {"bit": "0.125", "byte": "1", "kb": "1e3", "mb": "1e6", "gb": "1e9", "tb": "1e12"},
        "time": {"ms": "1e-3", "second": "1", "minute": "60", "hour": "3600", "day": "86400", "week": "604800"},
        "length": {"mm": "1e-3", "cm": "1e-2", "m": "1", "km": "1e3", "ft": "0.3048", "mi": "1609.344"},
        "mass": {"mcg": "1e-6", "mg": "1e-3", "g": "1", "kg": "1e3", "t": "1e6", "lb": "453.59"},
    }.items()
    for unit, factor in factors.items()
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a sentence stands in: the words of its page's title, of these the ones that the text says too, and all.

    `edition` are the numbers in the title, dates apart: "Manual 2.1" and "Manual 2.3" are of two things. `is_named` is
    a title that is a name, as "Eagle Mountain, Utah" is and "Release notes" is not.
    """

    title: frozenset[str]
    subject: frozenset[str]
    words: frozenset[str]
    edition: frozenset[str]
    is_named: bool

    @classmethod
    def of(cls, title: str, content: str) -> "Setting":
        # "Prices 2023" and "Prices 2024" are of one thing at two times, and the newer one is told first.
        undated = _DATE.sub("", title)
        titled, said = _meaning(undated), frozenset(terms(content))
        long = [word for word in _TITLE_WORD.findall(undated) if word[0].isupper() or len(word) > _SMALL_WORD_CHARS]
        is_named = len(long) > 1 and all(word[0].isupper() for word in long)
        return cls(titled, titled & said, titled | said, frozenset(_NUMBER.findall(undated)), is_named)


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of a passage, taken apart."""

    passage: NumberedPassage
    start: int
    end: int
    statement: Statement
    setting: Setting

    @property
    def words(self) -> str:
        return self.passage.content[self.start : self.end]

    @property
    def year(self) -> int:
        """The latest year that the passage's title or document name has: what is known of its date; 0 for none."""
        return max((int(found) for found in _DATE.findall(f"{self.passage.title} {self.passage.uri}")), default=0)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sentences that cannot both be right, the newer one first where both dates are known."""

    one: Said
    other: Said


def conflicts(question: str, passages: Sequence[NumberedPassage]) -> Iterator[Conflict]:
    """The conflicts among what the passages say of the question, each passage with each other once."""
    asked = _meaning(question)
    said = [
        sentence
        for passage in passages
        for sentence in _sentences(passage)
        if len(asked & (_meaning(sentence.words) | sentence.setting.title)) >= LEAST_ASKED * len(asked)
    ][:MOST_SENTENCES]
    told: set[tuple[int, int]] = set()
    for at, one in enumerate(said):
        for other in said[at + 1 :]:
            pair = (one.passage.number, other.passage.number)
            if one.passage.document == other.passage.document or pair in told:
                continue
            if conflict(one.statement, other.statement, one.words, other.words) and _are_of_one(
                one.statement, other.statement, one.setting, other.setting
            ):
                told.add(pair)
                newer = other.year > one.year > 0
                yield Conflict(other, one) if newer else Conflict(one, other)


def opposes(words: str, titles: str, passage: NumberedPassage) -> bool:
    """Whether a passage has a sentence that cannot be right beside these words, written from pages of those titles."""
    claim, setting = _statement(words), Setting.of(titles, words)
    return any(
        conflict(claim, said.statement, words, said.words) and _are_of_one(claim, said.statement, setting, said.setting)
        for said in _sentences(passage)
    )


def conflict(one: Statement, other: Statement, words: str, theirs: str) -> bool:
    """Whether two sentences on one thing cannot both be right."""
    if one.is_unspaced or other.is_unspaced or one.language is not other.language:
        return False
    if _EXAMPLE.search(words) or _EXAMPLE.search(theirs) or _conditions(words) != _conditions(theirs):
        return False
    is_rough = bool(_NEARLY.search(words) or _NEARLY.search(theirs))
    is_least = bool(_LOWER_BOUND.search(words)) and not one.negated  # "over 1,000" is no less true than "over 900"
    mine, its = _plain_stems(one), _plain_stems(other)
    if len(mine & its) < LEAST_SHARED:
        return False
    gone, come = _numbers(one, other), _numbers(other, one)
    if gone or come:
        named = {*_IN_A_NAME.findall(words), *_IN_A_NAME.findall(theirs)}
        is_of_one = mine == its and not is_least and named.isdisjoint(number.form or number.stem for number in gone)
        is_exact = bool(_EXACT.search(words) and _EXACT.search(theirs))
        by = NEARLY_BY if is_rough else 1
        return is_of_one and _differ_in_number(one, other, gone, come, by=by, is_exact=is_exact)
    if is_rough:
        return False
    if mine == its:
        return not _are_negated_alike(one, other)
    return _differ_in_opposite(one, other, mine, its) or (
        not (one.negated or other.negated) and _differ_in_name(one, other, mine, its)
    )


def _conditions(words: str) -> list[str]:
    return sorted(found.casefold() for found in _QUALIFIED.findall(words))


def _are_negated_alike(one: Statement, other: Statement) -> bool:
    return not (one.negated or other.negated) or (agrees_in_negation(one, other) and agrees_in_negation(other, one))


def _differ_in_number(
    one: Statement, other: Statement, gone: list[Word], come: list[Word], *, by: int, is_exact: bool
) -> bool:
    """One number each, of one sort, not a rounding of the other; a date only of what happens once."""
    if len(gone) != 1 or len(come) != 1 or not _are_negated_alike(one, other):
        return False
    mine, its = gone[0], come[0]
    if mine.bound != its.bound or bool(_YEAR.fullmatch(mine.stem)) != bool(_YEAR.fullmatch(its.stem)):
        return False
    if mine.unit == its.unit == "" and _YEAR.fullmatch(mine.stem):
        return bool(one.roots & _ONCE and other.roots & _ONCE)
    if _DOTTED.fullmatch(mine.stem) and _DOTTED.fullmatch(its.stem):
        return by == 1 and not f"{mine.stem}.".startswith(f"{its.stem}.") and not its.stem.startswith(f"{mine.stem}.")
    try:
        first, second = Decimal(mine.stem), Decimal(its.stem)
    except InvalidOperation:
        return False
    if mine.unit != its.unit:
        return _differ_across_units(first, mine.unit, second, its.unit, by=by)
    low, high = sorted((abs(first), abs(second)))
    is_rounded = not is_exact and (_is_rounding(first, second) or _is_rounding(second, first))
    return low != high and not is_rounded and (by == 1 or high >= by * low)


def _differ_across_units(one: Decimal, unit: str, other: Decimal, its_unit: str, *, by: int) -> bool:
    scale, its_scale = _SCALES.get(unit), _SCALES.get(its_unit)
    if not scale or not its_scale or scale[0] != its_scale[0]:
        return False
    low, high = sorted((abs(one * scale[1]), abs(other * its_scale[1])))
    return high - low > Decimal(str(SAME_BY)) * high and (by == 1 or high >= by * low)


def _differ_in_opposite(one: Statement, other: Statement, mine: AbstractSet[str], its: AbstractSet[str]) -> bool:
    """All is the same but for one word, in the place of which the other has its opposite."""
    is_one_word = len(mine - its) == len(its - mine) == 1
    return is_one_word and one.negated == other.negated and says_opposite(one, other) and says_opposite(other, one)


def _is_rounding(short: Decimal, exact: Decimal) -> bool:
    digits = len(short.normalize().as_tuple().digits)
    if exact == exact.to_integral_value() and abs(exact) < LEAST_ROUNDED:
        return False
    return digits < len(exact.normalize().as_tuple().digits) and Context(prec=digits).create_decimal(exact) == short


def _differ_in_name(one: Statement, other: Statement, mine: AbstractSet[str], its: AbstractSet[str]) -> bool:
    """Another name behind a relation that a thing has once; all else is the same."""
    names, theirs = {name.stem for name in one.names}, {name.stem for name in other.names}
    gone, come = mine - its, its - mine
    return bool(
        gone
        and come
        and gone <= comparable(names)
        and come <= comparable(theirs)
        and one.roots & other.roots & _ONE_NAME
    )


def _numbers(one: Statement, other: Statement) -> list[Word]:
    theirs = {number.stem for number in other.numbers}
    return [number for number in one.numbers if number.stem not in theirs]


def _plain_stems(statement: Statement) -> frozenset[str]:
    return comparable(word.stem for word in statement.words if not word.is_number)


def _are_of_one(one: Statement, other: Statement, here: Setting, there: Setting) -> bool:
    """Whether both speak of one thing: a name in the sentences tells it, or else what they stand under."""
    if here.edition and there.edition and here.edition != there.edition:
        return False
    if one.opening in PRONOUNS or other.opening in PRONOUNS:
        return bool(here.title & there.title) and (here.title <= there.title or there.title <= here.title)
    shared = {name.stem for name in one.names} & {name.stem for name in other.names}
    # "The tower" of a page on the Eiffel Tower is another one than that of a page on the Tokyo Tower.
    apart = (here.title - there.title, there.title - here.title)
    if here.is_named and there.is_named and all(apart):
        # "The film was the Swiss entry" is told on the pages of many films: the name must be what the sentence is on.
        titles = here.title | there.title
        return any(
            name.stem in shared and (name.position <= _SUBJECT_BY or name.form in titles or name.stem in titles)
            for name in one.names
        )
    if shared:
        return True
    if here.title & there.title and all(apart):
        return False
    return here.subject <= there.words or there.subject <= here.words


@lru_cache(maxsize=256)
def _sentences(passage: NumberedPassage) -> tuple[Said, ...]:
    setting = Setting.of(passage.title, passage.content)
    return tuple(
        Said(passage, one.start, one.end, _statement(passage.content[one.start : one.end]), setting)
        for one in sentences(passage.content)
        if one.kind in ("prose", "row") and not passage.content[one.start : one.end].rstrip().endswith("?")
    )


@lru_cache(maxsize=1_024)
def _statement(words: str) -> Statement:
    language = language_of_text(words)
    words = _DENIES_NOTHING.sub("`x`", words)
    return take_apart(words, ENGLISH if language is None or language is UNTOLD else language)


def _meaning(words: str) -> frozenset[str]:
    found = frozenset(terms(words))
    return found - STOP_TERMS or found
