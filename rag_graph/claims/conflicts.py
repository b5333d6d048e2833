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
from rag_graph.claims.support import is_negated_alike
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
_QUALIFIED = re.compile(
    r"\b(?:about|around|approximately|roughly|nearly|almost|some|estimated|estimates?|between|up to|at least|at most"
    r"|over|under|more|less|fewer|former(?:ly)?|previous(?:ly)?|original(?:ly)?|until|initially|used to|was once|then"
    r"|planned|proposed|expected|may|might|could|if|unless|except|per|each|every|average)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a sentence stands in: the words of its page's title, of these the ones that the text says too, and all."""

    title: frozenset[str]
    subject: frozenset[str]
    words: frozenset[str]

    @classmethod
    def of(cls, title: str, content: str) -> "Setting":
        # "Prices 2023" and "Prices 2024" are of one thing at two times, and the newer one is told first.
        titled, said = _meaning(_DATE.sub("", title)), frozenset(terms(content))
        return cls(titled, titled & said, titled | said)


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
    if _QUALIFIED.search(words) or _QUALIFIED.search(theirs):
        return False
    mine, its = _plain_stems(one), _plain_stems(other)
    if len(mine & its) < LEAST_SHARED:
        return False
    gone, come = _numbers(one, other), _numbers(other, one)
    if gone or come:
        return mine == its and _differ_in_number(one, other, gone, come)
    if one.negated or other.negated:
        return mine == its and not (is_negated_alike(one, other) and is_negated_alike(other, one))
    return _differ_in_name(one, other, mine, its)


def _differ_in_number(one: Statement, other: Statement, gone: list[Word], come: list[Word]) -> bool:
    """One number each, of one sort, not a rounding of the other; a date only of what happens once."""
    if len(gone) != 1 or len(come) != 1 or one.negated or other.negated:
        return False
    mine, its = gone[0], come[0]
    if (
        mine.unit != its.unit
        or mine.bound
        or its.bound
        or bool(_YEAR.fullmatch(mine.stem)) != bool(_YEAR.fullmatch(its.stem))
    ):
        return False
    if not mine.unit and _YEAR.fullmatch(mine.stem):
        return bool(one.roots & _ONCE and other.roots & _ONCE)
    return _apart(mine.stem, its.stem)


def _apart(one: str, other: str) -> bool:
    """Whether neither number is the other one in fewer digits."""
    try:
        mine, its = Decimal(one), Decimal(other)
    except InvalidOperation:
        return False
    return mine != its and not (_is_rounding(mine, its) or _is_rounding(its, mine))


def _is_rounding(short: Decimal, exact: Decimal) -> bool:
    digits = len(short.normalize().as_tuple().digits)
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
    if one.opening in PRONOUNS or other.opening in PRONOUNS:
        return bool(here.title & there.title) and (here.title <= there.title or there.title <= here.title)
    if {name.stem for name in one.names} & {name.stem for name in other.names}:
        return True
    # "The tower" of a page on the Eiffel Tower is another one than that of a page on the Tokyo Tower.
    apart = (here.title - there.title, there.title - here.title)
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
    return take_apart(words, ENGLISH if language is None or language is UNTOLD else language)


def _meaning(words: str) -> frozenset[str]:
    found = frozenset(terms(words))
    return found - STOP_TERMS or found
