"""What settings, tables and lists say: the value that a thing has of an attribute, as `retries` has 3 by default."""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

from rag_graph.claims.bearing import Line, comparable
from rag_graph.claims.doubts import numbers_in
from rag_graph.claims.opposites import CHOICES
from rag_graph.claims.statements import UNIT_WORDS, Statement, take_apart
from rag_graph.text.terms import root

_NOTHING: frozenset[str] = frozenset()
_DUTY, _DEFAULT = comparable([root("required")]), comparable([root("default")])
_ENTRY = re.compile(
    r"[\s*_]*(?P<name>`[^`\n]+`|--?\w[\w-]*|\*\*[^*:\n]+\*\*)[*_]*+"
    r"(?P<flags> ?\([^()\n]*\))?[*_]*+(?P<rest>\s*(?::|=>|[-–—](?=\s)|\n|\Z).*)",
    re.DOTALL,
)
"""What opens with a name in code or in bold letters, and goes on to say what that is."""
_FLAGGED = re.compile(r"(?P<name>[^()\n]{2,60}?) ?\((?P<flags>[^()\n]*\b(?:optional|required)\b[^()\n]*)\)[.;,]?")
_KEYED = re.compile(
    r"[#\s]*+[*_`]*+(?P<key>[^\W\d][^:=|\n.]{0,40}?)[*_`]*(?::[*_`]*\s|\s=\s)\s*(?P<value>\S[^\n]{0,80})"
)
_BY_DEFAULT = re.compile(
    r"\b(?:(?:the )?default(?:s| value)?(?: is| to|:)*:?|by default,?)[\s`\"'*:]*(?P<value>[^\s,;)`\"'*]+(?<![.,:]))",
    re.IGNORECASE,
)
_SWITCHED = re.compile(r"(?P<value>on|off|enabled|disabled|true|false)\b(?= by default| unless\b)", re.IGNORECASE)
_LONGEST_VALUE = 8
"""So many words have what a key is followed by in a list; more are a sentence behind a word such as "Note:"."""
_LONGEST_ABOUT = 200
_FEW_WORDS = 2


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_YES = _listed("yes true on enabled always required included supported available ✓ ✔ ✅ y")
_NO = _listed("no false off disabled none never optional not excluded unsupported unavailable - – — ✗ ✘ ❌ n n/a")
_DENYING = _listed("no not never none nothing nobody neither nor without off false disabled disable optional")
_ENDING = _listed("unless if when until except")
"""What is said behind these is another case."""
_LEAVING_OPEN = _listed("whether controls control determines determine")
_DUTIES = _listed("required mandatory must compulsory obligatory need optional optionally")
_LEAST_NAMED = 0.5


@dataclass(frozen=True)
class Record:
    """One attribute of a thing: `names` and `about` are the words of what it is called and of what is said of it."""

    names: frozenset[str]
    about: frozenset[str]
    attribute: frozenset[str]
    value: str
    choices: frozenset[str] = _NOTHING
    """The values that it may have, as far as they are listed."""
    measured: frozenset[tuple[int, str]] = frozenset()
    """The units that what is said of it is measured in."""
    elsewhere: frozenset[str] = _NOTHING
    """The numbers in the prose around it, which may be of the same thing."""

    @cached_property
    def said(self) -> Statement:
        return take_apart(self.value)

    @cached_property
    def words(self) -> frozenset[str]:
        return _words(self.value)

    @cached_property
    def numbers(self) -> frozenset[str]:
        return frozenset(number.stem for number in self.said.numbers) | numbers_in(self.value)

    @cached_property
    def is_so(self) -> bool | None:
        """What a value such as "on" or "none" says; None for any other."""
        first, *rest = self.value.lower().split() or ["-"]
        first = first.strip("`*_.,;:\"'") or first
        if len(rest) >= _FEW_WORDS and not rest[0].startswith(("(", "-", "–", "—")):
            return None
        return True if first in _YES else False if first in _NO else None


@dataclass(frozen=True)
class _Part:
    """A clause of a claim."""

    stems: frozenset[str]
    plain: tuple[str, ...]
    numbers: frozenset[str]
    units: frozenset[tuple[int, str]]

    @cached_property
    def is_so(self) -> bool:
        return sum(word in _DENYING for word in self.plain) % 2 == 0

    def names(self, attribute: frozenset[str]) -> bool:
        if attribute == _DUTY:
            return not _DUTIES.isdisjoint(self.plain)
        return bool(attribute) and attribute <= self.stems


