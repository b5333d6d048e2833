"""A question to all the evidence for it: one wider search, or several that build on each other."""

from rag_graph.research.bridged import BridgedResearch
from rag_graph.research.budget import BUDGETS, Budget, Depth
from rag_graph.research.contract import Inquiry, Progress, Researcher
from rag_graph.research.planned import PlannedResearch
from rag_graph.research.widening import WiderSearch

__all__ = [
    "BUDGETS",
    "BridgedResearch",
    "Budget",
    "Depth",
    "Inquiry",
    "PlannedResearch",
    "Progress",
    "Researcher",
    "WiderSearch",
]
