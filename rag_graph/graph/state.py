"""What the graph remembers of a run, and what it gives back."""

from typing import Annotated

from typing_extensions import TypedDict

from rag_graph.events import Citation, ClaimStated, Decided, NumberedPassage
from rag_graph.query import Filters, Mode, Turn


def _joined(old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    return old | new


class State(TypedDict, total=False):
    """Channels of the graph.

    `began` is the wall clock in seconds at the first node, `bearing` numbers the new passages that count.
    """

    question: str
    mode: Mode
    history: list[Turn]
    filters: Filters

    began: float
    search: str
    fast_passages: list[NumberedPassage]
    documents: list[NumberedPassage]
    draft: str
    draft_citations: list[Citation]
    draft_claims: list[ClaimStated]
    draft_failure: str
    """Why there is no whole draft; empty when there is one."""
    decision: Decided
    bearing: tuple[int, ...]
    answer: str
    citations: list[Citation]
    timings: Annotated[dict[str, float], _joined]


class Output(TypedDict):
    """What `invoke` returns: `documents` is the evidence by rank, `timings` are milliseconds by node."""

    answer: str
    draft: str
    citations: list[Citation]
    documents: list[NumberedPassage]
    decision: Decided
    timings: dict[str, float]
