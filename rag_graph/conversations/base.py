"""What is kept of a conversation, how much of it, and what a database has to do for that."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from rag_graph.query import Query
from rag_graph.result import RunResult

Execute = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
"""Runs a statement with its values and gives its rows; a value's place is `%s`."""


class Database(Protocol):
    """Where conversations are kept: SQL that SQLite and PostgreSQL both understand."""

    @property
    def exists(self) -> bool:
        """False as long as nothing was ever kept there."""

    def transaction(self, *, write: bool = False) -> AbstractContextManager[Execute]:
        """All or nothing of what is executed in it; those that write come one after the other.

        Raises `ConversationsUnavailable`.
        """

    def close(self) -> None: ...


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
        {"thinking": "", "documents": (), "claims": (), "fates": (), "unsupported": (), "usage": (), "draft": ""},
    )
    json = ""
    for left_out in leaving:
        json = result.model_copy(update=left_out).model_dump_json()
        if len(json) <= most_bytes:
            break
    return json
