"""Documents made searchable: reading files, cutting them into passages, keeping and finding those."""

from rag_graph.index.base import OpenLibrary, Place, Ranking, Store, View
from rag_graph.index.indexing import IndexProgress, IndexReport, index_paths
from rag_graph.index.library import Library
from rag_graph.index.loading import Failure

__all__ = [
    "Failure",
    "IndexProgress",
    "IndexReport",
    "Library",
    "OpenLibrary",
    "Place",
    "Ranking",
    "Store",
    "View",
    "index_paths",
]
