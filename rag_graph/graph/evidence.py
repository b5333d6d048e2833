"""The passages of one run under the numbers by which its answers cite them, and how a person is told of them."""

from collections.abc import Sequence

from rag_graph.documents import Hit
from rag_graph.events import NumberedPassage

MOST_TITLES = 4


def numbered(hits: Sequence[Hit], *, first: int = 1) -> list[NumberedPassage]:
    """Number the hits of a search by rank."""
    return [_as_evidence(hit, number) for number, hit in enumerate(hits, first)]


def merged(known: Sequence[NumberedPassage], hits: Sequence[Hit]) -> list[NumberedPassage]:
    """The evidence of both searches, best first: what was known keeps its number, what is new gets the next ones.

    Known passages that the second search did not find come last, since answers may cite them.
    """
    numbers = {_place(passage): passage.number for passage in known}
    free = max(numbers.values(), default=0) + 1
    found: list[NumberedPassage] = []
    for hit in hits:
        evidence = _as_evidence(hit, free)
        if number := numbers.pop(_place(evidence), None):
            evidence = evidence.model_copy(update={"number": number})
        else:
            free += 1
        found.append(evidence)
    left = set(numbers.values())
    return found + [passage for passage in known if passage.number in left]


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


def _place(passage: NumberedPassage) -> tuple[str, int, int]:
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
