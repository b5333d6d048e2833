"""An index in a folder: SQLite for the texts, FAISS for the vectors, segments of postings for the words."""

from rag_graph.index.embedded.index import EmbeddedIndex

__all__ = ["EmbeddedIndex"]
