"""Writing an index in a folder: one writer at a time; each commit is a transaction of the catalogue's."""

import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from rag_graph.documents import Document
from rag_graph.errors import IndexBusy
from rag_graph.index.base import IndexedFile
from rag_graph.index.chunking import Chunk
from rag_graph.index.embedded.catalogue import Catalogue, SegmentRow
from rag_graph.index.embedded.segments import SEGMENTS, FolderSegment, SegmentBuilder, merge_segments
from rag_graph.index.segmented import FORMAT, SEGMENT_PASSAGES, living, to_merge
from rag_graph.models.embeddings import Embedder, Vectors

_LOCK = "indexing.lock"


@contextmanager
def open_writer(directory: Path, embedder: Embedder, *, rebuild: bool) -> Iterator["EmbeddedWriter"]:
    """See `Index.writer`."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / _LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as exc:
        raise IndexBusy(f"Another process is indexing into {str(directory)!r}; wait for it to end.") from exc
    try:
        catalogue = Catalogue(directory, write=True)
        try:
            writer = EmbeddedWriter(directory, catalogue, embedder)
            try:
                writer.begin(rebuild=rebuild)
                yield writer
                writer.finish()
            finally:
                writer.discard()
        finally:
            catalogue.close()
    finally:
        lock.release()


class EmbeddedWriter:
    """`IndexWriter` over the catalogue and the segments of a folder."""

    def __init__(self, directory: Path, catalogue: Catalogue, embedder: Embedder) -> None:
        self._directory = directory
        self._catalogue = catalogue
        self._embedder = embedder
        self._builder: SegmentBuilder | None = None
        self._segments: list[SegmentRow] = []
        self._generation = 0
        self._changes = 0

    def begin(self, *, rebuild: bool) -> None:
        """Raises `IndexMismatch`."""
        # What killed runs left, and what the last run merged: readers had until now to move on from it.
        (self._directory / SEGMENTS).mkdir(exist_ok=True)
        kept = {segment.name for segment in self._catalogue.segments()}
        for folder in (self._directory / SEGMENTS).iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        self._begin()
        if rebuild or self._catalogue.fact("format") is None:
            self._catalogue.clear()
            facts = {"format": FORMAT, "embedder": self._embedder.name, "dims": str(self._embedder.dims)}
            for name, value in facts.items():
                self._catalogue.set_fact(name, value)
        self._catalogue.check(embedder=self._embedder.name, dims=self._embedder.dims)

    def put_file(self, file: IndexedFile) -> None:
        self._catalogue.put_file(file, generation=self._generation)

    def remove_file(self, path: str) -> int:
        return self._catalogue.remove_file(path)

    def document_ids(self, path: str) -> Iterator[str]:
        return self._catalogue.document_ids(path)

    def document_hash(self, document_id: str) -> str | None:
        return self._catalogue.document_hash(document_id)

    def add(
        self, document: Document, chunks: Sequence[Chunk], vectors: Vectors, *, path: str, content_hash: str
    ) -> None:
        self._catalogue.remove_documents([document.id])
        self._catalogue.add_document(document, path=path, content_hash=content_hash, generation=self._generation)
        if self._builder is not None and len(self._builder) + len(chunks) > SEGMENT_PASSAGES:
            self._close_segment()
        for number, chunk in enumerate(chunks):
            passage_id = self._catalogue.add_passage(document, chunk)
            if self._builder is None:
                name = uuid.uuid4().hex
                self._builder = SegmentBuilder(self._folder(name), dims=self._embedder.dims)
                self._segments.append(SegmentRow(name=name, size=0, first=passage_id))
            self._builder.add(passage_id, document, chunk, opens=number == 0)
        if self._builder is not None:
            self._builder.add_vectors(vectors)

    def remove(self, document_ids: Iterable[str]) -> None:
        self._catalogue.remove_documents(document_ids)

    def commit(self) -> None:
        self._write()
        self._catalogue.commit()
        self._begin()

    def finish(self) -> None:
        """Commit, with segments merged where there are too many: once, for merging is what a large index waits for."""
        self._write()
        rows = self._catalogue.segments()
        dead = np.array(self._catalogue.dead(), dtype=np.int64)
        if merging := to_merge([row.size for row in rows], len(dead)):
            self._merge(rows[len(rows) - merging :], dead)
        self._catalogue.commit()
        self._catalogue.truncate_log()

    def discard(self) -> None:
        """Drop what was not committed."""
        self._catalogue.rollback()
        if self._builder is not None:
            self._builder.discard()

    def _begin(self) -> None:
        self._catalogue.begin()
        self._generation = self._catalogue.generation() + 1
        self._changes = self._catalogue.changes

    def _write(self) -> None:
        """Make all that was done part of the transaction; readers only read anew what has changed."""
        self._close_segment()
        if self._catalogue.changes == self._changes:
            return
        self._catalogue.replace_segments([], self._segments)
        self._segments.clear()
        self._catalogue.set_fact("generation", str(self._generation))

    def _close_segment(self) -> None:
        if self._builder is not None:
            self._builder.build()
            row = self._segments[-1]
            self._segments[-1] = SegmentRow(name=row.name, size=len(self._builder), first=row.first)
            self._builder = None

    def _merge(self, rows: Sequence[SegmentRow], dead: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
        segments = [FolderSegment.open(self._folder(row.name)) for row in rows]
        parts = [(segment, living(segment, dead)) for segment in segments]
        name = uuid.uuid4().hex
        size = merge_segments(parts, self._folder(name), dims=self._embedder.dims)
        merged = [SegmentRow(name=name, size=size, first=rows[0].first)] if size else []
        self._catalogue.replace_segments([row.name for row in rows], merged)
        self._catalogue.bury(number for segment, alive in parts for number in segment.ids[~alive].tolist())
        self._catalogue.set_fact("generation", str(self._generation))

    def _folder(self, name: str) -> Path:
        return self._directory / SEGMENTS / name
