"""The SQLite file of a library: documents with their text, passages with their spans, which segments count.

One transaction is one indexing run, so its commit is the moment at which everything changes at once.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rag_graph.documents import Document, Metadata, Passage
from rag_graph.errors import IndexMismatch
from rag_graph.index.base import IndexedFile
from rag_graph.index.filters import conditions
from rag_graph.query import Filters

FORMAT = "1"
FILE_NAME = "library.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS roots (path TEXT PRIMARY KEY, label TEXT NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, uri TEXT NOT NULL UNIQUE, hash TEXT NOT NULL,
    run INTEGER NOT NULL);
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
CREATE TABLE IF NOT EXISTS dead (passage INTEGER PRIMARY KEY);
CREATE TRIGGER IF NOT EXISTS passages_die AFTER DELETE ON passages
    BEGIN INSERT OR IGNORE INTO dead VALUES (old.id); END;
"""
_PASSAGE = """
SELECT p.id, p.document, d.uri, d.title, p.start, p."end", coalesce(p.content, d.text), p.heading,
    d.metadata, p.metadata
FROM passages p JOIN documents d ON d.id = p.document
"""


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment that counts; `first` is its lowest passage id, by which segments are ordered."""

    name: str
    size: int
    first: int


def check_builder(built_by: tuple[str | None, str | None, str | None], *, embedder: str, dims: int) -> None:
    """Refuse what another version or another embedding model built; `built_by` is format, model and dimensions."""
    if built_by[0] != FORMAT:
        raise IndexMismatch("The index was built by another version; rebuild it: rag-graph index --rebuild PATH")
    if built_by[1:] != (embedder, str(dims)):
        raise IndexMismatch(
            f"The index was built with the embedding model {built_by[1]!r}, not {embedder!r}; set that model, "
            "or rebuild the index: rag-graph index --rebuild PATH"
        )


class Catalogue:
    """One connection. It is used by one thread at a time, whichever that is."""

    def __init__(self, directory: Path, *, write: bool = False) -> None:
        path = directory / FILE_NAME
        mode = "rwc" if write else "ro"
        self._db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, check_same_thread=False, isolation_level=None
        )
        self._db.execute("PRAGMA foreign_keys = ON")
        if write:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """Hold this state of the library until `rollback`."""
        self._db.execute("BEGIN")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    # What the library is

    def fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return cast("str", row[0]) if row else None

    def set_fact(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def clear(self) -> None:
        """Remove everything, but never use a passage's id again: readers may still hold it."""
        for table in ("files", "roots", "segments", "dead"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names

    def generation(self) -> int:
        return int(self.fact("generation") or 0)

    def check(self, *, embedder: str, dims: int) -> None:
        """Refuse a library that another version or another embedding model built."""
        check_builder((self.fact("format"), self.fact("embedder"), self.fact("dims")), embedder=embedder, dims=dims)

    def segments(self) -> list[SegmentRow]:
        rows = self._db.execute("SELECT name, size, first FROM segments ORDER BY first")
        return [SegmentRow(*row) for row in rows]

    def replace_segments(self, old: Iterable[str], new: Iterable[SegmentRow]) -> None:
        self._db.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in old])
        self._db.executemany("INSERT INTO segments VALUES (?, ?, ?)", [(s.name, s.size, s.first) for s in new])

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

    # Where documents come from

    def roots(self) -> dict[str, str]:
        """Label by path."""
        return dict(self._db.execute("SELECT path, label FROM roots"))

    def add_root(self, path: str, label: str) -> None:
        self._db.execute("INSERT INTO roots VALUES (?, ?)", (path, label))

    def file(self, path: str) -> IndexedFile | None:
        row = self._db.execute("SELECT id, uri, hash FROM files WHERE path = ?", (path,)).fetchone()
        return IndexedFile(*row) if row else None

    def add_file(self, path: str, uri: str) -> int:
        row = self._db.execute("INSERT INTO files VALUES (NULL, ?, ?, '', 0)", (path, uri))
        return cast("int", row.lastrowid)

    def see_file(self, file: int, content_hash: str, *, run: int) -> None:
        self._db.execute("UPDATE files SET hash = ?, run = ? WHERE id = ?", (content_hash, run, file))

    def files_not_seen(self, run: int) -> list[tuple[int, str]]:
        return self._db.execute("SELECT id, path FROM files WHERE run <> ?", (run,)).fetchall()

    def count_documents(self, file: int) -> int:
        row = self._db.execute("SELECT count(*) FROM documents WHERE file = ?", (file,)).fetchone()
        return cast("int", row[0])

    def remove_file(self, file: int) -> int:
        """Remove a file with its documents; return how many those were."""
        count = self.count_documents(file)
        self._db.execute("DELETE FROM files WHERE id = ?", (file,))
        return count

    def seen(self, document_id: str) -> tuple[str, int] | None:
        """A document's hash, and the run that last met it."""
        row = self._db.execute("SELECT hash, run FROM documents WHERE id = ?", (document_id,)).fetchone()
        return cast("tuple[str, int]", row) if row else None

    def see_document(self, document_id: str, *, run: int) -> None:
        self._db.execute("UPDATE documents SET run = ? WHERE id = ?", (run, document_id))

    def remove_documents_not_seen(self, file: int, *, run: int) -> int:
        return self._db.execute("DELETE FROM documents WHERE file = ? AND run <> ?", (file, run)).rowcount

    # Documents and passages

    def add_document(self, document: Document, *, file: int, content_hash: str, run: int) -> None:
        self._db.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                document.id,
                file,
                document.uri,
                document.title,
                document.text,
                json.dumps(dict(document.metadata)),
                content_hash,
                run,
            ),
        )

    def remove_document(self, document_id: str) -> None:
        self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,))

    def add_passage(
        self, document: Document, start: int, end: int, *, heading: Sequence[str], metadata: Metadata
    ) -> int:
        content = None if (start, end) == (0, len(document.text)) else document.text[start:end]
        row = self._db.execute(
            "INSERT INTO passages VALUES (NULL, ?, ?, ?, ?, ?, ?)",
            (document.id, start, end, content, json.dumps(list(heading)), json.dumps(dict(metadata))),
        )
        return cast("int", row.lastrowid)

    def document(self, document_id: str) -> Document | None:
        row = self._db.execute(
            "SELECT id, uri, title, text, metadata FROM documents WHERE id = ?", (document_id,)
        ).fetchone()
        if row is None:
            return None
        number, uri, title, text, metadata = row
        return Document(id=number, uri=uri, title=title, text=text, metadata=json.loads(metadata))

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        marks = ",".join("?" * len(ids))
        rows = self._db.execute(f"{_PASSAGE} WHERE p.id IN ({marks})", list(ids))
        found = {row[0]: _passage(row) for row in rows}
        return [found[number] for number in ids if number in found]

    def passage_ids(self, filters: Filters) -> list[int]:
        """The passages that the filters allow, in order."""
        where, parameters = conditions(filters)
        rows = self._db.execute(
            f"SELECT p.id FROM passages p JOIN documents d ON d.id = p.document WHERE {where} ORDER BY p.id",  # noqa: S608 - values are bound
            parameters,
        )
        return [row[0] for row in rows]


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
