"""An index in a schema of a database: any number of processes may search it while one writes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from rag_graph.documents import Document
from rag_graph.errors import IndexNotFound, RetrievalFailed
from rag_graph.index.base import DocumentEntry, IndexedFile, StoredDocument
from rag_graph.index.chunking import Chunk
from rag_graph.index.filters import where
from rag_graph.index.postgres.filters import printed
from rag_graph.index.postgres.segments import PostingsCache, StoredSegment
from rag_graph.index.postgres.snapshot import PostgresSnapshot
from rag_graph.index.postgres.tables import Db, fact, has_table, in_our_words, point
from rag_graph.index.postgres.writer import PostgresWriter, open_writer
from rag_graph.index.segmented import FilterCache, Generation, Ids, check_builder
from rag_graph.models.embeddings import Embedder, unit
from rag_graph.query import Filters

CONNECTIONS = 10
"""How many searches one process makes at a time; more wait."""
# As in `database.postgres`: one that is lost in the network would hold a search for minutes.
CONNECT_S = 5
_PATIENCE_S = 10.0
_STORED_AT_ONCE = 50
"""Documents that are fetched at a time: each has its whole text."""
_ENTRIES = """
SELECT d.id, d.uri, d.title, f.path, length(d.text), (SELECT count(*) FROM passages p WHERE p.document = d.id)
FROM documents d JOIN files f ON f.id = d.file
WHERE d.uri COLLATE "C" > %(after)s
    AND (strpos(lower(d.uri), %(matching)s) > 0 OR strpos(lower(d.title), %(matching)s) > 0)
