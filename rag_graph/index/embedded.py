"""The place of the embedded library: a folder that one indexing run at a time may change."""

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from rag_graph.errors import IndexBusy
from rag_graph.index.base import Growth
from rag_graph.index.catalogue import Catalogue, SegmentRow
from rag_graph.index.library import Library
from rag_graph.index.segments import SEGMENTS, Segment, SegmentBuilder, merge_segments
from rag_graph.models.embeddings import Embedder, Vectors

SEGMENT_PASSAGES = 50_000
"""A segment is written when it has this many, so that memory stays flat."""
_LOCK = "indexing.lock"


@dataclass(frozen=True, slots=True)
class EmbeddedPlace:
    """A folder with a library in it, or one to come."""

    directory: Path

    def open(self, embedder: Embedder) -> Library:
        return Library.open(self.directory, embedder)

    @contextmanager
    def grow(self, embedder: Embedder) -> Iterator[Growth]:
        with _only_one(self.directory), _transaction(self.directory) as catalogue:
            yield Growth(catalogue, _SegmentShelf(self.directory, catalogue, embedder.dims))

    def roots(self) -> list[Path]:
        with closing(Catalogue(self.directory)) as catalogue:
            return [Path(path) for path in catalogue.roots()]


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / _LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as exc:
        raise IndexBusy(f"Another process is indexing into {str(directory)!r}; wait for it to end.") from exc
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _transaction(directory: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(directory, write=True)
    try:
        _remove_segments(directory, keep={segment.name for segment in catalogue.segments()})
        catalogue.begin()
        yield catalogue
        catalogue.commit()
    finally:
        catalogue.rollback()
        catalogue.close()


def _remove_segments(directory: Path, *, keep: set[str]) -> None:
    """Drop what killed runs left, and what the last run replaced (readers had this long to move on)."""
    (directory / SEGMENTS).mkdir(exist_ok=True)
    for folder in (directory / SEGMENTS).iterdir():
        if folder.name not in keep:
            shutil.rmtree(folder, ignore_errors=True)


class _SegmentShelf:
    """Writes passages as segments, and merges where there are too many."""

    def __init__(self, directory: Path, catalogue: Catalogue, dims: int) -> None:
        self._directory = directory
        self._catalogue = catalogue
        self._dims = dims
        self._builder: SegmentBuilder | None = None
        self._new: list[SegmentRow] = []

    def add(self, passage_id: int, *, title: str, heading: Sequence[str], content: str, opens: bool) -> None:
        if self._builder is None:
            name = uuid.uuid4().hex
            self._builder = SegmentBuilder(self._folder(name), dims=self._dims)
            self._new.append(SegmentRow(name=name, size=0, first=passage_id))
        self._builder.add(passage_id, title=title, heading=heading, content=content, opens=opens)

    def add_vectors(self, vectors: Vectors) -> None:
        if self._builder is not None:
            self._builder.add_vectors(vectors)
            if len(self._builder) >= SEGMENT_PASSAGES:
                self._close_segment()

    def finish(self) -> None:
        self._close_segment()
        self._catalogue.replace_segments([], self._new)
        rows = self._catalogue.segments()
        dead = np.array(self._catalogue.dead(), dtype=np.int64)
        merging = to_merge([row.size for row in rows], len(dead))
        if merging:
            self._merge(rows[len(rows) - merging :], dead)

    def _close_segment(self) -> None:
        if self._builder is not None:
            self._builder.build()
            row = self._new[-1]
            self._new[-1] = SegmentRow(name=row.name, size=len(self._builder), first=row.first)
            self._builder = None

    def _merge(self, rows: Sequence[SegmentRow], dead: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
        segments = [Segment.open(self._folder(row.name)) for row in rows]
        parts, buried = [], list[int]()
        for segment in segments:
            gone = segment.ordinals(dead)
            alive = np.ones(len(segment.ids), dtype=np.bool_)
            alive[gone] = False
            buried += segment.ids[gone].tolist()
            parts.append((segment, alive))
        name = uuid.uuid4().hex
        size = merge_segments(parts, self._folder(name), dims=self._dims)
        merged = [SegmentRow(name=name, size=size, first=rows[0].first)] if size else []
        self._catalogue.replace_segments([row.name for row in rows], merged)
        self._catalogue.bury(buried)

    def _folder(self, name: str) -> Path:
        return self._directory / SEGMENTS / name


def to_merge(sizes: Sequence[int], dead: int) -> int:
    """How many of the last segments to merge: sizes stay halving, so that there are few of them."""
    if not sizes:
        return 0
    if dead * 3 > sum(sizes):
        return len(sizes)
    total, count = sizes[-1], 1
    while count < len(sizes) and sizes[-count - 1] <= 2 * total:
        total += sizes[-count - 1]
        count += 1
    return count if count > 1 else 0
