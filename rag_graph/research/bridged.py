"""The deep mode without a planning model: what the best sentences so far say is what is searched with next."""

from dataclasses import dataclass

from langchain_core.runnables import RunnableConfig

from rag_graph.events import NumberedPassage
from rag_graph.query import MAX_QUESTION_CHARS
from rag_graph.research.budget import Budget
from rag_graph.research.contract import Inquiry, Progress, Researcher
from rag_graph.research.evidence import titles
from rag_graph.research.hunt import Hunt
from rag_graph.retrieval.base import Retriever
from rag_graph.retrieval.quotes import best_quotes


@dataclass(frozen=True)
class BridgedResearch(Researcher):
    """Searches from quote to quote, for as long as that brings better ones."""

    retriever: Retriever
    budget: Budget

    async def research(
        self,
        inquiry: Inquiry,
        progress: Progress,
        config: RunnableConfig,  # noqa: ARG002 - contract
    ) -> list[NumberedPassage]:
        hunt = Hunt(self.retriever, inquiry, progress, self.budget)
        await hunt.begin()
        await bridge(hunt, rounds=self.budget.rounds)
        return hunt.findings.passages


async def bridge(hunt: Hunt, *, rounds: int) -> None:
    """Search with the question and the two sentences that answer it best, until no new ones take their place."""
    for _ in range(rounds):
        if hunt.spent:
            await hunt.progress.narrate(f"The search ends here: {hunt.spent}.")
            return
        quotes = best_quotes(hunt.inquiry.question, hunt.findings.passages)
        searches = hunt.unasked(f"{hunt.inquiry.question} {quote.flat}"[:MAX_QUESTION_CHARS] for quote in quotes)
        if not searches:
            await hunt.progress.narrate("The best sentences stay the same, so the search ends here.")
            return
        passages = [quote.passage for quote in quotes]
        await hunt.search(searches, f"Searching on, without a plan, from what {titles(passages)} says")
