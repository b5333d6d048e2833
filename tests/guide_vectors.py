"""The recorded vectors of the guide that comes along: `python -m tests.guide_vectors` embeds what has changed of it."""

from collections.abc import Sequence
from contextlib import closing
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.embeddings import Vectors
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.guide import GuideEmbedder, record


class Listening:
    """Keeps the texts that an index wants embedded, cut as the embedded model reads them."""

    name, dims = "listening", 1

    def __init__(self) -> None:
        self.parts = LocalEmbedder().parts
        self.heard: set[str] = set()

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.heard.update(texts)
        return np.ones((len(texts), 1), dtype=np.float32)

    def embed_query(self, text: str) -> Vectors:
        row: Vectors = self.embed([text])[0]
        return row

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self.embed(texts)


def texts_of_the_guide() -> list[str]:
    listening = Listening()
    with (
        TemporaryDirectory() as folder,
        as_file(files("rag_graph") / "sample") as guide,
        closing(EmbeddedIndex(Path(folder), listening)) as index,
    ):
        index_paths(index, [guide])
    return sorted(listening.heard)


if __name__ == "__main__":
    texts = texts_of_the_guide()
    record(dict(zip(texts, GuideEmbedder().embed(texts), strict=True)))
