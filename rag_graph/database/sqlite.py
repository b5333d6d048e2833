"""A SQLite file, which several processes of one machine may use."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

from rag_graph.database.base import Execute
from rag_graph.errors import DatabaseUnavailable

_PATIENCE_S: Final = 10.0
"""How long a process waits for another one that writes."""


class SqliteDatabase:
    """`Database` in the file at `path`, which is made when it is first needed. One thread at a time uses it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None

    @property
    def exists(self) -> bool:
        return self._path.exists()

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Execute]:
        with self._lock:
            try:
                self._db = self._db or _connect(self._path)
                db = self._db

                def execute(statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
                    return db.execute(statement.replace("%s", "?"), values).fetchall()

                # Not upgraded in the middle: a reader that begins to write is refused where another has written.
                db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield execute
                except BaseException:
                    db.rollback()
                    raise
                db.commit()
            except (sqlite3.Error, OSError) as exc:
                message = f"{self._path.name} cannot be read or written; check the room and the rights in RAG_DATA_DIR."
                raise DatabaseUnavailable(message) from exc

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # questions and answers are nobody else's
    # Threads take turns under the lock, and transactions begin where we say so, not where Python would begin one.
    db = sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    # With a write-ahead log a power cut may take the last commits, and damages nothing:
    # https://www.sqlite.org/pragma.html#pragma_synchronous
    db.execute("PRAGMA synchronous = NORMAL")
    # Off in each new connection, and without it nothing is deleted along.
    db.execute("PRAGMA foreign_keys = ON")
    # By PostgreSQL's name, so that one SQL serves both.
    db.create_function("strpos", 2, lambda text, part: text.find(part) + 1, deterministic=True)
    return db
