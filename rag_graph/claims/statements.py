"""What a sentence says, as far as it can be compared without a model: its words, numbers, names and their order."""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from itertools import pairwise

from rag_graph.claims.phrases import CONTRACTION, in_one_phrase, set_aside
from rag_graph.claims.scales import in_one_scale
from rag_graph.claims.sequence import parts_in_order
from rag_graph.text.glossary import MONTHS, in_english_words
from rag_graph.text.languages import (
    CONDITIONAL,
    CONJUNCTIONS,
    ENGLISH,
    LEAD_INS,
    PREPOSITIONS,
    RESUMING,
    UNTOLD,
    Language,
    language_of,
)
from rag_graph.text.spelling import one_spelling
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
    " th: th st nd rd; ms: ms millisecond milliseconds; us: us μs microsecond microseconds; ns: ns nanosecond"
    " nanoseconds; minute: minute minutes min mins; hour: hour hours hr hrs;"
    " day: day days; week: week weeks; month: month months; year: year years; century: century centuries; decade:"
    " decade decades; %: percent; °c: celsius; °f: fahrenheit; k: kelvin; usd: dollar dollars usd; eur: euro euros"
    " eur; gbp: gbp; kb: kb kilobyte kilobytes; mb: mb megabyte megabytes; gb: gb gigabyte gigabytes; tb: tb"
    " terabyte terabytes; byte: byte bytes; bit: bit bits; hz: hz hertz; khz: khz; mhz: mhz; ghz: ghz; w: watt"
    " watts; kw: kw kilowatt kilowatts; mw: mw megawatt megawatts; am: am a.m; pm: pm p.m; gal: gallon gallons; pint:"
    " pint pints; oz: oz ounce ounces; yd: yard yards; acre: acre acres; ha: hectare hectares; v: volt volts; a: ampere"
    " amperes amp amps; bar: bar bars; psi: psi; kn: knot knots; mph: mph; j: joule joules; kj: kilojoule kilojoules;"
    " cal: calorie calories kcal; n: newton newtons; pa: pascal pascals; franc: franc francs chf; yen: yen; rupee:"
    " rupee rupees; krona: krona kronor krone kroner crowns; pp: percentage; ma: ma milliampere"
    " milliamperes milliamp milliamps; ka: ka; mv: mv millivolt millivolts; kv: kv"
    " kilovolt kilovolts; μa: μa; μv: μv; μm: μm micron microns micrometre micrometres micrometer micrometers; nm: nm"
    " nanometre nanometres nanometer nanometers; ω: ω ohm ohms; kω: kω; mω: mω; pf: pf; nf: nf; μf: μf; db: db decibel"
    " decibels; rpm: rpm; kpa: kpa; mpa: mpa; hpa: hpa; mbar: mbar; mmol: mmol; mol: mol; kwh: kwh; mwh: mwh;"
    " perminute: perminute; perhour: perhour; perday: perday; perweek: perweek; permonth: permonth; peryear: peryear"
)
CASED_UNITS = {"A": "a", "mW": "milliwatt", "MW": "mw"}
"""Units that only their capitals tell from a word, or from one another."""
_MEASURED_BY = (
    "ms second minute hour day week month year decade century",
    "mm cm m km inch ft yd mi",
    "mcg mg g kg t lb oz",
    "byte kb mb gb tb",
    "ml l gal pint",
    "usd eur gbp franc yen rupee krona",
    "°c °f k",
)
UNIT_WORDS = {
    word: (kind, unit)
    for kind, units in enumerate(_MEASURED_BY)
    for word, unit in UNITS.items()
    if unit in units.split() and len(word) > len("min") and word not in ("second", "secs", "mins", "foot", "pound")
}
"""What is measured, and by what, where no number stands before the unit; "second" may be a rank, and "mins" a name."""
SIGNS = {"%": "%", "$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "°": "°", "°c": "°c", "°f": "°f"}
MULTIPLIERS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12} | {
    "mn": 10**6,
    "bn": 10**9,
}
SIGN_BOUNDS = {"<": "less", "≤": "less", ">": "more", "≥": "more"}
BOUNDS = _table(
    "more: more over above exceeding exceeds least minimum exceeded longer larger greater bigger higher older; less:"
    " less under below fewer most maximum upto within almost nearly shorter smaller lower younger"
)
_UNSPACED_SCRIPTS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_COMMA = re.compile(r",(?! ?\d)")
_TOKEN = re.compile(
    r"(?P<code>(?<![\w-])(?=[A-Z0-9-]*\d)[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+(?![\w-]))"
    rf"|(?P<number>(?:(?<![^\s(])[-−])?(?:(?<![\w.])|(?<=[{_UNSPACED_SCRIPTS}]))\d+(?::[0-5]\d\b|(?:[.,]\d+)*))"
    rf"|(?P<name>[^\W\d_](?:[\w.&]*\w)?)"
    r"|(?P<sign>[%$€£¥<>≤≥]|°[CF]?)"
    rf"|(?P<break>[;:()—–|，；：（）]|{_COMMA.pattern})"
)
_UNSPACED = re.compile(rf"[{_UNSPACED_SCRIPTS}]+")
_UNSPACED_NEGATION = re.compile(r"[不没沒無无未非别勿莫]|ない|ません|なかった|않|없|아니|안 |못")
_COVERED_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Chinese, Japanese and Korean, whose negations are known; those of Thai, Lao, Khmer and Burmese are not."""
_URL = re.compile(r"https?://\S+|\]\([^)\]\s]*\)")
"""A link's target ends at a bracket too, or a row of openings would be read to its end from each of them."""
_DECADE = re.compile(r"\b(\d{3}0)['’]?s\b")
_MINUS = re.compile(r"\b(?:minus|negative) (?=\d)", re.IGNORECASE)
_HOW_OFTEN = re.compile("once|twice|thrice|times?", re.IGNORECASE)
_FREQUENCY = re.compile(
    r"\b(once|twice|thrice|\w+ times?) (?:(?:a|an|per|each|every) )?"
    r"(?:(minute|hour|day|week|month|year)|(hourly|daily|weekly|monthly|yearly|annually))\b",
    re.IGNORECASE,
)
_PART = re.compile("third|quarter", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_UP_TO = re.compile(r"\bup to\b", re.IGNORECASE)
"""One word, for "closed up 4 %" is no bound."""
PARTS = ("onethird", "twothirds", "onequarter", "threequarters")
"""Parts of a whole, each as one word: their figures are nobody's number."""
_PARTS = (
    (re.compile(r"\b(?:one|a)[ -]third\b", re.IGNORECASE), PARTS[0]),
    (re.compile(r"\btwo[ -]thirds\b", re.IGNORECASE), PARTS[1]),
    (re.compile(r"\b(?:one|a)[ -]quarter\b", re.IGNORECASE), PARTS[2]),
    (re.compile(r"\bthree[ -]quarters\b", re.IGNORECASE), PARTS[3]),
)
_MONTH_FIRST = re.compile(
    rf"\b({'|'.join(MONTHS['en'])}) (\d{{1,2}})(?:st|nd|rd|th)?\b ?,?( \d{{4}})?\b", re.IGNORECASE
)
_NARROW_SPACE_IN_NUMBER = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_SPACE_IN_NUMBER = re.compile(r"(?<=\d) (?=\d{3}(?!\d))")
_WORD = re.compile(r"[^\W\d_](?:[\w.&]*\w)?")


@dataclass(frozen=True, slots=True)
class Word:
    """A word that carries meaning; `form` is as it is written, in small letters.

    A number has its value as stem, with the unit and the bound it stands under.
    """

    stem: str
    position: int
    clause: int
    case: str
    form: str = ""
    is_name: bool = False
    is_number: bool = False
    unit: str = ""
    bound: str = ""


@dataclass(frozen=True)
class Statement:
    """A sentence taken apart."""

    language: Language
    words: tuple[Word, ...]
    negated: frozenset[str]
    """The words right behind each negation, which is what it turns round."""
    places: tuple[tuple[str, int], ...]
    """Every word, in small letters, and the clause it stands in."""
    opening: str
    """The first word, in small letters."""
    is_unspaced: bool
    led_in_to: int
    """Where a lead-in such as "In 1889," ends; 0 if there is none."""
    key: frozenset[str] = frozenset()
    """The words before a colon or dash that parts the first clause from the rest, which is about them."""
    denied: tuple[str, ...] = ()
    """The first word behind each negation."""
    contrasted: frozenset[str] = frozenset()
    """What it sets aside, as the strike in "due to snow, not to a strike"."""
    text: str = ""
    """In the form in which it was taken apart."""
    unspaced: str = ""
    """Its Chinese, Japanese, Korean, Thai … characters, one after the other."""

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
    def in_order(self) -> tuple[frozenset[str], frozenset[str]]:
        """The words of what it tells to come first, or to be the cause, and of what it tells to follow."""
        first, second = parts_in_order(self.text) or ("", "")
        earlier, later = _stems_in(first, self.language), _stems_in(second, self.language)
        return earlier - later, later - earlier

    @property
    def earlier(self) -> frozenset[str]:
        return self.in_order[0]

    @property
    def later(self) -> frozenset[str]:
        return self.in_order[1]

    @cached_property
    def clauses(self) -> dict[int, frozenset[str]]:
        found: dict[int, set[str]] = {}
        for word in self.words:
            found.setdefault(word.clause, set()).add(word.stem)
        return {clause: frozenset(stems) for clause, stems in found.items()}

    @cached_property
    def scopes(self) -> dict[int, frozenset[str]]:
        """The words of each clause; one without a subject of its own has those that came before it, or that "it" is."""
        subject: frozenset[str] = frozenset()
        found: dict[int, frozenset[str]] = {}
        for clause, stems in self.clauses.items():
            own = frozenset(
                word.stem for word in self.words if word.clause == clause and word.is_name and not word.case
            )
            found[clause] = stems if own else stems | subject
            if clause and any(word in RESUMING and there == clause for word, there in self.places):
                found[clause] |= subject_of(self)
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
        """Say who the pronoun at the beginning stands for, as in "It opened in 1889." after a sentence on a tower."""
        named = (Word(name, at - len(subject), 0, "", is_name=True) for at, name in enumerate(sorted(subject)))
        return replace(self, words=(*named, *self.words))

    def without(self, stems: AbstractSet[str]) -> "Statement":
        """The same without these words."""
        return replace(
            self,
            words=tuple(word for word in self.words if word.stem not in stems),
            places=tuple(place for place in self.places if root(place[0]) not in stems),
        )

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


@lru_cache(maxsize=256)  # whole passages among them
def language_of_text(text: str) -> Language | None:
    """The language of a text, as far as it decides what negates; None where that is not known.

    Chinese, Japanese and Korean count as English with characters in place of words: their negations stand apart.
    """
    unspaced = "".join(_UNSPACED.findall(text))
    if len(unspaced) * 2 > len(text):
        return ENGLISH if len(_COVERED_UNSPACED.findall(unspaced)) * 2 > len(unspaced) else None
    return language_of(match[0].lower() for match in _WORD.finditer(CONTRACTION.sub(" not", text)))


def subject_of(statement: Statement) -> frozenset[str]:
    """Guess the words of a sentence's subject: the names it begins with, else its first word."""
    names: list[Word] = []
    for before, word in pairwise((None, *statement.words)):
        if word is None or (before and word.position - before.position > 1) or (names and not word.is_name):
            break
        names.append(word)
        if not word.is_name and len(names) > 1:
            break
    return frozenset(word.stem for word in names)


_NEGATED_WORDS = 3


def take_apart(sentence: str, language: Language = ENGLISH) -> Statement:
    """Find the words, numbers, names and negations of one sentence."""
    text = _in_one_form(sentence, language)
    unspaced = [] if text.isascii() else _UNSPACED.findall(text)
    # Scripts without spaces are compared by pairs of characters; what stands between them is read as words.
    spaced = _UNSPACED.sub(" ", text) if unspaced else text
    reader = _Reader(language, spaced)
    for token in _TOKEN.finditer(spaced):
        reader.take(token)
    words = list(reader.words)
    position = len(words)
    for run in unspaced:
        for at in range(max(1, len(run) - 1)):
            position += 1
            words.append(Word(run[at : at + 2], position, clause=0, case=""))
    denied: list[str] = []
    negated = set(_UNSPACED_NEGATION.findall("".join(unspaced)))
    for at, clause in reader.negations.items():
        own = [word for word in reader.words if word.clause == clause]
        # "It was Lind, not Sorel, who described it" denies nothing of the describing, nor "returns nothing; call it" of
        # the calling.
        near = [word for word in own or reader.words if word.position > at]
        behind = [word.stem for word in near][:_NEGATED_WORDS]
        # With nothing behind it, as in German "Er kam nicht", it negates what stands before.
        before = [word.stem for word in reader.words if word.position < at][-1:]
        negated.update(behind or before or ["not"])
        denied += behind[:1]
        if language is not ENGLISH:
            # German or Dutch may deny at the end what the clause began with, so all of the clause is denied.
            negated.update(word.stem for word in reader.words if word.clause == clause)
    return Statement(
        language=language,
        words=tuple(words),
        negated=frozenset(negated),
        places=tuple(reader.places),
        opening=reader.places[0][0] if reader.places else "",
        is_unspaced=sum(map(len, unspaced)) * 2 > len(text),
        led_in_to=reader.led_in_to,
        key=frozenset(word.stem for word in words if word.position < reader.keyed_to),
        denied=tuple(denied),
        contrasted=set_aside(text) if language in (ENGLISH, UNTOLD) else frozenset(),
        text=text,
        unspaced="".join(unspaced),
    )


def _stems_in(text: str, language: Language) -> frozenset[str]:
    nothing = _saying_nothing(language)
    return frozenset(root(word) for word in re.findall(r"\w+", text.lower()) if word not in nothing)


def _in_one_form(sentence: str, language: Language) -> str:
    """Give what may be written in several ways in one: spellings, contractions, dates, numbers, and small phrases."""
    text = _URL.sub(" ", sentence) if "://" in sentence or "](" in sentence else sentence
    text = one_spelling(text if text.isascii() else _NARROW_SPACE_IN_NUMBER.sub("", text))
    if not text.isascii() and _UNSPACED.search(text):
        for pattern, one in _UNSPACED_SAME:
            text = pattern.sub(one, text)
        text = _BELOW_ZERO.sub(" -", _HAN_NUMBER.sub(_in_figures, text))
    if _DIGIT.search(text):
        text = in_one_scale(text, language)
    text = in_one_phrase(in_english_words(text, language.code))
    if _DIGIT.search(text):
        text = _MONTH_FIRST.sub(r"\2 \1 \3", text)
        text = _DECADE.sub(r"\1 decades", text)
        text = _MINUS.sub("-", text)
    if _HOW_OFTEN.search(text):
        text = _FREQUENCY.sub(_per_period, text)
    text = _UP_TO.sub("upto", text)
    if _PART.search(text):
        for pattern, part in _PARTS:
            text = pattern.sub(part, text)
    if " " in language.groups:
        text = _SPACE_IN_NUMBER.sub("", text)
    return text


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, language: Language, text: str) -> None:
        self.words: list[Word] = []
        self.places: list[tuple[str, int]] = []
        self.negations: dict[int, int] = {}
        """Where each stands, and in which clause."""
        self.led_in_to = self.keyed_to = 0
        self._language = language
        opening, comma = _WORD.search(text), _COMMA.search(text)
        # "For functions and methods, …": what leads in goes on to its comma; without one it is none.
        leads_in = opening is not None and opening[0].lower() in LEAD_INS
        self._lead_in_ends = comma.start() if comma and leads_in else 0
        self._clause = 0
        self._case = ""
        self._bound = ""
        self._currency = ""
        self._position = 0
        self._has_broken = False
        self._opens_clause = False
        self._opens_condition = False

    def take(self, token: re.Match[str]) -> None:
        self._position += 1
        if token["code"]:
            self._word(token["code"].replace("-", ""))
        elif token["number"]:
            self._number(_value(token["number"], self._language))
        elif token["name"]:
            if token["name"].lower() in CONJUNCTIONS and self.places and token.start() > self._lead_in_ends:
                self._break()
            self._word(token["name"], is_joined=token.string[token.start() - 1 : token.start()] == "-")
        elif token["sign"] in SIGN_BOUNDS:
            self._bound = SIGN_BOUNDS[token["sign"]]
        elif token["sign"]:
            unit = SIGNS.get(token["sign"].lower(), "")
            if not self._measure(unit):
                self._currency = unit  # "$5": the sign comes first
        else:
            self._break(token["break"])

    def _break(self, mark: str = "") -> None:
        """Begin a new clause, unless this one only leads in, as in "In 1889, …" and "…; if it is false, …"."""
        is_first = not self._has_broken
        self._has_broken = True
        if is_first and mark in _KEY_ENDS:
            self.keyed_to = self._position
        if is_first and mark and self.places and self.places[0][0] in LEAD_INS:
            self.led_in_to = self._position
        elif self._opens_condition and mark == ",":
            self._opens_condition = False
        else:
            self._clause += 1
            self._opens_condition = False
            self._opens_clause = True
        self._case = ""

    def _number(self, value: str) -> None:
        self._add(
            Word(
                value, self._position, self._clause, self._case, is_number=True, unit=self._currency, bound=self._bound
            )
        )
        self._currency = ""

    def _measure(self, unit: str, *, times: int = 1) -> bool:
        """Give the number just before this its unit; `times` is what a word such as "million" makes of it."""
        number = self.words[-1] if self.words else None
        if not number or not number.is_number or self._position - number.position > 1 + (times == 1):
            return False
        if number.unit and unit:
            return False
        value = number.stem
        if times > 1 and _is_plain(value):
            value = _plain(f"{float(value) * times:f}")
        self.words[-1] = replace(number, stem=value, position=self._position, unit=unit or number.unit)
        return True

    def _word(self, word: str, *, is_joined: bool = False) -> None:
        lower = word.lower().removesuffix("'s").removesuffix("’s")
        language = self._language
        is_first = not self.places
        before = self.words[-1] if self.words and self._position - self.words[-1].position == 1 else None
        self.places.append((lower, self._clause))
        if self._opens_clause and lower not in CONJUNCTIONS:
            self._opens_clause, self._opens_condition = False, lower in CONDITIONAL
        if lower in language.negations or word in ENGLISH.negations:
            self.negations[self._position] = self._clause
        # "Faster than in air" is compared with air; the "in" of "plug-in" stands before nothing.
        if lower in PREPOSITIONS and not is_joined and self._case != "than":
            # Spanish "antes de" is "before".
            self._case = self._case if lower == "of" and self._case else lower
        unit = CASED_UNITS.get(word) or UNITS.get(lower)
        if unit and self._measure(unit):
            return
        if lower in MULTIPLIERS and self._measure("", times=MULTIPLIERS[lower]):
            return
        if lower in NUMBER_WORDS and language in (ENGLISH, UNTOLD):
            self._number(NUMBER_WORDS[lower])
            return
        # "I" behind a word that says something is a number, as in "Type I"; elsewhere it is who speaks.
        # The same goes for "A", as in "Class A".
        is_roman = before is not None and _LABEL.fullmatch(word) is not None
        says_nothing = lower in _saying_nothing(language)
        if is_roman or not says_nothing:
            is_name = (word[0].isupper() and not is_first) or word[1:] != word[1:].lower() or not word.isalpha()
            # A name just behind a name shares its preposition, as in "by Gustave Eiffel's company"; all words do
            # behind "by", as in "by the city council".
            # In German every noun has a capital, and a verb behind one is none. "By 4 points" tells no actor.
            is_shared = (
                before is not None
                and not (before.unit and before.case == "by")
                and (is_roman or before.case in _SHARED_CASES or (is_name if language.code == "de" else before.is_name))
            )
            case = self._case or (before.case if before and is_shared else "")
            stem = lower if is_roman else root(lower)
            self._add(Word(stem, self._position, self._clause, case, form=lower, is_name=is_name))
        self._bound = BOUNDS.get(lower, self._bound)

    def _add(self, word: Word) -> None:
        self.words.append(word)
        self._case = self._bound = ""


