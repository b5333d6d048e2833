"""The library that is embedded in the process: SQLite for the texts, FAISS and BM25F segments for the search."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from rag_graph.documents import Document, Passage
from rag_graph.errors import IndexNotFound, RetrievalFailed
from rag_graph.index.base import Ranking
from rag_graph.index.catalogue import FILE_NAME, Catalogue
from rag_graph.index.lexical import Averages, LexicalScorer, Mask, idf, together
from rag_graph.index.segments import SEGMENTS, Segment
from rag_graph.models.embeddings import Embedder, Vectors
from rag_graph.query import Filters
from rag_graph.text.terms import Keys, keys

_OPEN_ATTEMPTS = 3
_KEPT_FILTERS = 16
_KEPT_PASSAGES = 1_024
"""What is found for one question is often found for others, and the deep search finds what the fast one has."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment as it is searched: which of its passages live, and the scorer of its words."""

    segment: Segment
    alive: Mask | None
    scorer: LexicalScorer


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The library at one generation."""

    generation: int
    parts: tuple[_Part, ...]
    size: int
    passages: dict[int, Passage] = field(default_factory=dict)
    """The last that were read."""


class Library:
    """A library on disk, open for searching. Calls block; any thread may make them.

    A finished indexing run is seen by the next `view`, without reopening.
    """

    def __init__(self, directory: Path, embedder: Embedder) -> None:
        self._directory = directory
        self._embedder = embedder
        self._connections: list[Catalogue] = []
        self._lock = Lock()
        self._filtered: dict[tuple[int, str], tuple[Mask, ...]] = {}
        self._snapshot = self._open_snapshot(None)

    @classmethod
    def open(cls, directory: Path, embedder: Embedder) -> "Library":
        """Open the library at `directory`, built with this embedder."""
        if not (directory / FILE_NAME).is_file():
            raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")
        return cls(directory, embedder)

    @property
    def embedder(self) -> Embedder:
        return self._embedder

    @property
    def generation(self) -> int:
        """Counts the indexing runs; whoever keeps results can tell by it that they are old."""
        return self._snapshot.generation

    @property
    def size(self) -> int:
        """How many passages there are."""
        return self._snapshot.size

    def close(self) -> None:
        with self._lock:
            while self._connections:
                self._connections.pop().close()

    def refresh(self) -> None:
        """Move on to what the last finished indexing run left."""
        with self._catalogue() as catalogue:
            newest = catalogue.generation()
        if newest != self._snapshot.generation:
            self._snapshot = self._open_snapshot(self._snapshot)

    @contextmanager
    def view(self, filters: Filters | None = None) -> Iterator["LibraryView"]:
        """The library as it is now, narrowed to what the filters allow."""
        self.refresh()
        snapshot = self._snapshot
        yield LibraryView(self, snapshot, self._allowed(snapshot, filters) if filters else None)

    def document(self, document_id: str) -> Document | None:
        with self._catalogue() as catalogue:
            return catalogue.document(document_id)

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """These passages, in this order, without those that are gone."""
        with self._catalogue() as catalogue:
            return catalogue.passages(ids)

    def remembered(self, snapshot: _Snapshot, ids: Sequence[int]) -> list[Passage]:
        """`passages`, without reading again what was read of this snapshot."""
        found = {number: passage for number in ids if (passage := snapshot.passages.get(number))}
        if missing := [number for number in ids if number not in found]:
            read = {passage.id: passage for passage in self.passages(missing)}
            found |= read
            with self._lock:
                snapshot.passages.update(read)
                for number in list(snapshot.passages)[:-_KEPT_PASSAGES]:
                    del snapshot.passages[number]
        return [found[number] for number in ids if number in found]

    def counts(self) -> tuple[int, int]:
        """How many documents and passages there are."""
        with self._catalogue() as catalogue:
            return catalogue.counts()

    @contextmanager
    def _catalogue(self) -> Iterator[Catalogue]:
        """A connection that nobody else uses meanwhile."""
        try:
            with self._lock:
                catalogue = self._connections.pop() if self._connections else None
            catalogue = catalogue or Catalogue(self._directory)
            yield catalogue
        except sqlite3.Error as exc:
            raise RetrievalFailed(f"The index at {str(self._directory)!r} cannot be read; rebuild it.") from exc
        with self._lock:
            self._connections.append(catalogue)

    def _open_snapshot(self, previous: _Snapshot | None) -> _Snapshot:
        known = {part.segment.folder.name: part.segment for part in previous.parts} if previous else {}
        for attempt in range(1, _OPEN_ATTEMPTS + 1):
            try:
                return self._read_snapshot(known)
            except FileNotFoundError as exc:  # an indexing run replaced a segment between the two reads
                if attempt == _OPEN_ATTEMPTS:
                    raise IndexNotFound("Parts of the index are missing; run: rag-graph index --rebuild PATH") from exc
        raise AssertionError

    def _read_snapshot(self, known: Mapping[str, Segment]) -> _Snapshot:
        with self._catalogue() as catalogue:
            catalogue.begin_read()
            try:
                if catalogue.fact("format") is None:
                    raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")
                catalogue.check(embedder=self._embedder.name, dims=self._embedder.dims)
                generation, rows, dead = catalogue.generation(), catalogue.segments(), catalogue.dead()
            finally:
                catalogue.rollback()
        gone = np.array(dead, dtype=np.int64)
        segments = [known.get(row.name) or Segment.open(self._directory / SEGMENTS / row.name) for row in rows]
        averages = Averages.of([segment.postings for segment in segments])
        parts = tuple(_part(segment, gone, averages) for segment in segments)
        return _Snapshot(generation, parts, size=sum(len(segment.ids) for segment in segments) - len(gone))

    def _allowed(self, snapshot: _Snapshot, filters: Filters) -> tuple[Mask, ...]:
        """For each segment, the passages that filters allow; the last few filters are remembered."""
        name = (snapshot.generation, repr(sorted(filters.items())))
        if (known := self._filtered.get(name)) is not None:
            return known
        with self._catalogue() as catalogue:
            ids = np.array(catalogue.passage_ids(filters), dtype=np.int64)
        masks = tuple(_only(part, ids) for part in snapshot.parts)
        with self._lock:
            while len(self._filtered) >= _KEPT_FILTERS:
                self._filtered.pop(next(iter(self._filtered)))
            self._filtered[name] = masks
        return masks


class LibraryView:
    """One state of the library under one filter."""

    def __init__(self, library: Library, snapshot: _Snapshot, allowed: tuple[Mask, ...] | None) -> None:
        self._library = library
        self._snapshot = snapshot
        self._parts = tuple(
            (part, allowed[place] if allowed is not None else part.alive) for place, part in enumerate(snapshot.parts)
        )
        self._filtered = allowed is not None

    @property
    def size(self) -> int:
        return self._snapshot.size

    def nearest(self, vectors: Vectors, *, limit: int) -> Ranking:
        rankings = []
        for part, allowed in self._parts:
            for ordinals, scores in part.segment.vectors.search(vectors, limit=limit, allowed=allowed):
                rankings.append(Ranking(part.segment.ids[ordinals], scores))
        return Ranking.best_of(rankings, limit=limit)

    def matching(self, queries: Sequence[Mapping[str, float]], *, limit: int) -> Ranking:
        words = list(dict.fromkeys(term for query in queries for term in query))
        numbers = keys(words)
        weights = dict(zip(words, (idf(count, self.size) for count in self._document_counts(numbers)), strict=True))
        known = dict(zip(words, numbers.tolist(), strict=True))
        weighted = [{known[term]: weight * weights[term] for term, weight in query.items()} for query in queries]
        rankings = []
        for part, allowed in self._parts:
            ordinals, scores = part.scorer.search(weighted, limit=limit, allowed=allowed)
            rankings.append(Ranking(part.segment.ids[ordinals], scores))
        return Ranking.best_of(rankings, limit=limit)

    def frequencies(self, phrases: Sequence[Sequence[str]]) -> list[int]:
        words = list(dict.fromkeys(term for phrase in phrases for term in phrase))
        counts = np.zeros(len(phrases), dtype=np.int64)
        numbers = keys(words)
        for part, _ in self._parts:
            postings = part.segment.postings
            rows = dict(zip(words, postings.rows(numbers).tolist(), strict=True))
            counts += np.array(
                [together(postings, {rows[term] for term in phrase}) for phrase in phrases], dtype=np.int64
            )
        return [int(count) for count in counts]

    def titled(self, names: Sequence[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        numbers = keys(names)
        for part, allowed in self._parts:
            segment = part.segment
            if not len(segment.title_keys):
                continue
            places = np.minimum(np.searchsorted(segment.title_keys, numbers), len(segment.title_keys) - 1)
            for place in np.flatnonzero(segment.title_keys[places] == numbers).tolist():
                ordinals = segment.titled(int(numbers[place]))
                ordinals = ordinals if allowed is None else ordinals[allowed[ordinals]]
                if len(ordinals):
                    found.setdefault(names[place], []).extend(segment.ids[ordinals].tolist())
        return found

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        if self._filtered:
            wanted = np.array(ids, dtype=np.int64)
            inside = {
                int(part.segment.ids[ordinal])
                for part, allowed in self._parts
                for ordinal in part.segment.ordinals(wanted)
                if allowed is not None and allowed[ordinal]
            }
            ids = [number for number in ids if number in inside]
        return self._library.remembered(self._snapshot, ids)

    def _document_counts(self, numbers: Keys) -> list[int]:
        counts = np.zeros(len(numbers), dtype=np.int64)
        for part, _ in self._parts:
            postings = part.segment.postings
            counts += np.array([postings.frequency(row) for row in postings.rows(numbers).tolist()], dtype=np.int64)
        return [int(count) for count in counts]


def _part(segment: Segment, gone: NDArray[np.int64], averages: Averages) -> _Part:
    ordinals = segment.ordinals(gone)
    alive = None
    if len(ordinals):
        alive = np.ones(len(segment.ids), dtype=np.bool_)
        alive[ordinals] = False
    return _Part(segment, alive, LexicalScorer(segment.postings, averages))


def _only(part: _Part, ids: NDArray[np.int64]) -> Mask:
    mask = np.zeros(len(part.segment.ids), dtype=np.bool_)
    mask[part.segment.ordinals(ids)] = True
    return mask if part.alive is None else mask & part.alive
