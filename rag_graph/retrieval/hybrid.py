"""Search in two hops without a model: fuse words and vectors, then search again from what the best passages add."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, log1p

import numpy as np

from rag_graph.documents import Hit, Passage
from rag_graph.index.base import Ranking, Store, View
from rag_graph.index.terms import stems, terms, words
from rag_graph.models.embeddings import Embedder
from rag_graph.query import Filters
from rag_graph.retrieval.entities import Entity, Mention, find_entities
from rag_graph.retrieval.fusion import best_of, fuse, ranked, with_quotas

_POOL = 200
_SEED_TEMPERATURE = 3.0


@dataclass(frozen=True, slots=True)
class Stages:
    """The weights of a search; a weight of 0 leaves its stage out."""

    dense: float = 0.4
    lexical: float = 0.6
    lexical_bridge: float = 0.8
    dense_bridge: float = 0.0
    links: float = 0.2
    seeds: int = 3
    entities: int = 3
    quotas: tuple[tuple[int, int], ...] = ((1, 1),)
    """(count, places): so many of the first hop's best stay in so many first places."""


FAST = Stages()
DEEP = Stages(lexical_bridge=1.0, dense_bridge=0.6, links=0.3, seeds=5, entities=6, quotas=((2, 5), (4, 10)))


@dataclass(frozen=True, slots=True)
class HybridRetriever:
    """`Retriever` over a store, with these stages."""

    store: Store
    stages: Stages = FAST

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        return await asyncio.to_thread(self.search, question, top_k=top_k, filters=filters)

    def search(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """The same, in the caller's thread."""
        with self.store.view(filters) as view:
            return _Search(view, self.store.embedder, self.stages, question).hits(top_k)


@dataclass(frozen=True, slots=True)
class FastRetriever(HybridRetriever):
    """A few passages in milliseconds, for the draft."""

    stages: Stages = FAST


@dataclass(frozen=True, slots=True)
class DeepRetriever(HybridRetriever):
    """More passages, from more bridges, in a tenth of a second; no model is called but the embedder."""

    stages: Stages = DEEP


@dataclass(frozen=True, slots=True)
class _Bridge:
    """From one passage on: what it leaves open of the question, and one thing that it adds."""

    weight: float
    residual: tuple[str, ...]
    entity: Entity

    @property
    def query(self) -> Mapping[str, float]:
        return Counter([*(term for word in self.residual for term in stems(word)), *self.entity.terms])

    @property
    def text(self) -> str:
        return " ".join((*self.residual, self.entity.name))


class _Search:
    """One search, over one state of the store."""

    def __init__(self, view: View, embedder: Embedder, stages: Stages, question: str) -> None:
        self._view = view
        self._embedder = embedder
        self._stages = stages
        self._question = question

    def hits(self, top_k: int) -> list[Hit]:
        rankings = self._first_hop()
        first = fuse(rankings, size=self._view.size)
        scores, quotas = first, self._stages.quotas
        if self._stages.lexical_bridge or self._stages.dense_bridge or self._stages.links:
            scores = fuse([*rankings, *self._second_hop(first)], size=self._view.size)
        order = with_quotas(ranked(scores), ranked(first), quotas)
        return [Hit(passage, scores[passage.id]) for passage in self._view.passages(order[:top_k])]

    def _first_hop(self) -> list[tuple[float, Ranking]]:
        parts = []
        if self._stages.dense:
            parts.append((self._stages.dense, self._nearest(self._question)))
        if self._stages.lexical:
            (found,) = self._view.matching([Counter(terms(self._question))], limit=_POOL)
            parts.append((self._stages.lexical, found))
        return parts

    def _second_hop(self, first: Mapping[int, float]) -> list[tuple[float, Ranking]]:
        bridges, links = self._build(first)
        parts = [(self._stages.links, links)]
        if self._stages.lexical_bridge:
            found = self._view.matching([bridge.query for bridge in bridges], limit=_POOL)
            parts.append((self._stages.lexical_bridge, _best_bridges(bridges, found)))
        if self._stages.dense_bridge:
            found = [self._nearest(bridge.text) for bridge in bridges]
            parts.append((self._stages.dense_bridge, _best_bridges(bridges, found)))
        return parts

    def _build(self, first: Mapping[int, float]) -> tuple[list[_Bridge], Ranking]:
        """The bridges from the best passages, and the documents that those name."""
        weights = self._question_weights()
        bridges: list[_Bridge] = []
        linked: dict[int, float] = {}
        best = ranked(first)[: self._stages.seeds]
        for seed in self._view.passages(best):
            weight = exp((first[seed.id] - first[best[0]]) / _SEED_TEMPERATURE)
            entities, mentions = find_entities(seed, self._view, weights=weights)
            residual = _residual(self._question, seed)
            bridges += [_Bridge(weight, residual, entity) for entity in entities[: self._stages.entities]]
            _link(linked, mentions, weight, seed)
        return bridges, _ranking(linked)

    def _question_weights(self) -> dict[str, float]:
        asked = list(dict.fromkeys(terms(self._question)))
        counts = self._view.frequencies([(term,) for term in asked])
        size = self._view.size
        return {term: log((size + 1) / (count + 0.5)) for term, count in zip(asked, counts, strict=True)}

    def _nearest(self, text: str) -> Ranking:
        return self._view.nearest(self._embedder.embed_query(text), limit=_POOL)


def _residual(question: str, seed: Passage) -> tuple[str, ...]:
    """The question's words that the passage does not cover."""
    covered = {*terms(seed.content), *terms(seed.title)}
    return tuple(match[0] for match in words(question) if not covered.issuperset(stems(match[0])))


def _best_bridges(bridges: Sequence[_Bridge], found: Iterable[Ranking]) -> Ranking:
    return best_of((bridge.weight**0.5, ranking) for bridge, ranking in zip(bridges, found, strict=True))


def _link(linked: dict[int, float], mentions: Iterable[Mention], weight: float, seed: Passage) -> None:
    """Titles that many passages name say little about any of them."""
    for mention in mentions:
        score = weight / (1 + log1p(mention.frequency))
        for number in mention.passages:
            if number != seed.id:
                linked[number] = max(linked.get(number, 0.0), score)


def _ranking(scores: Mapping[int, float]) -> Ranking:
    order = ranked(scores)
    return Ranking(
        ids=np.array(order, dtype=np.int64),
        scores=np.array([scores[number] for number in order], dtype=np.float32),
    )
