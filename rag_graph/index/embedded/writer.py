"""Writing an index in a folder: one writer at a time; each commit is a transaction of the catalogue's."""

import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from rag_graph.documents import Document
from rag_graph.errors import IndexBusy, IndexDamaged
from rag_graph.index.base import IndexedFile
from rag_graph.index.chunking import Chunk
from rag_graph.index.embedded.catalogue import Catalogue, SegmentRow
from rag_graph.index.embedded.segments import SEGMENTS, FolderSegment, SegmentBuilder, merge_segments
from rag_graph.index.embedded.storage import (
    CATALOGUE,
    check_catalogue,
    damaged_catalogue,
    drop_catalogue,
    has_been_sealed,
    is_sealed,
    make_private,
    missing,
    seal_catalogue,
    writing,
)
from rag_graph.index.segmented import FORMAT, SEGMENT_PASSAGES, living, to_merge
from rag_graph.models.embeddings import Embedder, Vectors

_LOCK = "indexing.lock"


@contextmanager
def open_writer(directory: Path, embedder: Embedder, *, rebuild: bool) -> Iterator["EmbeddedWriter"]:
    """See `Index.writer`."""
    with writing():
        make_private(directory)
        lock = FileLock(directory / _LOCK, mode=0o600)
        try:
            lock.acquire(blocking=False)
        except Timeout as exc:
            raise IndexBusy("Another process is indexing into this library; wait for it to end.") from exc
    try:
        with closing(_open_catalogue(directory, rebuild=rebuild)) as catalogue:
            writer = EmbeddedWriter(directory, catalogue, embedder)
            try:
                writer.begin(rebuild=rebuild)
                yield writer
                writer.finish()
            finally:
                writer.discard()
    finally:
        lock.release()


