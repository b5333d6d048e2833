"""Where a passage answers a question: the contract of a reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ReadablePassage:
    """What is read; the title tells what the content is about."""

    title: str
    content: str


@dataclass(frozen=True, slots=True)
class Span:
    """What may answer a question: `passages[passage].content[start:end]`."""

    passage: int
    start: int
    end: int
    text: str
    margin: float
    """By how much the reader would rather give this than say that the passage does not answer; 0 is undecided."""


class Reader(Protocol):
    """Finds answers in passages. Calls block: run them in a thread."""

    def read(self, question: str, passages: Sequence[ReadablePassage]) -> list[Span]:
        """The likeliest spans, the best first; those that share words with a better one of that passage left out."""

    def weigh(
        self, question: str, passages: Sequence[ReadablePassage], places: Sequence[tuple[int, int]]
    ) -> list[float]:
        """The margin of one place in each passage, whether or not it is among the likeliest there."""
