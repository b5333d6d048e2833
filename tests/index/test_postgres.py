"""What only the library in PostgreSQL has: a service that may be away, an index of vectors, readers beside a writer."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import psycopg
import pytest

from rag_graph.errors import LibraryError
from rag_graph.index import index_paths
from rag_graph.index.postgres import PostgresPlace
from rag_graph.index.postgres.tables import HNSW_FROM
from tests.index.hashing import HashEmbedder
from tests.postgres import new_database


@pytest.fixture
def place(postgres_url: str) -> PostgresPlace:
    return PostgresPlace(new_database(postgres_url))


def lines(path: Path, count: int) -> Path:
    path.write_text("\n".join(json.dumps({"_id": str(n), "text": f"Word{n} and word{n % 97}."}) for n in range(count)))
    return path


def test_a_server_that_is_away_is_told_in_one_sentence(tmp_path: Path) -> None:
    nowhere = PostgresPlace("postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(LibraryError, match="does not answer") as told:
        index_paths(nowhere, [lines(tmp_path / "a.jsonl", 1)], embedder=HashEmbedder())
    with pytest.raises(LibraryError, match="does not answer"):
        nowhere.open(HashEmbedder())
    assert "secret" not in str(told.value)


def test_a_run_that_breaks_leaves_nothing(place: PostgresPlace, tmp_path: Path) -> None:
    index_paths(place, [lines(tmp_path / "a.jsonl", 3)], embedder=HashEmbedder())
    with suppress(ZeroDivisionError), place.grow(HashEmbedder()) as growth:
        growth.records.clear()
        raise ZeroDivisionError
    library = place.open(HashEmbedder())
    assert library.counts() == (3, 3)
    library.close()


def test_many_vectors_are_found_by_an_index_and_filters_hold_in_it(place: PostgresPlace, tmp_path: Path) -> None:
    embedder = HashEmbedder()
    index_paths(place, [lines(tmp_path / "a.jsonl", HNSW_FROM)], embedder=embedder)
    with psycopg.connect(place.url) as db:
        names = db.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'rag_graph'").fetchall()
    assert any("hnsw" in name for (name,) in names)
    library = place.open(embedder)
    asked = np.stack([embedder.embed_query("Word4000 and word23."), embedder.embed_query("Word77 and word77.")])
    with library.view() as view:
        found = {passage.metadata["id"] for passage in view.passages(view.nearest(asked, limit=20).ids.tolist())}
    with library.view({"id": "77"}) as view:
        (only,) = view.passages(view.nearest(asked, limit=20).ids.tolist())
    library.close()
    assert {"4000", "77"} <= found
    assert only.metadata["id"] == "77"
