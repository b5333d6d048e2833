"""The files, documents and passages in PostgreSQL, while one indexing run brings them up to date."""

import json
from collections.abc import Sequence
from typing import Any, cast

from psycopg import sql

from rag_graph.documents import Document, Metadata
from rag_graph.index.base import IndexedFile
from rag_graph.index.catalogue import check_builder
from rag_graph.index.postgres.tables import Db, create_vectors, fact

_NEXT = "next_passage"


class PostgresRecords:
    """`Records` over one connection. New documents and passages wait until `flush`, and are then copied at once."""

    def __init__(self, db: Db, dims: int) -> None:
        self._db = db
        self._dims = dims
        self._documents: dict[str, tuple[Any, ...]] = {}
        self._passages: list[tuple[Any, ...]] = []
        self._next = int(self.fact(_NEXT) or 1)

    def flush(self) -> None:
        if self._documents:
            with self._db.cursor().copy(
                "COPY documents (id, file, uri, title, text, metadata, hash, run) FROM STDIN"
            ) as copy:
                for row in self._documents.values():
                    copy.write_row(row)
        if self._passages:
            with self._db.cursor().copy(
                "COPY passages (id, document, start, stop, content, heading, metadata) FROM STDIN"
            ) as copy:
                for row in self._passages:
                    copy.write_row(row)
            self.set_fact(_NEXT, str(self._next))
        self._documents.clear()
        self._passages.clear()

    def fact(self, name: str) -> str | None:
        return fact(self._db, name)

    def set_fact(self, name: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO facts VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
        )

    def clear(self) -> None:
        former, number = self.fact("vectors"), self.generation() + 1
        for table in ("files", "roots", "segments", "dead"):
            self._db.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        self.set_fact("vectors", create_vectors(self._db, number, self._dims))
        if former is not None:
            self._db.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(former)))

    def generation(self) -> int:
        return int(self.fact("generation") or 0)

    def check(self, *, embedder: str, dims: int) -> None:
        check_builder((self.fact("format"), self.fact("embedder"), self.fact("dims")), embedder=embedder, dims=dims)

    def roots(self) -> dict[str, str]:
        return dict(cast("list[tuple[str, str]]", self._db.execute("SELECT path, label FROM roots").fetchall()))

    def add_root(self, path: str, label: str) -> None:
        self._db.execute("INSERT INTO roots VALUES (%s, %s)", (path, label))

    def file(self, path: str) -> IndexedFile | None:
        row = self._db.execute("SELECT id, uri, hash FROM files WHERE path = %s", (path,)).fetchone()
        return IndexedFile(*row) if row else None

    def add_file(self, path: str, uri: str) -> int:
        return self._number("INSERT INTO files (path, uri) VALUES (%s, %s) RETURNING id", path, uri)

    def see_file(self, file: int, content_hash: str, *, run: int) -> None:
        self._db.execute("UPDATE files SET hash = %s, run = %s WHERE id = %s", (content_hash, run, file))

    def files_not_seen(self, run: int) -> list[tuple[int, str]]:
        rows = self._db.execute("SELECT id, path FROM files WHERE run <> %s", (run,))
        return cast("list[tuple[int, str]]", rows.fetchall())

    def count_documents(self, file: int) -> int:
        self.flush()
        return self._number("SELECT count(*) FROM documents WHERE file = %s", file)

    def remove_file(self, file: int) -> int:
        count = self.count_documents(file)
        self._db.execute("DELETE FROM files WHERE id = %s", (file,))
        return count

    def seen(self, document_id: str) -> tuple[str, int] | None:
        if waiting := self._documents.get(document_id):
            return cast("tuple[str, int]", waiting[-2:])
        row = self._db.execute("SELECT hash, run FROM documents WHERE id = %s", (document_id,)).fetchone()
        return cast("tuple[str, int] | None", row)

    def see_document(self, document_id: str, *, run: int) -> None:
        self._db.execute("UPDATE documents SET run = %s WHERE id = %s", (run, document_id))

    def remove_document(self, document_id: str) -> None:
        self._db.execute("DELETE FROM documents WHERE id = %s", (document_id,))

    def remove_documents_not_seen(self, file: int, *, run: int) -> int:
        self.flush()
        return self._db.execute("DELETE FROM documents WHERE file = %s AND run <> %s", (file, run)).rowcount

    def add_document(self, document: Document, *, file: int, content_hash: str, run: int) -> None:
        metadata = json.dumps(dict(document.metadata))
        row = (document.id, file, document.uri, document.title, document.text, metadata, content_hash, run)
        self._documents[document.id] = row

    def add_passage(
        self, document: Document, start: int, end: int, *, heading: Sequence[str], metadata: Metadata
    ) -> int:
        content = None if (start, end) == (0, len(document.text)) else document.text[start:end]
        number, self._next = self._next, self._next + 1
        row = (number, document.id, start, end, content, json.dumps(list(heading)), json.dumps(dict(metadata)))
        self._passages.append(row)
        return number

    def _number(self, query: Any, *parameters: Any) -> int:
        row = self._db.execute(query, parameters).fetchone()
        return int(row[0]) if row else 0
