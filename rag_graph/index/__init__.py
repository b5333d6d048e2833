"""Documents made searchable: reading files, cutting them into passages, keeping and finding those.

The names are imported when they are first used: the process in which files are read needs neither FAISS nor models.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_graph.index.base import DocumentEntry, DocumentStore, Index, IndexedFile, IndexWriter, Ranking, Snapshot
    from rag_graph.index.chunking import Chunk
    from rag_graph.index.embedded import EmbeddedIndex
    from rag_graph.index.indexing import IndexProgress, IndexReport, index_paths
    from rag_graph.index.loading import Failure

_HOMES = {
    "rag_graph.index.base": (
        "DocumentEntry",
        "DocumentStore",
        "Index",
        "IndexedFile",
        "IndexWriter",
        "Ranking",
        "Snapshot",
    ),
    "rag_graph.index.chunking": ("Chunk",),
    "rag_graph.index.embedded": ("EmbeddedIndex",),
    "rag_graph.index.indexing": ("IndexProgress", "IndexReport", "index_paths"),
    "rag_graph.index.loading": ("Failure",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Chunk",
    "DocumentEntry",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
