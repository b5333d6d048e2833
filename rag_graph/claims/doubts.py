"""Hard doubts: what no share of common words outvotes, because it makes of the same words another claim."""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rag_graph.claims.bearing import Line, comparable
from rag_graph.claims.statements import Statement, Word, take_apart
from rag_graph.text.glossary import MONTHS
from rag_graph.text.spelling import one_spelling
from rag_graph.text.terms import fold

_COMMON_NUMBERS = frozenset(("0", "1", "2", "0.5"))
"""Said of what a text has without saying the number: "both", "a pair", "one of them"."""
_ROUNDED = 0.03
"""A number with fewer digits may be so far from the source's, as in "2.3 million" for 2,314,000."""
_ABOUT = 0.06
_KEPT_OF_NAME = 4
_MOST_INITIALS = 3
_MONTHS = frozenset(month.lower() for month in MONTHS["en"])
"""Pages often tell dates in figures."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a claim may draw on: numbers and words as they are compared, and letters without anything between."""

    numbers: frozenset[str]
    stems: frozenset[str]
    letters: str
    initials: str
    """The first letters of the words, of which "CEO" may be made."""

    @classmethod
    def by(cls, statements: Iterable[Statement], text: str) -> "Said":
        statements = tuple(statements)
        return cls(
            frozenset(word.stem for said in statements for word in said.numbers) | _numbers_in(text),
            frozenset().union(*(said.stems for said in statements)),
            re.sub(r"[\W_]+", "", fold(one_spelling(text))),
            "".join(re.findall(r"\b[^\W_]", fold(text))),
        )


def _numbers_in(text: str) -> frozenset[str]:
    """All that may be read as a number: also "1, 056" of a text cut into words, "1 056", and the 2011 of "2007-11"."""
    closed = _CUT_NUMBER.sub("", text)
    found = _NUMBER.findall(text) + (_NUMBER.findall(closed) if closed != text else [])
    years = [span[1] + span[2] for span in _YEARS.finditer(text)]
    return frozenset(number.replace(",", "").replace("−", "-").lstrip("0") or "0" for number in (*found, *years))


_NUMBER = re.compile(r"(?<![\w.)])[-−]?\d+(?:,\d{3})*(?:\.\d+)?|(?<=[^\W\d])\d+")
_CUT_NUMBER = re.compile(r"(?<=\d[.,]) (?=\d)|(?<=\d) (?=[.,] ?\d)|(?<=\d)[ \u00a0\u2009\u202f](?=\d{3}(?!\d))")
_YEARS = re.compile(r"\b(\d\d)\d\d ?[-–]+ ?(\d\d)\b")


def lacking_number(claim: Statement, said: Said) -> str:
    """The first number of the claim that nothing says, nor anything that it is rounded from."""
    for number in claim.numbers:
        if number.stem not in said.numbers and number.stem not in _COMMON_NUMBERS and not _is_rounded(number, said):
            return number.stem
    return ""


def _is_rounded(number: Word, said: Said) -> bool:
    value = _as_float(number.stem)
    if value is None:
        return False
    digits = len(number.stem.strip("0.-").replace(".", ""))
    for other in said.numbers:
        theirs = _as_float(other)
        if theirs is None or not theirs:
            continue
        has_more_digits = len(other.strip("0.-").replace(".", "")) > digits
        off = abs(value - theirs) / abs(theirs)
        if off <= _ROUNDED and has_more_digits and not _is_year(number):
            return True
        if number.bound and off <= _ABOUT and not _is_year(number):
            return True
    return False


def _is_year(number: Word) -> bool:
    return not number.unit and len(number.stem) == len("1999") and number.stem[0] in "12"


def _as_float(number: str) -> float | None:
    try:
        return float(number)
    except ValueError:
        return None


def lacking_name(claim: Statement, said: Said) -> str:
    """The first name of the claim that nothing says in any form; a capital at its beginning makes no name."""
    for name in claim.names:
        letters = re.sub(r"[\W_]+", "", fold(name.form or name.stem))
        kept = letters[: max(_KEPT_OF_NAME, len(letters) - 3)]
        # Of initials such as "CEO" the words may be there; of two letters something always is.
        is_long = len(letters) > _MOST_INITIALS
        if (
            (is_long or (len(letters) == _MOST_INITIALS and letters not in said.initials))
            and letters not in _MONTHS
            and name.stem not in said.stems
            and kept not in said.letters
        ):
            return name.form
    return ""


