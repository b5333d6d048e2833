"""Text to vectors: the contract of an embedder, and any LangChain `Embeddings` as one."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""One row per text, each of length 1."""


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
        """The vector of a question, shape (dims,)."""
