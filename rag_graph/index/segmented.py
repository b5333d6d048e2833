"""What the stores share: words and titles in segments that never change, searched together under a mask each.

A segment is a batch of passages, in the ascending order of their ids; where one stands in it is its ordinal. Removing a
passage only marks it dead; merging segments drops the dead.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag_graph.documents import Document
from rag_graph.errors import IndexMismatch
from rag_graph.index.base import Ranking
from rag_graph.index.chunking import Chunk
from rag_graph.index.filters import COLUMNS
from rag_graph.index.lexical import Averages, LexicalScorer, Mask, Postings, idf, together
from rag_graph.query import Filters
from rag_graph.text.terms import Keys, keys, terms

# To be raised when terms, postings or vectors come to mean something else: index and question would disagree, and an
# index of another format is refused instead.
FORMAT = "3"
SEGMENT_PASSAGES = 20_000
"""A segment is written when it has this many, so that memory stays flat. FAISS keeps the vectors of so many exactly
(`vectors.FLAT_UP_TO`), so that merging segments of a first build loses nothing."""
_KEPT_FILTERS = 16

Ids = NDArray[np.int64]


class Segment(Protocol):
    """What is searched in a segment: its passages, and their postings or at least their lengths."""

    @property
    def ids(self) -> Ids: ...
    @property
    def postings(self) -> Postings: ...


S = TypeVar("S", bound=Segment)


def passage_terms(document: Document, chunk: Chunk) -> tuple[list[str], list[str]]:
    """The terms of a passage's two fields: its document's title with the headings above it, and its text."""
    return terms(" ".join((document.title, *chunk.heading))), terms(document.text[chunk.start : chunk.end])


def ordinals(segment: Segment, passage_ids: Ids) -> Ids:
    """Where those of these passages that are in the segment stand."""
    near = np.searchsorted(segment.ids, passage_ids)
    inside = near < len(segment.ids)
    near, passage_ids = near[inside], passage_ids[inside]
    found: Ids = near[segment.ids[near] == passage_ids]
    return found


def living(segment: Segment, dead: Ids) -> Mask:
    """Which of a segment's passages are not among the dead."""
    mask = np.ones(len(segment.ids), dtype=np.bool_)
    mask[ordinals(segment, dead)] = False
    return mask


def to_merge(sizes: Sequence[int], dead: int) -> int:
    """How many of the last segments to merge: sizes stay halving, so that there are few of them.

    With more than a third of all passages dead, all are merged.
    """
    if not sizes:
        return 0
    if dead * 3 > sum(sizes):
        return len(sizes)
    total, count = sizes[-1], 1
    while count < len(sizes) and sizes[-count - 1] <= 2 * total:
        total += sizes[-count - 1]
        count += 1
    return count if count > 1 else 0


def check_builder(built_by: tuple[str | None, str | None, str | None], *, embedder: str, dims: int) -> None:
    """Refuse what another version or another embedding model built; `built_by` is format, model and dimensions."""
    if built_by[0] != FORMAT:
        raise IndexMismatch("The index was built by another version; rebuild it: rag-graph index --rebuild PATH")
    if built_by[1:] != (embedder, str(dims)):
        raise IndexMismatch(
            f"The index was built with the embedding model {built_by[1]!r}, not {embedder!r}; set that model, "
            "or rebuild the index: rag-graph index --rebuild PATH"
        )


@dataclass(frozen=True, slots=True)
class Part(Generic[S]):
    """A segment as it is searched: which of its passages live (None: all), and the scorer of its words."""

    segment: S
    alive: Mask | None
    scorer: LexicalScorer


@dataclass(frozen=True, slots=True)
class Generation(Generic[S]):
    """An index as one commit left it; commits are counted."""

    number: int
    parts: tuple[Part[S], ...]
    size: int

    @classmethod
    def of(cls, number: int, segments: Sequence[S], dead: Ids) -> "Generation[S]":
        averages = Averages.of([segment.postings for segment in segments])
        parts = []
        for segment in segments:
            alive = living(segment, dead)
            # A search without a mask is faster than one whose mask allows everything.
            parts.append(Part(segment, None if alive.all() else alive, LexicalScorer(segment.postings, averages)))
        return cls(number, tuple(parts), size=sum(len(segment.ids) for segment in segments) - len(dead))

    @property
    def segments(self) -> list[S]:
        return [part.segment for part in self.parts]

    def masks(self, allowed: Ids) -> tuple[Mask, ...]:
        """For each part, which of its living passages are among these."""
        masks = []
        for part in self.parts:
            mask = np.zeros(len(part.segment.ids), dtype=np.bool_)
            mask[ordinals(part.segment, allowed)] = True
            masks.append(mask if part.alive is None else mask & part.alive)
        return tuple(masks)


