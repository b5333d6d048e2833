"""An index that is embedded in the process, and seen by others that open the same folder."""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from rag_graph.documents import Document, Passage
from rag_graph.errors import IndexNotFound, RetrievalFailed
from rag_graph.index.base import DocumentEntry, IndexedFile, Ranking, StoredDocument
from rag_graph.index.embedded.catalogue import Catalogue
from rag_graph.index.embedded.segments import SEGMENTS, FolderSegment
from rag_graph.index.embedded.storage import (
    CATALOGUE,
    check_catalogue,
    damaged_catalogue,
    has_been_sealed,
    is_corrupt,
    missing,
    reading,
)
from rag_graph.index.embedded.writer import EmbeddedWriter, open_writer
from rag_graph.index.lexical import Mask
from rag_graph.index.segmented import FilterCache, Generation, SegmentedSearch
from rag_graph.models.embeddings import Embedder, Vectors
from rag_graph.query import Filters
from rag_graph.text.terms import keys

# Each that fails has met a whole indexing run, so that a third is hardly ever needed.
_OPEN_ATTEMPTS = 3
_KEPT_PASSAGES = 1_024
"""What is found for one question is often found for others, and the deep search finds what the fast one has."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A generation, and the passages of it that were read last."""

    generation: Generation[FolderSegment]
    passages: dict[int, Passage] = field(default_factory=dict)


class EmbeddedIndex:
    """`Index` in a folder."""

    def __init__(self, directory: Path, embedder: Embedder) -> None:
        self.directory = directory
        self.embedder = embedder
        self._connections: list[Catalogue] = []
        self._lock = Lock()
        self._opening = Lock()
        self._filters = FilterCache()
        self._opened: _Opened | None = None

    @contextmanager
    def snapshot(self, filters: Filters | None = None) -> Iterator["EmbeddedSnapshot"]:
        opened = self._newest()
        masks = None
        if filters:
            masks = self._filters.masks(opened.generation, filters, lambda: self._allowed(filters))
        # Nothing is locked: segments never change, and what is mapped outlives its name when a later run removes it.
        yield EmbeddedSnapshot(self, opened, masks)

    def document(self, document_id: str) -> Document | None:
        self._newest()
        with self._catalogue() as catalogue:
            return catalogue.document(document_id)

    def counts(self) -> tuple[int, int]:
        self._newest()
        with self._catalogue() as catalogue:
            return catalogue.counts()

    def files(self) -> list[IndexedFile]:
        try:
            with self._catalogue() as catalogue:
                return catalogue.files()
        except IndexNotFound:
            return []

    def file_of(self, document_id: str) -> IndexedFile | None:
        self._newest()
        with self._catalogue() as catalogue:
            return catalogue.file_of(document_id)

    def documents(self, *, matching: str = "", after: str = "", limit: int = 100) -> list[DocumentEntry]:
        self._newest()
        with self._catalogue() as catalogue:
            return catalogue.documents(matching=matching, after=after, limit=limit)

    def filter_names(self) -> frozenset[str]:
        def read() -> Iterable[str]:
            with self._catalogue() as catalogue:
                return catalogue.metadata_names()

        return self._filters.names(self._newest().generation, read)

    @contextmanager
    def stored(self) -> Iterator[tuple[list[IndexedFile], Iterator[StoredDocument]]]:
        with self._catalogue() as catalogue:
            while True:
                generation = self._newest().generation
                catalogue.begin_read()
                if catalogue.generation() == generation.number:
                    break
                catalogue.rollback()  # a commit came between
            try:
                yield catalogue.files(), self._stored(catalogue, generation.segments)
            finally:
                catalogue.rollback()

    def _stored(self, catalogue: Catalogue, segments: Sequence[FolderSegment]) -> Iterator[StoredDocument]:
        firsts = [int(segment.ids[0]) for segment in segments]  # segments stand in the order of their ids
        for document, path, content_hash, passages in catalogue.stored():
            vectors = []
            for number, _ in passages:
                segment = segments[bisect_right(firsts, number) - 1]
                vectors.append(segment.vectors_of(int(np.searchsorted(segment.ids, number))))
            yield StoredDocument(document, path, content_hash, [chunk for _, chunk in passages], vectors)

    @contextmanager
    def writer(self, *, rebuild: bool = False) -> Iterator[EmbeddedWriter]:
        with open_writer(self.directory, self.embedder, rebuild=rebuild) as writer:
            yield writer

    def close(self) -> None:
        with self._lock:
            while self._connections:
                self._connections.pop().close()

    def read(self, opened: _Opened, ids: Sequence[int]) -> list[Passage]:
        """These passages, in this order, without reading again what was read of this generation."""
        found = {number: passage for number in ids if (passage := opened.passages.get(number))}
        if missing := [number for number in ids if number not in found]:
            read = {passage.id: passage for passage in self._read_passages(missing)}
            found |= read
            with self._lock:
                opened.passages.update(read)
                for number in list(opened.passages)[:-_KEPT_PASSAGES]:
                    del opened.passages[number]
        return [found[number] for number in ids if number in found]

    def _read_passages(self, ids: Sequence[int]) -> list[Passage]:
        with self._catalogue() as catalogue:
            return catalogue.passages(ids)

    @contextmanager
    def _catalogue(self) -> Iterator[Catalogue]:
        """A connection that nobody else uses meanwhile."""
        with self._lock:
            catalogue = self._connections.pop() if self._connections else None
        try:
            if catalogue is not None and catalogue.is_replaced:
                catalogue.close()
                catalogue = None
            if catalogue is None:
                self._check_there()
                catalogue = Catalogue(self.directory)
            yield catalogue
        except sqlite3.Error as exc:
            if catalogue is not None:
                catalogue.close()
                catalogue = None
            if is_corrupt(exc):
                raise damaged_catalogue() from exc
            raise RetrievalFailed("The index cannot be read just now: look at its folder's disk and rights.") from exc
        finally:
            if catalogue is not None:
                with self._lock:
                    self._connections.append(catalogue)

    def _check_there(self) -> None:
        path = self.directory / CATALOGUE
        with reading(path, within=self.directory):
            if path.is_file() and path.stat().st_size:
                return
        if has_been_sealed(self.directory):
            raise missing(path, self.directory)
        raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")

    def _newest(self) -> _Opened:
        """The generation that was committed last; opening one reads its segments, which one thread does for all."""
        with self._catalogue() as catalogue:
            number = catalogue.generation()
        opened = self._opened
        if opened is None or opened.generation.number != number:
            with self._opening:
                opened = self._opened
                if opened is None or opened.generation.number != number:
                    opened = self._opened = _Opened(self._read_generation(opened))
        return opened

    def _read_generation(self, previous: _Opened | None) -> Generation[FolderSegment]:
        known = {segment.folder.name: segment for segment in previous.generation.segments} if previous else {}
        for attempt in range(1, _OPEN_ATTEMPTS + 1):
            with self._catalogue() as catalogue:
                catalogue.begin_read()
                try:
                    if catalogue.fact("format") is None:
                        raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")
                    catalogue.check(embedder=self.embedder.name, dims=self.embedder.dims)
                    number, rows, dead = catalogue.generation(), catalogue.segments(), catalogue.dead()
                    # At the first opening alone, as all of the file is read for it.
                    if previous is None:
                        check_catalogue(self.directory, number)
                finally:
                    catalogue.rollback()
            try:
                folder = self.directory / SEGMENTS
                segments = [known.get(row.name) or FolderSegment.open(folder / row.name, row.sums) for row in rows]
            except FileNotFoundError as exc:
                # A run that began since we read the rows has dropped what the last one merged: read them anew.
                if attempt == _OPEN_ATTEMPTS:
                    raise missing(Path(exc.filename), self.directory) from exc
                continue
            return Generation.of(number, segments, np.array(dead, dtype=np.int64))
        raise AssertionError

    def _allowed(self, filters: Filters) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        with self._catalogue() as catalogue:
            return np.array(catalogue.passage_ids(filters), dtype=np.int64)


