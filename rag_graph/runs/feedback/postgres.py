"""Feedback in PostgreSQL, where the library is kept there: all servers over it keep it together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import Connection

from rag_graph.errors import LibraryError
from rag_graph.runs.feedback.base import KEPT, Feedback

_SETUP: Final = """
CREATE SCHEMA IF NOT EXISTS rag_graph_feedback;
CREATE TABLE IF NOT EXISTS rag_graph_feedback.feedback (
    run_id text NOT NULL, caller text NOT NULL, at double precision NOT NULL, verdict text NOT NULL,
    reason text NOT NULL, question text NOT NULL, answer text NOT NULL, documents text NOT NULL,
    PRIMARY KEY (run_id, caller));
"""
_PUT: Final = """
INSERT INTO rag_graph_feedback.feedback VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (run_id, caller) DO UPDATE SET (at, verdict, reason) = (excluded.at, excluded.verdict, excluded.reason)
"""
_LEAST: Final = """
DELETE FROM rag_graph_feedback.feedback WHERE (run_id, caller) IN
    (SELECT run_id, caller FROM rag_graph_feedback.feedback ORDER BY at DESC OFFSET %s)
"""
_CONNECT_S: Final = 5


class PostgresFeedback:
    """`FeedbackStore` in a schema of its own."""

    def __init__(self, url: str, *, kept: int = KEPT) -> None:
        self._url = url
        self._kept = kept

    def put(self, feedback: Feedback) -> None:
        with self._opened() as db:
            db.execute(_PUT, feedback.as_row())
            db.execute(_LEAST, (self._kept,))

    def remove(self, run_id: str, caller: str) -> None:
        with self._opened() as db:
            db.execute("DELETE FROM rag_graph_feedback.feedback WHERE run_id = %s AND caller = %s", (run_id, caller))

    def all(self) -> Iterator[Feedback]:
        with self._opened() as db:
            rows = db.execute("SELECT * FROM rag_graph_feedback.feedback ORDER BY at").fetchall()
        yield from map(Feedback.of_row, rows)  # out of the transaction: who reads them may write

    @contextmanager
    def _opened(self) -> Iterator[Connection[tuple[Any, ...]]]:
        """A connection for one piece of work: feedback is rare, and any thread may bring it."""
        try:
            with psycopg.connect(self._url, connect_timeout=_CONNECT_S) as db:
                # Two servers that make the same schema at once would fail one of them.
                db.execute("SELECT pg_advisory_xact_lock(hashtext('rag_graph_feedback'))")
                db.execute(_SETUP)
                yield db
        except psycopg.Error as exc:
            raise LibraryError("Feedback cannot be kept: the PostgreSQL of RAG_POSTGRES_URL refuses it.") from exc
