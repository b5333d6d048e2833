"""Words that are one slip of the hand away: a letter too many, too few, another, or two that changed places."""

from collections.abc import Iterator
from itertools import chain

LEAST_CHARS = 4
"""Shorter words have too many neighbours that are words, too."""
MOST_CHARS = 24

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
    alphabet = next((its for its in _ALPHABETS if set(its).issuperset(word)), "")
    if not alphabet or not LEAST_CHARS <= len(word) <= MOST_CHARS:
        return iter(())
    halves = [(word[:at], word[at:]) for at in range(1, len(word) + 1)]
    fewer = (first + rest[1:] for first, rest in halves if rest)
    swapped = (first + rest[1] + rest[0] + rest[2:] for first, rest in halves if len(rest) > 1)
    more = (first + letter + rest for first, rest in halves for letter in alphabet)
    other = (first + letter + rest[1:] for first, rest in halves if rest for letter in alphabet)
    return (near for near in chain(fewer, swapped, more, other) if near != word)
