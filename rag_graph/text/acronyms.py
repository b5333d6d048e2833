"""Short forms with what they stand for, where a text says both: "Long Form (LF)" or "LF (Long Form)".

After Schwartz and Hearst, "A simple algorithm for identifying abbreviation definitions in biomedical text" (2003).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

_IN_BRACKETS = re.compile(r"\(([^()\n]{2,80})\)")
_SHORT = re.compile(r"[^\W_][^\s,;:()]{1,9}")
_LONGEST_BEFORE = 120
_REMEMBERED_TEXTS = 256


@lru_cache(_REMEMBERED_TEXTS)
def definitions(text: str) -> tuple[tuple[str, str], ...]:
    """The short forms that a text explains, each with its long form."""
    return tuple(_definitions(text))


def _definitions(text: str) -> Iterator[tuple[str, str]]:
    for found in _IN_BRACKETS.finditer(text):
        before, inside = text[max(0, found.start() - _LONGEST_BEFORE) : found.start()].rstrip(), found[1].strip()
        inside = re.split(r"[,;]", inside)[0].strip()
        if is_short_form(inside):
            if long := _long_form(inside, before):
                yield inside, long
        elif (last := before.rpartition(" ")[2]) and is_short_form(last) and (long := _long_form(last, inside)):
            yield last, long


def is_short_form(word: str) -> bool:
    """Whether a word may stand for several: two to ten characters, a capital among them."""
    return bool(_SHORT.fullmatch(word)) and any(map(str.isupper, word)) and sum(map(str.isalpha, word)) > 1


def _long_form(short: str, before: str) -> str:
    """The end of a text in which the letters of a short form stand in order, its first one at the start of a word."""
    words = before.split()
    # So many words at most as the short form could stand for, as the paper has it.
    most = min(len(short) + 5, 2 * len(short))
    candidate = " ".join(words[-most:])
    place = len(candidate)
    letters = [letter for letter in short.casefold() if letter.isalnum()]
    folded = candidate.casefold()
    # A letter may become two when its case goes, as ß does: then no place in the one is that in the other.
    if len(folded) != len(candidate):
        return ""
    for number in range(len(letters) - 1, -1, -1):
        place -= 1
        while place >= 0 and (
            folded[place] != letters[number] or (number == 0 and place > 0 and folded[place - 1].isalnum())
        ):
            place -= 1
        if place < 0:
            return ""
    long = candidate[place:].strip(" \"'“”‘’")
    # One word is no long form, nor is what holds the short form itself.
    return long if " " in long and short.casefold() not in long.casefold().split() else ""
