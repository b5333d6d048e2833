"""Hard doubts: what no share of common words outvotes, because it makes of the same words another claim."""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rag_graph.claims.bearing import Line, comparable
from rag_graph.claims.opposites import CHOICES
from rag_graph.claims.statements import Statement, Word, take_apart
from rag_graph.text.glossary import MONTHS
from rag_graph.text.spelling import one_spelling
from rag_graph.text.terms import fold, fold_text, root

_COMMON_NUMBERS = frozenset(("0", "1", "2", "0.5"))
"""Said of what a text has without saying the number: "both", "a pair", "one of them"."""
_RANKS = {
    str(at): root(rank)
    for at, rank in enumerate("third fourth fifth sixth seventh eighth ninth tenth".split(), 3)  # noqa: SIM905
}
"""The fourth day is day 4."""
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
            frozenset(word.stem for said in statements for word in said.numbers) | numbers_in(text),
            frozenset().union(*(said.stems for said in statements)),
            re.sub(r"[\W_]+", "", fold_text(one_spelling(text))),
            "".join(re.findall(r"\b[^\W_]", fold_text(text))),
        )


def numbers_in(text: str) -> frozenset[str]:
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
        if (
            number.stem not in said.numbers
            and number.stem not in _COMMON_NUMBERS
            and _RANKS.get(number.stem) not in said.stems
            and not _is_rounded(number, said)
        ):
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
    """Tell the row or key that a claim names from the one that its value stands in.

    A claim may tell a second key's value without its key, beside that of the key that it names.
    """
    others = {line.passage for line in picked if line.key and need.isdisjoint(line.key) and not line.is_header}
    named = [line for line in lines if line.passage in others and not need.isdisjoint(line.key)]
    used = {line.key for line in named if not (line.is_row or need.isdisjoint(line.words - line.key))}
    return any(line.key not in used for line in named)


def reverses_steps(claim: Statement, lines: Sequence[Line]) -> bool:
    """Tell "remove the cover, then the fuse" from "the fuse is removed before the cover", of steps or of sentences."""
    earlier, later = (comparable(part) for part in claim.in_order)
    if not (earlier and later):
        return False
    told = backwards = 0
    for run in _steps(lines):
        held = [(_held(earlier, line), _held(later, line)) for line in run]
        told = max(told, _most_in_order(held))
        backwards = max(backwards, _most_in_order([(second, first) for first, second in held]))
    return 0 < backwards >= told


def _most_in_order(held: Iterable[tuple[int, int]]) -> int:
    """The most that a step and a later one hold, the one of the first part and the other of the second; 0 if none do.

    In one go over the steps: a passage of a user's own may have thousands, and pairs of them as many millions.
    """
    most = first_held = 0
    for first, second in held:
        if first_held and second:
            most = max(most, first_held + second)
        first_held = max(first_held, first)
    return most


def _steps(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines that tell one thing after the other: a numbered list, or sentences that go on with "then"."""
    run: list[Line] = []
    before: Line | None = None
    for line in lines:
        if run and (line.passage != run[-1].passage or (0 < line.step <= run[-1].step)):
            yield run
            run = []
        if line.step:
            run.append(line)
        elif before and not before.step and line.said.opening in _THEN:
            run = [*(run or [before]), line]
        elif run and not run[-1].step:
            yield run
            run = []
        before = line
    if run:
        yield run


def _held(part: AbstractSet[str], line: Line) -> int:
    """How much of a part of a claim a step holds. What is done counts more than to what."""
    held = len(part & line.words)
    return held + (comparable([root(line.said.opening)]) <= part) if held else 0


_THEN = frozenset(("then", "next", "afterwards", "finally", "lastly", "subsequently"))


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


def denies(claim: Statement, line: Line, content: str) -> bool:
    """Whether a line tells a denial, or in other words what the claim denies: "optional" for what is not required."""
    if line.said.negated or line.is_denied or _SAYS_NO.search(content):
        return True
    denied = claim.negated & CHOICES.keys()
    return any(
        at == row and other != place
        for word in denied
        for row, place in CHOICES[word]
        for theirs in line.said.roots & CHOICES.keys()
        for at, other in CHOICES[theirs]
    ) or any(
        f"{prefix}{word}" in form
        for word in claim.negated
        for prefix in ("un", "in", "non")
        for form in line.said.roots
    )


_SAYS_NO = re.compile(
    r"(?:[|:(=]|\bis|\bto)[\s*`]*(?:no|none|off|false|disabled|never|nothing|excluded|free|[-–—✗])(?=[\s*`]*(?:[|);,]|\.?$))",
    re.IGNORECASE | re.MULTILINE,
)


def denies_value(claim: Statement, contents: Iterable[str]) -> bool:
    """Tell "Encryption: none" from "with encryption", and "sale items are excluded" from what holds of sale items."""
    return not (claim.negated or claim.roots & _EXCLUDING) and any(
        (found["none"] or found["out"]).lower() not in claim.plain
        and take_apart(found["key"] or found["who"]).stems <= claim.stems
        for content in contents
        for found in _NO_VALUE.finditer(content)
    )


_EXCLUDING = frozenset(map(root, ("excluded", "exempt", "except", "excluding", "without")))
_NO_VALUE = re.compile(
    r"^[\s|*`_-]*(?P<key>\w[^|:\n]{0,40}?)[*`_ ]*[:|][*`_ ]*(?P<none>none|no|off|false|disabled|never)\b[*`_. |]*$"
    r"|^[\s*_-]*(?P<who>\w[^|:;,\n]{0,40}?) (?:is|are) (?P<out>excluded|exempt|exempted)\b",
    re.IGNORECASE | re.MULTILINE,
)
