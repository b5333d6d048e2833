"""Words that are a slip of the hand away: a letter too many, too few, another, or two that changed places."""

from collections.abc import Iterator
from itertools import chain

LEAST_CHARS = 4
"""Shorter words have too many neighbours that are words, too."""
MOST_CHARS = 24
LEAST_OPENING_CHARS = 5
"""From so many letters on the first one may be the slip: "cork" would be taken for "fork" and "work"."""
LEAST_CHARS_OF_TWO = 8
"""From so many letters on there may be two slips; shorter words have neighbours at that distance almost always."""
MOST_CHARS_OF_TWO = 16
"""Of 11 letters they are made and looked up in 30 ms of one core; they grow with the square of the letters."""
LEAST_PART = 3
_PARTICLES = frozenset(("in", "on", "up", "of", "to", "at", "by", "go", "js"))
"""Shorter words that stand at the end of others: "log in", "set up"."""

_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяіїє",
    "αβγδεζηθικλμνξοπρσςτυφχψω",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "אבגדהוזחטיכלמנסעפצקרשתםןףץך",
)


def near_spellings(word: str) -> Iterator[str]:
    """Those of a word in small letters, each of which keeps its first letter; none of numbers and the like.

    To make them all and ask the index which it has takes a millisecond, and no index of its own.
    """
    alphabet = _alphabet(word, LEAST_CHARS)
    return (near for near in chain(_moved(word), _changed(word, alphabet)) if near != word) if alphabet else iter(())


def other_openings(word: str) -> Iterator[str]:
    """Those in which the slip is at the first letter, where most hands are right."""
    alphabet = _alphabet(word, LEAST_OPENING_CHARS)
    if not alphabet:
        return
    first, rest = word[0], word[1:]
    yield rest
    yield rest[0] + first + rest[1:]
    for letter in alphabet:
        yield letter + rest
        yield letter + word


def two_slips(word: str) -> Iterator[str]:
    """Those with two slips, one of them a letter too many or two that changed places: some ten thousand.

    With any two slips they would be 200,000, and asking for them as slow as all the rest of a search.
    """
    alphabet = _alphabet(word, LEAST_CHARS_OF_TWO)
    if alphabet and len(word) <= MOST_CHARS_OF_TWO:
        for once in dict.fromkeys(_moved(word)):
            yield from _moved(once)
            yield from _changed(once, alphabet)


def parted(word: str) -> Iterator[tuple[str, str]]:
    """A word as two that were written without the space between them."""
    for at in range(LEAST_PART, len(word)):
        one, two = word[:at], word[at:]
        of_digits = one[-1].isdigit() != two[0].isdigit()
        if len(two) >= LEAST_PART or two in _PARTICLES or of_digits:
            yield one, two


def _alphabet(word: str, least: int) -> str:
    """The letters that a word may have instead of its own; none where it is too short or long, or of digits."""
    if not least <= len(word) <= MOST_CHARS:
        return ""
    return next((its for its in _ALPHABETS if set(its).issuperset(word)), "")


def _moved(word: str) -> Iterator[str]:
    """Without one of its letters, or with two that changed places."""
    for at in range(1, len(word)):
        yield word[:at] + word[at + 1 :]
        if at + 1 < len(word):
            yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _changed(word: str, alphabet: str) -> Iterator[str]:
    """With one letter more, or another."""
    for at in range(1, len(word) + 1):
        first, rest, replaced = word[:at], word[at:], word[at + 1 :]
        for letter in alphabet:
            yield first + letter + rest
            if rest:
                yield first + letter + replaced
