"""The SQLite file of an index: documents with their text, passages with their spans, which segments count."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rag_graph.documents import Document, Passage
from rag_graph.index.base import DocumentEntry, IndexedFile
from rag_graph.index.chunking import Chunk
from rag_graph.index.embedded.storage import CATALOGUE, FileSum
from rag_graph.index.filters import COLUMNS, Comparison, where
from rag_graph.index.segmented import check_builder
from rag_graph.query import Filters

# `run` was the indexing run that last met a row. It is the generation that wrote it now, and nothing reads it; without
# it the files that are out there could not be written any more.
# AUTOINCREMENT keeps the id of a deleted passage from being given again: readers of an older generation may hold it.
# Segments are never changed, so the trigger notes which of their passages are dead.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, uri TEXT NOT NULL UNIQUE, hash TEXT NOT NULL,
    run INTEGER NOT NULL, failure TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, file INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, uri TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL, text TEXT NOT NULL, metadata TEXT NOT NULL, hash TEXT NOT NULL,
    run INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS documents_by_file ON documents (file);
CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, content TEXT, heading TEXT NOT NULL, metadata TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS passages_by_document ON passages (document);
CREATE TABLE IF NOT EXISTS segments (name TEXT PRIMARY KEY, size INTEGER NOT NULL, first INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sums (
    segment TEXT NOT NULL REFERENCES segments (name) ON DELETE CASCADE, file TEXT NOT NULL, size INTEGER NOT NULL,
    digest TEXT NOT NULL, PRIMARY KEY (segment, file)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (passage INTEGER PRIMARY KEY);
CREATE TRIGGER IF NOT EXISTS passages_die AFTER DELETE ON passages
    BEGIN INSERT OR IGNORE INTO dead VALUES (old.id); END;
"""
_PASSAGE = """
SELECT p.id, p.document, d.uri, d.title, p.start, p."end", coalesce(p.content, d.text), p.heading,
    d.metadata, p.metadata
FROM passages p JOIN documents d ON d.id = p.document
"""

# `instr` and not LIKE: what is looked for may have a % or an underscore in it.
_ENTRIES = """
SELECT d.id, d.uri, d.title, f.path, length(d.text), (SELECT count(*) FROM passages p WHERE p.document = d.id)
FROM documents d JOIN files f ON f.id = d.file
WHERE d.uri > :after AND (instr(lower(d.uri), :matching) OR instr(lower(d.title), :matching))
ORDER BY d.uri LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment that counts; `first` is its lowest passage id, by which segments are ordered.

    `sums` are those of its files; none where an older version wrote it.
    """

    name: str
    size: int
    first: int
    sums: tuple[FileSum, ...] = ()


