"""Days, times of day and temperatures as one number each, however they are written in whatever language."""

import re

from rag_graph.text.glossary import MONTHS
from rag_graph.text.languages import ENGLISH, UNTOLD, Language

_AM = (
    r"in the (?:early )?morning|morgens|vormittags|früh|am (?:Morgen|Vormittag)|du matin|de la (?:mañana|madrugada)"
    r"|di mattina|del mattino|da (?:manhã|madrugada)|'s (?:ochtends|morgens)|på (?:morgonen|förmiddagen)"
    r"|om (?:morgenen|formiddagen)|rano|утра|ранку"
)
_PM = (
    r"in the (?:afternoon|evening)|at night|nachmittags|abends|nachts|am (?:Nachmittag|Abend)|du soir|de l'après-midi"
    r"|de la (?:tarde|noche)|di sera|d[ie]l? pomeriggio|di notte|da (?:tarde|noite)|'s (?:middags|avonds)"
    r"|på (?:eftermiddagen|kvällen)|om (?:eftermiddagen|aftenen)|po południu|wieczorem|дня|вечера|вечора"
)
_STRICT_CLOCK = r"Uhr|o'clock"
_CLOCK = rf"{_STRICT_CLOCK}|uur|heures?|horas?|godzin\w*|h"
"""Those behind the first two may as well be hours that something takes."""


def _time(half: str) -> re.Pattern[str]:
    halved = rf"(?: ?(?:(?P<half>{half})|(?P<morning>{_AM})|(?P<evening>{_PM}))(?!\w))"
    minute = rf"(?::|\.(?=\d\d ?(?:{half}|{_CLOCK})(?!\w)))(?P<minute>[0-5]\d)| ?(?:h|heures) ?(?P<minutes>[0-5]\d)"
    end = rf"(?: ?(?:{_CLOCK})\b)?{halved}|(?P<clock> ?(?:{_STRICT_CLOCK}))\b"
    return re.compile(
        rf"(?<![\w:.,/-])(?P<hour>[01]?\d|2[0-4])(?:{minute})?(?![\d:])(?:{end})?",
        re.IGNORECASE,
    )


_ENGLISH_TIME = _time(r"[ap]\.m\.?|[ap]m")
_TIME = _time(r"[ap]\.m\.?")
_NOON = re.compile(r"\b(at|by|until|till|before|after|from|to|between|and) (?:(noon|midday)|midnight)\b", re.IGNORECASE)
_NOON_HOUR = 12
_DEGREES = r"degrees?|Grad|degrés|grados|gradi|graus|graden|grader|stopni\w*|градус\w*"
_BELOW_ZERO = re.compile(
    # From the first figure on only: from each of a long row of them, all the others would be read again.
    rf"(?<![\d.,])(\d+(?:[.,]\d+)?(?: ?(?:{_DEGREES}|°C?))?(?: Celsius)?)"
    r" (?:below (?:zero|freezing)|unter null|sous zéro|bajo cero|sotto (?:lo )?zero|abaixo de zero|onder nul"
    r"|under noll|under null|poniżej zera|ниже нуля|нижче нуля)\b",
    re.IGNORECASE,
)
_MINUS = re.compile(
    r"\b(?:(?:minus|минус|мінус)|(?<!au )(?<!al )(?<!lo )(?<!pelo )(?:moins|menos|meno)"
    rf"(?= \d+(?:[.,]\d+)? ?(?:{_DEGREES}|°))) (?=\d)",
    re.IGNORECASE,
)
_YEAR_FIRST = re.compile(r"\b(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])\b")
_DAY_FIRST = re.compile(
    r"\b(?P<day>0?[1-9]|[12]\d|3[01])(?P<mark>[./-])(?P<month>0?[1-9]|1[0-2])(?P=mark)(?P<year>(?:19|20)\d\d)\b"
)
_MONTH_FIRST = re.compile(r"\b(?P<month>0?[1-9]|1[0-2])/(?P<day>1[3-9]|2\d|3[01])/(?P<year>(?:19|20)\d\d)\b")


def in_one_scale(text: str, language: Language) -> str:
    """Dates with the month's name, times by the clock of twelve hours, and what is below zero with its sign.

    "03/05/2024" has two readings in English, and stays.
    """
    is_english = language in (ENGLISH, UNTOLD)

    def date(found: re.Match[str]) -> str:
        names = MONTHS.get(language.code, MONTHS["en"])
        return f"{int(found['day'])} {names[int(found['month']) - 1]} {found['year']}"

    def day_first(found: re.Match[str]) -> str:
        is_told = not is_english or found["mark"] == "." or int(found["day"]) > len(MONTHS["en"])
        return date(found) if is_told else found[0]

    text = _MONTH_FIRST.sub(date, _DAY_FIRST.sub(day_first, _YEAR_FIRST.sub(date, text)))
    text = _MINUS.sub("-", _BELOW_ZERO.sub(r"-\1", text))
    if is_english:
        text = _NOON.sub(lambda found: f"{found[1]} 12 {'pm' if found[2] else 'am'}", text)
    return (_ENGLISH_TIME if is_english else _TIME).sub(_by_twelve_hours, text)


def _by_twelve_hours(found: re.Match[str]) -> str:
    minute = found["minute"] or found["minutes"]
    if not (minute or found["clock"] or found["half"] or found["morning"] or found["evening"]):
        return found[0]
    hour = int(found["hour"])
    half = (found["half"] or "")[:1].lower() or ("a" if found["morning"] else "p" if found["evening"] else "")
    if found["evening"] and hour <= _SMALL_HOURS and _NIGHT.search(found["evening"]):
        half = "a"
    if not half and (hour > _NOON_HOUR or (minute and found["hour"].startswith("0"))):
        half = "a" if hour % 24 < _NOON_HOUR else "p"
    told = str(hour % _NOON_HOUR or _NOON_HOUR) + (f":{minute}" if minute and int(minute) else "")
    return f"{told} {half}m" if half else told


_SMALL_HOURS = 5
_NIGHT = re.compile("night|nacht|notte|noite", re.IGNORECASE)
