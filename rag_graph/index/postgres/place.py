"""Where a library in PostgreSQL is kept: a schema of a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg_pool import ConnectionPool

from rag_graph.errors import IndexBusy
from rag_graph.index.base import Growth
from rag_graph.index.postgres.library import PostgresLibrary
from rag_graph.index.postgres.records import PostgresRecords
from rag_graph.index.postgres.segments import PostgresShelf
from rag_graph.index.postgres.tables import Db, create, in_our_words, point
from rag_graph.models.embeddings import Embedder

CONNECTIONS = 10
"""How many searches one process makes at a time; more wait."""
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A schema with a library in it, or one to come; any number of processes may search it."""

    url: str = field(repr=False)
    schema: str = "rag_graph"

    def open(self, embedder: Embedder) -> PostgresLibrary:
        with in_our_words(), psycopg.connect(self.url):
            pass  # a pool would try for long before it says so
        pool: ConnectionPool[Db] = ConnectionPool(
            self.url,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=_PATIENCE_S,
            kwargs={"autocommit": True},
            configure=self._point,
            open=True,
        )
        try:
            return PostgresLibrary(pool, embedder)
        except BaseException:
            pool.close()
            raise

    @contextmanager
    def grow(self, embedder: Embedder) -> Iterator[Growth]:
        with in_our_words(), psycopg.connect(self.url, autocommit=True) as db:
            point(db, self.schema)
            locked = db.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (self._lock,)).fetchone()
            if locked != (True,):
                raise IndexBusy("Another process is indexing into this PostgreSQL; wait for it to end.")
            create(db, self.schema)
            with db.transaction():
                records = PostgresRecords(db, embedder.dims)
                yield Growth(records, PostgresShelf(db, records))

    def roots(self) -> list[Path]:
        with in_our_words(), psycopg.connect(self.url, autocommit=True) as db:
            point(db, self.schema)
            known = db.execute("SELECT to_regclass('roots')").fetchone()
            if not known or known[0] is None:
                return []
            return [Path(path) for (path,) in db.execute("SELECT path FROM roots")]

    @property
    def _lock(self) -> str:
        return f"rag-graph indexes into {self.schema}"

    def _point(self, db: Db) -> None:
        point(db, self.schema)
