"""Citations of an answer: markers found as it streams, each checked against the words of its passage."""

from rag_graph.claims.stream import CitationStream, cite
from rag_graph.claims.support import Thresholds

__all__ = ["CitationStream", "Thresholds", "cite"]