def _with_parts(stems: Iterable[str]) -> Iterator[str]:
    for stem in stems:
        yield stem
        if not stem.isalnum():
            yield from map(root, re.split(r"[\W_]+", stem))


def _words(text: str) -> frozenset[str]:
    """The words as they are compared; a name in code has its parts too."""
    return comparable(_with_parts(take_apart(text).stems))


@dataclass(frozen=True)
class _Thing:
    names: frozenset[str] = _NOTHING
    about: frozenset[str] = _NOTHING
    choices: frozenset[str] = _NOTHING
    measured: frozenset[tuple[int, str]] = frozenset()

    @classmethod
    def told(cls, name: str, about: str) -> "_Thing":
        choices = _words(" ".join(re.findall(r"`([^`\n]+)`", about)))
        units = frozenset(UNIT_WORDS[word] for word in re.findall(r"\w+", about.lower()) if word in UNIT_WORDS)
        return cls(_words(name), comparable(take_apart(about).stems) - _DEFAULT, choices, units)

    def has(self, attribute: frozenset[str], value: str) -> Record:
        return Record(self.names, self.about, attribute, value, self.choices, self.measured)


def records_of(content: str, lines: Sequence[Line]) -> Iterator[Record]:
    """Read what has a structure; prose gives nothing."""
    told = [(line, content[line.start : line.end]) for line in lines]
    elsewhere = frozenset(
        number.stem for line, text in told if not _has_structure(line, text) for number in line.said.numbers
    )
    name = about = ""
    for line, text in told:
        if line.is_row:
            records = _row(line.header, text)
        else:
            if opened := _opened(line, text):
                name, about = opened
            elif name and len(about) < _LONGEST_ABOUT and not _has_structure(line, text):
                about = f"{about} {text}"
            records = _said_of(name, about, text)
        yield from (replace(record, elsewhere=elsewhere) for record in records)


def _has_structure(line: Line, text: str) -> bool:
    return bool(line.is_row or _opened(line, text) or _KEYED.match(text) or _FLAGGED.fullmatch(text) or _default(text))


def _opened(line: Line, text: str) -> tuple[str, str] | None:
    """The name of a thing of which the next lines tell, and what is said of it beside its name."""
    if line.is_heading or text.rstrip(" *_").endswith(":"):
        return text, ""
    entry = _ENTRY.match(text)
    return (entry["name"], entry["rest"]) if entry else None


def _default(text: str) -> re.Match[str] | None:
    return _SWITCHED.match(text) or _BY_DEFAULT.search(text)


def _said_of(name: str, about: str, text: str) -> Iterator[Record]:
    """What a line says of the thing of that name."""
    keyed = _KEYED.match(text)
    if entry := _ENTRY.match(text):
        yield from _flags(_Thing.told(name, about), entry["flags"] or "")
    elif flagged := _FLAGGED.fullmatch(text):
        yield from _flags(_Thing.told(flagged["name"], ""), flagged["flags"])
    elif keyed and len(keyed["value"].split()) <= _LONGEST_VALUE:
        attribute = _words(keyed["key"])
        if _DEFAULT.isdisjoint(attribute):
            yield _Thing.told(name, about).has(attribute, keyed["value"])
    if default := _default(text):
        yield _Thing.told(name, about).has(_DEFAULT, default["value"])


def _flags(thing: _Thing, flags: str) -> Iterator[Record]:
    """What stands in brackets behind a name, as in "(str, required)"."""
    for flag in re.split(r"[(),;]", flags):
        if flag.strip().lower() in ("required", "optional"):
            yield thing.has(_DUTY, flag.strip())


def _row(header: str, row: str) -> Iterator[Record]:
    heads, cells = ([cell.strip() for cell in text.strip("| ").split("|")] for text in (header, row))
    if not header:
        return
    heads = ["", *heads] if len(heads) < len(cells) else heads  # nothing stands above the first column
    about = " ".join(cell for cell in cells[1:] if len(cell.split()) > _FEW_WORDS)
    thing = _Thing.told(cells[0], about)
    for head, cell in zip(heads[1:], cells[1:], strict=False):
        yield thing.has(_words(head), cell)


