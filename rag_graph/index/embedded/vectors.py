"""Nearest vectors with FAISS: exact while that is fast, then a byte per dimension, then in cells as well."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rag_graph.models.embeddings import Vectors

Mask = NDArray[np.bool_]

FLAT_UP_TO = 20_000
"""Exact up to here. Above, a byte per dimension: 100,000 vectors of 384 dims take 1.9 ms instead of 6.3, at recall
0.994, and a quarter of the memory."""
BYTES_UP_TO = 200_000
"""Above this, cells: 1M vectors of 384 dims take 0.3 ms instead of 44, at recall 0.976."""
PROBES = 16
"""Cells that are looked into; the recall above is with so many."""
# FAISS complains below 39, and uses no more than 256.
_TRAIN_PER_CELL = 64
# 15 MB of vectors with 384 dimensions.
_BLOCK = 10_000


class VectorBuilder:
    """Collects unit vectors in a file; memory stays flat however many there are."""

    def __init__(self, spill: Path, dims: int, *, bytes_up_to: int = BYTES_UP_TO) -> None:
        self._bytes_up_to = bytes_up_to
        self._path = spill
        self._file = spill.open("wb")
        self._dims = dims
        self._count = 0

    def add(self, vectors: Vectors) -> None:
        self._file.write(np.ascontiguousarray(vectors, dtype=np.float32).tobytes())
        self._count += len(vectors)

    def close(self) -> None:
        self._file.close()

    def build(self, path: Path) -> None:
        """Write the index and drop what was collected."""
        self.close()
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        vectors: Vectors = np.empty((0, self._dims), dtype=np.float32)
        if self._count:
            vectors = np.memmap(self._path, dtype=np.float32, mode="r", shape=(self._count, self._dims))
        index = _empty(self._count, self._dims, self._bytes_up_to)
        if not index.is_trained:
            index.train(_sample(vectors, _TRAIN_PER_CELL * max(256, getattr(index, "nlist", 0))))
        for start in range(0, self._count, _BLOCK):
            index.add(np.ascontiguousarray(vectors[start : start + _BLOCK]))
        try:
            faiss.write_index(index, str(path))
        except RuntimeError as exc:  # what FAISS makes of what the system says
            raise OSError(errno.EIO if "No space" not in str(exc) else errno.ENOSPC, str(exc)) from exc
        self._path.unlink()


class VectorIndex:
    """An index that was written; searching it is safe from any thread."""

    def __init__(self, path: Path) -> None:
        # Mapped, so that the processes of a machine share the pages, and opening reads next to nothing.
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        self._cells = faiss.try_extract_index_ivf(self._index)

    def search(
        self, vectors: Vectors, *, limit: int, allowed: Mask | None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """For each row of `vectors`, the ordinals and products of the closest vectors, best first."""
        size = int(self._index.ntotal)
        if not size:
            return
        # OpenMP's number holds for the calling thread. For one query more threads are slower, and where cores are
        # busy much slower: they wait for each other by spinning.
        faiss.omp_set_num_threads(1)
        parameters = self._parameters(allowed)
        for row in np.ascontiguousarray(vectors, dtype=np.float32):
            scores, ordinals = self._index.search(row.reshape(1, -1), min(limit, size), params=parameters)
            # FAISS fills up with -1 where there are not so many.
            found = ordinals[0] >= 0
            yield ordinals[0][found], scores[0][found]

    def _parameters(self, allowed: Mask | None) -> Any:
        """How to search; the fewer passages are allowed, the more cells are looked into."""
        chosen, share = {}, 1.0
        if allowed is not None:
            # The stubs know the C++ signature only; Python's takes the array.
            bitmap: Any = faiss.IDSelectorBitmap
            chosen["sel"] = bitmap(np.packbits(allowed, bitorder="little"))
            share = max(1, int(allowed.sum())) / len(allowed)
        if self._cells is None:
            return faiss.SearchParameters(**chosen)
        in_cells: Any = faiss.SearchParametersIVF
        return in_cells(nprobe=min(int(self._cells.nlist), int(PROBES / share)), **chosen)

    def rows(self, first: int, count: int) -> Vectors:
        """So many vectors in a row, as well as the index still knows them."""
        if self._cells is not None:
            # Without this map, an index in cells does not find a vector by its ordinal.
            self._cells.make_direct_map()
        found: Vectors = self._index.reconstruct_batch(np.arange(first, first + count, dtype=np.int64))
        return found

    def blocks(self, alive: Mask) -> Iterator[Vectors]:
        """The living vectors, in order, as well as the index still knows them."""
        if self._cells is not None:
            self._cells.make_direct_map()
        for start in range(0, len(alive), _BLOCK):
            ordinals = np.flatnonzero(alive[start : start + _BLOCK]) + start
            if len(ordinals):
                yield self._index.reconstruct_batch(ordinals.astype(np.int64))


def _empty(count: int, dims: int, bytes_up_to: int) -> "faiss.Index":
    if count <= FLAT_UP_TO:
        return faiss.IndexFlatIP(dims)
    if count <= bytes_up_to:
        return faiss.IndexScalarQuantizer(dims, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    # FAISS advises 4 to 16 times the root of so many vectors, for up to a million.
    cells = 1 << round(np.log2(4 * count**0.5))
    return faiss.index_factory(dims, f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)


def _sample(vectors: Vectors, limit: int) -> Vectors:
    step = max(1, len(vectors) // limit)
    return np.ascontiguousarray(vectors[::step][:limit])
