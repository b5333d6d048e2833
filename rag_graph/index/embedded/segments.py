"""Segments as folders of files that never change: vectors, postings and titles."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_graph.documents import Document
from rag_graph.index.chunking import Chunk
from rag_graph.index.embedded.storage import FileSum, check, reading, seal
from rag_graph.index.embedded.vectors import VectorBuilder, VectorIndex
from rag_graph.index.lexical import Mask, Postings, PostingsBuilder, merge_postings
from rag_graph.index.segmented import passage_terms
from rag_graph.models.embeddings import Vectors
from rag_graph.text.terms import Keys, key, title_name

SEGMENTS = "segments"
_IDS, _TITLE_KEYS, _TITLE_ORDINALS = "ids.npy", "title_keys.npy", "title_ordinals.npy"
_VECTORS, _OWNERS = "vectors.faiss", "owners.npy"


@dataclass(frozen=True, slots=True)
class FolderSegment:
    """The vectors, postings and titles of passages, whose ids it holds in ascending order.

    `owners` says for each vector whose it is, by ordinal: a passage that is not embedded at once has several.
    """

    folder: Path
    ids: NDArray[np.int64]
    title_keys: Keys
    title_ordinals: NDArray[np.int32]
    postings: Postings
    vectors: VectorIndex
    owners: NDArray[np.int32]

    @classmethod
    def open(cls, folder: Path, sums: Sequence[FileSum]) -> "FolderSegment":
        """Raises `IndexDamaged`, and `FileNotFoundError` of what is not there."""
        check(folder, sums)
        with reading(folder, within=folder.parent.parent):
            return cls(
                folder=folder,
                ids=np.load(folder / _IDS, allow_pickle=False),
                title_keys=np.load(folder / _TITLE_KEYS, allow_pickle=False),
                title_ordinals=np.load(folder / _TITLE_ORDINALS, allow_pickle=False),
                postings=Postings.open(folder),
                vectors=VectorIndex(folder / _VECTORS),
                owners=np.load(folder / _OWNERS, allow_pickle=False),
            )

    def nearest(
        self, vectors: Vectors, *, limit: int, allowed: Mask | None
    ) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """For each row of `vectors`, the ordinals of the closest passages and their best products, best first."""
        is_parted = len(self.owners) > len(self.ids)
        if is_parted and allowed is not None:
            allowed = allowed[self.owners]
        # Twice as many, for some are of the same passage.
        for rows, scores in self.vectors.search(vectors, limit=limit << is_parted, allowed=allowed):
            found = self.owners[rows]
            # The first, and so the best, row of each passage; sorted, because `unique` gives them by passage.
            first = np.sort(np.unique(found, return_index=True)[1])[:limit] if is_parted else slice(limit)
            yield found[first], scores[first]

    def vectors_of(self, ordinal: int) -> Vectors:
        """Those of one passage."""
        first, last = np.searchsorted(self.owners, (ordinal, ordinal + 1)).tolist()
        return self.vectors.rows(first, last - first)

    def titled(self, number: int) -> NDArray[np.int32]:
        """The passages that open documents whose title has this key."""
        first, last = (
            np.searchsorted(self.title_keys, np.uint64(number), side="left"),
            np.searchsorted(self.title_keys, np.uint64(number), side="right"),
        )
        return self.title_ordinals[first:last]


class SegmentBuilder:
    """Collects passages and writes them as one segment."""

    def __init__(self, folder: Path, *, dims: int) -> None:
        folder.mkdir(parents=True, mode=0o700)
        self._folder = folder
        self._ids: list[int] = []
        self._titles: list[tuple[int, int]] = []
        self._postings = PostingsBuilder()
        self._vectors = VectorBuilder(folder / "vectors.part", dims)
        self._owners: list[int] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, passage_id: int, document: Document, chunk: Chunk, *, opens: bool) -> None:
        """Add a passage; `opens` says that it is the first of its document."""
        if opens and (name := title_name(document.title)):
            self._titles.append((key(name), len(self._ids)))
        self._ids.append(passage_id)
        self._postings.add(*passage_terms(document, chunk))

    def add_vectors(self, vectors: Sequence[Vectors]) -> None:
        """Add the vectors of the passages that have none yet, in the same order."""
        for ordinal, its in enumerate(vectors, len(self) - len(vectors)):
            self._owners += [ordinal] * len(its)
            self._vectors.add(its)

    def discard(self) -> None:
        self._vectors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def build(self) -> tuple[FileSum, ...]:
        """Write it; return what its files are."""
        np.save(self._folder / _IDS, np.array(self._ids, dtype=np.int64), allow_pickle=False)
        _save_titles(
            self._folder,
            np.array([number for number, _ in self._titles], dtype=np.uint64),
            np.array([ordinal for _, ordinal in self._titles], dtype=np.int32),
        )
        self._postings.build().save(self._folder)
        self._vectors.build(self._folder / _VECTORS)
        np.save(self._folder / _OWNERS, np.array(self._owners, dtype=np.int32), allow_pickle=False)
        return seal(self._folder)


def merge_segments(
    parts: Sequence[tuple[FolderSegment, Mask]], folder: Path, *, dims: int
) -> tuple[int, tuple[FileSum, ...]]:
    """Write one segment out of several, less the passages that are no longer alive; return its size and its files."""
    folder.mkdir(parents=True, mode=0o700)
    ids = np.concatenate([segment.ids[alive] for segment, alive in parts])
    np.save(folder / _IDS, ids, allow_pickle=False)
    _merge_titles(parts, folder)
    merge_postings([(segment.postings, alive) for segment, alive in parts], folder)
    vectors, owners, offset = VectorBuilder(folder / "vectors.part", dims), [], 0
    for segment, alive in parts:
        kept = alive[segment.owners]
        owners.append((np.cumsum(alive) - 1)[segment.owners[kept]] + offset)
        offset += int(alive.sum())
        for block in segment.vectors.blocks(kept):
            vectors.add(block)
    vectors.build(folder / _VECTORS)
    np.save(folder / _OWNERS, np.concatenate(owners).astype(np.int32), allow_pickle=False)
    return len(ids), seal(folder)


def _merge_titles(parts: Sequence[tuple[FolderSegment, Mask]], folder: Path) -> None:
    numbers, ordinals, offset = [], [], 0
    for segment, alive in parts:
        kept = alive[segment.title_ordinals]
        numbers.append(segment.title_keys[kept])
        ordinals.append((np.cumsum(alive) - 1)[segment.title_ordinals[kept]] + offset)
        offset += int(alive.sum())
    _save_titles(folder, np.concatenate(numbers), np.concatenate(ordinals).astype(np.int32))


def _save_titles(folder: Path, numbers: Keys, ordinals: NDArray[np.int32]) -> None:
    order = np.argsort(numbers, kind="stable")
    np.save(folder / _TITLE_KEYS, numbers[order], allow_pickle=False)
    np.save(folder / _TITLE_ORDINALS, ordinals[order], allow_pickle=False)
