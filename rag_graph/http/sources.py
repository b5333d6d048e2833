"""The passages behind a run's numbers, for front ends that number sources by the order in which they come.

Open WebUI is one: for it `[n]` is the n-th address among all that were sent, whatever was said beside it. So a list of
sources has each number from 1 to the highest that the text shows, and each passage has an address of its own.
"""

from collections.abc import Iterable, Mapping

from rag_graph.claims.markers import cited_numbers
from rag_graph.events import NumberedPassage
from rag_graph.transcript import Transcript

Numbered = Mapping[int, NumberedPassage]


def numbered(transcript: Transcript) -> Numbered:
    """The passages that a run has found, by number; a number holds for the whole run."""
    found = (passage for told in transcript.passages.values() for passage in told.passages)
    return {passage.number: passage for passage in sorted(found, key=lambda passage: passage.number)}


def address(passage: NumberedPassage) -> str:
    """Where a passage stands; several of one document have its address in common, but not their place in it."""
    return f"{passage.uri}{'&' if '#' in passage.uri else '#'}{passage.start}-{passage.end}"


def up_to_the_highest(passages: Numbered, texts: Iterable[str]) -> list[NumberedPassage]:
    """The passages of all numbers up to the highest that these texts show, cited or not."""
    last = max((number for text in texts for number in cited_numbers(text, passages.keys())), default=0)
    return [passage for number, passage in passages.items() if number <= last]