@cache
def _saying_nothing(language: Language) -> frozenset[str]:
    small = language.function_words | language.negations | ENGLISH.function_words | ENGLISH.negations
    return small | PREPOSITIONS | _APPROXIMATELY | _SMALL


_KEY_ENDS = frozenset(":：—–|")
_LABEL = re.compile(r"[IVX]{1,4}|A")
_SHARED_CASES = frozenset(("by", "dueto"))
_SMALL = frozenset(("upto", "ones", "unless", "according"))
_APPROXIMATELY = frozenset(("roughly", "approximately", "circa", "approx"))
"""As "about" and "around", which are small words."""


_UNSPACED_SAME = tuple(
    (re.compile(words), words.partition("|")[0])
    for words in (
        "所有|全体|全體|全部|一切",
        "部分|一些|有些|某些",
        "必须|必須|须要|应当",
        "すべての|全ての|あらゆる",
        "모든|모두",
    )
)
"""What says the same in scripts without spaces, where another word is another claim."""
_BELOW_ZERO = re.compile(r"(?:零下|氷点下|マイナス|영하|负|負) ?(?=\d)")
_HAN_DIGITS = {
    char: value
    for value, chars in enumerate(("〇零", "一", "二两兩", "三", "四", "五", "六", "七", "八", "九"))
    for char in chars
}
_HAN_TENS = {"十": 10, "百": 100, "千": 1_000}
_HAN_NUMBER = re.compile(
    r"[一二三四五六七八九][〇零一二三四五六七八九]{2,}|十[一二三四五六七八九]"
    r"|[一二两兩三四五六七八九][十百千][〇零一二两兩三四五六七八九十百千]*"
)
"""Numbers of more than one character; one alone is as often a part of a word."""


