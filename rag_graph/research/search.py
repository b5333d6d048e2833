"""Searching for one question again and again, within a budget; and the two researchers that need no plan for it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from langchain_core.runnables import RunnableConfig

from rag_graph.documents import Hit
from rag_graph.errors import ModelError, RetrievalFailed
from rag_graph.events import NumberedPassage, PassagesRetrieved
from rag_graph.query import MAX_QUESTION_CHARS
from rag_graph.research.contract import (
    NumberedPassages,
    Progress,
    Researcher,
    ResearchRequest,
    SearchBudget,
    counted,
    titles,
)
from rag_graph.retrieval.base import Retriever
from rag_graph.retrieval.quotes import best_quotes
from rag_graph.retrieval.runs import search


class SearchSession:
    """The searches of one request: what was asked, what was found, and how much of the budget is left.

    They stay within the filters and the budget. A search that fails costs that search only.
    """

    def __init__(
        self, retriever: Retriever, request: ResearchRequest, progress: Progress, budget: SearchBudget
    ) -> None:
        self.request = request
        self.progress = progress
        self.budget = budget
        # What is known stays in any case: answers may cite it by its number already.
        self.passages = NumberedPassages(request.known, most=max(budget.passages, len(request.known)))
        self.asked: list[str] = []
        self.tokens = 0
        self._retriever = retriever
        self._deadline = asyncio.get_running_loop().time() + budget.seconds

    @property
    def spent(self) -> str:
        """Which part of the budget is used up, in words; empty when none is."""
        if asyncio.get_running_loop().time() >= self._deadline:
            return f"the {self.budget.seconds:g} seconds for searching are over"
        if self.passages.is_full:
            return f"{self.budget.passages} passages are enough"
        if self.tokens >= self.budget.tokens:
            return f"the {self.budget.tokens} tokens for planning are used up"
        return ""

    def limit(self) -> asyncio.Timeout:
        """Raise TimeoutError when the time is up."""
        return asyncio.timeout_at(self._deadline)

    async def begin(self) -> None:
        """Search for the question itself. Raises RetrievalFailed, or ModelError of the embedding model.

        The time for searching does not end it: without it nothing would be found at all.
        """
        question, top_k = self.request.question, self.budget.first_top_k
        self.asked.append(question)
        self.passages.add(await search(self._retriever, question, top_k=top_k, filters=self.request.filters))
        await self._emit_passages()

    def unasked(self, searches: Iterable[str]) -> list[str]:
        """Those that were not made yet."""
        asked = {search.casefold() for search in self.asked}
        return [search for search in searches if search.casefold() not in asked]

    async def search(self, searches: Sequence[str], description: str = "") -> list[NumberedPassage]:
        """Make these searches at the same time and give the passages that are new."""
        self.asked += searches
        step = self.progress.part("search")
        quoted = " and ".join(f"“{search}”" for search in searches)
        async with step.span(description or f"Searching for {quoted}"):
            found = await asyncio.gather(*(self._hits(wanted, step) for wanted in searches))
            new = self.passages.add(*found)
            step.outcome = f"Found {counted(new)}: {titles(new)}" if new else "Found nothing new"
            if new:
                await self._emit_passages()
        return new

    async def follow_quotes(self, *, rounds: int) -> None:
        """Search with the question and the two sentences that answer it best, until no new ones take their place."""
        question = self.request.question
        for _ in range(rounds):
            if self.spent:
                await self.progress.narrate(f"The search ends here: {self.spent}.")
                return
            quotes = best_quotes(question, self.passages.ranked)
            searches = self.unasked(f"{question} {quote.flat}"[:MAX_QUESTION_CHARS] for quote in quotes)
            if not searches:
                await self.progress.narrate("The best sentences stay the same, so the search ends here.")
                return
            sources = titles([quote.passage for quote in quotes])
            await self.search(searches, f"Searching on, without a plan, from what {sources} says")

    async def _hits(self, wanted: str, step: Progress) -> list[Hit]:
        try:
            async with self.limit():
                return await search(self._retriever, wanted, top_k=self.budget.next_top_k, filters=self.request.filters)
        except TimeoutError:
            # Before the next round `spent` says so.
            return []
        except (RetrievalFailed, ModelError) as exc:
            await step.warn(exc, f"the search for “{wanted}” is left out")
            return []

    async def _emit_passages(self) -> None:
        await self.progress.emit(PassagesRetrieved(stage="deep", passages=tuple(self.passages.ranked)))


@dataclass(frozen=True)
class WiderSearch(Researcher):
    """For the fast mode: asks the retriever once, for more passages than the draft had; a fraction of a second."""

    retriever: Retriever
    top_k: int = 10

    async def research(
        self,
        request: ResearchRequest,
        progress: Progress,
        config: RunnableConfig,  # noqa: ARG002 - contract
    ) -> list[NumberedPassage]:
        passages = NumberedPassages(request.known, most=len(request.known) + self.top_k)
        passages.add(await search(self.retriever, request.question, top_k=self.top_k, filters=request.filters))
        await progress.emit(PassagesRetrieved(stage="deep", passages=tuple(passages.ranked)))
        return passages.ranked


@dataclass(frozen=True)
class BridgedResearch(Researcher):
    """For the deep mode without a planning model: searches from quote to quote, while that brings better ones.

    On two-hop questions, all the evidence was among the first ten passages for 2 to 8 in a hundred more than after one
    deep search, in four to five times its time.
    """

    retriever: Retriever
    budget: SearchBudget

    async def research(
        self,
        request: ResearchRequest,
        progress: Progress,
        config: RunnableConfig,  # noqa: ARG002 - contract
    ) -> list[NumberedPassage]:
        session = SearchSession(self.retriever, request, progress, self.budget)
        await session.begin()
        await session.follow_quotes(rounds=self.budget.rounds)
        return session.passages.ranked
