"""What is kept of somebody's feedback on an answer, and where."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, Self

Verdict = Literal["up", "down"]
KEPT: Final = 10_000
"""So many are kept, the newest: a caller who judges without end fills no disk."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A caller's verdict on the answer of a run; `documents` are those that it cites. A later one takes its place."""

    run_id: str
    caller: str
    at: float
    verdict: Verdict
    reason: str
    question: str
    answer: str
    documents: tuple[str, ...]

    def as_row(self) -> tuple[str | float, ...]:
        """As both stores keep it, in the order of their columns."""
        facts = (self.run_id, self.caller, self.at, self.verdict, self.reason, self.question, self.answer)
        return *facts, json.dumps(self.documents)

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        run_id, caller, at, verdict, reason, question, answer, documents = row
        return cls(run_id, caller, at, verdict, reason, question, answer, tuple(json.loads(documents)))


class FeedbackStore(Protocol):
    """Any thread and any process may call it; all calls block, and raise `LibraryError` where it cannot be written."""

    def put(self, feedback: Feedback) -> None:
        """Keep it, in place of what this caller has said of this run before; beyond `KEPT` the oldest go."""

    def remove(self, run_id: str, caller: str) -> None:
        """Take back what a caller has said."""

    def all(self) -> Iterator[Feedback]:
        """All that is kept, oldest first."""