ORDER BY d.uri COLLATE "C" LIMIT %(limit)s
"""


class PostgresIndex:
    """`Index` in a schema of the database at `url`."""

    def __init__(self, url: str, embedder: Embedder, *, schema: str = "rag_graph") -> None:
        self.url = url
        self.embedder = embedder
        self.schema = schema
        self._pool: ConnectionPool[Db] | None = None
        self._opening = Lock()
        self._filters = FilterCache()
        self._postings = PostingsCache()
        self._generation: Generation[StoredSegment] | None = None

    @contextmanager
    def snapshot(self, filters: Filters | None = None) -> Iterator[PostgresSnapshot]:
        with self._reading() as db:
            generation, masks = self._newest(db), None
            if filters:
                masks = self._filters.masks(generation, filters, lambda: _allowed(db, filters))
            yield PostgresSnapshot(db, generation, masks, self._postings)

    def document(self, document_id: str) -> Document | None:
        with self._reading() as db:
            self._newest(db)
            query = "SELECT id, uri, title, text, metadata FROM documents WHERE id = %s"
            row = db.execute(query, (document_id,)).fetchone()
        return Document(*row) if row else None

    def counts(self) -> tuple[int, int]:
        with self._reading() as db:
            size = self._newest(db).size
            row = db.execute("SELECT count(*) FROM documents").fetchone()
        return (row[0] if row else 0), size

    def files(self) -> list[IndexedFile]:
        with self._reading() as db:
            if not has_table(db, "files"):
                return []
            # As JSON, a row of a schema that has no such column yet can be read too.
            failure = "coalesce(to_jsonb(files)->>'failure', '')"
            rows = db.execute(f'SELECT path, uri, hash, {failure} FROM files ORDER BY path COLLATE "C"')  # noqa: S608
            return [IndexedFile(*row) for row in rows]

    def file_of(self, document_id: str) -> IndexedFile | None:
        with self._reading() as db:
            self._newest(db)
            query = "SELECT f.path, f.uri, f.hash FROM files f JOIN documents d ON d.file = f.id WHERE d.id = %s"
            row = db.execute(query, (document_id,)).fetchone()
        return IndexedFile(*row) if row else None

    def documents(self, *, matching: str = "", after: str = "", limit: int = 100) -> list[DocumentEntry]:
        with self._reading() as db:
            self._newest(db)
            rows = db.execute(_ENTRIES, {"matching": matching.lower(), "after": after, "limit": limit})
            return [DocumentEntry(*row) for row in rows]

    def filter_names(self) -> frozenset[str]:
        with self._reading() as db:
            query = (
                "SELECT DISTINCT jsonb_object_keys(metadata) FROM documents "
                "UNION SELECT DISTINCT jsonb_object_keys(metadata) FROM passages"
            )
            return self._filters.names(self._newest(db), lambda: [row[0] for row in db.execute(query)])

    @contextmanager
    def stored(self) -> Iterator[tuple[list[IndexedFile], Iterator[StoredDocument]]]:
        with self._reading() as db:
            self._newest(db)
            rows = db.execute('SELECT path, uri, hash, failure FROM files ORDER BY path COLLATE "C"')
            files = [IndexedFile(*row) for row in rows]
            yield files, _stored(db)

    @contextmanager
    def writer(self, *, rebuild: bool = False) -> Iterator[PostgresWriter]:
        with open_writer(self.url, self.schema, self.embedder, rebuild=rebuild) as writer:
            yield writer

    def close(self) -> None:
        with self._opening:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    @contextmanager
    def _reading(self) -> Iterator[Db]:
        """A connection that sees one state of the database."""
        pool = self._pool or self._open()
        try:
            with pool.connection() as db, db.transaction():
                db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield db
        except (psycopg.Error, PoolTimeout) as exc:
            raise RetrievalFailed("The PostgreSQL of RAG_POSTGRES_URL does not answer; ask again in a moment.") from exc

    def _open(self) -> "ConnectionPool[Db]":
        with self._opening:
            if self._pool is None:
                with in_our_words(), psycopg.connect(self.url, connect_timeout=CONNECT_S):
                    pass  # a pool would try for long before it says that nobody answers
                self._pool = ConnectionPool(
                    self.url,
                    min_size=1,
                    max_size=CONNECTIONS,
                    timeout=_PATIENCE_S,
                    kwargs={"autocommit": True, "connect_timeout": CONNECT_S},
                    configure=lambda db: point(db, self.schema),
                    open=True,
                )
            return self._pool

    def _newest(self, db: Db) -> Generation[StoredSegment]:
        number = fact(db, "generation") if has_table(db, "facts") else None
        if number is None:
            raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")
        known = self._generation
        if known is None or known.number != int(number):
            built_by = (fact(db, "format"), fact(db, "embedder"), fact(db, "dims"))
            check_builder(built_by, embedder=self.embedder.name, dims=self.embedder.dims)
            read = {segment.id: segment for segment in known.segments} if known else {}
            numbers = [row[0] for row in db.execute("SELECT id FROM segments ORDER BY first")]
            segments = [read.get(number) or StoredSegment.read(db, number) for number in numbers]
            dead = np.array([row[0] for row in db.execute("SELECT passage FROM dead")], dtype=np.int64)
            known = self._generation = Generation.of(int(number), segments, dead)
        return known


def _stored(db: Db) -> Iterator[StoredDocument]:
    vectors = sql.Identifier(fact(db, "vectors") or "")
    passages = sql.SQL(
        # By where the rows lie: a passage's vectors were copied in the order of its parts, and none is ever updated.
        "SELECT p.start, p.stop, p.heading, p.metadata, array_agg(v.embedding::text ORDER BY v.ctid) "
        "FROM passages p JOIN {} v ON v.passage = p.id WHERE p.document = %s GROUP BY p.id ORDER BY p.id"
    ).format(vectors)
    # A cursor of the server's: one of the client's would fetch the texts of the whole library at once.
    with db.cursor("stored") as documents:
        documents.itersize = _STORED_AT_ONCE
        documents.execute(
            "SELECT d.id, d.uri, d.title, d.text, d.metadata, f.path, d.hash "
            "FROM documents d JOIN files f ON f.id = d.file "
            "ORDER BY (SELECT min(p.id) FROM passages p WHERE p.document = d.id)"
        )
        for number, uri, title, text, metadata, path, content_hash in documents:
            chunks, rows = [], []
            for start, stop, heading, own, its in db.execute(passages, (number,)):
                chunks.append(Chunk(start, stop, tuple(heading), own))
                rows.append(unit([json.loads(vector) for vector in its]))
            yield StoredDocument(Document(number, uri, title, text, metadata), path, content_hash, chunks, rows)


def _allowed(db: Db, filters: Filters) -> Ids:
    condition, parameters = where(filters, printed)
    query = f"SELECT p.id FROM passages p JOIN documents d ON d.id = p.document WHERE {condition} ORDER BY p.id"  # noqa: S608 - values are bound
    rows = db.cursor(binary=True).execute(query.encode(), parameters)
    return np.fromiter((row[0] for row in rows), dtype=np.int64)
