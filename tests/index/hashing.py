"""An embedder without a model: a text's words, each a fixed random direction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rag_graph.models.embeddings import Vectors
from rag_graph.text.terms import key, terms


@dataclass
class HashEmbedder:
    """Texts that share words are close. It remembers what it was asked to embed."""

    name: str = "hash"
    dims: int = 32
    embedded: list[str] = field(default_factory=list)

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return np.array([self.embed_query(text) for text in texts], dtype=np.float32).reshape(-1, self.dims)

    def parts(self, heading: str, text: str) -> list[str]:
        """Lines that begin with a plus sign are parts of their own."""
        return [f"{heading}\n{part}" for part in text.split("\n+")]

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> Vectors:
        vector = np.full(self.dims, 1e-3, dtype=np.float32)
        for term in terms(text):
            vector += np.random.default_rng(key(term)).standard_normal(self.dims).astype(np.float32)
        unit: Vectors = vector / np.linalg.norm(vector)
        return unit
