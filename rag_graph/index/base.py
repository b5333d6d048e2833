"""What a search may ask of a store of documents, whichever store it is."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_graph.documents import Document, Passage
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
