"""The searches of one inquiry: what was asked, what was found, and how much of the budget is left."""

import asyncio
from collections.abc import Iterable, Sequence

from rag_graph.documents import Hit
from rag_graph.errors import ModelError, RetrievalFailed
from rag_graph.events import NumberedPassage, PassagesRetrieved
from rag_graph.research.budget import Budget
from rag_graph.research.contract import Inquiry, Progress
from rag_graph.research.evidence import Findings, counted, titles
from rag_graph.retrieval.base import Retriever

FIRST_TOP_K = 10
NEXT_TOP_K = 5


class Hunt:
    """Searches within the filters and the budget. A search that fails costs that search only."""

    def __init__(self, retriever: Retriever, inquiry: Inquiry, progress: Progress, budget: Budget) -> None:
        self.inquiry = inquiry
        self.progress = progress
        self.budget = budget
        self.findings = Findings(inquiry.known, most=max(budget.passages, len(inquiry.known)))
        self.asked: list[str] = []
        self.tokens = 0
        self._retriever = retriever
        self._deadline = asyncio.get_running_loop().time() + budget.seconds

    @property
    def time_is_up(self) -> bool:
        return asyncio.get_running_loop().time() >= self._deadline

    @property
    def spent(self) -> str:
        """Which part of the budget is used up, in words; empty when none is."""
        if self.time_is_up:
            return f"the {self.budget.seconds:g} seconds for searching are over"
        if self.findings.is_full:
            return f"{self.budget.passages} passages are enough"
        if self.tokens >= self.budget.tokens:
            return f"the {self.budget.tokens} tokens for planning are used up"
        return ""

    def limit(self) -> asyncio.Timeout:
        """Raise TimeoutError when the time is up."""
        return asyncio.timeout_at(self._deadline)

    async def begin(self) -> None:
        """Search for the question itself. Raises RetrievalFailed, or ModelError of the embedding model."""
        question = self.inquiry.question
        self.asked.append(question)
        hits = await self._retriever.retrieve(question, top_k=FIRST_TOP_K, filters=self.inquiry.filters)
        self.findings.add(hits)
        await self._tell_findings()

    def unasked(self, searches: Iterable[str]) -> list[str]:
        """Those that were not made yet."""
        asked = {search.casefold() for search in self.asked}
        return [search for search in searches if search.casefold() not in asked]

    async def search(self, searches: Sequence[str], description: str = "") -> list[NumberedPassage]:
        """Make these searches at the same time and give the passages that are new."""
        self.asked += searches
        step = self.progress.part("search")
        async with step.span(description or f"Searching for {_quoted(searches)}"):
            found = await asyncio.gather(*(self._found(search, step) for search in searches))
            new = self.findings.add(*found)
            step.outcome = f"Found {counted(new)}: {titles(new)}" if new else "Found nothing new"
            if new:
                await self._tell_findings()
        return new

    async def _found(self, search: str, step: Progress) -> list[Hit]:
        try:
            async with self.limit():
                return await self._retriever.retrieve(search, top_k=NEXT_TOP_K, filters=self.inquiry.filters)
        except TimeoutError:
            return []
        except (RetrievalFailed, ModelError) as exc:
            await step.warn(exc, f"the search for “{search}” is left out")
            return []

    async def _tell_findings(self) -> None:
        await self.progress.emit(PassagesRetrieved(stage="deep", passages=tuple(self.findings.passages)))


def _quoted(searches: Sequence[str]) -> str:
    return " and ".join(f"“{search}”" for search in searches)
