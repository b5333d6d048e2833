"""Feedback in a file of SQLite, in the data folder."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from rag_graph.errors import LibraryError
from rag_graph.runs.feedback.base import KEPT, Feedback

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS feedback (
    run_id TEXT NOT NULL, caller TEXT NOT NULL, at REAL NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, documents TEXT NOT NULL, PRIMARY KEY (run_id, caller))
"""
_LEAST: Final = "DELETE FROM feedback WHERE rowid NOT IN (SELECT rowid FROM feedback ORDER BY at DESC LIMIT ?)"
_WAIT_S: Final = 10.0


class EmbeddedFeedback:
    """`FeedbackStore` in one file, made by the first feedback."""

    def __init__(self, path: Path, *, kept: int = KEPT) -> None:
        self._path = path
        self._kept = kept

    def put(self, feedback: Feedback) -> None:
        with self._opened() as db:
            db.execute("INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?)", feedback.as_row())
            db.execute(_LEAST, (self._kept,))

    def remove(self, run_id: str, caller: str) -> None:
        if self._path.exists():
            with self._opened() as db:
                db.execute("DELETE FROM feedback WHERE run_id = ? AND caller = ?", (run_id, caller))

    def all(self) -> Iterator[Feedback]:
        if not self._path.exists():
            return
        with self._opened() as db:
            rows = db.execute("SELECT * FROM feedback ORDER BY at").fetchall()
        yield from map(Feedback.of_row, rows)  # out of the transaction: who reads them may write

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection for one piece of work: feedback is rare, and any thread may bring it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(self._path, timeout=_WAIT_S)) as db, db:
                db.execute(_TABLE)
                yield db
        except (OSError, sqlite3.Error) as exc:
            raise LibraryError("Feedback cannot be kept: the data folder is full, read-only or damaged.") from exc