def _open_catalogue(directory: Path, *, rebuild: bool) -> Catalogue:
    """Raises `IndexDamaged`, unless what is damaged is to be built anew: then nothing of it is kept."""
    is_new = False
    try:
        _verify(directory)
        with writing():
            catalogue = Catalogue(directory, write=True)
    except IndexDamaged:
        if not rebuild:
            raise
        with writing():
            drop_catalogue(directory)
            make_private(directory)
            catalogue = Catalogue(directory, write=True)
        is_new = True
    if is_new:
        # Microseconds of the clock, which no counter of the lost catalogue can have reached.
        catalogue.begin_numbers_at(time.time_ns() // 1_000)
    return catalogue


def _verify(directory: Path) -> None:
    """What is changed is sealed anew, so it has to be whole before."""
    if not (directory / CATALOGUE).is_file():
        raise damaged_catalogue()
    if not (directory / CATALOGUE).stat().st_size:
        if has_been_sealed(directory):
            raise damaged_catalogue()
        return
    # To read with a log, SQLite writes a file of its own beside it: that alone may find no room.
    with writing(), closing(Catalogue(directory)) as catalogue:
        catalogue.begin_read()
        try:
            check_catalogue(directory, catalogue.generation())
        finally:
            catalogue.rollback()


class EmbeddedWriter:
    """`IndexWriter` over the catalogue and the segments of a folder."""

    def __init__(self, directory: Path, catalogue: Catalogue, embedder: Embedder) -> None:
        self._directory = directory
        self._catalogue = catalogue
        self._embedder = embedder
        self._builder: SegmentBuilder | None = None
        self._segments: list[SegmentRow] = []
        self._written: list[str] = []
        self._generation = 0
        self._changes = 0

    def begin(self, *, rebuild: bool) -> None:
        """Raises `IndexMismatch`."""
        with writing():
            # What killed runs left, and what the last run merged: readers had until now to move on from it.
            (self._directory / SEGMENTS).mkdir(exist_ok=True, mode=0o700)
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
        with writing():
            self._catalogue.put_file(file, generation=self._generation)

    def remove_file(self, path: str) -> int:
        with writing():
            return self._catalogue.remove_file(path)

    def document_ids(self, path: str) -> Iterator[str]:
        return self._catalogue.document_ids(path)

    def document_hash(self, document_id: str) -> str | None:
        return self._catalogue.document_hash(document_id)

    def add(
        self, document: Document, chunks: Sequence[Chunk], vectors: Sequence[Vectors], *, path: str, content_hash: str
    ) -> None:
        with writing():
            self._add(document, chunks, vectors, path=path, content_hash=content_hash)

    def _add(
        self, document: Document, chunks: Sequence[Chunk], vectors: Sequence[Vectors], *, path: str, content_hash: str
    ) -> None:
        self._catalogue.remove_documents([document.id])
        self._catalogue.add_document(document, path=path, content_hash=content_hash, generation=self._generation)
        if self._builder is not None and len(self._builder) + len(chunks) > SEGMENT_PASSAGES:
            self._close_segment()
        for number, chunk in enumerate(chunks):
            passage_id = self._catalogue.add_passage(document, chunk)
            if self._builder is None:
                name = self._new_name()
                self._builder = SegmentBuilder(self._folder(name), dims=self._embedder.dims)
                self._segments.append(SegmentRow(name=name, size=0, first=passage_id))
            self._builder.add(passage_id, document, chunk, opens=number == 0)
        if self._builder is not None:
            self._builder.add_vectors(vectors)

    def remove(self, document_ids: Iterable[str]) -> None:
        with writing():
            self._catalogue.remove_documents(document_ids)

    def commit(self) -> None:
        with writing():
            self._write()
            self._commit()
            self._begin()

    def finish(self) -> None:
        """Commit, with segments merged where there are too many: once, for merging is what a large index waits for."""
        with writing():
            self._write()
            rows = self._catalogue.segments()
            dead = np.array(self._catalogue.dead(), dtype=np.int64)
            if merging := to_merge([row.size for row in rows], len(dead)):
                self._merge(rows[len(rows) - merging :], dead)
            self._commit()
        with suppress(sqlite3.Error, OSError):  # all is committed; without room, only the check of it is left out
            is_whole, generation = self._catalogue.truncate_log(), self._catalogue.generation()
            if is_whole and not is_sealed(self._directory, generation):
                seal_catalogue(self._directory, generation)

    def discard(self) -> None:
        """Drop what was not committed, and give its room back: that may be what there was too little of."""
        with suppress(sqlite3.Error):  # what is not rolled back now is by whoever opens the file next
            self._catalogue.rollback()
        if self._builder is not None:
            self._builder.discard()
        for name in self._written:
            shutil.rmtree(self._folder(name), ignore_errors=True)

    def _commit(self) -> None:
        self._catalogue.commit()
        self._written.clear()

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
            row = self._segments[-1]
            sums = self._builder.build()
            self._segments[-1] = SegmentRow(name=row.name, size=len(self._builder), first=row.first, sums=sums)
            self._builder = None

    def _merge(self, rows: Sequence[SegmentRow], dead: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
        segments = [self._open(row) for row in rows]
        parts = [(segment, living(segment, dead)) for segment in segments]
        name = self._new_name()
        size, sums = merge_segments(parts, self._folder(name), dims=self._embedder.dims)
        merged = [SegmentRow(name=name, size=size, first=rows[0].first, sums=sums)] if size else []
        self._catalogue.replace_segments([row.name for row in rows], merged)
        self._catalogue.bury(number for segment, alive in parts for number in segment.ids[~alive].tolist())
        self._catalogue.set_fact("generation", str(self._generation))

    def _open(self, row: SegmentRow) -> FolderSegment:
        try:
            return FolderSegment.open(self._folder(row.name), row.sums)
        except FileNotFoundError as exc:
            raise missing(Path(exc.filename), self._directory) from exc

    def _new_name(self) -> str:
        self._written.append(uuid.uuid4().hex)
        return self._written[-1]

    def _folder(self, name: str) -> Path:
        return self._directory / SEGMENTS / name