def gives_other_value(claim: Statement, records: Sequence[Record]) -> bool:
    """Tell "`retries` is 5 by default" from a default of 3, and "gloves are required" from "Gloves (optional)"."""
    if not records:
        return False
    whole = comparable(_with_parts(claim.stems))
    beside: dict[tuple[frozenset[str], frozenset[str]], set[str]] = {}
    for record in records:
        if not record.attribute <= whole:
            beside.setdefault((record.names, record.about), set()).update(record.words)
    for part in _parts(claim):
        told = [record for record in records if part.names(record.attribute)]
        attributes = {record.attribute for record in told}
        for attribute in attributes:
            if any(attribute < other for other in attributes):
                continue  # "Child seat" is not what "Seats" counts.
            alike = [record for record in told if record.attribute == attribute]
            meant = _meant(alike, part.stems) or _meant(alike, whole)
            # Only what the part says: all values of a long table, taken up for each of its rows, would take minutes.
            values = (part.stems | part.numbers) & frozenset().union(*(record.words for record in alike))
            if meant and all(
                _differs(part, record, values | beside.get((record.names, record.about), _NOTHING)) for record in meant
            ):
                return True
    return False


def _parts(claim: Statement) -> Iterator[_Part]:
    for clause, stems in claim.clauses.items():
        plain: list[str] = []
        for word, at in claim.places:
            if at == clause:
                if plain and word in _ENDING:
                    break
                plain.append(word)
        numbers = [word for word in claim.numbers if word.clause == clause]
        units = frozenset(UNIT_WORDS[word.unit] for word in numbers if word.unit in UNIT_WORDS)
        yield _Part(comparable(_with_parts(stems)), tuple(plain), frozenset(word.stem for word in numbers), units)


def _meant(rivals: Sequence[Record], words: frozenset[str]) -> list[Record]:
    """Those whose thing these words name best."""
    common = frozenset.intersection(*(record.names for record in rivals)) if len(rivals) > 1 else _NOTHING
    fits = [_fit(record, record.names - common or record.names, words) for record in rivals]
    best = max(fits, default=0.0)
    return [record for record, fit in zip(rivals, fits, strict=True) if fit == best] if best >= _LEAST_NAMED else []


def _fit(record: Record, names: frozenset[str], words: frozenset[str]) -> float:
    if not (names or record.about):
        return 1.0
    return max(len(told & words) / len(told) if told else 0.0 for told in (names, record.about))


def _differs(part: _Part, record: Record, values: AbstractSet[str]) -> bool:
    """Whether a clause that names the attribute gives it another value, such as one of those beside it."""
    others = (values | record.choices) - record.words - record.names
    if record.is_so is not None:
        is_open = not _LEAVING_OPEN.isdisjoint(part.plain)
        return not part.numbers.isdisjoint(others) or (part.is_so != record.is_so and not is_open)
    numbers = part.numbers - record.names
    if record.numbers and numbers:
        is_other = record.numbers.isdisjoint(numbers)
        return not numbers <= record.elsewhere if is_other else _has_other_unit(part, record)
    if not record.words.isdisjoint(part.stems):
        return False
    is_other = not others.isdisjoint(part.stems - record.attribute)
    return is_other or "only" in record.said.plain or _is_of_one_sort(part, record)


def _has_other_unit(part: _Part, record: Record) -> bool:
    """Tell "a default of 300 minutes" from a default of 300 where the description says "in seconds"."""
    measured = {kind for kind, _ in record.measured}
    return any(kind in measured for kind, _ in part.units - record.measured)


def _is_of_one_sort(part: _Part, record: Record) -> bool:
    """Whether the part has a word that excludes one of the value's, as "monthly" does "yearly"."""
    ours = {(row, place) for word in part.plain for row, place in CHOICES.get(root(word), ())}
    theirs = {(row, place) for word in record.said.plain for row, place in CHOICES.get(root(word), ())}
    kinds = {UNIT_WORDS[word][0] for word in part.plain if word in UNIT_WORDS}
    return any(row == at and place != to for row, place in ours for at, to in theirs) or any(
        UNIT_WORDS[word][0] in kinds for word in record.said.plain if word in UNIT_WORDS
    )
