"""The passages of one run under the numbers by which its answers cite them, and how a person is told of them."""

from collections.abc import Sequence
from sys import maxsize

from rag_graph.documents import Hit
from rag_graph.events import NumberedPassage

MOST_TITLES = 4

_Place = tuple[str, int, int]


def numbered(hits: Sequence[Hit], *, first: int = 1) -> list[NumberedPassage]:
    """Number the hits of a search by rank."""
    return [_as_evidence(hit, number) for number, hit in enumerate(hits, first)]


class Findings:
    """What a run has found so far. A passage keeps its number; a new one gets the next, up to `most` passages."""

    def __init__(self, known: Sequence[NumberedPassage] = (), *, most: int) -> None:
        self._most = most
        self._found = {_place(passage): passage for passage in known}
        self._best: dict[_Place, int] = {}

    @property
    def passages(self) -> list[NumberedPassage]:
        """By the best rank that any search gave them; known passages that no search found come last."""
        return sorted(self._found.values(), key=lambda passage: self._best.get(_place(passage), maxsize))

    @property
    def is_full(self) -> bool:
        return len(self._found) >= self._most

    def add(self, *searches: Sequence[Hit]) -> list[NumberedPassage]:
        """Take the results of searches, from each the best first, and give the passages that are new."""
        ranked = sorted(
            ((rank, hit) for hits in searches for rank, hit in enumerate(hits)),
            key=lambda entry: entry[0],
        )
        return [passage for rank, hit in ranked if (passage := self._take(hit, rank))]

    def _take(self, hit: Hit, rank: int) -> NumberedPassage | None:
        evidence = _as_evidence(hit, len(self._found) + 1)
        place = _place(evidence)
        known = self._found.get(place)
        if known is None:
            if self.is_full:
                return None
            self._found[place], self._best[place] = evidence, rank
            return evidence
        if rank < self._best.get(place, maxsize):
            self._found[place] = evidence.model_copy(update={"number": known.number})
            self._best[place] = rank
        return None


def counted(passages: Sequence[NumberedPassage]) -> str:
    """Such as "3 passages from 2 documents"."""
    documents = len({passage.document for passage in passages})
    return f"{_plural(len(passages), 'passage')} from {_plural(documents, 'document')}"


def titles(passages: Sequence[NumberedPassage]) -> str:
    """The documents' titles, each once, the first few by name."""
    names = list(dict.fromkeys(passage.title for passage in passages))
    more = len(names) - MOST_TITLES
    shown = ", ".join(names[:MOST_TITLES])
    return f"{shown} and {more} more" if more > 0 else shown


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _place(passage: NumberedPassage) -> _Place:
    return passage.document, passage.start, passage.end


def _as_evidence(hit: Hit, number: int) -> NumberedPassage:
    passage = hit.passage
    return NumberedPassage(
        number=number,
        document=passage.document_id,
        title=passage.title,
        uri=passage.uri,
        start=passage.start,
        end=passage.end,
        heading=passage.heading,
        score=float(hit.score),
        content=passage.content,
    )
