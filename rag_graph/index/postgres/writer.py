"""Writing an index in PostgreSQL: one writer at a time; each commit is a transaction's."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rag_graph.documents import Document
from rag_graph.errors import IndexBusy
from rag_graph.index.base import IndexedFile
from rag_graph.index.chunking import Chunk
from rag_graph.index.lexical import Mask, Postings, PostingsBuilder, merge_postings
from rag_graph.index.postgres.segments import StoredSegment, as_binary, packed, signed
from rag_graph.index.postgres.tables import (
    HNSW_FROM,
    PARTED,
    Db,
    create,
    create_vectors,
    fact,
    has_table,
    in_our_words,
    point,
)
from rag_graph.index.segmented import FORMAT, SEGMENT_PASSAGES, check_builder, living, passage_terms, to_merge
from rag_graph.models.embeddings import Embedder, Vectors
from rag_graph.text.terms import key, title_name

_NEXT = "next_passage"
_COPY_PASSAGES = 128
"""Rows wait until they are so many passages': copied together, they cost one round trip, not one each."""
_BYTES_A_NODE = 1_000
"""What the graph of vectors takes for each beside its numbers: some forty neighbours, and what is kept of itself."""
_MOST_BUILD_BYTES = 1 << 30
"""PostgreSQL takes only what it needs of it; a graph of more goes on on the disk."""
_COLUMNS = {
    "documents": ("id", "file", "uri", "title", "text", "metadata", "hash", "run"),
    "passages": ("id", "document", "start", "stop", "content", "heading", "metadata"),
    "titles": ("name", "passage"),
}


@contextmanager
def open_writer(url: str, schema: str, embedder: Embedder, *, rebuild: bool) -> Iterator["PostgresWriter"]:
    """See `Index.writer`."""
    with in_our_words(), psycopg.connect(url, autocommit=True) as db:
        point(db, schema)
        # The session holds the lock, over all its transactions, until it ends: however it ends.
        name = f"rag-graph indexes into {schema}"
        locked = db.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)).fetchone()
        if locked != (True,):
            raise IndexBusy("Another process is indexing into this PostgreSQL; wait for it to end.")
        try:
            create(db, schema)
            db.autocommit = False
            writer = PostgresWriter(db, embedder)
            writer.begin(rebuild=rebuild)
            yield writer
            writer.finish()
        finally:
            # The database lets go of an ended session's lock a little after it: whoever indexes next might come first.
            with suppress(psycopg.Error):
                db.rollback()
                db.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (name,))
                db.commit()


