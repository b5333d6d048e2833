"""What a sentence says, as far as it can be compared without a model: its words, numbers, names and their order."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

from rag_graph.text.languages import CONJUNCTIONS, ENGLISH, LEAD_INS, PREPOSITIONS, STOP_WORDS
from rag_graph.text.terms import root


def _table(listed: str) -> dict[str, str]:
    """Read `key: word word; key: word` into word to key."""
    rows = (row.split(":") for row in listed.split(";"))
    return {word: key.strip() for key, words in rows for word in words.split()}


NUMBER_WORDS = _table(
    "0: zero; 2: two; 3: three; 4: four; 5: five; 6: six; 7: seven; 8: eight; 9: nine; 10: ten; 11: eleven; 12: twelve;"
    " 13: thirteen; 14: fourteen; 15: fifteen; 16: sixteen; 17: seventeen; 18: eighteen; 19: nineteen; 20: twenty;"
    " 30: thirty; 40: forty; 50: fifty; 60: sixty; 70: seventy; 80: eighty; 90: ninety"
)
"""Not "one", which is seldom a number."""
UNITS = _table(
    "m: m metre metres meter meters; km: km kilometre kilometres kilometer kilometers; cm: cm centimetre"
    " centimetres centimeter centimeters; mm: mm millimetre millimetres millimeter millimeters; ft: ft foot feet;"
    " inch: inch inches; mi: mi mile miles; kg: kg kilogram kilograms kilo kilos; g: g gram grams; mg: mg milligram"
    " milligrams; mcg: mcg microgram micrograms ug; t: tonne tonnes ton tons; lb: lb lbs pound pounds; l: litre"
    " litres liter liters; ml: ml millilitre millilitres milliliter milliliters; second: second seconds sec secs s;"
    " th: th st nd rd; ms: ms millisecond milliseconds; minute: minute minutes min mins; hour: hour hours hr hrs;"
    " day: day days; week: week weeks; month: month months; year: year years; century: century centuries; decade:"
    " decade decades; %: percent; °c: celsius; °f: fahrenheit; k: kelvin; usd: dollar dollars usd; eur: euro euros"
    " eur; gbp: gbp; kb: kb kilobyte kilobytes; mb: mb megabyte megabytes; gb: gb gigabyte gigabytes; tb: tb"
    " terabyte terabytes; byte: byte bytes; bit: bit bits; hz: hz hertz; khz: khz; mhz: mhz; ghz: ghz; w: watt"
    " watts; kw: kw kilowatt kilowatts; mw: mw megawatt megawatts"
)
SIGNS = {"%": "%", "$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "°": "°", "°c": "°c", "°f": "°f"}
MULTIPLIERS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12} | {
    "mn": 10**6,
    "bn": 10**9,
}
BOUNDS = _table(
    "more: more over above exceeding exceeds least minimum exceeded; less: less under below fewer most maximum up"
    " within almost nearly"
)
_TOKEN = re.compile(
    r"(?P<number>(?<![\w.])\d+(?:[.,]\d+)*)"
    r"|(?P<name>[^\W\d_](?:[\w.&]*\w)?)"
    r"|(?P<sign>[%$€£¥]|°[CF]?)"
    r"|(?P<break>[;:()—–|]|,(?! ?\d))"
)
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_UNSPACED_NEGATION = re.compile(r"[不没沒無无未非]|ない|ません|なかった|않|없|안 ")
_GROUPS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_URL = re.compile(r"https?://\S+|\]\([^)\s]*\)")
_CONTRACTION = re.compile(r"n['’]t\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Word:
    """A word that carries meaning: a number has its value as stem, with the unit and the bound it stands under."""

    stem: str
    position: int
    clause: int
    case: str
    is_name: bool = False
    is_number: bool = False
    unit: str = ""
    bound: str = ""


@dataclass(frozen=True)
class Statement:
    """A sentence taken apart."""

    words: tuple[Word, ...]
    negated: frozenset[str]
    places: tuple[tuple[str, int], ...]
    """Every word, in small letters, and the clause it stands in."""
    opening: str
    """The first word, in small letters."""
    is_unspaced: bool
    led_in_to: int
    """Where a lead-in such as "In 1889," ends; 0 if there is none."""

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(word.stem for word in self.words)

    @cached_property
    def numbers(self) -> tuple[Word, ...]:
        return tuple(word for word in self.words if word.is_number)

    @cached_property
    def names(self) -> tuple[Word, ...]:
        return tuple(word for word in self.words if word.is_name)

    @cached_property
    def plain(self) -> frozenset[str]:
        return frozenset(word for word, _ in self.places)

    @cached_property
    def roots(self) -> frozenset[str]:
        """The stems of all words, small ones too."""
        return frozenset(map(root, self.plain))

    @cached_property
    def clauses(self) -> dict[int, frozenset[str]]:
        found: dict[int, set[str]] = {}
        for word in self.words:
            found.setdefault(word.clause, set()).add(word.stem)
        return {clause: frozenset(stems) for clause, stems in found.items()}

    @cached_property
    def scopes(self) -> dict[int, frozenset[str]]:
        """The words of each clause; one without a subject of its own has those that came before it."""
        subject: frozenset[str] = frozenset()
        found: dict[int, frozenset[str]] = {}
        for clause, stems in self.clauses.items():
            own = frozenset(
                word.stem for word in self.words if word.clause == clause and word.is_name and not word.case
            )
            found[clause] = stems if own else stems | subject
            subject |= own
        return found

    @cached_property
    def heads(self) -> dict[int, frozenset[str]]:
        """The word each clause begins with; of the first clause also the one after a lead-in, as in "In 1889, …"."""
        found: dict[int, frozenset[str]] = {}
        for word in self.words:
            if word.clause not in found:
                found[word.clause] = frozenset({word.stem})
            elif word.position > self.led_in_to and all(
                other.position <= self.led_in_to for other in self.words if other.position < word.position
            ):
                found[word.clause] |= {word.stem}
        return found

    def about(self, subject: AbstractSet[str]) -> "Statement":
        """Say who the pronoun at the beginning stands for."""
        named = (Word(name, at - len(subject), 0, "", is_name=True) for at, name in enumerate(sorted(subject)))
        return replace(self, words=(*named, *self.words))

    def with_names(self, small_words: AbstractSet[str]) -> "Statement":
        """Take a capital at the beginning for a name's, unless the word is known in small letters."""
        first = next(iter(self.words), None)
        if (
            not first
            or first.is_name
            or first.is_number
            or first.stem != root(self.opening)
            or first.stem in small_words
        ):
            return self
        return replace(self, words=(replace(first, is_name=True), *self.words[1:]))


