"""A wider search by a single retriever: more candidates, ranked by its own order and by the question's words."""

from dataclasses import dataclass
from math import log
from typing import Final

from rag_graph.documents import Hit
from rag_graph.query import Filters
from rag_graph.retrieval.base import Retriever
from rag_graph.retrieval.quotes import content_terms

WIDER: Final = 3
"""So many times as many candidates: what the retriever ranks too low has to be among them to be raised."""
_RANK_BIAS: Final = 60
"""Of reciprocal rank fusion, as in the paper that brought it (Cormack and others, 2009) and in LangChain's ensemble."""


@dataclass(frozen=True, slots=True)
class FusedRetriever:
    """Asks one retriever for more than is wanted, and fuses its ranking with one by words, by reciprocal ranks.

    Where words and vectors agree, that comes first; a passage that only one of them knows is not lost.
    """

    retriever: Retriever

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """Raises `RetrievalFailed`."""
        found = await self.retriever.retrieve(question, top_k=top_k * WIDER, filters=filters)
        asked = content_terms(question)
        said = [content_terms(f"{hit.passage.title} {hit.passage.content}") & asked for hit in found]
        rarity = {term: log(1 + len(said) / sum(term in terms for terms in said)) for term in frozenset().union(*said)}
        weights = [sum(rarity[term] for term in terms) for terms in said]
        by_words = [at for at in sorted(range(len(found)), key=lambda at: -weights[at]) if weights[at]]
        scores = {at: 1 / (_RANK_BIAS + at + 1) for at in range(len(found))}
        for rank, at in enumerate(by_words):
            scores[at] += 1 / (_RANK_BIAS + rank + 1)
        best = sorted(scores, key=lambda at: -scores[at])[:top_k]
        return [Hit(found[at].passage, scores[at]) for at in best]
