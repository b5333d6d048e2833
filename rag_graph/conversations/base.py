"""What is kept of a conversation, and how much of it."""

from dataclasses import dataclass
from typing import Any

from rag_graph.query import Query
from rag_graph.result import RunResult


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept of one caller; beyond that, the conversations longest untouched make room.

    A conversation that is full takes no more questions.
    """

    conversations: int = 1_000
    bytes: int = 200_000_000
    turns: int = 500
    conversation_bytes: int = 20_000_000
    result_bytes: int = 1_000_000
    """A larger result is kept without its thinking, then without what is not its answer."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation as lists show it; `share` is the secret of its shared address, empty where it has none."""

    id: str
    title: str
    created_at: float
    updated_at: float
    share: str
    turns: int


@dataclass(frozen=True, slots=True)
class NewTurn:
    """A question that was asked; `follows` is the turn whose answer it replies to, empty at the beginning."""

    id: str
    follows: str
    query: Query
    run_id: str
    asked_at: float


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """A question and what became of it; `query` has no history, and `result` is missing until its run has ended."""

    id: str
    follows: str
    query: Query
    run_id: str
    asked_at: float
    result: str | None


def fitted(result: RunResult, most_bytes: int) -> str:
    """The result as JSON of about so many bytes: the answer in any case, the rest as far as it fits."""
    leaving: tuple[dict[str, Any], ...] = (
        {},
        {"thinking": ""},
        {"thinking": "", "documents": ()},
        {
            "thinking": "",
            "documents": (),
            "claims": (),
            "fates": (),
            "unsupported": (),
            "usage": (),
            "steps": (),
            "draft": "",
        },
    )
    json = ""
    for left_out in leaving:
        json = result.model_copy(update=left_out).model_dump_json()
        # In characters, which is near enough: the bound is there to keep a table small, not to fit a page of it.
        if len(json) <= most_bytes:
            break
    return json
