"""Search in two hops without a model: fuse words and vectors, then search again from what the best passages add."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import nlargest
from itertools import accumulate
from math import exp, log1p
from operator import attrgetter

import numpy as np

from rag_graph.documents import Hit, Passage
from rag_graph.index import Index, Ranking, Snapshot
from rag_graph.models.embeddings import Vectors, known_share, knows
from rag_graph.query import Filters
from rag_graph.retrieval.asked import asked_part
from rag_graph.retrieval.copies import distinct
from rag_graph.retrieval.entities import Entity, TitleMention, analyse, covered_terms, names_something
from rag_graph.retrieval.fusion import distinction, fuse, with_quotas
from rag_graph.retrieval.question import AskedWord, AskedWords, read_question

_POOL = 200
"""So many passages of each ranking take part; full-length rankings gave the same results."""
_SPARE = 10
"""How many more than are asked for take part in the quotas."""
_LEAST_DENSE, _MOST_DENSE = 0.3, 0.8
"""The weight of the vectors is between these, and the former where an identifier is asked for, which they tell from no
other: of 14 such questions over a manual nDCG@10 was 74 by words, 46 by vectors, and rose from 62 to 71 by both."""
_COVERED_FROM, _COVERED_UNTIL = 0.15, 0.25
"""A passage that holds no more of a question than small words is no find, however far it stands out: up to the first
share words are not trusted, from the second on fully. Of questions in other words than the text's the best passage held
0.02 to 0.19, of those of six public sets 0.15 and more in 98 of 100."""
_SLIPS_FROM, _SLIPS_UNTIL = 0.6, 1.0
"""A mistyped question is mended for words only: to vectors it says something else. Where all of it is mistyped they are
not trusted ("recusive compresion" is 35th with them, first without). One slip leaves them better than words where they
were before: from a share of 0.2 on, code search with one slip lost two points of nDCG@10."""
_LED_TO = 3
_BORNE_FROM, _BORNE_UNTIL = 0.2, 0.7
"""Bridges lead somewhere where a passage they start from and one of the best they lead to hold the question together.
That share is 0.86 to 0.97 of most questions of HotpotQA, 0.63 to 0.87 of MuSiQue, where bridges gain eight points of
nDCG@10, and 0.30 to 0.55 of finance, where they lost three: a report names its company on all pages, so that bridges
lead to its neighbours. Up to 0.8 finance gains half a point more, and recall@5 of 864 two-hop questions (2Wiki) falls
from 94.0 to 93.4."""
_EXPLAINED_BY = 10
"""In so many passages it is looked for what a short form of the question stands for."""
_MOST_ALIKE = 20
"""So many passages are given at most where all are asked for, of which there may be any number."""
_ALIKE_CHARS = 6_000
"""So long all that come on top may be together: rows are short, and a model has to read them before its first word."""
_SEED_TEMPERATURE = 3.0
"""A seed counts by a factor e less for each so many points of fused score that it is behind the best one."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The weights of a search; a weight of 0 leaves its stage out.

    Found by a grid over two-hop questions (HotpotQA and MuSiQue). The optimum is flat: 3 to 6 seeds, 3 to 8 entities
    and weights half as large or half as much again lie within two points of recall.
    """

    dense: float = 0.6
    lexical: float = 0.4
    balance: float = 0.2
    """So much weight goes from words to vectors for each standard deviation by which the best passage of these stands
    out more than the best of those, or back. The part that knows an answer sets it apart from all else: so code is
    searched by vectors, and a manual by words. No weight that is the same for all is within three points of the better
    part on both."""
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

    They are for questions that one hop answers, from which a bridge only leads away. The first place alone is worth 1
    to 3 points of nDCG@10 there to the deep tier, and costs two-hop questions none on average.
    """


FAST = Stages()
DEEP = Stages(dense_bridge=0.8, seeds=5, quotas=((1, 1), (2, 5), (4, 10)))


