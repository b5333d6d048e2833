"""A question to all the passages that bear on it: one wider search, or several that build on each other."""

from rag_graph.research.contract import (
    BUDGETS,
    Depth,
    NumberedPassages,
    Progress,
    Researcher,
    ResearchRequest,
    SearchBudget,
    counted,
    numbered,
    titles,
)
from rag_graph.research.planned import PlannedResearch
from rag_graph.research.search import BridgedResearch, SearchSession, WiderSearch

__all__ = [
    "BUDGETS",
    "BridgedResearch",
    "Depth",
    "NumberedPassages",
    "PlannedResearch",
    "Progress",
    "ResearchRequest",
    "Researcher",
    "SearchBudget",
    "SearchSession",
    "WiderSearch",
    "counted",
    "numbered",
    "titles",
]
