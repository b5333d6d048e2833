"""A server whose PostgreSQL goes away while it serves: in words of ours, and well again when it is back."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from rag_graph.events import RunFailed, RunFinished
from rag_graph.index import index_paths
from rag_graph.index.postgres import PostgresIndex
from rag_graph.models.local.embedder import LocalEmbedder
from tests.postgres import new_database, running_postgres
from tests.servers import TOWERS, Serve, events_of, until


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


def test_a_database_that_goes_away_fails_runs_in_one_sentence_until_it_is_back(
    serve: Serve, postgres_url: str, tmp_path: Path
) -> None:
    url = new_database(postgres_url)
    (tmp_path / "towers").mkdir()
    for name, content in TOWERS.items():
        (tmp_path / "towers" / name).write_text(content)
    index = PostgresIndex(url, LocalEmbedder())
    index_paths(index, [tmp_path / "towers"])
    index.close()
    server = serve(postgres_url=SecretStr(url))
    assert isinstance(events_of(server.ask())[-1], RunFinished)

    name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        refusal = server.ask("How high is Tokyo Tower?")
        if refusal.status_code == 200:
            last = events_of(refusal)[-1]
            assert isinstance(last, RunFailed)
            told = last.message
        else:
            assert refusal.status_code == 503
            told = refusal.json()["error"]["message"]
        assert "PostgreSQL" in told
        assert "Traceback" not in told
        assert server.http.get("/health").status_code == 503

        db.execute(allow.format(sql.Identifier(name), sql.SQL("true")))
    until(lambda: server.http.get("/health").status_code == 200)
    assert isinstance(events_of(server.ask("When did Tokyo Tower open?"))[-1], RunFinished)
