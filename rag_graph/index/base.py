"""What an index is to those who search it and to indexing, wherever it is kept: `Index`, `Snapshot`, `IndexWriter`.

The words are Lucene's. Whoever brings a store of their own writes these three; a store that only has vectors needs none
of them (`rag_graph.retrieval.VectorStoreRetriever`). All calls block: make them in a thread.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_graph.documents import Document, Passage
from rag_graph.index.chunking import Chunk
from rag_graph.models.embeddings import Embedder, Vectors
from rag_graph.query import Filters


@dataclass(frozen=True, slots=True)
class Ranking:
    """Passages by id with their scores, best first; both of shape (n,)."""

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
        ids, columns = np.unique(np.concatenate([ranking.ids for ranking in rankings]), return_inverse=True)
        best = np.full(len(ids), -np.inf, dtype=np.float32)
        np.maximum.at(best, columns, np.concatenate([ranking.scores for ranking in rankings]))
        return cls.of(ids, best, limit=limit)

    @classmethod
    def empty(cls) -> "Ranking":
        return cls(ids=np.empty(0, dtype=np.int64), scores=np.empty(0, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file whose documents are in an index.

    `uri` is how people are shown its path: from the folder that was named. `hash` is its content's when it was last
    read to its end, "" until then; before it, and a blank, stands the loader of somebody's own that read it. Of a file
    that could not be read `failure` says why, and it has no documents; then `hash` also tells within which limits that
    was, so that it is tried again only under others.
    """

    path: str
    uri: str
    hash: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A document as a list shows it; `path` is its file's, `characters` the length of its text in code points."""

    id: str
    uri: str
    title: str
    path: str
    characters: int
    passages: int


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as an index keeps it, with its file's path; each chunk is found by the vectors in its place."""

    document: Document
    path: str
    hash: str
    chunks: Sequence[Chunk]
    vectors: Sequence[Vectors]


class Snapshot(Protocol):
    """An index as it was at one moment, under one filter: nothing outside the filter can be reached through it."""

    @property
    def size(self) -> int:
        """How many passages the index has, the filter left aside: by it, frequencies become weights."""

    def nearest(self, vectors: Vectors, *, limit: int) -> Ranking:
        """The passages closest to any of these vectors, shape (n, dims), each once, with its best inner product."""

    def matching(self, queries: Sequence[Mapping[str, float]], *, limit: int) -> Ranking:
        """The passages that match any of these queries, each with the best of its scores.

        A query is weights by term, terms being those of `rag_graph.text.terms`; how rare a term is comes on top.
        """

    def frequencies(self, phrases: Sequence[Sequence[str]]) -> list[int]:
        """For each phrase, how many passages hold all its terms, in any order, the filter left aside."""

    def titled(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Of these names (`terms.title_name`), those that are titles, with the first passages of such documents."""

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """These passages, in this order; those that are gone or outside the filter are left out."""


class IndexWriter(Protocol):
    """Changes an index. What was done since the last `commit` is seen by nobody else, and lost if the process dies."""

    def put_file(self, file: IndexedFile) -> None:
        """Add a file, or the new state of the one at this path."""

    def remove_file(self, path: str) -> int:
        """Remove a file with its documents; return how many those were. A file that is not there is none."""

    def document_ids(self, path: str) -> Iterator[str]:
        """The documents of a file."""

    def document_hash(self, document_id: str) -> str | None:
        """The hash with which a document was added, None if it is not there."""

    def add(
        self, document: Document, chunks: Sequence[Chunk], vectors: Sequence[Vectors], *, path: str, content_hash: str
    ) -> None:
        """Add a document of the file at `path`, or replace the one that has its id.

        Each chunk becomes a passage, which is found by any of its vectors: those of shape (n, dims), n at least 1, that
        have its place in `vectors`.
        """

    def remove(self, document_ids: Iterable[str]) -> None:
        """Remove documents."""

    def commit(self) -> None:
        """Let the next snapshots see all that was done, at once."""


class DocumentStore(Protocol):
    """Where the documents are to which citations point."""

    def document(self, document_id: str) -> Document | None:
        """The document with its whole text, or None."""


class Index(DocumentStore, Protocol):
    """Documents that can be searched, by words and by the vectors of one embedder.

    Making one reads nothing. What searches raises `IndexNotFound` while nothing was indexed, `IndexMismatch` when
    another embedder built it, and `RetrievalFailed` when its service does not answer. Any thread may call it.
    """

    @property
    def embedder(self) -> Embedder:
        """What turns a question into a vector of this index."""

    def snapshot(self, filters: Filters | None = None) -> AbstractContextManager[Snapshot]:
        """The index as it was last committed, narrowed to what the filters allow."""

    def counts(self) -> tuple[int, int]:
        """How many documents and passages there are."""

    def files(self) -> list[IndexedFile]:
        """The files whose documents it holds, whichever embedder built it; none while nothing was indexed."""

    def file_of(self, document_id: str) -> IndexedFile | None:
        """The file that a document was read from, or None."""

    def documents(self, *, matching: str = "", after: str = "", limit: int = 100) -> list[DocumentEntry]:
        """The documents whose uri or title holds `matching`, of any case, by uri; those that follow `after`, a uri."""

    def filter_names(self) -> frozenset[str]:
        """What filters may name: the metadata of its documents and passages, beside `uri`, `title` and `document`."""

    def stored(self) -> AbstractContextManager[tuple[list[IndexedFile], Iterator[StoredDocument]]]:
        """All of it as it was last committed, to be copied: its vectors as well as it still knows them."""

    def writer(self, *, rebuild: bool = False) -> AbstractContextManager[IndexWriter]:
        """Change it: leaving the block commits, an exception drops what was not committed. One at a time.

        With `rebuild` it begins empty, and takes this embedder for its own; until it commits, all is as it was. Raises
        `IndexBusy` while another writes, `IndexMismatch`, and `LibraryError` when its service does not answer.
        """

    def close(self) -> None:
        """Let go of files and connections."""
