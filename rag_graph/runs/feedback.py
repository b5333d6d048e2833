"""What people say of answers, kept beside the library."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final, Literal, Self

from rag_graph.database import Database

Verdict = Literal["up", "down"]
KEPT: Final = 10_000
"""So many are kept, the newest: a caller who judges without end fills no disk."""
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS feedback (
    run_id text NOT NULL, caller text NOT NULL, at double precision NOT NULL, verdict text NOT NULL,
    reason text NOT NULL, question text NOT NULL, answer text NOT NULL, documents text NOT NULL,
    PRIMARY KEY (run_id, caller))
"""
_SENTENCES: Final = """
CREATE TABLE IF NOT EXISTS sentences (
    run_id text NOT NULL, caller text NOT NULL, claim text NOT NULL, at double precision NOT NULL,
    verdict text NOT NULL, reason text NOT NULL, question text NOT NULL, sentence text NOT NULL,
    PRIMARY KEY (run_id, caller, claim))
"""
_PUT_SENTENCE: Final = """
INSERT INTO sentences VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (run_id, caller, claim) DO UPDATE SET at = excluded.at, verdict = excluded.verdict, reason = excluded.reason
"""
_MAKE_ROOM_FOR_SENTENCES: Final = """
DELETE FROM sentences WHERE (run_id, caller, claim) NOT IN (
    SELECT run_id, caller, claim FROM sentences ORDER BY at DESC LIMIT %s)
"""
_PUT: Final = """
INSERT INTO feedback VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (run_id, caller) DO UPDATE SET at = excluded.at, verdict = excluded.verdict, reason = excluded.reason
"""
_MAKE_ROOM: Final = """
DELETE FROM feedback WHERE (run_id, caller) NOT IN (SELECT run_id, caller FROM feedback ORDER BY at DESC LIMIT %s)
"""


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
        facts = (self.run_id, self.caller, self.at, self.verdict, self.reason, self.question, self.answer)
        return *facts, json.dumps(self.documents)

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        run_id, caller, at, verdict, reason, question, answer, documents = row
        return cls(run_id, caller, at, verdict, reason, question, answer, tuple(json.loads(documents)))


@dataclass(frozen=True, slots=True)
class SentenceFeedback:
    """A caller's verdict on one sentence of an answer, which `claim` names. A later one takes its place."""

    run_id: str
    caller: str
    claim: str
    at: float
    verdict: Verdict
    reason: str
    question: str
    sentence: str


class FeedbackStore:
    """Any thread may call it; all calls block, and raise `DatabaseUnavailable`."""

    def __init__(self, database: Database, *, kept: int = KEPT) -> None:
        self._database = database
        self._kept = kept

    def put(self, feedback: Feedback) -> None:
        """Keep it, in place of what this caller has said of this run before; beyond `kept` the oldest go."""
        with self._database.transaction(write=True) as execute:
            # In every transaction, since any process may be the first, and an older library has no such table.
            execute(_TABLE, ())
            execute(_PUT, feedback.as_row())
            execute(_MAKE_ROOM, (self._kept,))

    def remove(self, run_id: str, caller: str) -> None:
        """Take back what a caller has said."""
        # Nothing to take back: looking must not make a file beside the library.
        if self._database.exists:
            with self._database.transaction(write=True) as execute:
                execute(_TABLE, ())
                execute("DELETE FROM feedback WHERE run_id = %s AND caller = %s", (run_id, caller))

    def put_sentence(self, feedback: SentenceFeedback) -> None:
        """Keep it, in place of what this caller has said of this sentence before; beyond `kept` the oldest go."""
        with self._database.transaction(write=True) as execute:
            execute(_SENTENCES, ())
            execute(_PUT_SENTENCE, astuple(feedback))
            execute(_MAKE_ROOM_FOR_SENTENCES, (self._kept,))

    def remove_sentence(self, run_id: str, caller: str, claim: str) -> None:
        """Take back what a caller has said of a sentence."""
        if self._database.exists:
            with self._database.transaction(write=True) as execute:
                execute(_SENTENCES, ())
                gone = "DELETE FROM sentences WHERE run_id = %s AND caller = %s AND claim = %s"
                execute(gone, (run_id, caller, claim))

    def sentences(self) -> list[SentenceFeedback]:
        """All that is kept of sentences, oldest first."""
        if not self._database.exists:
            return []
        with self._database.transaction(write=True) as execute:
            execute(_SENTENCES, ())
            rows = execute("SELECT * FROM sentences ORDER BY at", ())
        return [SentenceFeedback(*row) for row in rows]

    def all(self) -> list[Feedback]:
        """All that is kept, oldest first."""
        if not self._database.exists:
            return []
        with self._database.transaction(write=True) as execute:
            execute(_TABLE, ())
            rows = execute("SELECT * FROM feedback ORDER BY at", ())
        return [Feedback.of_row(row) for row in rows]

    def close(self) -> None:
        self._database.close()