def _in_figures(number: re.Match[str]) -> str:
    digits = number[0]
    if not _HAN_TENS.keys() & set(digits):
        return "".join(str(_HAN_DIGITS[char]) for char in digits)
    value, last = 0, 0
    for char in digits:
        if char in _HAN_TENS:
            value += max(last, 1) * _HAN_TENS[char]
            last = 0
        else:
            last = _HAN_DIGITS[char]
    return str(value + last)


def _per_period(told: re.Match[str]) -> str:
    """How often as a number with a unit, and the words that others may use for it."""
    times = told[1].split()[0].lower()
    period = told[2] or _PERIOD_OF[told[3].lower()]
    # "Twice" stays, for it is the opposite of "once" where a claim takes no number so exactly.
    return f"{'twice ' if times == 'twice' else ''}{_TIMES.get(times, times)} per{period} {period}"


_TIMES = {"once": "1", "twice": "2", "thrice": "3"}
_PERIOD_OF = {
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "yearly": "year",
    "annually": "year",
}


def _is_plain(value: str) -> bool:
    return value.replace(".", "", 1).isdigit()


def _plain(number: str) -> str:
    """Write a number in one way: 1000.0 and 01000 are 1000."""
    return number.rstrip("0").rstrip(".") if "." in number else number.lstrip("0") or "0"


def _value(number: str, language: Language) -> str:
    """Give what a number is worth as its language writes numbers; what may be read in two ways stays as it stands.

    "1,250" is 1250 in English and "1.250" is in German. "1.250" in English is one and a quarter, or what somebody
    copied from a German invoice: it equals another "1.250" and nothing else.
    """
    sign = "-" if number[0] in "-−" else ""
    number = number.lstrip("-−")
    for group in language.groups:
        decimal = "." if group == "," else ","
        if re.fullmatch(rf"\d{{1,3}}(?:[{group}]\d{{3}})+(?:[{decimal}]\d+)?", number):
            return sign + _plain(number.replace(group, "").replace(decimal, "."))
    if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", number):
        return sign + number
    if number.count(",") == 1 and "." not in number:
        number = number.replace(",", ".")
    return sign + (_plain(number) if _is_plain(number) else number)
