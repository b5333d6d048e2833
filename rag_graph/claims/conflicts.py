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
from itertools import combinations

from rag_graph.claims.bearing import comparable
from rag_graph.claims.statements import Statement, Word, language_of_text, take_apart
from rag_graph.claims.strength import agrees_in_negation
from rag_graph.claims.support import says_opposite
from rag_graph.events import NumberedPassage
from rag_graph.text.languages import ASKING_WORDS, ENGLISH, PRONOUNS, UNTOLD, Language
from rag_graph.text.sentences import Sentence, sentences
from rag_graph.text.spelling import one_spelling
from rag_graph.text.terms import STOP_TERMS, root, terms

LEAST_SHARED = 2
"""Words that both have, numbers aside: fewer are no statement, unless one is asked for, as in "The fee is 5 euros."."""
LEAST_SHARED_CHARS = 4
"""The same where no spaces part the words."""
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
        *("gebaut", "erbaut", "gegründet", "geboren", "gestorben", "fertiggestellt", "eingeweiht", "erfunden"),
        *("construit", "construite", "fondé", "fondée", "né", "née", "inauguré", "inaugurée", "bâti", "bâtie"),
        *("construido", "construida", "fundado", "fundada", "nació", "murió", "inaugurado", "inaugurada"),
        *("costruito", "costruita", "fondato", "fondata", "nato", "nata", "inaugurato", "inaugurata"),
        *("construído", "construída", "nasceu", "morreu", "gebouwd", "opgericht", "geopend", "byggdes", "grundades"),
        *("построен", "построена", "основан", "основана", "родился", "родилась", "умер", "открыт", "открыта"),
    )
)
"""What happens to a thing once, so that two dates of it cannot both be right."""
_ONE_NAME = frozenset(
    root(word)
    for word in (
        *("capital", "born", "died", "buried", "headquarters", "headquartered", "named", "default", "located"),
        *("maintainer", "ceo", "cto", "cfo", "head", "chairman", "chairwoman", "chairperson", "mayor", "treasurer"),
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
_NOT_WITHOUT = re.compile(r"\b(?:no|not|never|cannot)\b.*\b(without)\b|n['’]t\b.*\b(without)\b", re.IGNORECASE)
"""What denies twice says on what condition."""
_IN_PAST = frozenset(("was", "were"))
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
_CLOCK = re.compile(
    r"\b(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?(?:\s?(?P<half>[ap])\.?m\b\.?|\s?(?:Uhr|o['’]clock)\b)"
    r"|\b(?P<hour24>[01]?\d|2[0-3]):(?P<minute24>[0-5]\d)\b(?!:)",
    re.IGNORECASE,
)
_MONTHS = {
    name: number
    for names in (
        "january february march april may june july august september october november december",
        "januar februar märz april mai juni juli august september oktober november dezember",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    )
    for number, name in enumerate(names.split(), 1)
}
_MONTH = rf"(?P<{{0}}>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})"
_DAYS = (
    re.compile(r"\b(?P<year>(?:19|20)\d\d)-(?P<month>0[1-9]|1[0-2])-(?P<day>\d\d)\b"),
    re.compile(r"\b(?P<day>[0-3]?\d)\.\s?(?P<month>0?[1-9]|1[0-2])\.\s?(?P<year>(?:19|20)\d\d)\b"),
    re.compile(
        rf"\b(?P<day>[0-3]?\d)(?:st|nd|rd|th|er|º|\.)?(?: of| de)? {_MONTH.format('month')}\b"
        r"(?:,?(?: de)? (?P<year>(?:19|20)\d\d)\b)?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b{_MONTH.format('month')} (?P<day>[0-3]?\d)(?:st|nd|rd|th)?\b(?!:)(?:,? (?P<year>(?:19|20)\d\d)\b)?",
        re.IGNORECASE,
    ),
)
_ANY_YEAR = "9999"
_DAY = re.compile(r"(?:9999|19\d\d|20\d\d)(?:0[1-9]|1[0-2])[0-3]\d")
"""A day as `_on_one_scale` writes it; without a year it may be of any."""
_GROUP = re.compile(r"(?<=\d)[.,](?=\d{3}\Z)")
_DOTTED = re.compile(r"\d+(?:\.\d+){2,}")
_TITLE_WORD = re.compile(r"[^\W\d_][\w'’.-]*")
_LETTER = re.compile(r"(?<=[\w)] )[A-Z]\b(?![.'’])")
_IN_BRACKETS = re.compile(r"\([^()]*\)")
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

    `edition` are the numbers in the title, dates apart: "Manual 2.1" and "Manual 2.3" are of two things. `letters` are
    those that stand alone, as in "Pump A". `is_named` is a title that is a name, as "Eagle Mountain, Utah" is, and
    "Release notes" is not.
    """

    title: frozenset[str]
    subject: frozenset[str]
    words: frozenset[str]
    edition: frozenset[str]
    letters: frozenset[str]
    is_named: bool

    @classmethod
    def of(cls, title: str, content: str) -> "Setting":
        # "Prices 2023" and "Prices 2024" are of one thing at two times, and the newer one is told first.
        undated = _DATE.sub("", title)
        titled, said = _meaning(undated), frozenset(terms(content))
        # "Notes (draft)" says of what sort it is, and "Letters from Home" has small words of a name.
        named = _TITLE_WORD.findall(_IN_BRACKETS.sub("", undated))
        long = [word for word in named if word[0].isupper() or word not in ENGLISH.function_words]
        is_named = len(long) > 1 and all(word[0].isupper() for word in long)
        edition, letters = frozenset(_NUMBER.findall(undated)), frozenset(_LETTER.findall(undated))
        return cls(titled, titled & said, titled | said, edition, letters, is_named)


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of a passage, taken apart."""

    passage: NumberedPassage
    start: int
    end: int
    statement: Statement
    setting: Setting
    told: str = ""
    """Its words as they are compared: of a cell with its row's first and its column's head."""

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
    """The conflicts among what the passages say of the question, the nearest first; of two passages one is told."""
    asked = _asked(question)
    wanted = comparable(asked)
    told: set[tuple[int, int]] = set()
    for one, other in _asked_pairs(asked, passages):
        pair = (one.passage.number, other.passage.number)
        # Of two pages on nothing alike "The fee is 5 euros." is told of two things.
        near = wanted if one.setting.title & other.setting.title else frozenset()
        if (
            pair not in told
            and conflict(one.statement, other.statement, one.told, other.told, near)
            and _are_of_one(one.statement, other.statement, one.setting, other.setting)
        ):
            told.add(pair)
            newer = other.year > one.year > 0
            yield Conflict(other, one) if newer else Conflict(one, other)


def _asked_pairs(asked: AbstractSet[str], passages: Sequence[NumberedPassage]) -> Iterator[tuple[Said, Said]]:
    """Pairs of sentences of two documents, one of which at least tells what was asked: those with most words first."""
    said = [
        (sentence, held)
        for passage in passages
        for sentence in _sentences(passage)
        # The one that says the opposite of what is asked lacks that word, as in "Is it on?" - "It is off."
        if (held := len(asked & (_meaning(sentence.told) | sentence.setting.title))) + 1 >= LEAST_ASKED * len(asked)
    ][:MOST_SENTENCES]
    # Where "the ferry leaves" is told, "the ferry costs" is not what was asked.
    most = max((held for _, held in said), default=0)
    pairs = [
        (one, other, max(held, also_held))
        for (one, held), (other, also_held) in combinations(said, 2)
        if one.passage.document != other.passage.document
        and max(held, also_held) >= LEAST_ASKED * len(asked)
        and 2 * max(held, also_held) > most
    ]
    yield from ((one, other) for one, other, _ in sorted(pairs, key=lambda pair: -pair[2]))


def opposes(words: str, titles: str, passage: NumberedPassage) -> bool:
    """Whether a passage has a sentence that cannot be right beside these words, written from pages of those titles."""
    claim, setting = _statement(words), Setting.of(titles, words)
    return any(
        conflict(claim, said.statement, words, said.told) and _are_of_one(claim, said.statement, setting, said.setting)
        for said in _sentences(passage)
    )


def conflict(one: Statement, other: Statement, words: str, theirs: str, asked: AbstractSet[str] = frozenset()) -> bool:
    """Whether two sentences on one thing cannot both be right; `asked` are words that are asked for."""
    if one.is_unspaced and other.is_unspaced:
        return _differ_unspaced(one, other)
    if one.is_unspaced or other.is_unspaced:
        return False
    if one.language is not other.language:
        # Of two sentences in nearly the same words the shorter may be too short to tell its language.
        if ENGLISH not in (one.language, other.language) or not _is_in_either(words, theirs):
            return False
        language = other.language if one.language is ENGLISH else one.language
        one, other = _statement_in(words, language), _statement_in(theirs, language)
    if _EXAMPLE.search(words) or _EXAMPLE.search(theirs) or _conditions(words) != _conditions(theirs):
        return False
    is_rough = bool(_NEARLY.search(words) or _NEARLY.search(theirs))
    is_least = bool(_LOWER_BOUND.search(words)) and not one.negated  # "over 1,000" is no less true than "over 900"
    mine, its = _plain_stems(one), _plain_stems(other)
    if len(mine & its) < LEAST_SHARED and not mine & its & asked:
        return False
    gone, come = _numbers(one, other), _numbers(other, one)
    if gone or come:
        named = {*_IN_A_NAME.findall(words), *_IN_A_NAME.findall(theirs)}
        is_of_one = mine == its and not is_least and named.isdisjoint(number.form or number.stem for number in gone)
        is_exact = bool(_EXACT.search(words) and _EXACT.search(theirs)) or "clock" in one.plain
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
    twice = ["without"] if _NOT_WITHOUT.search(words) else []
    return sorted([*twice, *(found.casefold() for found in _QUALIFIED.findall(words))])


def _differ_unspaced(one: Statement, other: Statement) -> bool:
    """All characters are the same but for one number, or for a "not"."""
    said, theirs = _UNSPACED_NOT.sub("", one.unspaced), _UNSPACED_NOT.sub("", other.unspaced)
    if said != theirs or len(said) < LEAST_SHARED_CHARS or _UNSPACED_QUALIFIED.search(said):
        return False
    mine, its = [word for word in one.words if word.is_name], [word for word in other.words if word.is_name]
    if {word.stem for word in mine} != {word.stem for word in its}:
        return False
    gone, come = _numbers(one, other), _numbers(other, one)
    if gone or come:
        is_of_one = len(gone) == len(come) == 1 and one.unspaced == other.unspaced
        return is_of_one and _differ_in_number(one, other, gone, come, by=1, is_exact=False)
    return len(one.unspaced) != len(other.unspaced)


def _are_negated_alike(one: Statement, other: Statement) -> bool:
    return not (one.negated or other.negated) or (agrees_in_negation(one, other) and agrees_in_negation(other, one))


def _differ_in_number(
    one: Statement, other: Statement, gone: list[Word], come: list[Word], *, by: int, is_exact: bool
) -> bool:
    """One number each, of one sort, not a rounding of the other; a date only of what happens once."""
    if len(gone) != 1 or len(come) != 1 or not _are_negated_alike(one, other):
        return False
    mine, its = gone[0], come[0]
    if _DAY.fullmatch(mine.stem) and _DAY.fullmatch(its.stem):
        is_once = bool(one.roots & _ONCE and other.roots & _ONCE)
        return _differ_in_day(mine.stem, its.stem, is_once=is_once)
    is_one_year = bool(_YEAR.fullmatch(mine.stem)) != bool(_YEAR.fullmatch(its.stem))
    if mine.bound != its.bound or (is_one_year and (mine.case or its.case)):  # "1200 seats" are no year
        return False
    if mine.unit == its.unit == "" and _YEAR.fullmatch(mine.stem) and _YEAR.fullmatch(its.stem):
        return bool(one.roots & _ONCE and other.roots & _ONCE)
    if _DOTTED.fullmatch(mine.stem) and _DOTTED.fullmatch(its.stem):
        return by == 1 and not f"{mine.stem}.".startswith(f"{its.stem}.") and not its.stem.startswith(f"{mine.stem}.")
    if mine.stem == _GROUP.sub("", its.stem) or its.stem == _GROUP.sub("", mine.stem):  # "1.250 Euro" and "1250 Euro"
        return False
    try:
        first, second = Decimal(mine.stem), Decimal(its.stem)
    except InvalidOperation:
        return False
    if mine.unit != its.unit:
        return _differ_across_units(first, mine.unit, second, its.unit, by=by)
    low, high = sorted((abs(first), abs(second)))
    is_rounded = not is_exact and (_is_rounding(first, second) or _is_rounding(second, first))
    is_turned = by == 1 and first == -second  # "-10 °C" and "10 °C"
    return first != second and not is_rounded and (is_turned or (low != high and (by == 1 or high >= by * low)))


def _differ_in_day(one: str, other: str, *, is_once: bool) -> bool:
    """Another day of the same month; else only what happens once cannot be on both."""
    if _ANY_YEAR in (one[:4], other[:4]):
        one, other = one[4:], other[4:]
    return one != other and (is_once or one[:-2] == other[:-2])


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
        and (one.plain & _IN_PAST == other.plain & _IN_PAST)
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
        is_one_title = bool(here.title & there.title) and (here.title <= there.title or there.title <= here.title)
        return is_one_title and here.letters == there.letters
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
    return tuple(_said_in(passage))


def _said_in(passage: NumberedPassage) -> Iterator[Said]:
    setting = Setting.of(passage.title, passage.content)
    header: Sequence[str] = ()
    for one in sentences(passage.content):
        words = passage.content[one.start : one.end]
        if one.kind != "row":
            header = ()
        if one.kind not in ("prose", "row") or words.rstrip().endswith("?"):
            continue
        cells = _cells(words) if one.kind == "row" else ()
        if header and len(cells) == len(header):
            for head, cell in zip(header[1:], cells[1:], strict=True):
                yield _said(passage, one, setting, f"{header[0]} {cells[0]} {head} {cell}")
        else:
            yield _said(passage, one, setting, words)
        header = header or cells


def _said(passage: NumberedPassage, one: Sentence, setting: Setting, told: str) -> Said:
    return Said(passage, one.start, one.end, _statement(told), setting, told)


def _cells(row: str) -> tuple[str, ...]:
    return tuple(cell.strip(" *_`") for cell in row.strip().strip("|").split("|"))


@lru_cache(maxsize=1_024)
def _statement(words: str) -> Statement:
    language = language_of_text(words)
    return _statement_in(words, ENGLISH if language is None or language is UNTOLD else language)


@lru_cache(maxsize=256)
def _statement_in(words: str, language: Language) -> Statement:
    return take_apart(_on_one_scale(_DENIES_NOTHING.sub("`x`", words)), language)


def _is_in_either(words: str, theirs: str) -> bool:
    return UNTOLD in (language_of_text(words), language_of_text(theirs))


def _on_one_scale(words: str) -> str:
    """Days and times of day as one number each, however they are written."""
    words = one_spelling(words)
    for pattern in _DAYS:
        words = pattern.sub(_day, words)
    return _CLOCK.sub(_minutes, words)


def _day(found: re.Match[str]) -> str:
    month = _MONTHS.get(found["month"].casefold()) or int(found["month"])
    return f"date {found['year'] or _ANY_YEAR}{month:02}{int(found['day']):02}"


def _minutes(found: re.Match[str]) -> str:
    hour, minute = int(found["hour"] or found["hour24"]), int(found["minute"] or found["minute24"] or 0)
    if half := (found["half"] or "").casefold():
        hour = hour % 12 + (12 if half == "p" else 0)
    return f"clock {60 * hour + minute}"


def _asked(question: str) -> frozenset[str]:
    """The words that say what is asked, but for those that ask for a sort of answer, as "which version"."""
    asked = _meaning(_UNSPACED_ASKING.sub(" ", question))
    language = language_of_text(question) or UNTOLD
    # Three words tell no language, but may ask in any.
    asking = ASKING_WORDS.get(language.code) or frozenset().union(*ASKING_WORDS.values())
    small = language.function_words | asking
    return asked - frozenset(terms(" ".join(small))) - _SORTS or asked


def _meaning(words: str) -> frozenset[str]:
    found = frozenset(terms(words))
    return found - STOP_TERMS or found


_SORTS = frozenset(
    root(word)
    for word in (
        "version",
        "number",
        "date",
        "day",
        "time",
        "year",
        "amount",
        "name",
        "kind",
        "type",
        "need",
        "much",
        "many",
    )
)
_UNSPACED_ASKING = re.compile(
    r"多少|多久|多长|多大|什么|什麼|哪[里裡儿些个個]?|谁|誰|几|幾|吗|嗎|呢|是|いつ|どこ|なに|何|いくら|ですか|ますか|は|が|몇|얼마"
)
_UNSPACED_NOT = re.compile(r"[不没沒無无未非别勿莫]|않|안 |못")
_UNSPACED_QUALIFIED = re.compile(
    r"大约|大約|约|約|左右|以上|以下|超过|超過|最多|最少|至少|以前|以后|之前|如果|若|もし|場合|ほど|または|이상|이하|약"
)