def lacking_code(words: str, said: Said) -> str:
    """The first word of code in a claim that nothing says: code is spelled in one way."""
    for span in _CODE.finditer(words):
        for word in span[1].split():
            letters = re.sub(r"[\W_]+", "", fold(one_spelling(word)))
            if letters and letters not in said.letters:
                return word
    return ""


_CODE = re.compile(r"`([^`\n]{1,80})`")


def adds_clause(claim: Statement, said: Said) -> bool:
    """Tell what a claim adds to what is said, as "and painted red", by a clause of which nothing stands there."""
    return any(
        len(stems) >= _LEAST_ADDED and all(stem[:_KEPT_OF_NAME] not in said.letters for stem in stems)
        for stems in claim.clauses.values()
    )


_LEAST_ADDED = 2


def has_other_unit(claim: Statement, statements: Iterable[Statement]) -> bool:
    """Tell "330 feet" from "330 metres": the number is there, and only with other units."""
    theirs: dict[str, set[str]] = {}
    for said in statements:
        for number in said.numbers:
            theirs.setdefault(number.stem, set()).add(number.unit)
    return any(
        number.unit
        and number.stem in theirs
        and "" not in theirs[number.stem]
        and number.unit not in theirs[number.stem]
        for number in claim.numbers
    )


def mixes_keys(need: AbstractSet[str], picked: Iterable[Line], lines: Iterable[Line]) -> bool:
    """Tell the row or key that a claim names from the one that its value stands in."""
    others = [line for line in picked if line.key and need.isdisjoint(line.key)]
    passages = {line.passage for line in others}
    return bool(others) and any(
        line.passage in passages and line.key and not need.isdisjoint(line.key) for line in lines
    )


def mixes_columns(need: AbstractSet[str], line: Line, row: str) -> bool:
    """Tell the column that a claim names from the one that its value stands in."""
    if not line.header:
        return False
    columns = [
        (comparable(take_apart(head).stems), comparable(take_apart(cell).stems))
        for head, cell in zip(line.header.strip("| ").split("|")[1:], row.strip("| ").split("|")[1:], strict=False)
    ]
    taken = [head for head, cell in columns if not cell.isdisjoint(need)]
    named = [cell for head, cell in columns if not head.isdisjoint(need)]
    return (
        any(head.isdisjoint(need) for head in taken)
        and any(cell.isdisjoint(need) for cell in named)
        and not any(cell.isdisjoint(need) is False for cell in named)
    )


def reverses_steps(claim: Statement, picked: Sequence[Line]) -> bool:
    """Tell "remove the cover, then the fuse" of a numbered list from "the fuse is removed before the cover"."""
    steps = [line for line in picked if line.is_step]
    first, second = (
        max(steps, key=lambda line: len(line.words & part), default=None)
        for part in (comparable(claim.earlier - claim.later), comparable(claim.later - claim.earlier))
    )
    if first is None or second is None or first.passage != second.passage:
        return False
    is_told = comparable(claim.earlier) & first.words and comparable(claim.later) & second.words
    return bool(is_told) and first.start > second.start


def adds_item(claim: Statement, known: AbstractSet[str], said: Said) -> bool:
    """Tell "a pump, two hoses, clips and a wrench" from a kit without the wrench: an item of which nothing is there."""
    held = sum(part <= known for part in claim.clauses.values())
    if held < max(_LEAST_HELD, len(claim.clauses) / 2):
        return False
    words = dict.fromkeys(claim.clauses, 0)
    for word, clause in claim.places:
        if clause in words and word not in _BESIDE_ITEMS:
            words[clause] += 1
    return any(
        len(part) == words[clause] == 1
        and all(len(stem) >= _KEPT_OF_NAME and stem[:_KEPT_OF_NAME] not in said.letters for stem in part)
        for clause, part in claim.clauses.items()
        if clause
    )


_BESIDE_ITEMS = frozenset(("and", "or", "a", "an", "the"))
_LEAST_HELD = 3


def denies_value(claim: Statement, contents: Iterable[str]) -> bool:
    """Tell "Encryption: none" from "with encryption": a line that says of its key that there is nothing of it."""
    return not claim.negated and any(
        found[2].lower() not in claim.plain and take_apart(found[1]).stems <= claim.stems
        for content in contents
        for found in _NO_VALUE.finditer(content)
    )


_NO_VALUE = re.compile(
    r"^[\s|*`_-]*(\w[^|:\n]{0,40}?)[*`_ ]*[:|][*`_ ]*(none|no|off|false|disabled|never)\b[*`_. |]*$",
    re.IGNORECASE | re.MULTILINE,
)
