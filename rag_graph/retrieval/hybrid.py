"""Search in two hops without a model: fuse words and vectors, then search again from what the best passages add."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from math import exp, log, log1p
from operator import attrgetter

import numpy as np

from rag_graph.documents import Hit, Passage
from rag_graph.index.base import Ranking, Store, View
from rag_graph.models.embeddings import Vectors
from rag_graph.query import Filters
from rag_graph.retrieval.entities import Entity, TitleMention, analyse
from rag_graph.retrieval.fusion import fuse, with_quotas
from rag_graph.text.terms import stems, terms, words

_POOL = 200
"""So many passages of each ranking take part; full-length rankings gave the same results."""
_SPARE = 10
"""How many more than are asked for take part in the quotas."""
_SEED_TEMPERATURE = 3.0
"""A seed counts by a factor e less for each so many points of fused score that it is behind the best one."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The weights of a search; a weight of 0 leaves its stage out.

    Found by a grid over two-hop questions (HotpotQA and MuSiQue). The optimum is flat: 3 to 6 seeds, 3 to 8 entities
    and weights half as large or half as much again lie within two points of recall.
    """

    dense: float = 0.4
    lexical: float = 0.6
    lexical_bridge: float = 1.0
    dense_bridge: float = 0.0
    links: float = 0.4
    """With six entities this was best throughout: recall@3 rose from 85 to 88 (HotpotQA) and 62 to 66 (MuSiQue)."""
    seeds: int = 3
    entities: int = 6
    dense_bridges: int = 12
    """So many bridges, the most promising, are searched by vectors too: each takes as long to embed as a question.

    All thirty found no more (MuSiQue among 9,267 passages: recall@10 84.3 instead of 84.0) and took 64 ms, not 37.
    """
    quotas: tuple[tuple[int, int], ...] = ((1, 1),)
    """(count, within): so many of the first hop's best stay in so many first places.

    They are for questions that one hop answers, from which a bridge only leads away.
    """


FAST = Stages()
DEEP = Stages(dense_bridge=0.8, seeds=5, quotas=((2, 5), (4, 10)))


@dataclass(frozen=True, slots=True)
class HybridRetriever:
    """`Retriever` over a store, with these stages."""

    store: Store
    stages: Stages = FAST

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        return await asyncio.to_thread(self.search, question, top_k=top_k, filters=filters)

    def search(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """The same, in the caller's thread.

        Nothing is embedded while a view is open: a view may be one of a few database connections, and a hosted embedder
        may take seconds. So the deep tier opens two, and an indexing run may end between them.
        """
        search, embed = _Search(question, self.stages), self.store.embedder.embed_queries
        asked = embed([question]) if self.stages.dense else None
        with self.store.view(filters) as view:
            bridges = search.begin(view, asked)
            if not bridges:
                return search.hits(view, top_k)
        weights = np.array([*bridges.values()], dtype=np.float32)
        vectors = embed([*bridges]) * weights[:, None]
        with self.store.view(filters) as view:
            search.rankings.append((self.stages.dense_bridge, view.nearest(vectors, limit=_POOL)))
            return search.hits(view, top_k)


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


@dataclass(slots=True)
class _Search:
    """What one search has found so far, over as many views as it takes."""

    question: str
    stages: Stages
    rankings: list[tuple[float, Ranking]] = field(default_factory=list)
    first: Ranking = field(default_factory=Ranking.empty)
    read: dict[int, Passage] = field(default_factory=dict)

    def begin(self, view: View, asked: Vectors | None) -> dict[str, float]:
        """Search by the question and along the bridges by words; give the texts to search by vectors, with weights."""
        stages = self.stages
        if asked is not None:
            self.rankings.append((stages.dense, view.nearest(asked, limit=_POOL)))
        if stages.lexical:
            found = view.matching([Counter(terms(self.question))], limit=_POOL)
            self.rankings.append((stages.lexical, found))
        self.first = fuse(self.rankings, size=view.size)
        if not (stages.lexical_bridge or stages.dense_bridge or stages.links):
            return {}
        bridges, links = self._leads(view)
        self.rankings.append((stages.links, links))
        if stages.lexical_bridge:
            found = view.matching([bridge.query for bridge in bridges], limit=_POOL)
            self.rankings.append((stages.lexical_bridge, found))
        if not stages.dense_bridge:
            return {}
        best = nlargest(stages.dense_bridges, bridges, key=attrgetter("promise"))
        return {bridge.text: bridge.weight for bridge in reversed(best)}  # of equal texts the most promising stays

    def _leads(self, view: View) -> tuple[list[_Bridge], Ranking]:
        """The bridges from the best passages, and the documents that those name."""
        # How much each word of the question says: what stands near the rare ones promises more.
        asked = list(dict.fromkeys(terms(self.question)))
        counts = view.frequencies([(term,) for term in asked])
        weights = {term: log((view.size + 1) / (count + 0.5)) for term, count in zip(asked, counts, strict=True)}
        asked_words = [(match[0], stems(match[0])) for match in words(self.question)]
        best = dict(zip(self.first.ids.tolist(), self.first.scores[: self.stages.seeds].tolist(), strict=False))
        bridges: list[_Bridge] = []
        linked: dict[int, float] = {}
        for seed in self._passages(view, list(best)):
            weight = exp((best[seed.id] - float(self.first.scores[0])) / _SEED_TEMPERATURE)
            analysis = analyse(seed, view, weights=weights)
            # Stop words stay in it: a bridge is embedded like a question.
            residual = tuple(word for word, its in asked_words if not analysis.covered.issuperset(its))
            bridges += (_Bridge(weight**0.5, residual, entity) for entity in analysis.entities[: self.stages.entities])
            for mention in analysis.mentions:
                _link(linked, mention, weight, seed)
        ids, scores = np.array([*linked], dtype=np.int64), np.array([*linked.values()], dtype=np.float32)
        return bridges, Ranking.of(ids, scores)

    def hits(self, view: View, top_k: int) -> list[Hit]:
        """The best of all rankings together."""
        scores = fuse(self.rankings, size=view.size)
        keep = self.first.ids[:_SPARE].tolist()
        order = with_quotas(scores.ids[: top_k + _SPARE].tolist(), keep, self.stages.quotas)
        found = dict(zip(scores.ids.tolist(), scores.scores.tolist(), strict=True))
        passages = self._passages(view, order[:top_k])
        if len(passages) < top_k:
            # An indexing run that ended between two views took some away; ids are never used again, so no other
            # passage stands in their place, and the next best ones move up.
            passages = self._passages(view, order)[:top_k]
        return [Hit(passage, found[passage.id]) for passage in passages]

    def _passages(self, view: View, ids: Sequence[int]) -> list[Passage]:
        """Look passages up, each once, in this order; those that are gone are left out."""
        if unread := [number for number in ids if number not in self.read]:
            self.read |= {passage.id: passage for passage in view.passages(unread)}
        return [self.read[number] for number in ids if number in self.read]


def _link(linked: dict[int, float], mention: TitleMention, weight: float, seed: Passage) -> None:
    """Titles that many passages name say little about any of them."""
    score = weight / (1 + log1p(mention.frequency))
    for number in mention.passages:
        if number != seed.id:
            linked[number] = max(linked.get(number, 0.0), score)