def take_apart(sentence: str) -> Statement:
    """Find the words, numbers, names and negations of one sentence."""
    text = _CONTRACTION.sub(" not", _URL.sub(" ", sentence))
    reader = _Reader()
    for token in _TOKEN.finditer(text):
        reader.take(token)
    unspaced = _UNSPACED.findall(text)
    return Statement(
        words=tuple(reader.words) + tuple(_bigrams(unspaced, len(reader.words))),
        negated=frozenset(_negated(reader)) | frozenset(_UNSPACED_NEGATION.findall("".join(unspaced))),
        places=tuple(reader.places),
        opening=reader.places[0][0] if reader.places else "",
        is_unspaced=sum(map(len, unspaced)) * 2 > len(text),
        led_in_to=reader.led_in_to,
    )


def _bigrams(runs: list[str], position: int) -> Iterator[Word]:
    for run in runs:
        for at in range(max(1, len(run) - 1)):
            position += 1
            yield Word(run[at : at + 2], position, clause=0, case="")


_NEGATED_WORDS = 3


def _negated(reader: "_Reader") -> Iterator[str]:
    """Give the words right behind each negation; a negation with nothing behind it negates what stands before."""
    for position in reader.negations:
        behind = [word.stem for word in reader.words if word.position > position][:_NEGATED_WORDS]
        before = [word.stem for word in reader.words if word.position < position][-1:]
        yield from behind or before or ["not"]


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.places: list[tuple[str, int]] = []
        self.negations: list[int] = []
        self._clause = 0
        self._case = ""
        self._bound = ""
        self._currency = ""
        self._position = 0
        self._has_broken = False
        self.led_in_to = 0

    def take(self, token: re.Match[str]) -> None:
        self._position += 1
        if token["number"]:
            self._number(_value(token["number"]))
        elif token["name"]:
            self._word(token["name"])
        elif token["sign"]:
            self._sign(SIGNS.get(token["sign"].lower(), ""))
        else:
            self._break()

    def _break(self) -> None:
        """Begin a new clause, unless this one only leads in, as in "In 1889, …"."""
        is_first = not self._has_broken
        self._has_broken = True
        if is_first and self.places and self.places[0][0] in LEAD_INS:
            self.led_in_to = self._position
        else:
            self._clause += 1
        self._case = ""

    def _number(self, value: str) -> None:
        self._add(
            Word(
                value, self._position, self._clause, self._case, is_number=True, unit=self._currency, bound=self._bound
            )
        )
        self._currency = ""

    def _sign(self, unit: str) -> None:
        if not self._measure(unit):
            self._currency = unit

    def _measure(self, unit: str, *, times: int = 1) -> bool:
        """Give the number just before this its unit."""
        if (
            not self.words
            or not self.words[-1].is_number
            or self._position - self.words[-1].position > 1 + (times == 1)
        ):
            return False
        number = self.words[-1]
        if number.unit and unit:
            return False
        value = (
            number.stem
            if times == 1
            else _value(str(float(number.stem) * times))
            if _is_plain(number.stem)
            else number.stem
        )
        self.words[-1] = Word(
            value,
            self._position,
            number.clause,
            number.case,
            is_number=True,
            unit=unit or number.unit,
            bound=number.bound,
        )
        return True

    def _word(self, word: str) -> None:
        lower = word.lower().removesuffix("'s").removesuffix("’s")
        is_first = not self.places
        if lower in CONJUNCTIONS and not is_first:
            self._break()
        self.places.append((lower, self._clause))
        if lower in ENGLISH.negations:
            self.negations.append(self._position)
        if lower in BOUNDS:
            self._bound = BOUNDS[lower]
        if lower in PREPOSITIONS:
            self._case = lower
        if lower in MULTIPLIERS and self._measure("", times=MULTIPLIERS[lower]):
            return
        if lower in UNITS and self._measure(UNITS[lower]):
            return
        if lower in NUMBER_WORDS:
            self._number(NUMBER_WORDS[lower])
        elif not (_UNSPACED.search(word) or lower in STOP_WORDS or lower in ENGLISH.negations):
            is_name = (word[0].isupper() and not is_first) or word[1:] != word[1:].lower() or not word.isalpha()
            self._add(
                Word(root(lower), self._position, self._clause, self._case or self._named_case(), is_name=is_name)
            )

    def _named_case(self) -> str:
        """Give the preposition of the name that stands just before, as in "by Gustave Eiffel's company"."""
        before = self.words[-1] if self.words else None
        return before.case if before and before.is_name and self._position - before.position == 1 else ""

    def _add(self, word: Word) -> None:
        self.words.append(word)
        self._case = self._bound = ""


def _is_plain(value: str) -> bool:
    return value.replace(".", "", 1).isdigit()


def _value(number: str) -> str:
    """Write a number in one way: 1,000 and 1000.0 are 1000."""
    if _GROUPS.fullmatch(number):
        number = number.replace(",", "")
    if number.count(",") == 1 and "." not in number:
        number = number.replace(",", ".")
    if not _is_plain(number):
        return number
    return number.rstrip("0").rstrip(".") if "." in number else number.lstrip("0") or "0"
