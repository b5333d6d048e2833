from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rag_graph.index import EmbeddedIndex, Index
from rag_graph.index.postgres import PostgresIndex
from tests.index.hashing import HashEmbedder
from tests.postgres import new_database, running_postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real server; tests keep apart by their databases."""
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["embedded", "postgres"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    """An index that is kept in each way there is, with nothing in it."""
    if request.param == "embedded":
        with closing(EmbeddedIndex(tmp_path / "index", HashEmbedder())) as embedded:
            yield embedded
    else:
        with closing(PostgresIndex(new_database(request.getfixturevalue("postgres_url")), HashEmbedder())) as stored:
            yield stored