class PostgresWriter:
    """`IndexWriter` over one connection, whose transaction it is in."""

    def __init__(self, db: Db, embedder: Embedder) -> None:
        self._db = db
        self._embedder = embedder
        self._postings = PostingsBuilder()
        self._ids: list[int] = []
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _COLUMNS}
        self._vectors: list[tuple[int, bytes]] = []
        self._waiting: set[str] = set()
        self._file: tuple[str, int] = ("", 0)
        self._next = 1
        self._former: str | None = None
        """The table of vectors that a rebuild replaces."""
        self._generation = 0
        self._changed = False

    def begin(self, *, rebuild: bool) -> None:
        """Raises `IndexMismatch`."""
        db, embedder = self._db, self._embedder
        self._generation = int(fact(db, "generation") or 0) + 1
        self._next = int(fact(db, _NEXT) or 1)
        if rebuild or fact(db, "format") is None:
            self._former = fact(db, "vectors")
            # Not TRUNCATE: it would shut readers out until the commit,
            # and then show them empty tables in the state that they hold.
            for table in ("files", "segments", "dead"):
                db.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            facts = {
                "format": FORMAT,
                "embedder": embedder.name,
                "dims": str(embedder.dims),
                PARTED: "no",
                "vectors": create_vectors(db, self._generation, embedder.dims),
            }
            for name, value in facts.items():
                self._set_fact(name, value)
        check_builder(
            (fact(db, "format"), fact(db, "embedder"), fact(db, "dims")), embedder=embedder.name, dims=embedder.dims
        )

    def put_file(self, file: IndexedFile) -> None:
        self._changed = True
        row = (file.uri, file.hash, file.failure, self._generation, file.path)
        found = self._db.execute(
            "UPDATE files SET uri = %s, hash = %s, failure = %s, run = %s WHERE path = %s RETURNING id", row
        ).fetchone()
        # No ON CONFLICT: a path may be longer than a unique index of PostgreSQL's holds.
        found = (
            found
            or self._db.execute(
                "INSERT INTO files (uri, hash, failure, run, path) VALUES (%s, %s, %s, %s, %s) RETURNING id", row
            ).fetchone()
        )
        self._file = (file.path, found[0] if found else 0)

    def remove_file(self, path: str) -> int:
        count = sum(1 for _ in self.document_ids(path))
        removed = self._db.execute("DELETE FROM files WHERE path = %s", (path,)).rowcount
        self._changed = self._changed or removed > 0
        self._file = ("", 0)
        return count

    def document_ids(self, path: str) -> Iterator[str]:
        self._flush()
        # Not by a join: where a file has many documents on average, PostgreSQL plans to read those of all files for it.
        query = "SELECT id FROM documents WHERE file = %s"
        return (row[0] for row in self._db.execute(query, (self._file_id(path),)))

    def document_hash(self, document_id: str) -> str | None:
        if document_id in self._waiting:
            self._flush()
        row = self._db.execute("SELECT hash FROM documents WHERE id = %s", (document_id,)).fetchone()
        return str(row[0]) if row else None

    def add(
        self, document: Document, chunks: Sequence[Chunk], vectors: Sequence[Vectors], *, path: str, content_hash: str
    ) -> None:
        if document.id in self._waiting:
            self._flush()
        self._waiting.add(document.id)
        if len(self._ids) + len(chunks) > SEGMENT_PASSAGES:
            self._close_segment()
        metadata = json.dumps(dict(document.metadata))
        row = (document.id, self._file_id(path), document.uri, document.title, document.text, metadata, content_hash)
        self._rows["documents"].append((*row, self._generation))
        name = title_name(document.title)
        for number, (chunk, its) in enumerate(zip(chunks, vectors, strict=True)):
            passage_id, self._next = self._next, self._next + 1
            # A document of one passage, such as a line of JSON Lines, keeps its text once.
            whole = (chunk.start, chunk.end) == (0, len(document.text))
            content = None if whole else document.text[chunk.start : chunk.end]
            of_chunk = (json.dumps(list(chunk.heading)), json.dumps(dict(chunk.metadata)))
            self._rows["passages"].append((passage_id, document.id, chunk.start, chunk.end, content, *of_chunk))
            if name and number == 0:
                self._rows["titles"].append((signed(key(name)), passage_id))
            self._vectors += [(passage_id, as_binary(vector)) for vector in its]
            self._ids.append(passage_id)
            self._postings.add(*passage_terms(document, chunk))
        if sum(map(len, vectors)) > len(chunks):
            self._set_fact(PARTED, "yes")
        if len(self._rows["passages"]) >= _COPY_PASSAGES:
            self._flush()

    def remove(self, document_ids: Iterable[str]) -> None:
        self._flush()
        removed = self._db.execute("DELETE FROM documents WHERE id = ANY(%s)", (list(document_ids),)).rowcount
        self._changed = self._changed or removed > 0

    def commit(self) -> None:
        self._write()
        self._drop_former()
        self._db.commit()
        self._generation += 1
        self._changed = False

    def finish(self) -> None:
        """Commit, with segments merged where there are too many, and vectors indexed once they are many."""
        self._write()
        # Sizes alone, which the database knows without reading the segments: most runs merge the smallest, or none.
        rows = self._db.execute("SELECT id, length(ids) / 8 FROM segments ORDER BY first")
        sizes: dict[int, int] = {number: size for number, size in rows}  # noqa: C416 - a cursor gives tuples
        (dead,) = self._db.execute("SELECT count(*) FROM dead").fetchone() or (0,)
        if count := to_merge([*sizes.values()], dead):
            self._merge([*sizes][-count:])
        vectors = fact(self._db, "vectors") or ""
        # By the passages, each of which has a vector or more: to count rows, PostgreSQL reads all of them.
        size = sum(sizes.values()) - dead
        if size >= HNSW_FROM and not has_table(self._db, f"{vectors}_nearest"):
            self._index_vectors(vectors, size)
        self._drop_former()
        self._db.commit()

    def _index_vectors(self, table: str, size: int) -> None:
        # Built once over all of them: adding the same vectors to an index one by one takes far longer. So does a build
        # that has outgrown its memory, of which the server gives 64 MB by itself, enough for 40,000 vectors. And by one
        # process alone: several share it in /dev/shm, which has 64 MB in a container, and the build would fail there.
        needed = min(size * (2 * self._embedder.dims + _BYTES_A_NODE), _MOST_BUILD_BYTES) >> 10
        self._db.execute(
            "SELECT set_config('max_parallel_maintenance_workers', '0', true), set_config('maintenance_work_mem', "
            "greatest(pg_size_bytes(current_setting('maintenance_work_mem')) / 1024, %s) || 'kB', true)",
            (needed,),
        )
        making = sql.SQL("CREATE INDEX {} ON {} USING hnsw (embedding halfvec_ip_ops)")
        self._db.execute(making.format(sql.Identifier(f"{table}_nearest"), sql.Identifier(table)))

    def _drop_former(self) -> None:
        # Right before the commit: from here to there nobody can read that table, and a rebuild may take hours.
        if self._former is not None:
            self._db.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(self._former)))
            self._former = None

    def _file_id(self, path: str) -> int:
        if self._file[0] != path:
            row = self._db.execute("SELECT id FROM files WHERE path = %s", (path,)).fetchone()
            self._file = (path, int(row[0]) if row else 0)
        return self._file[1]

    def _set_fact(self, name: str, value: str) -> None:
        self._changed = True
        self._db.execute(
            "INSERT INTO facts VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
        )

    def _flush(self) -> None:
        """Copy what waits into the tables, in place of what had the same ids."""
        if not self._waiting:
            return
        self._db.execute("DELETE FROM documents WHERE id = ANY(%s)", (list(self._waiting),))
        self._waiting.clear()
        for name, columns in _COLUMNS.items():
            copying = sql.SQL("COPY {} ({}) FROM STDIN")
            self._copy(
                copying.format(sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))),
                self._rows[name],
            )
        vectors = sql.Identifier(fact(self._db, "vectors") or "")
        # In binary, as to write a vector's numbers out and read them again took a sixth of an indexing run.
        into = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(vectors)
        self._copy(into, self._vectors, types=("int8", "bytea"))
        self._set_fact(_NEXT, str(self._next))

    def _copy(self, copying: sql.Composed, rows: list[Any], *, types: Sequence[str] = ()) -> None:
        with self._db.cursor().copy(copying) as copy:
            if types:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)
        rows.clear()

    def _write(self) -> None:
        """Make all that was done part of the transaction; readers only read anew what has changed."""
        self._flush()
        self._close_segment()
        if self._changed:
            self._set_fact("generation", str(self._generation))

    def _close_segment(self) -> None:
        if self._ids:
            self._write_segment(np.array(self._ids, dtype=np.int64), self._postings.build())
        self._ids, self._postings = [], PostingsBuilder()

    def _write_segment(self, ids: NDArray[np.int64], postings: Postings) -> None:
        lengths = (postings.title_lengths.tobytes(), postings.body_lengths.tobytes())
        row = self._db.execute(
            "INSERT INTO segments (first, ids, title_lengths, body_lengths) VALUES (%s, %s, %s, %s) RETURNING id",
            (int(ids[0]), ids.tobytes(), *lengths),
        ).fetchone()
        number = row[0] if row else 0
        with self._db.cursor().copy("COPY postings (segment, term, data) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "int8", "bytea"])
            for column, term in enumerate(postings.terms.tolist()):
                copy.write_row((number, signed(term), packed(postings, column)))

    def _merge(self, numbers: Sequence[int]) -> None:
        db = self._db
        merging = [StoredSegment.read(db, number) for number in numbers]
        dead = np.array([number for (number,) in db.execute("SELECT passage FROM dead ORDER BY passage")], np.int64)
        parts: list[tuple[Postings, Mask]] = []
        for segment in merging:
            query = "SELECT term, data FROM postings WHERE segment = %s"
            rows = db.cursor(binary=True).execute(query, (segment.id,))
            whole = segment.with_terms((term % (1 << 64), data) for term, data in rows)
            parts.append((whole, living(segment, dead)))
        ids = np.concatenate([segment.ids[alive] for segment, (_, alive) in zip(merging, parts, strict=True)])
        if len(ids):
            # Through files, so that memory stays flat however large the merged segments are.
            with tempfile.TemporaryDirectory() as folder:
                merge_postings(parts, Path(folder))
                self._write_segment(ids, Postings.open(Path(folder)))
        db.execute("DELETE FROM segments WHERE id = ANY(%s)", ([*numbers],))
        buried = [
            number
            for segment, (_, alive) in zip(merging, parts, strict=True)
            for number in segment.ids[~alive].tolist()
        ]
        db.execute("DELETE FROM dead WHERE passage = ANY(%s)", (buried,))
        self._set_fact("generation", str(self._generation))
