from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rag_graph.database import Database, SqliteDatabase
from rag_graph.database.postgres import PostgresDatabase
from tests.postgres import new_database, running_postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real server; tests keep apart by their databases."""
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Another process's way to one and the same place, kept in each way there is, with nothing in it."""
    if request.param == "sqlite":
        open_one: Callable[[], Database] = lambda: SqliteDatabase(tmp_path / "data" / "conversations.db")  # noqa: E731
    else:
        url = new_database(request.getfixturevalue("postgres_url"))
        open_one = lambda: PostgresDatabase(url, schema="rag_graph_conversations")  # noqa: E731
    with ExitStack() as stack:

        def connected() -> Database:
            database = open_one()
            stack.callback(database.close)
            return database

        yield connected