@dataclass(slots=True)
class FilterCache:
    """The masks of the filters that were used last: people ask many questions under few filters."""

    _kept: dict[tuple[int, str], tuple[Mask, ...]] = field(default_factory=dict)
    _names: tuple[int, frozenset[str]] | None = None
    _lock: Lock = field(default_factory=Lock)

    def masks(self, generation: Generation[S], filters: Filters, read: Callable[[], Ids]) -> tuple[Mask, ...]:
        """`read` gives the passages that the filters allow."""
        # The generation is part of the name: masks go by where passages stand in its segments.
        name = (generation.number, repr(sorted(filters.items())))
        # Without the lock, as a mask that two threads make at once is the same one.
        if (known := self._kept.get(name)) is not None:
            return known
        masks = generation.masks(read())
        with self._lock:
            while len(self._kept) >= _KEPT_FILTERS:
                self._kept.pop(next(iter(self._kept)))
            self._kept[name] = masks
        return masks

    def names(self, generation: Generation[S], read: Callable[[], Iterable[str]]) -> frozenset[str]:
        """What filters may name; `read` gives the names in the metadata, which takes as long as there are passages."""
        known = self._names
        if known is None or known[0] != generation.number:
            known = self._names = generation.number, frozenset({*COLUMNS, *read()})
        return known[1]


class SegmentedSearch(Generic[S]):
    """The half of a `Snapshot` that is about words; vectors, titles and texts are each store's own."""

    def __init__(self, generation: Generation[S], masks: tuple[Mask, ...] | None) -> None:
        self._generation = generation
        self._filtered = masks is not None
        alive = tuple(part.alive for part in generation.parts)
        self._parts = tuple(zip(generation.parts, alive if masks is None else masks, strict=True))

    @property
    def size(self) -> int:
        return self._generation.size

    def matching(self, queries: Sequence[Mapping[str, float]], *, limit: int) -> Ranking:
        words = list(dict.fromkeys(term for query in queries for term in query))
        numbers = keys(words)
        scorers = self._scorers(numbers)
        counts = np.zeros(len(words), dtype=np.int64)
        for scorer in scorers:
            rows = scorer.postings.rows(numbers).tolist()
            counts += np.array([scorer.postings.frequency(row) for row in rows], dtype=np.int64)
        weights = dict(zip(words, (idf(count, self.size) for count in counts.tolist()), strict=True))
        known = dict(zip(words, numbers.tolist(), strict=True))
        weighted = [{known[term]: weight * weights[term] for term, weight in query.items()} for query in queries]
        rankings = []
        for (part, allowed), scorer in zip(self._parts, scorers, strict=True):
            found, scores = scorer.search(weighted, limit=limit, allowed=allowed)
            rankings.append(Ranking(part.segment.ids[found], scores))
        return Ranking.best_of(rankings, limit=limit)

    def frequencies(self, phrases: Sequence[Sequence[str]]) -> list[int]:
        words = list(dict.fromkeys(term for phrase in phrases for term in phrase))
        numbers = keys(words)
        counts = [0] * len(phrases)
        starting: dict[str, list[int]] = {}
        for column, phrase in enumerate(phrases):
            for term in phrase[:1]:
                starting.setdefault(term, []).append(column)
        for scorer in self._scorers(numbers):
            found = zip(words, scorer.postings.rows(numbers).tolist(), strict=True)
            # Of the spellings that a mistyped word may have, thousands, an index has one or two.
            rows = {term: row for term, row in found if row >= 0}
            for column in (column for term in rows for column in starting.get(term, ())):
                if all(term in rows for term in phrases[column]):
                    counts[column] += together(scorer.postings, {rows[term] for term in phrases[column]})
        return counts

    def _scorers(self, numbers: Keys) -> list[LexicalScorer]:  # noqa: ARG002 - what reads postings when asked does
        """One for each part, that knows at least these terms."""
        return [part.scorer for part, _ in self._parts]

    def _inside(self, ids: Sequence[int]) -> list[int]:
        """Those that the filter allows."""
        if not self._filtered:
            return list(ids)
        wanted = np.array(ids, dtype=np.int64)
        inside = {
            int(part.segment.ids[ordinal])
            for part, allowed in self._parts
            for ordinal in ordinals(part.segment, wanted)
            if allowed is not None and allowed[ordinal]
        }
        return [number for number in ids if number in inside]
