"""Names and numbers of a question that a text has in another form: "EU" as European Union, "3" as three.

So that a passage is not taken for one about something else where it only spells out what was asked for.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from rag_graph.claims.statements import NUMBER_WORDS, UNITS
from rag_graph.retrieval.figures import figures
from rag_graph.text.terms import stems, words

_SHORT: Final = re.compile(r"(?<![\w.])(?:[A-Z]\.?){2,6}(?![\w-])")
"""A short form in capitals, with stops or without: "UMC", "U.S."."""
_SMALL: Final = re.compile(r"[\s-]*(?:(?:of|the|and|for|on|in|de|du|des|&)[\s-]+)*")
"""What may stand between the words of a name."""
_LEAST_NAMED: Final = 2
_ROMAN: Final = dict(
    zip("II III IV V VI VII VIII IX X XI XII".split(), map(str, range(2, 13)), strict=True)  # noqa: SIM905 - as read
)
_NUMBER: Final = re.compile(r"\d+")


def told_otherwise(question: str, text: str) -> frozenset[str]:
    """The terms of the question's words, and its numbers, that the text has in another form only."""
    return frozenset(_short_and_long(question, text)) | frozenset(_figures(question, text))


def _short_and_long(question: str, text: str) -> Iterator[str]:
    here, there = _names(question), _names(text)
    shorts = {_letters(match[0]) for match in _SHORT.finditer(text)}
    for match in _SHORT.finditer(question):
        letters = _letters(match[0])
        if any(_holds(initials, letters) for initials, _ in there):
            yield from _terms(match[0])
    for initials, name in here:
        if initials in shorts:
            yield from _terms(name)


def _holds(initials: str, letters: str) -> bool:
    """Whether a name is what a short form stands for; of two letters only a whole one, as parts of names often have."""
    return letters == initials or (len(letters) > _LEAST_NAMED and letters in initials)


def _figures(question: str, text: str) -> Iterator[str]:
    said = _words_of(text)
    written = {NUMBER_WORDS[word] for word in said & NUMBER_WORDS.keys()}
    written |= {_ROMAN[word] for word in _ROMAN if re.search(rf"(?<!\w){word}(?!\w)", text)}
    for match in words(question):
        word = match[0].casefold()
        if (_NUMBER.fullmatch(word) and word in written) or (NUMBER_WORDS.get(word, "-") in said):
            yield word
        unit = UNITS.get(word, "")
        if unit.startswith("°") and unit in text.casefold():
            yield from stems(match[0])
    for figure in figures(question):
        if any(term in said or (not term.isalnum() and term in text) for term in figure.terms):
            yield from _terms(question[figure.start : figure.end])


@lru_cache(maxsize=32)
def _words_of(text: str) -> frozenset[str]:
    """In small letters and as terms. Kept, as the names below, since each answer of a passage asks for them."""
    found = [match[0] for match in words(text)]
    return frozenset((*map(str.casefold, found), *(term for word in found for term in stems(word))))


@lru_cache(maxsize=32)
def _names(text: str) -> tuple[tuple[str, str], ...]:
    """Runs of words with capitals, each with its initials: "Bank of England" is BE."""
    found: list[list[re.Match[str]]] = []
    for match in words(text):
        if not match[0][0].isupper():
            continue
        if found and _SMALL.fullmatch(text, found[-1][-1].end(), match.start()):
            found[-1].append(match)
        else:
            found.append([match])
    return tuple(
        ("".join(match[0][0] for match in run), text[run[0].start() : run[-1].end()])
        for run in found
        if len(run) >= _LEAST_NAMED
    )


def _letters(short: str) -> str:
    return short.replace(".", "")


def _terms(said: str) -> Iterator[str]:
    for match in words(said):
        yield match[0].casefold()
        yield from stems(match[0])
