"""The numbers of a claim: those that its source lacks, or has of something else."""

from collections.abc import Iterator
from itertools import pairwise

from rag_graph.claims.statements import Statement, Word
from rag_graph.text.languages import CONJUNCTIONS
from rag_graph.text.terms import root


def holds_numbers(claim: Statement, said: Statement) -> bool:
    """Refuse a number that the source lacks, or has of another unit ("330 feet") or bound ("over 330").

    A unit may stand apart from its number in the source, as in a table: then its word must be in the sentence.
    """
    units = frozenset(other.unit for other in said.numbers)
    return all(
        any(
            number.stem == other.stem
            and number.bound == other.bound
            and (
                number.unit in ("", other.unit)
                # In "fell from 60 to 50 million euros" the first has the unit of the second.
                or (not other.unit and (number.unit in units or root(number.unit) in said.stems))
            )
            for other in said.numbers
        )
        for number in claim.numbers
    )


def swaps_numbers(claim: Statement, said: Statement) -> bool:
    """Tell "330 m tall and 125 m wide" from "125 m tall": each number must keep the words of its clause."""
    for number in claim.numbers:
        near = claim.clauses[number.clause] - {number.stem}
        by_default = [clause for clause, stems in said.clauses.items() if "default" in stems & near]
        if len(by_default) == 1 and any(
            other.clause in by_default for other in said.numbers if other.stem == number.stem
        ):
            continue
        names = {word.stem for word in claim.names} & near
        # Only numbers of one sort compete: a year is never taken for a length.
        own = [near & said.scopes[other.clause] for other in said.numbers if other.stem == number.stem]
        # A number that the claim has beside this one, too, is no rival: their order is for `swaps_counts`.
        beside = {other.stem for other in claim.numbers if other.clause == number.clause}
        rivals = [other for other in said.numbers if other.stem not in beside and _sort(other) == _sort(number)]
        scopes = [near & said.scopes[other.clause] for other in rivals]
        # The word right before a number says most: "built in 1889 and sold in 1995" against "built in 1995".
        alike = (other.stem for other in rivals if other.unit == number.unit and other.stem != number.stem)
        others = _before(claim, *(other.stem for other in claim.numbers if other.stem != number.stem))
        if (_before(claim, number.stem) - others) & (_before(said, *alike) - _before(said, number.stem)):
            return True
        best = max(map(len, own), default=0)
        if any(len(scope) > best or (scope - frozenset().union(*own)) & names for scope in scopes):
            return True
    return False


def _before(statement: Statement, *numbers: str) -> frozenset[str]:
    """Give the words right before these numbers, which no "and" parts from them."""
    first: dict[int, str] = {}
    for place, clause in statement.places:
        first.setdefault(clause, place)
    unjoined = [clause for clause in statement.clauses if first.get(clause, "") not in CONJUNCTIONS]
    return frozenset(
        word.stem
        for word, number in pairwise(statement.words)
        if number.is_number
        and number.stem in numbers
        and not word.is_number
        and number.clause in (word.clause, *unjoined)
        and word.stem not in statement.key
    )


def takes_word_before(claim: Statement, said: Statement) -> bool:
    """Tell "added in 3.1, the default since 3.4" from "the default since 3.1", of any number of numbers."""
    theirs = {other.stem for other in said.numbers}
    return any(
        (_before(claim, number.stem) - _before(said, number.stem))
        & (_before(said, other.stem) - _before(claim, other.stem))
        for number in claim.numbers
        for other in said.numbers
        if number.stem in theirs and other.stem != number.stem and _sort(other) == _sort(number)
    )


def changes_measure(claim: Statement, said: Statement) -> bool:
    """Tell "raised by 20 euros" from "raised to 20 euros", and "18 or over" from "under 18"."""
    if claim.negated or said.negated:
        return False
    for number in claim.numbers:
        theirs = [other for other in said.numbers if other.stem == number.stem]
        if theirs and all(
            (frozenset((number.case, other.case)) in _OTHER_MEASURES and _sort(number) != "year")
            or {number.bound, other.bound} == {"more", "less"}
            for other in theirs
        ):
            return True
    return False


_OTHER_MEASURES = frozenset((frozenset(("by", "to")), frozenset(("from", "to")), frozenset(("by", "from"))))


def pools(claim: Statement, said: Statement) -> bool:
    """Tell "each gets 10,000 euros" from "they get 10,000 euros together"."""
    numbers = frozenset(number.stem for number in said.numbers)
    return (
        bool(claim.plain & _TOGETHER - said.plain)
        and bool(said.plain & _EACH - claim.plain)
        and any(number.stem in numbers for number in claim.numbers)
    )


_TOGETHER = frozenset(("together", "jointly", "combined", "altogether", "total", "collectively"))
_EACH = frozenset(("each", "apiece", "per", "individually"))


def _sort(number: Word) -> str:
    if number.unit:
        return "measure"
    return "year" if len(number.stem) == _YEAR_DIGITS and number.stem[0] in "12" else "count"


_YEAR_DIGITS = 4


def swaps_counts(claim: Statement, said: Statement) -> bool:
    """Tell "36 countries and 400 patients" from "36 patients and 400 countries"."""
    counted = set(_counted(said))
    return any(
        (number, thing) not in counted
        and any(other == number for other, _ in counted)
        and any(other == thing for _, other in counted)
        for number, thing in _counted(claim)
    )


def _counted(statement: Statement) -> Iterator[tuple[str, str]]:
    for word, following in pairwise(statement.words):
        if word.is_number and following.position - word.position == 1:
            yield word.stem, following.stem
