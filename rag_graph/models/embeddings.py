"""Text to vectors: the contract of an embedder, and any LangChain `Embeddings` as one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rag_graph.errors import ModelGarbled
from rag_graph.models.providers.errors import EMBEDDING, Origin, translate

if TYPE_CHECKING:  # takes a second, in which the embedded one can be loading
    from langchain_core.embeddings import Embeddings

Vectors = NDArray[np.float32]
"""One row per text, each of length 1."""

# Of the embedded model, 1.5 MB.
REMEMBERED_QUERIES: Final = 1_024


class Embedder(Protocol):
    """Turns texts into unit vectors. Calls block: run them in a thread."""

    @property
    def name(self) -> str:
        """What an index built with it records, and refuses to be opened without."""

    @property
    def dims(self) -> int:
        """The length of a vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages, shape (len(texts), dims)."""

    def embed_query(self, text: str) -> Vectors:
        """Vector of a question, shape (dims,)."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions, at least one, shape (len(texts), dims)."""


@runtime_checkable
class Vocabulary(Protocol):
    """What an `Embedder` may be besides: one that can say how much of a text it can read."""

    def known_share(self, text: str) -> float:
        """The share of a text that its vocabulary has, from 0 to 1."""


def known_share(embedder: Embedder, text: str) -> float:
    """How much of a text an embedder can read; all of it where it cannot say."""
    return embedder.known_share(text) if isinstance(embedder, Vocabulary) else 1.0


@runtime_checkable
class Lexicon(Protocol):
    """What an `Embedder` may be besides: one that can say whether it knows a word."""

    def knows(self, word: str) -> bool:
        """Whether its vocabulary has the word as a whole, and not in pieces only."""


def knows(embedder: Embedder, word: str) -> bool:
    """Whether an embedder knows a word; it does where it cannot say."""
    return embedder.knows(word) if isinstance(embedder, Lexicon) else True


@runtime_checkable
class Fluent(Protocol):
    """What an `Embedder` may be besides: one that says which languages it reads well."""

    @property
    def languages(self) -> frozenset[str] | None:
        """Their English names; None if it does not know."""


def languages(embedder: Embedder) -> frozenset[str] | None:
    """The languages that an embedder reads well, None where it cannot say."""
    return embedder.languages if isinstance(embedder, Fluent) else None


@runtime_checkable
class Bounded(Protocol):
    """What an `Embedder` may be besides: one that reads a text only up to some length, and knows which."""

    def parts(self, heading: str, text: str) -> list[str]:
        """A text in parts, in order, under its heading each, all of which it reads to the end."""


def readable_parts(embedder: Embedder, heading: str, text: str) -> list[str]:
    """What to embed so that an embedder reads all of a text; the whole of it where it knows of no bound."""
    return embedder.parts(heading, text) if isinstance(embedder, Bounded) else [f"{heading}\n{text}"]


class RememberingEmbedder:
    """An `Embedder` that remembers the vectors of the last queries: the deep search asks what the fast one did."""

    def __init__(self, embedder: Embedder, *, queries: int = REMEMBERED_QUERIES) -> None:
        self._embedder = embedder
        self._queries = queries
        self._known: dict[str, Vectors] = {}
        self._lock = Lock()

    @property
    def name(self) -> str:
        return self._embedder.name

    @property
    def dims(self) -> int:
        return self._embedder.dims

    def known_share(self, text: str) -> float:
        return known_share(self._embedder, text)

    def knows(self, word: str) -> bool:
        return knows(self._embedder, word)

    @property
    def languages(self) -> frozenset[str] | None:
        return languages(self._embedder)

    def parts(self, heading: str, text: str) -> list[str]:
        return readable_parts(self._embedder, heading, text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.embed(texts)

    def embed_query(self, text: str) -> Vectors:
        row: Vectors = self.embed_queries([text])[0]
        return row

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        if new := [text for text in dict.fromkeys(texts) if text not in found]:
            # Outside the lock, as a hosted embedder may take seconds; two
            # threads with one question at once cost a call and no more.
            made = dict(zip(new, self._embedder.embed_queries(new), strict=True))
            found |= made
            with self._lock:
                self._known |= made
                # Oldest first, as a dict keeps the order in which they came.
                for text in list(self._known)[: -self._queries]:
                    del self._known[text]
        return np.array([found[text] for text in texts], dtype=np.float32)


_Answer = TypeVar("_Answer")


def unit(rows: ArrayLike) -> Vectors:
    """Scale each row to length 1; a row of zeros stays as it is."""
    vectors = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class LangChainEmbedder:
    """Any LangChain `Embeddings` as an `Embedder`; `name` is the model's, not the class's.

    `symmetric`: it embeds questions as it embeds passages, so that many questions are one call.
    """

    embeddings: "Embeddings"
    name: str
    symmetric: bool = False
    origin: Origin = EMBEDDING
    _dims: list[int] = field(default_factory=list, repr=False)

    @property
    def dims(self) -> int:
        """Asks the model for one vector when none has been made yet."""
        if not self._dims:
            self.embed_query("dimensions")
        return self._dims[0]

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.dims), dtype=np.float32)
        rows = self._ask(lambda: self.embeddings.embed_documents(list(texts)))
        if len(rows) != len(texts) or len({len(row) for row in rows}) != 1:
            raise ModelGarbled(
                f"The embedding model {self.name!r} did not return one vector per text: check {self.origin.both}."
            )
        return self._checked(rows)

    def embed_query(self, text: str) -> Vectors:
        return self._checked(self._ask(lambda: self.embeddings.embed_query(text)))

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self.embed(texts) if self.symmetric else np.stack([self.embed_query(text) for text in texts])

    def _checked(self, rows: ArrayLike) -> Vectors:
        vectors = unit(rows)
        if not self._dims:
            self._dims.append(vectors.shape[-1])
        if vectors.shape[-1] != self._dims[0] or not np.isfinite(vectors).all():
            raise ModelGarbled(
                f"The embedding model {self.name!r} returned a vector of another length than before, "
                f"or no numbers: check {self.origin.name}."
            )
        return vectors

    def _ask(self, call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except Exception as exc:
            raise translate(exc, self.origin) from exc
