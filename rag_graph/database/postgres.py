"""A schema in PostgreSQL, which any number of servers may share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

import psycopg
from psycopg import Connection, sql
from psycopg_pool import ConnectionPool, PoolTimeout

from rag_graph.database.base import Execute
from rag_graph.errors import DatabaseUnavailable

CONNECTIONS: Final = 4
# One that is lost in the network is given up after this, where the system itself would try for minutes.
CONNECT_S: Final = 5
_PATIENCE_S: Final = 10.0
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
Db = Connection[tuple[Any, ...]]


class PostgresDatabase:
    """`Database` in a schema of the database at `url`."""

    def __init__(self, url: str, *, schema: str) -> None:
        self._url = url
        self._schema = schema
        self._pool: ConnectionPool[Db] | None = None
        self._opening = Lock()

    @property
    def exists(self) -> bool:
        return True

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Execute]:
        try:
            pool = self._pool or self._open()
            with pool.connection() as db, db.transaction():
                if write:  # two that make room for each other would wait for each other
                    db.execute(_LOCK, (self._schema,))
                else:
                    db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

                def execute(statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
                    cursor = db.execute(statement.encode(), values)
                    return cursor.fetchall() if cursor.description else []

                yield execute
        except (psycopg.Error, PoolTimeout) as exc:
            message = "The PostgreSQL of RAG_POSTGRES_URL does not answer; ask again in a moment."
            raise DatabaseUnavailable(message) from exc

    def close(self) -> None:
        with self._opening:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    def _open(self) -> "ConnectionPool[Db]":
        with self._opening:
            if self._pool is None:
                name = sql.Identifier(self._schema)
                # A pool would try for long before it says that nobody answers.
                with psycopg.connect(self._url, connect_timeout=CONNECT_S) as db:
                    db.execute(_LOCK, (self._schema,))
                    db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))

                # Set once for each connection, as statements name their tables without a schema.
                def point(db: Db) -> None:
                    db.execute(sql.SQL("SET search_path TO {}").format(name))

                self._pool = ConnectionPool(
                    self._url,
                    min_size=1,
                    max_size=CONNECTIONS,
                    timeout=_PATIENCE_S,
                    kwargs={"autocommit": True, "connect_timeout": CONNECT_S},
                    configure=point,
                    open=True,
                )
            return self._pool
