"""Search in two hops without a model: fuse words and vectors, then search again from what the best passages add."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import exp, log, log1p
from operator import attrgetter

import numpy as np

from rag_graph.documents import Hit, Passage
from rag_graph.index.base import Index, Ranking, Snapshot
from rag_graph.models.embeddings import Embedder
from rag_graph.query import Filters
from rag_graph.retrieval.entities import Entity, Mention, read
from rag_graph.retrieval.fusion import fuse, with_quotas
from rag_graph.text.terms import stems, terms, words

_POOL = 200
_SPARE = 10
"""How many more than are asked for take part in the quotas."""
_SEED_TEMPERATURE = 3.0


@dataclass(frozen=True, slots=True)
class Stages:
    """The weights of a search; a weight of 0 leaves its stage out."""

    dense: float = 0.4
    lexical: float = 0.6
    lexical_bridge: float = 1.0
    dense_bridge: float = 0.0
    links: float = 0.4
    seeds: int = 3
    entities: int = 6
    dense_bridges: int = 12
    """So many bridges, the most promising, are searched by vectors too: each takes as long to embed as a question."""
    quotas: tuple[tuple[int, int], ...] = ((1, 1),)
    """(count, places): so many of the first hop's best stay in so many first places."""


FAST = Stages()
DEEP = Stages(dense_bridge=0.8, seeds=5, quotas=((2, 5), (4, 10)))


@dataclass(frozen=True, slots=True)
class HybridRetriever:
    """`Retriever` over a store, with these stages."""

    store: Index
    stages: Stages = FAST

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        return await asyncio.to_thread(self.search, question, top_k=top_k, filters=filters)

    def search(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """The same, in the caller's thread."""
        with self.store.snapshot(filters) as view:
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
    def promise(self) -> float:
        return self.weight * self.entity.worth

    @property
    def query(self) -> Mapping[str, float]:
        counts = Counter([*(term for word in self.residual for term in stems(word)), *self.entity.terms])
        return {term: count * self.weight for term, count in counts.items()}

    @property
    def text(self) -> str:
        return " ".join((*self.residual, self.entity.name))


class _Search:
    """One search, over one state of the store."""

    def __init__(self, view: Snapshot, embedder: Embedder, stages: Stages, question: str) -> None:
        self._view = view
        self._embedder = embedder
        self._stages = stages
        self._question = question
        self._read: dict[int, Passage] = {}

    def hits(self, top_k: int) -> list[Hit]:
        rankings = self._first_hop()
        first = fuse(rankings, size=self._view.size)
        scores, quotas = first, self._stages.quotas
        if self._stages.lexical_bridge or self._stages.dense_bridge or self._stages.links:
            scores = fuse([*rankings, *self._second_hop(first)], size=self._view.size)
        order = with_quotas(scores.ids[: top_k + _SPARE].tolist(), first.ids[:_SPARE].tolist(), quotas)
        found = dict(zip(scores.ids.tolist(), scores.scores.tolist(), strict=True))
        return [Hit(passage, found[passage.id]) for passage in self._passages(order[:top_k])]

    def _first_hop(self) -> list[tuple[float, Ranking]]:
        parts = []
        if self._stages.dense:
            parts.append((self._stages.dense, self._nearest({self._question: 1.0})))
        if self._stages.lexical:
            parts.append((self._stages.lexical, self._view.matching([Counter(terms(self._question))], limit=_POOL)))
        return parts

    def _second_hop(self, first: Ranking) -> list[tuple[float, Ranking]]:
        bridges, links = self._build(first)
        parts = [(self._stages.links, links)]
        if self._stages.lexical_bridge:
            found = self._view.matching([bridge.query for bridge in bridges], limit=_POOL)
            parts.append((self._stages.lexical_bridge, found))
        if self._stages.dense_bridge:
            best = nlargest(self._stages.dense_bridges, bridges, key=attrgetter("promise"))
            found = self._nearest({bridge.text: bridge.weight for bridge in reversed(best)})
            parts.append((self._stages.dense_bridge, found))
        return parts

    def _build(self, first: Ranking) -> tuple[list[_Bridge], Ranking]:
        """The bridges from the best passages, and the documents that those name."""
        weights = self._question_weights()
        asked = [(match[0], stems(match[0])) for match in words(self._question)]
        bridges: list[_Bridge] = []
        linked: dict[int, float] = {}
        best = dict(zip(first.ids.tolist(), first.scores[: self._stages.seeds].tolist(), strict=False))
        for seed in self._passages(list(best)):
            weight = exp((best[seed.id] - float(first.scores[0])) / _SEED_TEMPERATURE)
            reading = read(seed, self._view, weights=weights)
            residual = tuple(word for word, its in asked if not reading.covered.issuperset(its))
            bridges += [_Bridge(weight**0.5, residual, entity) for entity in reading.entities[: self._stages.entities]]
            _link(linked, reading.mentions, weight, seed)
        return bridges, _ranking(linked)

    def _passages(self, ids: Sequence[int]) -> list[Passage]:
        """Look passages up, each once, in this order; those that are gone are left out."""
        if unread := [number for number in ids if number not in self._read]:
            self._read |= {passage.id: passage for passage in self._view.passages(unread)}
        return [self._read[number] for number in ids if number in self._read]

    def _question_weights(self) -> dict[str, float]:
        asked = list(dict.fromkeys(terms(self._question)))
        counts = self._view.frequencies([(term,) for term in asked])
        size = self._view.size
        return {term: log((size + 1) / (count + 0.5)) for term, count in zip(asked, counts, strict=True)}

    def _nearest(self, texts: Mapping[str, float]) -> Ranking:
        """The passages closest to any of the texts, which count by their weights."""
        if not texts:
            return Ranking.empty()
        weights = np.array([*texts.values()], dtype=np.float32)
        return self._view.nearest(self._embedder.embed_queries(list(texts)) * weights[:, None], limit=_POOL)


def _link(linked: dict[int, float], mentions: Iterable[Mention], weight: float, seed: Passage) -> None:
    """Titles that many passages name say little about any of them."""
    for mention in mentions:
        score = weight / (1 + log1p(mention.frequency))
        for number in mention.passages:
            if number != seed.id:
                linked[number] = max(linked.get(number, 0.0), score)


def _ranking(scores: Mapping[int, float]) -> Ranking:
    return Ranking.of(np.array([*scores], dtype=np.int64), np.array([*scores.values()], dtype=np.float32))