@dataclass(frozen=True, slots=True)
class HybridRetriever:
    """`Retriever` over a store, with these stages."""

    store: Index
    stages: Stages = FAST

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        return await asyncio.to_thread(self.search, question, top_k=top_k, filters=filters)

    def search(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        """The same, in the caller's thread.

        Nothing is embedded while a view is open: a view may be one of a few database connections, and a hosted embedder
        may take seconds. So the deep tier opens two, and an indexing run may end between them.
        """
        question = asked_part(question)
        embedder = self.store.embedder
        search = _Search(question, self.stages, known_share(embedder, question), partial(knows, embedder))
        embed = embedder.embed_queries
        asked = embed([question]) if self.stages.dense else None
        with self.store.snapshot(filters) as view:
            bridges = search.begin(view, asked)
            if not bridges:
                return search.hits(view, top_k)
        weights = np.array([*bridges.values()], dtype=np.float32)
        vectors = embed([*bridges]) * weights[:, None]
        with self.store.snapshot(filters) as view:
            search.rankings.append((self.stages.dense_bridge * search.trust, view.nearest(vectors, limit=_POOL)))
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
    residual: tuple[AskedWord, ...]
    entity: Entity

    @property
    def promise(self) -> float:
        return self.weight * self.entity.worth

    @property
    def query(self) -> Mapping[str, float]:
        # Small words count in full here: beside a name they say what is asked of it ("who", "when", "where").
        open_terms = (term for word in self.residual for term in (*word.terms, *word.guesses))
        return {term: count * self.weight for term, count in Counter([*open_terms, *self.entity.terms]).items()}

    @property
    def text(self) -> str:
        return " ".join((*(word.text for word in self.residual), self.entity.name))


@dataclass(slots=True)
class _Search:
    """What one search has found so far, over as many views as it takes."""

    question: str
    stages: Stages
    known_share: float = 1.0
    """How much of the question the embedder can read."""
    known: Callable[[str], bool] = lambda _: True
    """Whether the embedder knows a word."""
    rankings: list[tuple[float, Ranking]] = field(default_factory=list)
    first: Ranking = field(default_factory=Ranking.empty)
    read: dict[int, Passage] = field(default_factory=dict)
    alike: frozenset[str] = frozenset()
    """What a passage has to hold to be one of all that are asked for; nothing where not all are."""
    trust: float = 1.0
    """How much the embedder's bridges count: as much less as its answer to the question itself does."""

    def begin(self, view: Snapshot, asked: Vectors | None) -> dict[str, float]:
        """Search by the question and along the bridges by words; give the texts to search by vectors, with weights."""
        stages, words = self.stages, read_question(self.question, view)
        self.alike = words.content if words.asks_for_all else frozenset()
        near = Ranking.empty() if asked is None else view.nearest(asked, limit=_POOL)
        matching = view.matching([words.query], limit=_POOL) if stages.lexical else Ranking.empty()
        # Not kept as read: what is gone when the hits are made must not be among them.
        explaining = view.passages(matching.ids[:_EXPLAINED_BY].tolist())
        if explained := words.explained(passage.content for passage in explaining):
            matching = view.matching([explained], limit=_POOL)
        dense = self._dense_weight(view, words, near, matching)
        self.trust = min(1.0, dense / stages.dense) if stages.dense else 0.0
        self.rankings += [(dense, near), (stages.lexical and 1 - dense, matching)]
        self.first = fuse(self.rankings, size=view.size)
        if not (stages.lexical_bridge or stages.dense_bridge or stages.links):
            return {}
        # Where nothing is named there is nowhere to go on to: bridges from what the words of such a question brought
        # up cost code search six points (nDCG@10), and two-hop questions without a name gained none.
        if not names_something(self.question, view):
            return {}
        bridges, links = self._leads(view, words)
        found = view.matching([bridge.query for bridge in bridges], limit=_POOL)
        bearing = self._bearing(view, words, found)
        self.trust *= bearing
        self.rankings += [(stages.links * bearing, links), (stages.lexical_bridge * bearing, found)]
        if not stages.dense_bridge or not self.trust:
            return {}
        best = nlargest(stages.dense_bridges, bridges, key=attrgetter("promise"))
        return {bridge.text: bridge.weight for bridge in reversed(best)}  # of equal texts the most promising stays

    def _dense_weight(self, view: Snapshot, words: AskedWords, near: Ranking, matching: Ranking) -> float:
        """How much the vectors are trusted, from 0 to 1; the words have the rest."""
        stages = self.stages
        if not stages.dense or not stages.lexical:
            return stages.dense
        ahead = distinction(near, size=view.size) - distinction(matching, size=view.size)
        dense = stages.dense / (stages.dense + stages.lexical) + stages.balance * ahead
        lexical = 1 - min(max(dense, _LEAST_DENSE), _LEAST_DENSE if words.has_identifier else _MOST_DENSE)
        for passage in self._passages(view, matching.ids[:1].tolist()):
            covered = 1 - words.open_share(covered_terms(passage))
            lexical *= _ramp(covered, _COVERED_FROM, _COVERED_UNTIL)
        slips = _ramp(words.slips(self.known), _SLIPS_FROM, _SLIPS_UNTIL)
        return (1 - lexical) * self.known_share * (1 - slips)

    def _leads(self, view: Snapshot, words: AskedWords) -> tuple[list[_Bridge], Ranking]:
        """The bridges from the best passages, and the documents that those name."""
        best = dict(zip(self.first.ids.tolist(), self.first.scores[: self.stages.seeds].tolist(), strict=False))
        bridges: list[_Bridge] = []
        linked: dict[int, float] = {}
        for seed in self._passages(view, list(best)):
            weight = exp((best[seed.id] - float(self.first.scores[0])) / _SEED_TEMPERATURE)
            # How much each word of the question says: what stands near the rare ones promises more.
            analysis = analyse(seed, view, weights=words.rarities)
            # Stop words stay in it: a bridge is embedded like a question.
            residual = tuple(word for word in words.words if not word.is_in(analysis.covered))
            bridges += (_Bridge(weight**0.5, residual, entity) for entity in analysis.entities[: self.stages.entities])
            for mention in analysis.mentions:
                _link(linked, mention, weight, seed)
        ids, scores = np.array([*linked], dtype=np.int64), np.array([*linked.values()], dtype=np.float32)
        return bridges, Ranking.of(ids, scores)

    def _bearing(self, view: Snapshot, words: AskedWords, found: Ranking) -> float:
        """How much the bridges bear, from 0 to 1: by what a seed and a passage they lead to hold of the question."""
        starts = [covered_terms(seed) for seed in self._passages(view, self.first.ids[: self.stages.seeds].tolist())]
        # Not kept as read: what is gone when the hits are made must not be among them.
        ends = [covered_terms(passage) for passage in view.passages(found.ids[:_LED_TO].tolist())]
        held = max((1 - words.open_share(start | end) for start in starts for end in ends), default=0.0)
        return _ramp(held, _BORNE_FROM, _BORNE_UNTIL)

    def hits(self, view: Snapshot, top_k: int) -> list[Hit]:
        """The best of all rankings together."""
        scores = fuse(self.rankings, size=view.size)
        keep = self.first.ids[:_SPARE].tolist()
        reach = max(top_k, _MOST_ALIKE) if self.alike else top_k
        order = with_quotas(scores.ids[: reach + _SPARE].tolist(), keep, self.stages.quotas)
        found = dict(zip(scores.ids.tolist(), scores.scores.tolist(), strict=True))
        # More than asked for: copies drop out, and so do passages that an indexing run took away between two views.
        # Ids are never used again, so no other passage stands in their place; the next best ones move up.
        hits = distinct([Hit(passage, found[passage.id]) for passage in self._passages(view, order)])
        if not self.alike or len(hits) <= top_k:
            return hits[:top_k]
        held = [len(self.alike & covered_terms(hit.passage)) for hit in hits]
        best = max(1, *held[:top_k])
        # Those that hold as much of what is asked for as the best of them are as good as it is.
        more = [hit for hit, count in zip(hits[top_k:], held[top_k:], strict=True) if count == best]
        lengths = accumulate(len(hit.passage.content) for hit in more)
        more = [hit for hit, length in zip(more, lengths, strict=True) if length <= _ALIKE_CHARS]
        return [*hits[:top_k], *more][: max(top_k, _MOST_ALIKE)]

    def _passages(self, view: Snapshot, ids: Sequence[int]) -> list[Passage]:
        """Look passages up, each once, in this order; those that are gone are left out."""
        if unread := [number for number in ids if number not in self.read]:
            self.read |= {passage.id: passage for passage in view.passages(unread)}
        return [self.read[number] for number in ids if number in self.read]


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, and evenly between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _link(linked: dict[int, float], mention: TitleMention, weight: float, seed: Passage) -> None:
    """Titles that many passages name say little about any of them."""
    score = weight / (1 + log1p(mention.frequency))
    for number in mention.passages:
        if number != seed.id:
            linked[number] = max(linked.get(number, 0.0), score)