class Catalogue:
    """One connection. It is used by one thread at a time, whichever that is."""

    def __init__(self, directory: Path, *, write: bool = False) -> None:
        path = directory / CATALOGUE
        # A reader must not make a file where there is none.
        mode = "rwc" if write else "ro"
        self._db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, check_same_thread=False, isolation_level=None
        )
        # Off in each new connection, and what a file or a document takes along is deleted by it.
        self._db.execute("PRAGMA foreign_keys = ON")
        if write:
            # With a write-ahead log readers go on while a run writes; FULL brings each commit to the disk.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            if not any(row[1] == "failure" for row in self._db.execute("PRAGMA table_info(files)")):
                self._db.execute("ALTER TABLE files ADD COLUMN failure TEXT NOT NULL DEFAULT ''")
        self._file = path
        self._identity = _identity(path)

    def close(self) -> None:
        self._db.close()

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """Hold this state of the index until `rollback`."""
        self._db.execute("BEGIN")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    @property
    def is_replaced(self) -> bool:
        """Whether another file is in the place of the one that is open: a rebuild puts one there after damage."""
        return _identity(self._file) != self._identity

    def truncate_log(self) -> bool:
        """Give the write-ahead log's room back: while a reader is connected, SQLite only does so when it is told.

        Return whether all of it is in the file now: a reader of an older state keeps it from that.
        """
        busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @property
    def changes(self) -> int:
        """Counts the rows that this connection has changed."""
        return self._db.total_changes

    # What the index is

    def fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return cast("str", row[0]) if row else None

    def set_fact(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def begin_numbers_at(self, number: int) -> None:
        """Where a catalogue is new in the place of one that was read: no id and no generation is used again."""
        self._db.execute("INSERT INTO sqlite_sequence VALUES ('passages', ?)", (number,))
        self.set_fact("generation", str(number))

    def clear(self) -> None:
        """Remove everything, but never use a passage's id again: readers may still hold it."""
        for table in ("files", "segments", "dead"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names

    def generation(self) -> int:
        return int(self.fact("generation") or 0)

    def check(self, *, embedder: str, dims: int) -> None:
        """Raises `IndexMismatch`."""
        check_builder((self.fact("format"), self.fact("embedder"), self.fact("dims")), embedder=embedder, dims=dims)

    def segments(self) -> list[SegmentRow]:
        sums: dict[str, list[FileSum]] = {}
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sums'").fetchone():  # an older version has none
            for segment, name, size, digest in self._db.execute("SELECT segment, file, size, digest FROM sums"):
                sums.setdefault(segment, []).append(FileSum(name, size, digest))
        rows = self._db.execute("SELECT name, size, first FROM segments ORDER BY first")
        return [SegmentRow(name, size, first, tuple(sums.get(name, ()))) for name, size, first in rows]

    def replace_segments(self, old: Iterable[str], new: Sequence[SegmentRow]) -> None:
        self._db.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in old])
        self._db.executemany("INSERT INTO segments VALUES (?, ?, ?)", [(s.name, s.size, s.first) for s in new])
        sums = [(segment.name, one.name, one.size, one.digest) for segment in new for one in segment.sums]
        self._db.executemany("INSERT INTO sums VALUES (?, ?, ?, ?)", sums)

    def dead(self) -> list[int]:
        """Passages that segments still hold though they are gone, in order."""
        return [row[0] for row in self._db.execute("SELECT passage FROM dead ORDER BY passage")]

    def bury(self, passage_ids: Iterable[int]) -> None:
        """Forget dead passages, now that no segment holds them."""
        self._db.executemany("DELETE FROM dead WHERE passage = ?", [(number,) for number in passage_ids])

    def counts(self) -> tuple[int, int]:
        """How many documents and passages there are."""
        row = self._db.execute("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM passages)").fetchone()
        return cast("tuple[int, int]", tuple(row))

    # Files and documents

    def files(self) -> list[IndexedFile]:
        # All columns: what an older version wrote has no `failure` until it is written again.
        rows = self._db.execute("SELECT * FROM files ORDER BY path")
        return [IndexedFile(path, uri, found, *failure) for _, path, uri, found, _, *failure in rows]

    def file_of(self, document_id: str) -> IndexedFile | None:
        query = "SELECT f.path, f.uri, f.hash FROM files f JOIN documents d ON d.file = f.id WHERE d.id = ?"
        row = self._db.execute(query, (document_id,)).fetchone()
        return IndexedFile(*row) if row else None

    def put_file(self, file: IndexedFile, *, generation: int) -> None:
        self._db.execute(
            "INSERT INTO files VALUES (NULL, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
            "uri = excluded.uri, hash = excluded.hash, run = excluded.run, failure = excluded.failure",
            (file.path, file.uri, file.hash, generation, file.failure),
        )

    def remove_file(self, path: str) -> int:
        """Remove a file with its documents; return how many those were."""
        row = self._db.execute(
            "SELECT count(*) FROM documents WHERE file = (SELECT id FROM files WHERE path = ?)", (path,)
        ).fetchone()
        self._db.execute("DELETE FROM files WHERE path = ?", (path,))
        return cast("int", row[0])

    def document_ids(self, path: str) -> Iterator[str]:
        query = "SELECT id FROM documents WHERE file = (SELECT id FROM files WHERE path = ?)"
        return (row[0] for row in self._db.execute(query, (path,)))

    def document_hash(self, document_id: str) -> str | None:
        row = self._db.execute("SELECT hash FROM documents WHERE id = ?", (document_id,)).fetchone()
        return cast("str", row[0]) if row else None

    def add_document(self, document: Document, *, path: str, content_hash: str, generation: int) -> None:
        self._db.execute(
            "INSERT INTO documents VALUES (?, (SELECT id FROM files WHERE path = ?), ?, ?, ?, ?, ?, ?)",
            (
                document.id,
                path,
                document.uri,
                document.title,
                document.text,
                json.dumps(dict(document.metadata)),
                content_hash,
                generation,
            ),
        )

    def remove_documents(self, document_ids: Iterable[str]) -> None:
        self._db.executemany("DELETE FROM documents WHERE id = ?", [(name,) for name in document_ids])

    def add_passage(self, document: Document, chunk: Chunk) -> int:
        """Return its id."""
        # A document of one passage, such as a line of JSON Lines, keeps its text once.
        whole = (chunk.start, chunk.end) == (0, len(document.text))
        content = None if whole else document.text[chunk.start : chunk.end]
        row = self._db.execute(
            "INSERT INTO passages VALUES (NULL, ?, ?, ?, ?, ?, ?)",
            (
                document.id,
                chunk.start,
                chunk.end,
                content,
                json.dumps(list(chunk.heading)),
                json.dumps(dict(chunk.metadata)),
            ),
        )
        return cast("int", row.lastrowid)

    # What is found

    def document(self, document_id: str) -> Document | None:
        row = self._db.execute(
            "SELECT id, uri, title, text, metadata FROM documents WHERE id = ?", (document_id,)
        ).fetchone()
        if row is None:
            return None
        number, uri, title, text, metadata = row
        return Document(id=number, uri=uri, title=title, text=text, metadata=json.loads(metadata))

    def documents(self, *, matching: str, after: str, limit: int) -> list[DocumentEntry]:
        rows = self._db.execute(_ENTRIES, {"matching": matching.lower(), "after": after, "limit": limit})
        return [DocumentEntry(*row) for row in rows]

    def stored(self) -> Iterator[tuple[Document, str, str, list[tuple[int, Chunk]]]]:
        """All documents, each with its file's path, its hash, and its passages with their ids."""
        rows = self._db.execute(
            "SELECT d.id, d.uri, d.title, d.text, d.metadata, f.path, d.hash "
            "FROM documents d JOIN files f ON f.id = d.file "
            "ORDER BY (SELECT min(p.id) FROM passages p WHERE p.document = d.id)"
        )
        query = 'SELECT id, start, "end", heading, metadata FROM passages WHERE document = ? ORDER BY id'
        for number, uri, title, text, metadata, path, content_hash in rows:
            chunks = [
                (passage, Chunk(start, end, tuple(json.loads(heading)), json.loads(own)))
                for passage, start, end, heading, own in self._db.execute(query, (number,))
            ]
            yield Document(number, uri, title, text, json.loads(metadata)), path, content_hash, chunks

    def metadata_names(self) -> set[str]:
        """The keys of the metadata of all documents and passages."""
        names: set[str] = set()
        for table in ("documents", "passages"):
            rows = self._db.execute(f"SELECT DISTINCT key FROM {table}, json_each({table}.metadata)")  # noqa: S608 - no value
            names.update(row[0] for row in rows)
        return names

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """Those that are there, in any order."""
        marks = ",".join("?" * len(ids))
        return [_passage(row) for row in self._db.execute(f"{_PASSAGE} WHERE p.id IN ({marks})", list(ids))]

    def passage_ids(self, filters: Filters) -> list[int]:
        """The passages that the filters allow, in order."""
        condition, parameters = where(filters, _printed)
        rows = self._db.execute(
            f"SELECT p.id FROM passages p JOIN documents d ON d.id = p.document WHERE {condition} ORDER BY p.id",  # noqa: S608 - values are bound
            parameters,
        )
        return [row[0] for row in rows]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _printed(test: Comparison) -> tuple[str, list[Any]]:
    """A comparison in SQLite's words."""
    column, values = COLUMNS.get(test.name), list[Any]()
    if column is None:
        one = "(SELECT value FROM json_each({table}.metadata) WHERE key = ?)"
        column, values = f"coalesce({one.format(table='p')}, {one.format(table='d')})", [test.name, test.name]
    match test.sign:
        case "=":
            return f"{column} = ?", [*values, test.value]
        case "~":
            return f"{column} GLOB ?", [*values, test.value]
        case sign:
            # SQLite puts every text after every number, so the kind is compared as well.
            kind = "=" if isinstance(test.value, str) else "<>"
            return f"(typeof({column}) {kind} 'text' AND {column} {sign} ?)", [*values, *values, test.value]


def _passage(row: Sequence[Any]) -> Passage:
    number, document, uri, title, start, end, content, heading, of_document, of_passage = row
    metadata: Mapping[str, Any] = json.loads(of_document) | json.loads(of_passage)
    return Passage(
        id=number,
        document_id=document,
        uri=uri,
        title=title,
        start=start,
        end=end,
        content=content,
        heading=tuple(json.loads(heading)),
        metadata=metadata,
    )
