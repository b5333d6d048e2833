"""What a search may ask of a store of documents, and indexing of the place where it is kept, whichever it is."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_graph.documents import Document, Metadata, Passage
from rag_graph.models.embeddings import Embedder, Vectors
from rag_graph.query import Filters


@dataclass(frozen=True, slots=True)
class Ranking:
    """Passages by id with their scores, best first."""

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, ids: NDArray[np.int64], scores: NDArray[np.float32], *, limit: int | None = None) -> "Ranking":
        """Best first; equals in the order of their ids, so that the same search gives the same answer."""
        order = np.lexsort((ids, -scores))[:limit]
        return cls(ids=ids[order], scores=scores[order].astype(np.float32, copy=False))

    @classmethod
    def best_of(cls, rankings: "Sequence[Ranking]", *, limit: int | None = None) -> "Ranking":
        """Each passage with the best of its scores."""
        if len(rankings) == 1:
            return rankings[0]
        if not any(map(len, rankings)):
            return cls.empty()
        ids, places = np.unique(np.concatenate([ranking.ids for ranking in rankings]), return_inverse=True)
        best = np.full(len(ids), -np.inf, dtype=np.float32)
        np.maximum.at(best, places, np.concatenate([ranking.scores for ranking in rankings]))
        return cls.of(ids, best, limit=limit)

    @classmethod
    def empty(cls) -> "Ranking":
        return cls(ids=np.empty(0, dtype=np.int64), scores=np.empty(0, dtype=np.float32))


class View(Protocol):
    """One state of the library under one filter. Nothing outside the filter can be reached through it.

    Calls block: run them in a thread.
    """

    @property
    def size(self) -> int:
        """How many passages the library has, before the filter."""

    def nearest(self, vectors: Vectors, *, limit: int) -> Ranking:
        """The passages closest to any of these vectors (rows), each with the best of its products."""

    def matching(self, queries: Sequence[Mapping[str, float]], *, limit: int) -> Ranking:
        """The passages that match any of these queries (weights by term), each with the best of its scores."""

    def frequencies(self, phrases: Sequence[Sequence[str]]) -> list[int]:
        """For each phrase, how many passages of the library hold all its terms."""

    def titled(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Of these names (`terms.title_name`), those that are titles, with the passages that open such documents."""

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """These passages, in this order; those that are gone or outside the filter are left out."""


class Store(Protocol):
    """Documents that can be searched."""

    @property
    def embedder(self) -> Embedder:
        """What turns a question into a vector of this store."""

    def view(self, filters: Filters | None = None) -> AbstractContextManager[View]:
        """The store as it is now, narrowed to what the filters allow."""

    def document(self, document_id: str) -> Document | None:
        """The document with its whole text, or None."""


class OpenLibrary(Store, Protocol):
    """A store that was opened, and is to be closed."""

    @property
    def generation(self) -> int:
        """Counts the indexing runs; whoever keeps results can tell by it that they are old."""

    @property
    def size(self) -> int:
        """How many passages there are."""

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """These passages, in this order, without those that are gone."""

    def counts(self) -> tuple[int, int]:
        """How many documents and passages there are."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file as it was when it was last indexed."""

    id: int
    uri: str
    hash: str


class Records(Protocol):
    """The files, documents and passages of a library, while it is brought up to date."""

    def fact(self, name: str) -> str | None: ...
    def set_fact(self, name: str, value: str) -> None: ...
    def clear(self) -> None:
        """Remove everything, but never use a passage's id again: readers may still hold it."""

    def generation(self) -> int: ...
    def check(self, *, embedder: str, dims: int) -> None:
        """Refuse a library that another version or another embedding model built."""

    def roots(self) -> dict[str, str]:
        """Label by path."""

    def add_root(self, path: str, label: str) -> None: ...
    def file(self, path: str) -> IndexedFile | None: ...
    def add_file(self, path: str, uri: str) -> int: ...
    def see_file(self, file: int, content_hash: str, *, run: int) -> None: ...
    def files_not_seen(self, run: int) -> list[tuple[int, str]]: ...
    def count_documents(self, file: int) -> int: ...
    def remove_file(self, file: int) -> int:
        """Remove a file with its documents; return how many those were."""

    def seen(self, document_id: str) -> tuple[str, int] | None:
        """A document's hash, and the run that last met it."""

    def see_document(self, document_id: str, *, run: int) -> None: ...
    def remove_document(self, document_id: str) -> None: ...
    def remove_documents_not_seen(self, file: int, *, run: int) -> int: ...
    def add_document(self, document: Document, *, file: int, content_hash: str, run: int) -> None: ...
    def add_passage(
        self, document: Document, start: int, end: int, *, heading: Sequence[str], metadata: Metadata
    ) -> int: ...


class Shelf(Protocol):
    """Where new passages are made searchable."""

    def add(self, passage_id: int, *, title: str, heading: Sequence[str], content: str, opens: bool) -> None:
        """Add a passage; `opens` says that it is the first of its document."""

    def add_vectors(self, vectors: Vectors) -> None:
        """Add the vectors of all passages that have none yet, in the same order."""

    def finish(self) -> None:
        """Make what was added count."""


@dataclass(frozen=True, slots=True)
class Growth:
    """One indexing run's hold on a library; everything changes at once when it ends well."""

    records: Records
    shelf: Shelf


class Place(Protocol):
    """Where a library is kept."""

    def open(self, embedder: Embedder) -> OpenLibrary:
        """Raises `IndexNotFound` and `IndexMismatch`."""

    def grow(self, embedder: Embedder) -> AbstractContextManager[Growth]:
        """Raises `IndexBusy` when somebody else does."""

    def roots(self) -> list[Path]:
        """The folders and files whose contents are in the library."""
