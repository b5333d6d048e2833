from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_graph.index import Place
from rag_graph.index.embedded import EmbeddedPlace
from rag_graph.index.postgres import PostgresPlace
from tests.postgres import new_database, running_postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real server; tests keep apart by their databases."""
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["embedded", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a library is kept, in each way there is."""
    if request.param == "embedded":
        return EmbeddedPlace(tmp_path / "library")
    return PostgresPlace(new_database(request.getfixturevalue("postgres_url")))
