"""What only the index in PostgreSQL has: a service that may be away, an index of vectors, readers beside a writer."""

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rag_graph.errors import LibraryError
from rag_graph.index import index_paths
from rag_graph.index.postgres import PostgresIndex
from rag_graph.index.postgres.tables import HNSW_FROM
from tests.index.hashing import HashEmbedder
from tests.postgres import new_database
from tests.servers import until


@pytest.fixture
def index(postgres_url: str) -> Iterator[PostgresIndex]:
    with closing(PostgresIndex(new_database(postgres_url), HashEmbedder())) as index:
        yield index


def lines(path: Path, count: int, **more: str) -> Path:
    entries = ({"_id": str(n), "text": f"Word{n} and word{n % 97}.", **more} for n in range(count))
    path.write_text("\n".join(map(json.dumps, entries)))
    return path


def test_a_server_that_is_away_is_told_in_one_sentence(tmp_path: Path) -> None:
    nowhere = PostgresIndex("postgresql://nobody:secret@127.0.0.1:1/none", HashEmbedder())
    with pytest.raises(LibraryError, match="does not answer") as told:
        index_paths(nowhere, [lines(tmp_path / "a.jsonl", 1)])
    with pytest.raises(LibraryError, match="does not answer"):
        nowhere.counts()
    assert "secret" not in str(told.value)


def test_a_run_that_breaks_leaves_nothing(index: PostgresIndex, tmp_path: Path) -> None:
    index_paths(index, [lines(tmp_path / "a.jsonl", 3)])
    with suppress(ZeroDivisionError), index.writer(rebuild=True):
        raise ZeroDivisionError
    assert index.counts() == (3, 3)


def test_a_search_waits_for_no_rebuild(index: PostgresIndex, tmp_path: Path) -> None:
    index_paths(index, [lines(tmp_path / "a.jsonl", 3)])
    asked = HashEmbedder().embed_queries(["Word2 and word2."])
    impatient = make_conninfo(index.url, options="-c lock_timeout=3s")  # who waits for a lock fails, and hangs nowhere
    with closing(PostgresIndex(impatient, HashEmbedder())) as reader:
        with index.writer(rebuild=True), reader.snapshot() as snapshot:
            assert len(snapshot.nearest(asked, limit=3)) == 3
        with index.snapshot() as snapshot:
            assert len(snapshot.nearest(asked, limit=3)) == 0
    with psycopg.connect(index.url) as db:
        tables = db.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'vectors%'").fetchall()
    assert len(tables) == 1


def rows_read(url: str) -> int:
    """How many rows PostgreSQL has read of the index's tables, and of what it keeps apart of them, since it began."""
    query = """
    WITH ours AS (SELECT oid, reltoastrelid FROM pg_class WHERE relnamespace = 'rag_graph'::regnamespace),
        read AS (SELECT oid FROM ours UNION SELECT reltoastrelid FROM ours)
    SELECT (SELECT sum(seq_tup_read) FROM pg_stat_all_tables JOIN read ON relid = oid)
        + (SELECT sum(idx_tup_read) FROM pg_stat_all_indexes JOIN read ON relid = oid)
    """
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(url, autocommit=True) as db:
        # A connection tells what it has read when it ends, which is a little after it was closed.
        until(lambda: db.execute(others).fetchone() == (0,))
        (count,) = db.execute(query).fetchone() or (0,)
    return int(count)


def test_one_change_reads_no_more_of_a_large_index_than_of_a_small_one(index: PostgresIndex, tmp_path: Path) -> None:
    # Of tables as small as these, PostgreSQL rightly reads all instead of an index, once it has looked at them.
    by_index = make_conninfo(index.url, options="-c enable_seqscan=off")
    index = PostgresIndex(by_index, HashEmbedder())
    read: list[int] = []
    for count in (300, 900):
        index_paths(index, [lines(tmp_path / "a.jsonl", count)])
        (tmp_path / "b.jsonl").write_text(json.dumps({"_id": "new", "text": f"One more than {count}."}))
        index.close()
        with psycopg.connect(index.url, autocommit=True) as db:
            # As PostgreSQL does by itself at some time, after which it plans otherwise: of what has enough new rows.
            db.execute("ANALYZE rag_graph.documents")
        before = rows_read(index.url)
        index_paths(index, [tmp_path / "b.jsonl"])
        index.close()
        read.append(rows_read(index.url) - before)
    assert read[1] - read[0] < 300


@pytest.fixture(scope="module")
def large(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresIndex]:
    """So many passages that an index finds their vectors, and a thousand that are like none of these."""
    beacons = [{"_id": f"beacon {n}", "text": f"Beacon{n}, beacon beacon."} for n in range(1_000)]
    path = lines(tmp_path_factory.mktemp("large") / "a.jsonl", HNSW_FROM + 1, kind="word")
    path.write_text("\n".join([path.read_text(), *map(json.dumps, beacons)]))
    scarce = make_conninfo(new_database(postgres_url), options="-c maintenance_work_mem=1MB -c log_min_messages=notice")
    with closing(PostgresIndex(scarce, HashEmbedder())) as index:
        index_paths(index, [path])
        yield index


def test_the_index_of_vectors_is_built_in_memory_however_little_the_server_gives_by_itself(
    large: PostgresIndex,
) -> None:
    log = Path(str(conninfo_to_dict(large.url)["host"]), "log")
    assert "no longer fits into maintenance_work_mem" not in log.read_text()


def test_many_vectors_are_found_by_an_index_and_filters_hold_in_it(large: PostgresIndex) -> None:
    embedder = HashEmbedder()
    with psycopg.connect(large.url) as db:
        names = db.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'rag_graph'").fetchall()
    assert any("hnsw" in name for (name,) in names)
    asked = np.stack([embedder.embed_query("Word4000 and word23."), embedder.embed_query("Word77 and word77.")])
    with large.snapshot() as snapshot:
        near = snapshot.nearest(asked, limit=20)
        found = {passage.metadata["id"] for passage in snapshot.passages(near.ids.tolist())}
    with large.snapshot({"id": "77"}) as snapshot:
        (only,) = snapshot.passages(snapshot.nearest(asked, limit=20).ids.tolist())
    assert {"4000", "77"} <= found
    assert only.metadata["id"] == "77"


def test_a_filter_of_many_finds_as_many_as_are_asked_for_however_far_they_are(large: PostgresIndex) -> None:
    # pgvector goes on for 20,000 vectors, and then gives what it has: with a limit of one that shows in a small index.
    impatient = make_conninfo(large.url, options="-c hnsw.max_scan_tuples=1")
    embedder = HashEmbedder()
    asked = np.stack([embedder.embed_query("Beacon beacon."), embedder.embed_query("Word4000 and word23.")])
    with closing(PostgresIndex(impatient, embedder)) as index:
        with index.snapshot({"kind": "word"}) as snapshot:
            rankings = [snapshot.nearest(vector[None], limit=20) for vector in asked]
            found = [[its.metadata for its in snapshot.passages(near.ids.tolist())] for near in rankings]
        with index.snapshot() as snapshot:
            (nearest,) = snapshot.passages(snapshot.nearest(asked[:1], limit=20).ids[:1].tolist())
    assert [len(its) for its in found] == [20, 20]
    assert {its["kind"] for its in chain(*found)} == {"word"}
    assert found[1][0]["id"] == "4000"
    assert str(nearest.metadata["id"]).startswith("beacon")