class EmbeddedSnapshot(SegmentedSearch[FolderSegment]):
    """`Snapshot` of an `EmbeddedIndex`."""

    def __init__(self, index: EmbeddedIndex, opened: _Opened, masks: tuple[Mask, ...] | None) -> None:
        super().__init__(opened.generation, masks)
        self._index = index
        self._opened = opened

    def nearest(self, vectors: Vectors, *, limit: int) -> Ranking:
        rankings = []
        for part, allowed in self._parts:
            for ordinals, scores in part.segment.nearest(vectors, limit=limit, allowed=allowed):
                rankings.append(Ranking(part.segment.ids[ordinals], scores))
        return Ranking.best_of(rankings, limit=limit)

    def titled(self, names: Sequence[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        numbers = keys(names)
        for part, allowed in self._parts:
            segment = part.segment
            if not len(segment.title_keys):
                continue
            near = np.minimum(np.searchsorted(segment.title_keys, numbers), len(segment.title_keys) - 1)
            for column in np.flatnonzero(segment.title_keys[near] == numbers).tolist():
                ordinals = segment.titled(int(numbers[column]))
                ordinals = ordinals if allowed is None else ordinals[allowed[ordinals]]
                if len(ordinals):
                    found.setdefault(names[column], []).extend(segment.ids[ordinals].tolist())
        return found

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        return self._index.read(self._opened, self._inside(ids))
