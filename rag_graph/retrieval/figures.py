"""Dates and measures of a question as texts may write them: "3rd of May 2021" is 2021-05-03, "5 km" 5 kilometres."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rag_graph.claims.statements import UNITS
from rag_graph.text.glossary import MONTHS
from rag_graph.text.terms import fold, stem, stems

_MONTH_NAMES: Sequence[Sequence[str]] = tuple(
    zip(*([fold(month) for month in MONTHS[code]] for code in ("en", "de", "fr", "es")), strict=True)
)
"""Of each month its names in English, German, French and Spanish, without accents, as words are compared."""
_SHORT_CHARS = 3
_MONTHS = {
    name: number
    for number, names in enumerate(_MONTH_NAMES, 1)
    for name in (*names, names[0][:_SHORT_CHARS], *(("sept",) if names[0] == "september" else ()))
}
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.)?"
_MONTH = r"(?P<month>[^\W\d_]{3,10})\.?"
_DATES = tuple(
    re.compile(rf"(?<![\w.,/-]){pattern}(?![\w/-])")
    for pattern in (
        r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})",
        r"(?P<day>\d{1,2})[./-](?P<month>\d{1,2})[./-](?P<year>\d{4})",
        # Americans write the month first; which of the two it is, the slashes do not tell.
        r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})",
        rf"{_DAY} (?:of |de )?{_MONTH}(?:,? (?:de )?(?P<year>\d{{4}}))?",
        rf"{_MONTH} {_DAY}(?:,? (?P<year>\d{{4}}))?",
    )
)
_MEASURE = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?P<gap>[ \u00a0\u202f-]?)(?P<unit>[^\W\d_]{1,12})(?!\w)")
_FISCAL = re.compile(
    r"(?<!\w)(?:(?P<quarter>q[1-4])(?: of)? )?(?P<whole>(?P<of>[fc]y)? ?['’]?"
    r"(?P<year>(?:19|20)\d\d|(?:(?<=y)|(?<=y['’ ]))\d\d)(?P<last>q[1-4])?)(?!\w)",
    re.IGNORECASE,
)
"""A year of accounts or a quarter of one, as "FY2022", "Q2 of FY24", "2023Q1"."""
_ORDINAL = "th"
_SHORT_YEAR = 2
_MOST_MONTHS, _MOST_DAYS = 12, 31


@dataclass(frozen=True, slots=True)
class Figure:
    """A date or measure or a part of one, where it stands, and the terms by which others would write it."""

    start: int
    end: int
    terms: tuple[str, ...]


def figures(question: str) -> Iterator[Figure]:
    """The dates and measures of a question in their other spellings."""
    for pattern in _DATES:
        for match in pattern.finditer(question):
            parts = match.groupdict()
            month = parts["month"]
            number = int(month) if month.isdigit() else _MONTHS.get(fold(month), 0)
            day = int(parts["day"])
            if 1 <= number <= _MOST_MONTHS and 1 <= day <= _MOST_DAYS:
                names = map(stem, dict.fromkeys(_MONTH_NAMES[number - 1]))
                yield Figure(*match.span("month"), (*names, f"{number:02}"))
                yield Figure(*match.span("day"), (str(day), f"{day:02}"))
                if year := parts["year"]:
                    yield Figure(*match.span(), (f"{year}-{number:02}-{day:02}", *_with_full_stops(year, number, day)))
    for match in _FISCAL.finditer(question):
        written = match["year"]
        year = f"20{written}" if len(written) == _SHORT_YEAR else written
        if match["of"] or match["last"]:
            # The year alone is what most documents have: "fiscal 2022", "2022 annual report".
            yield Figure(*match.span("whole"), (year, f"fy{year}", f"fy{year[2:]}"))
        if quarter := (match["quarter"] or match["last"] or "").lower():
            yield Figure(*match.span("quarter" if match["quarter"] else "whole"), (quarter, f"{year}{quarter}"))
    for match in _MEASURE.finditer(question):
        unit = UNITS.get(match["unit"].casefold())
        if unit and unit != _ORDINAL:
            others = (name for name, its in UNITS.items() if its == unit and name.isalpha())
            yield Figure(*match.span("unit"), _others(others, match["unit"]))


def _with_full_stops(year: str, month: int, day: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys((f"{day:02}.{month:02}.{year}", f"{day}.{month}.{year}")))


def _others(names: Iterable[str], written: str) -> tuple[str, ...]:
    said = stems(written)
    return tuple(term for term in dict.fromkeys(stem(name) for name in names) if term not in said)
