"""Documents made searchable: reading files, cutting them into passages, keeping and finding those."""

from rag_graph.index.base import DocumentStore, Index, IndexedFile, IndexWriter, Ranking, Snapshot
from rag_graph.index.chunking import Chunk
from rag_graph.index.embedded import EmbeddedIndex
from rag_graph.index.indexing import IndexProgress, IndexReport, index_paths
from rag_graph.index.loading import Failure

__all__ = [
    "Chunk",
    "DocumentStore",
    "EmbeddedIndex",
    "Failure",
    "Index",
    "IndexProgress",
    "IndexReport",
    "IndexWriter",
    "IndexedFile",
    "Ranking",
    "Snapshot",
    "index_paths",
]
