"""What the graph is asked, what it remembers of a run, and what it gives back."""

from typing import Annotated, Final

from langchain_core.messages import AnyMessage
from langgraph.channels import EphemeralValue
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from rag_graph.events import Citation, ClaimStated, Decided, NumberedPassage
from rag_graph.query import Filters, Mode, Query, Turn

REMEMBERED: Final = (Citation, ClaimStated, Decided, NumberedPassage, Query, Turn)
"""The types of ours in a state; a checkpointer reads back none that is not named."""


def _joined(old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    return old | new


class Input(TypedDict, total=False):
    """A `question`, or `messages` of which the last is one; the rest as in `Query`."""

    question: str
    messages: list[AnyMessage]
    mode: Mode
    history: list[Turn]
    filters: Filters
    model: str
    language: str


class State(TypedDict, total=False):
    """Channels of the graph.

    What was asked is read by the first node alone, and kept as `query`: on a thread, what an earlier question left
    unset for this one must not be taken for its own. `began` is the wall clock in seconds at the first node,
    `bearing` numbers the new passages that count.
    """

    question: Annotated[str, EphemeralValue]
    mode: Annotated[Mode, EphemeralValue]
    history: Annotated[list[Turn], EphemeralValue]
    filters: Annotated[Filters, EphemeralValue]
    model: Annotated[str, EphemeralValue]
    language: Annotated[str, EphemeralValue]
    is_condensed: Annotated[bool, EphemeralValue]
    messages: Annotated[list[AnyMessage], add_messages]

    query: Query
    message_id: str
    """Of the answer among the `messages`, whichever version it is."""
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
    messages: list[AnyMessage]
