import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from rag_graph.documents import Passage
from rag_graph.errors import IndexNotFound
from rag_graph.index import Library, OpenLibrary, Place, index_paths
from rag_graph.index.filters import allows
from rag_graph.query import Filters
from tests.index.hashing import HashEmbedder

LINES: list[dict[str, object]] = [
    {"_id": "a", "title": "Apples (fruit)", "text": "Apples grow on trees.", "year": 1999, "lang": "en", "good": True},
    {"_id": "b", "title": "Pears", "text": "Pears are like apples.", "year": 2005, "lang": "de"},
    {"_id": "c", "title": "Plums", "text": "Plums are small.", "year": "2005", "lang": "fr", "path": "x/[y]/z"},
]


@pytest.fixture
def library(tmp_path: Path, place: Place) -> Iterator[OpenLibrary]:
    path = tmp_path / "fruit.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)))
    index_paths(place, [path], embedder=HashEmbedder())
    library = place.open(HashEmbedder())
    yield library
    library.close()


def found(library: OpenLibrary, filters: Filters) -> set[str]:
    """What each way of searching finds under filters; they have to agree."""
    with library.view(filters) as view:
        near = view.passages(view.nearest(library.embedder.embed(["apples"]), limit=10).ids.tolist())
        matched = view.passages(view.matching([{"appl": 1.0, "plum": 1.0, "pear": 1.0}], limit=10).ids.tolist())
        titled = view.titled(["apples", "pears", "plums"])
        opened = view.passages([number for ids in titled.values() for number in ids])
        every = view.passages(range(1, 10))
    results = [{str(p.metadata["id"]) for p in passages} for passages in (near, matched, opened, every)]
    assert results[1:] == results[:-1]
    return results[0]


CASES: list[tuple[Filters, set[str]]] = [
    ({"lang": "en"}, {"a"}),
    ({"lang": ["en", "fr"]}, {"a", "c"}),
    ({"lang": []}, set()),
    ({"lang": "e*"}, {"a"}),
    ({"lang": "?e"}, {"b"}),
    ({"lang": "EN"}, set()),
    ({"year": 2005}, {"b"}),
    ({"year": "2005"}, {"c"}),
    ({"year": {"from": 1999, "to": 2005}}, {"a", "b"}),
    ({"year": {"from": 2000}}, {"b"}),
    ({"year": {"to": "2005"}}, {"c"}),
    ({"year": {}}, set()),
    ({"year": {"from": 1999}, "lang": "de"}, {"b"}),
    ({"good": True}, {"a"}),
    ({"good": "True"}, set()),
    ({"title": "P*"}, {"b", "c"}),
    ({"uri": "*#a"}, {"a"}),
    ({"path": "x/[[]y]/*"}, {"c"}),
    ({"unknown": "x"}, set()),
    ({"lang') OR 1=1 --": "x"}, set()),
    ({"lang": "' OR 1=1 --"}, set()),
]


@pytest.mark.parametrize(("filters", "names"), CASES)
def test_filters_hold_in_every_way_of_searching(library: OpenLibrary, filters: Filters, names: set[str]) -> None:
    assert found(library, filters) == names


@pytest.mark.parametrize(("filters", "names"), CASES)
def test_filters_mean_the_same_outside_the_database(library: OpenLibrary, filters: Filters, names: set[str]) -> None:
    def is_allowed(passage: Passage) -> bool:
        return allows(filters, passage)

    assert {str(p.metadata["id"]) for p in library.passages([1, 2, 3]) if is_allowed(p)} == names


def test_a_filter_by_document_finds_its_passages(library: OpenLibrary) -> None:
    (passage,) = library.passages([2])
    assert found(library, {"document": passage.document_id}) == {"b"}


def test_a_passage_is_its_span_of_its_document(library: OpenLibrary) -> None:
    for passage in library.passages([1, 2, 3]):
        document = library.document(passage.document_id)
        assert document is not None
        assert document.text[passage.start : passage.end] == passage.content
        assert (document.uri, document.title) == (passage.uri, passage.title)
    assert library.document("unknown") is None


def test_a_finished_run_is_seen_without_reopening(library: OpenLibrary, place: Place, tmp_path: Path) -> None:
    before = library.generation
    (tmp_path / "fruit.jsonl").write_text(json.dumps(LINES[0]))
    with library.view() as old:
        index_paths(place, [tmp_path / "fruit.jsonl"], embedder=HashEmbedder())
        ids = old.nearest(library.embedder.embed(["pears"]), limit=10).ids
        assert "a" in [passage.metadata["id"] for passage in old.passages(ids.tolist())]
    assert found(library, {}) == {"a"}
    assert library.generation > before


def test_frequencies_count_the_passages_that_hold_a_whole_phrase(library: OpenLibrary) -> None:
    with library.view() as view:
        assert view.frequencies([("appl",), ("appl", "grow"), ("plum", "grow"), ("unknown",), ()]) == [2, 1, 0, 0, 0]


def test_titles_count_more_than_text(library: OpenLibrary) -> None:
    with library.view() as view:
        assert view.matching([{"appl": 1.0}], limit=10).ids.tolist() == [1, 2]
        best = view.matching([{"appl": 1.0}, {"pear": 5.0}], limit=10)
    assert best.ids.tolist() == [2, 1]
    assert np.all(np.diff(best.scores) <= 0)


def test_a_library_that_was_never_made_says_how_to_make_it(place: Place) -> None:
    with pytest.raises(IndexNotFound, match="rag-graph index PATH"):
        place.open(HashEmbedder())


class Counting(Library):
    """Counts the passages that it reads from the disk."""

    count = 0

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        self.count += len(ids)
        return super().passages(ids)


def test_a_passage_is_read_once_until_the_library_changes(tmp_path: Path) -> None:
    (tmp_path / "fruit.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    index_paths(tmp_path / "index", [tmp_path / "fruit.jsonl"], embedder=HashEmbedder())
    library = Counting(tmp_path / "index", HashEmbedder())
    for ids in ([2, 1], [3, 1, 2, 9], [1, 3]):
        with library.view() as view:
            assert [passage.id for passage in view.passages(ids)] == [number for number in ids if number != 9]
    assert library.count == len([2, 1, 3, 9])
    (tmp_path / "fruit.jsonl").write_text(json.dumps({**LINES[0], "text": "Apples are red."}))
    index_paths(tmp_path / "index", [tmp_path / "fruit.jsonl"], embedder=HashEmbedder())
    with library.view() as view:
        assert [passage.content for passage in view.passages([1, 2, 3, 4])] == ["Apples are red."]
    library.close()


def test_only_the_passages_read_last_are_kept(tmp_path: Path) -> None:
    lines = [{"_id": str(number), "text": f"Apple number {number}."} for number in range(1_500)]
    (tmp_path / "fruit.jsonl").write_text("\n".join(map(json.dumps, lines)))
    index_paths(tmp_path / "index", [tmp_path / "fruit.jsonl"], embedder=HashEmbedder())
    library = Counting(tmp_path / "index", HashEmbedder())
    for ids in (range(1, 1_501), range(1_400, 1_501), range(1, 11)):
        with library.view() as view:
            assert len(view.passages(ids)) == len(ids)
    assert library.count == 1_500 + 10
    library.close()
