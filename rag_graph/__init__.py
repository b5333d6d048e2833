"""Streaming RAG on LangGraph: a draft at once, deep retrieval meanwhile, a refinement when it changes the answer.

The public names are imported when they are first used: the child process of a local model needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_graph.documents import Document, Hit, Passage
    from rag_graph.errors import RagGraphError
    from rag_graph.events import Event
    from rag_graph.graph.build import build_graph
    from rag_graph.graph.parts import Parts
    from rag_graph.graph.stream import stream_events
    from rag_graph.index import EmbeddedIndex, IndexReport, index_paths
    from rag_graph.langchain.factory import create_rag_graph
    from rag_graph.langchain.middleware import GroundedAnswers
    from rag_graph.langchain.tool import rag_tool
    from rag_graph.query import Query, Turn
    from rag_graph.server.app import create_app
    from rag_graph.settings import Settings
    from rag_graph.transcript import Transcript
    from rag_graph.wiring import Answerer, default_parts, open_answerer, open_worker
    from rag_graph.writing.prompts import Prompts

_HOMES = {
    "rag_graph.server.app": ("create_app",),
    "rag_graph.documents": ("Document", "Hit", "Passage"),
    "rag_graph.errors": ("RagGraphError",),
    "rag_graph.events": ("Event",),
    "rag_graph.graph.build": ("build_graph",),
    "rag_graph.graph.parts": ("Parts",),
    "rag_graph.graph.stream": ("stream_events",),
    "rag_graph.index": ("EmbeddedIndex", "IndexReport", "index_paths"),
    "rag_graph.langchain.factory": ("create_rag_graph",),
    "rag_graph.langchain.middleware": ("GroundedAnswers",),
    "rag_graph.langchain.tool": ("rag_tool",),
    "rag_graph.query": ("Query", "Turn"),
    "rag_graph.settings": ("Settings",),
    "rag_graph.transcript": ("Transcript",),
    "rag_graph.writing.prompts": ("Prompts",),
    "rag_graph.wiring": ("Answerer", "default_parts", "open_answerer", "open_worker"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Answerer",
    "Document",
    "EmbeddedIndex",
    "Event",
    "GroundedAnswers",
    "Hit",
    "IndexReport",
    "Parts",
    "Passage",
    "Prompts",
    "Query",
    "RagGraphError",
    "Settings",
    "Transcript",
    "Turn",
    "build_graph",
    "create_app",
    "create_rag_graph",
    "default_parts",
    "index_paths",
    "open_answerer",
    "open_worker",
    "rag_tool",
    "stream_events",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
