"""How deeper passages are gathered, whoever gathers them: the graph knows this contract and no researcher by name.

With it stand what every researcher works with: the budget, and the passages of one run under their numbers.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from operator import itemgetter
from sys import maxsize
from types import MappingProxyType
from typing import Final, Literal, Protocol

from langchain_core.runnables import RunnableConfig

from rag_graph.documents import Hit, first_line, page_breaks, place_of, rows_of
from rag_graph.errors import RagGraphError
from rag_graph.events import Emit, NumberedPassage
from rag_graph.query import Filters, Turn
from rag_graph.text.controls import inert_line

MOST_TITLES = 4

Depth = Literal["quick", "standard", "thorough"]

_Span = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class ResearchRequest:
    """What is to be found out, and what was found at first; nothing outside the filters may be read."""

    question: str
    filters: Filters
    known: tuple[NumberedPassage, ...] = ()
    history: tuple[Turn, ...] = ()


class Progress(Protocol):
    """A step as those who follow the run see it. Parts of a step come one after the other."""

    name: str
    outcome: str
    emit: Emit

    def span(self, description: str) -> AbstractAsyncContextManager[None]:
        """Tell the step's start and its end, with `outcome` as the sentence at the end."""

    async def narrate(self, sentence: str) -> None:
        """Think aloud for the pipeline."""

    async def warn(self, error: RagGraphError, consequence: str) -> None:
        """Say what failed and what that means for the run."""

    def part(self, name: str) -> "Progress":
        """A step within this one."""


class Researcher(Protocol):
    """Gathers passages on a question."""

    async def research(
        self, request: ResearchRequest, progress: Progress, config: RunnableConfig
    ) -> list[NumberedPassage]:
        """All the passages, best first; what was known keeps its number. They are emitted after each search, too.

        Raises RetrievalFailed or ModelError when not even the first search could be carried out.
        """


@dataclass(frozen=True, slots=True)
class SearchBudget:
    """What the searches for one question may take; `seconds` ends the searching, not the run: what was found is used.

    `rounds` counts the times of searching again, `passages` those kept, `tokens` the planning model's. The first search
    gives `first_top_k` passages and each later one `next_top_k`.
    """

    rounds: int
    passages: int
    seconds: float
    tokens: int
    first_top_k: int = 10
    next_top_k: int = 5


BUDGETS: Final[Mapping[Depth, SearchBudget]] = MappingProxyType(
    {
        "quick": SearchBudget(rounds=1, passages=16, seconds=15, tokens=10_000),
        "standard": SearchBudget(rounds=3, passages=24, seconds=60, tokens=40_000),
        "thorough": SearchBudget(rounds=6, passages=40, seconds=180, tokens=150_000),
    }
)


class NumberedPassages:
    """The passages of one run. Each keeps the number by which answers cite it; a new one gets the next, up to `most`.

    The same stretch of the same document is one passage, whatever its id: indexing anew within a run changes that.
    """

    def __init__(self, known: Sequence[NumberedPassage] = (), *, most: int) -> None:
        self._most = most
        self._passages: dict[_Span, NumberedPassage] = {_span(passage): passage for passage in known}
        self._ranks: dict[_Span, int] = {}

    @property
    def ranked(self) -> list[NumberedPassage]:
        """By the best rank that any search gave them; known passages that no search found come last."""
        return sorted(self._passages.values(), key=lambda passage: self._ranks.get(_span(passage), maxsize))

    @property
    def is_full(self) -> bool:
        return len(self._passages) >= self._most

    def add(self, *searches: Sequence[Hit]) -> list[NumberedPassage]:
        """Take the results of searches, from each the best first, and give the passages that are new."""
        new: list[NumberedPassage] = []
        # By rank across the searches, so that where there is room for few, each search gives its best.
        ranked = ((rank, hit) for hits in searches for rank, hit in enumerate(hits))
        for rank, hit in sorted(ranked, key=itemgetter(0)):
            [passage] = numbered([hit], first=len(self._passages) + 1)
            span = _span(passage)
            known = self._passages.get(span)
            if known is not None:
                # It keeps its number, and takes the score of the search that put it highest.
                if rank < self._ranks.get(span, maxsize):
                    self._passages[span] = passage.model_copy(update={"number": known.number})
                    self._ranks[span] = rank
            elif not self.is_full:
                self._passages[span], self._ranks[span] = passage, rank
                new.append(passage)
        return new


def numbered(hits: Sequence[Hit], *, first: int = 1) -> list[NumberedPassage]:
    """Number the hits of a search by rank. Names from a store of the user's own have not passed our loaders."""
    return [
        NumberedPassage(
            number=number,
            document=hit.passage.document_id,
            title=inert_line(hit.passage.title),
            uri=inert_line(hit.passage.uri),
            start=hit.passage.start,
            end=hit.passage.end,
            heading=tuple(map(inert_line, hit.passage.heading)),
            score=float(hit.score),
            content=hit.passage.content,
            page=place_of(hit.passage.metadata)[0],
            place=place_of(hit.passage.metadata)[1],
            page_breaks=page_breaks(hit.passage.metadata),
            first_line=first_line(hit.passage.metadata),
            rows=rows_of(hit.passage.metadata),
        )
        for number, hit in enumerate(hits, first)
    ]


def _span(passage: NumberedPassage) -> _Span:
    return passage.document, passage.start, passage.content


def counted(passages: Sequence[NumberedPassage]) -> str:
    """Such as "3 passages from 2 documents"."""
    documents = len({passage.document for passage in passages})
    counts = ((len(passages), "passage"), (documents, "document"))
    return " from ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)


def titles(passages: Sequence[NumberedPassage]) -> str:
    """The documents' titles, each once, the first few by name."""
    names = list(dict.fromkeys(passage.title for passage in passages))
    more = len(names) - MOST_TITLES
    shown = ", ".join(names[:MOST_TITLES])
    return f"{shown} and {more} more" if more > 0 else shown
