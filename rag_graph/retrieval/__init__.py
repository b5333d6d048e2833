"""Questions to hits: the fast tier, the deep tier, and any LangChain retriever or vector store."""

from rag_graph.retrieval.base import Retriever
from rag_graph.retrieval.fused import FusedRetriever
from rag_graph.retrieval.hybrid import DEEP, FAST, DeepRetriever, FastRetriever, HybridRetriever, Stages
from rag_graph.retrieval.langchain import LangChainRetriever, LibraryRetriever, VectorStoreRetriever
from rag_graph.retrieval.queued import QueuedRetriever

__all__ = [
    "DEEP",
    "FAST",
    "DeepRetriever",
    "FastRetriever",
    "FusedRetriever",
    "HybridRetriever",
    "LangChainRetriever",
    "LibraryRetriever",
    "QueuedRetriever",
    "Retriever",
    "Stages",
    "VectorStoreRetriever",
]
