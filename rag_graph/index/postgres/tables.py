"""The tables in PostgreSQL: how they look, and how a connection finds them.

Words are kept as the embedded index keeps them, in segments that never change, one row for each term of a segment:
so a search reads a handful of rows, and ranks exactly as that does. Vectors are pgvector's.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from psycopg import Connection, sql
from psycopg.errors import Error, InsufficientPrivilege, OperationalError, UndefinedFile

from rag_graph.errors import LibraryError

Db = Connection[tuple[Any, ...]]

log = logging.getLogger(__name__)

# `run` was the indexing run that last met a row. It is the generation that wrote it now, and nothing reads it.
HNSW_FROM: Final = 5_000
"""The vectors of so many passages get an index; of fewer, they are compared one by one."""

PARTED: Final = "parted"
"""The fact whether some passages have several vectors."""

# A hash index on paths, since a B-tree of PostgreSQL's refuses keys beyond some 2,700 bytes.
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS facts (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, path text NOT NULL, uri text NOT NULL,
    hash text NOT NULL DEFAULT '', run bigint NOT NULL DEFAULT 0,
    failure text NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS files_by_path ON files USING hash (path);
CREATE TABLE IF NOT EXISTS documents (
    id text PRIMARY KEY, file bigint NOT NULL REFERENCES files ON DELETE CASCADE, uri text NOT NULL,
    title text NOT NULL, text text NOT NULL, metadata jsonb NOT NULL, hash text NOT NULL, run bigint NOT NULL);
CREATE INDEX IF NOT EXISTS documents_by_file ON documents (file);
CREATE TABLE IF NOT EXISTS passages (
    id bigint PRIMARY KEY, document text NOT NULL REFERENCES documents ON DELETE CASCADE,
    start integer NOT NULL, stop integer NOT NULL, content text, heading jsonb NOT NULL, metadata jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS passages_by_document ON passages (document);
CREATE TABLE IF NOT EXISTS titles (
    name bigint NOT NULL, passage bigint NOT NULL REFERENCES passages ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS titles_by_name ON titles (name);
CREATE INDEX IF NOT EXISTS titles_by_passage ON titles (passage);
CREATE TABLE IF NOT EXISTS segments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, first bigint NOT NULL, ids bytea NOT NULL,
    title_lengths bytea NOT NULL, body_lengths bytea NOT NULL);
CREATE TABLE IF NOT EXISTS postings (
    segment bigint NOT NULL REFERENCES segments ON DELETE CASCADE, term bigint NOT NULL, data bytea NOT NULL,
    PRIMARY KEY (segment, term));
CREATE TABLE IF NOT EXISTS dead (passage bigint PRIMARY KEY);
CREATE OR REPLACE FUNCTION passages_die() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO dead SELECT id FROM old_passages ON CONFLICT DO NOTHING; RETURN NULL; END';
CREATE OR REPLACE TRIGGER passages_die AFTER DELETE ON passages
    REFERENCING OLD TABLE AS old_passages FOR EACH STATEMENT EXECUTE FUNCTION passages_die();
"""


def point(db: Connection[Any], schema: str) -> None:
    """Let a connection find its tables."""
    with db.transaction():
        db.execute(sql.SQL("SET search_path TO {}, public").format(sql.Identifier(schema)))


def create(db: Db, schema: str) -> None:
    """Make the tables that are not there yet. Raises `LibraryError` where that is not allowed."""
    try:
        with db.transaction():
            db.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
            db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            db.execute(_TABLES)
            # Asked first: adding it waits for all who read the table, and makes those wait who come after.
            known = "SELECT 1 FROM pg_attribute WHERE attrelid = 'files'::regclass AND attname = 'failure'"
            if db.execute(known).fetchone() is None:
                db.execute("ALTER TABLE files ADD COLUMN failure text NOT NULL DEFAULT ''")
    except UndefinedFile as exc:
        raise LibraryError("The PostgreSQL of RAG_POSTGRES_URL lacks the extension pgvector; install it.") from exc
    except InsufficientPrivilege as exc:
        message = "RAG_POSTGRES_URL's user may not create a schema, or the extension vector; let an administrator."
        raise LibraryError(message) from exc


def create_vectors(db: Db, number: int, dims: int) -> str:
    """Make a table for vectors of so many dimensions; return its name."""
    # A table for each rebuild, so that readers have the old vectors until it commits. In half precision they take half
    # the room, and HNSW takes 4,000 dimensions of them, of whole ones 2,000.
    name = f"vectors_{number}"
    db.execute(
        sql.SQL(
            "CREATE TABLE {} (passage bigint NOT NULL REFERENCES passages ON DELETE CASCADE, "
            "embedding halfvec({}) NOT NULL)"
        ).format(sql.Identifier(name), sql.Literal(dims))
    )
    db.execute(sql.SQL("CREATE INDEX ON {} (passage)").format(sql.Identifier(name)))
    return name


def has_table(db: Db, name: str) -> bool:
    """Whether there is a table or an index of this name yet."""
    row = db.execute("SELECT to_regclass(%s)", (name,)).fetchone()
    return row is not None and row[0] is not None


def fact(db: Db, name: str) -> str | None:
    row = db.execute("SELECT value FROM facts WHERE name = %s", (name,)).fetchone()
    return str(row[0]) if row else None


@contextmanager
def in_our_words() -> Iterator[None]:
    """Say what PostgreSQL could not do. Raises `LibraryError`."""
    try:
        yield
    except OperationalError as exc:
        raise LibraryError("The PostgreSQL of RAG_POSTGRES_URL does not answer; check the URL and its server.") from exc
    except Error as exc:
        log.warning("PostgreSQL refused: %s", type(exc).__name__)
        raise LibraryError("The PostgreSQL of RAG_POSTGRES_URL refused what was asked; its log says why.") from exc
