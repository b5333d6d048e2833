import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_graph.documents import Passage
from rag_graph.errors import IndexNotFound, InvalidRequest
from rag_graph.index import Index, index_paths
from rag_graph.index.filters import allows
from rag_graph.query import Filters

LINES: list[dict[str, object]] = [
    {"_id": "a", "title": "Apples (fruit)", "text": "Apples grow on trees.", "year": 1999, "lang": "en", "good": True},
    {"_id": "b", "title": "Pears", "text": "Pears are like apples.", "year": 2005, "lang": "de"},
    {"_id": "c", "title": "Plums", "text": "Plums are small.", "year": "2005", "lang": "fr", "path": "x/[y]/z"},
]


@pytest.fixture
def fruit(index: Index, tmp_path: Path) -> Index:
    """An index of three lines."""
    path = tmp_path / "fruit.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)))
    index_paths(index, [path])
    return index


def passages(index: Index, ids: Sequence[int]) -> list[Passage]:
    with index.snapshot() as snapshot:
        return snapshot.passages(ids)


def found(index: Index, filters: Filters) -> set[str]:
    """What each way of searching finds under filters; they have to agree."""
    with index.snapshot(filters) as snapshot:
        near = snapshot.passages(snapshot.nearest(index.embedder.embed(["apples"]), limit=10).ids.tolist())
        matched = snapshot.matching([{"appl": 1.0, "plum": 1.0, "pear": 1.0}], limit=10)
        titled = snapshot.titled(["apples", "pears", "plums"])
        opened = snapshot.passages([number for ids in titled.values() for number in ids])
        every = snapshot.passages(range(1, 10))
        results = [
            {str(p.metadata["id"]) for p in its}
            for its in (near, snapshot.passages(matched.ids.tolist()), opened, every)
        ]
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


def test_a_passage_is_found_by_the_nearest_of_its_vectors_and_once(index: Index, tmp_path: Path) -> None:
    """As it is written, after it was merged, under a filter, and once others are gone."""
    long = {
        "a": "Apples grow on trees.\n+Whales are mammals.\n+Apples are red.",
        "b": "Ships are made of steel.\n+Tea is grown in Assam.",
        "c": "Plums are small.",
    }

    def write(*names: str) -> None:
        path = tmp_path / "long.jsonl"
        lines = [{"_id": name, "title": name, "text": long[name], "known": name != "b"} for name in names]
        path.write_text("\n".join(map(json.dumps, lines)))
        index_paths(index, [path])

    def nearest(question: str, filters: Filters | None = None, limit: int = 10) -> list[str]:
        with index.snapshot(filters) as snapshot:
            ranking = snapshot.nearest(index.embedder.embed([f"{question[0]}\n{question}"]), limit=limit)
            assert len(set(ranking.ids.tolist())) == len(ranking)
            assert ranking.scores.tolist() == sorted(ranking.scores.tolist(), reverse=True)
            assert ranking.scores[0] > 0.5
            return [str(passage.metadata["id"]) for passage in snapshot.passages(ranking.ids.tolist())]

    write("a")
    write("a", "b", "c")
    for question, name in (("Whales are mammals.", "a"), ("Tea is grown in Assam.", "b"), ("Plums are small.", "c")):
        assert nearest(question, limit=1) == [name]
        assert sorted(nearest(question)) == ["a", "b", "c"]
        assert len(nearest(question, limit=2)) == 2
    assert sorted(nearest("Whales are mammals.", {"known": True})) == ["a", "c"]
    write("b", "c")
    assert nearest("Tea is grown in Assam.")[0] == "b"
    assert sorted(nearest("Plums are small.")) == ["b", "c"]


@pytest.mark.parametrize(("filters", "names"), CASES)
def test_filters_hold_in_every_way_of_searching(fruit: Index, filters: Filters, names: set[str]) -> None:
    assert found(fruit, filters) == names


@pytest.mark.parametrize(("filters", "names"), CASES)
def test_filters_mean_the_same_outside_the_database(fruit: Index, filters: Filters, names: set[str]) -> None:
    assert {str(p.metadata["id"]) for p in passages(fruit, [1, 2, 3]) if allows(filters, p)} == names


HOSTILE: list[dict[str, Any]] = [
    {"uri": ["a"] * 40_000},
    {"lang": [f"{number}" for number in range(257)]},
    {f"key{number}": 1 for number in range(3_000)},
    {"year": 2**63},
    {"year": {"from": -(2**63) - 1}},
    {"year": [1, 10**400]},
    {"year": float("nan")},
    {"year": {"to": float("inf")}},
    {"lang": "\ud800"},
    {"lang": ["a", "b\0c"]},
    {"a\0b": "c"},
    {"\udfff": 1},
    {"lang": "x" * 1_001},
    {"y" * 1_001: 1},
]


@pytest.mark.parametrize("filters", HOSTILE, ids=range(len(HOSTILE)))
def test_what_no_store_can_compare_with_is_the_askers_fault(fruit: Index, filters: Filters) -> None:
    with pytest.raises(InvalidRequest, match="filters"), fruit.snapshot(filters):
        pass
    passage = passages(fruit, [1])[0]
    with pytest.raises(InvalidRequest, match="filters"):
        allows(filters, passage)


ODD: list[Filters] = [
    {"lang": [f"{number}" for number in range(256)]},
    {f"key{number}": ["a"] * 8 for number in range(32)},
    {"year": [2**63 - 1, -(2**63), 1.7e308, 5e-324, True]},
    {"year": {"from": -(2**63), "to": 1e300}, "lang": {"from": "", "to": "\uffff"}},
    {"lang": "*a" * 500},
    {"lang": "?" * 1_000},
    {"lang": "[a-z]*" * 166},
    {"uri": "[z-a]*"},
    {"uri": "[^z-a]?*"},
    {"uri": "[a-]*[]x]*[[:alpha:]]*[[.x.]]*[\\\\]"},
    {"title": "?*\\\\*(*{*+*|*.*$*^"},
    {"uri": "*[", "title": "[!*"},
    {"": "", " ": "*"},
    {"'; DROP TABLE documents; --": "'%s\"", "%s": "%(a)s*"},
]


@pytest.mark.parametrize("filters", ODD, ids=range(len(ODD)))
def test_whatever_else_a_filter_holds_is_compared(fruit: Index, filters: Filters) -> None:
    assert found(fruit, filters) <= {"a", "b", "c"}


def test_a_range_of_letters_that_runs_backwards_has_no_members(fruit: Index) -> None:
    assert found(fruit, {"lang": "[z-a]?*"}) == found(fruit, {"lang": "?[z-a]"}) == set()
    assert found(fruit, {"lang": "[d-f]?*"}) == {"a", "b", "c"}


def test_a_filter_by_document_finds_its_passages(fruit: Index) -> None:
    (passage,) = passages(fruit, [2])
    assert found(fruit, {"document": passage.document_id}) == {"b"}


def test_a_passage_is_its_span_of_its_document(fruit: Index) -> None:
    for passage in passages(fruit, [1, 2, 3]):
        document = fruit.document(passage.document_id)
        assert document is not None
        assert document.text[passage.start : passage.end] == passage.content
        assert (document.uri, document.title) == (passage.uri, passage.title)
    assert fruit.document("unknown") is None


def test_a_finished_run_is_seen_without_reopening(fruit: Index, tmp_path: Path) -> None:
    (tmp_path / "fruit.jsonl").write_text(json.dumps(LINES[0]))
    with fruit.snapshot() as old:
        index_paths(fruit, [tmp_path / "fruit.jsonl"])
        ids = old.nearest(fruit.embedder.embed(["pears"]), limit=10).ids
        assert "a" in [passage.metadata["id"] for passage in old.passages(ids.tolist())]
        assert old.size == 3
    assert found(fruit, {}) == {"a"}
    assert fruit.counts() == (1, 1)


def test_frequencies_count_the_passages_that_hold_a_whole_phrase(fruit: Index) -> None:
    with fruit.snapshot() as snapshot:
        assert snapshot.frequencies([("appl",), ("appl", "grow"), ("plum", "grow"), ("unknown",), ()]) == [
            2,
            1,
            0,
            0,
            0,
        ]


def test_titles_count_more_than_text(fruit: Index) -> None:
    with fruit.snapshot() as snapshot:
        assert snapshot.matching([{"appl": 1.0}], limit=10).ids.tolist() == [1, 2]
        best = snapshot.matching([{"appl": 1.0}, {"pear": 5.0}], limit=10)
    assert best.ids.tolist() == [2, 1]
    assert np.all(np.diff(best.scores) <= 0)


def test_an_index_that_was_never_filled_says_how_to_fill_it(index: Index) -> None:
    for use in (index.counts, lambda: index.document("x"), lambda: passages(index, [1])):
        with pytest.raises(IndexNotFound, match="rag-graph index PATH"):
            use()
    assert index.files() == []


def test_an_index_that_was_filled_later_is_found_by_who_asked_before(index: Index, tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound):
        index.counts()
    (tmp_path / "fruit.jsonl").write_text(json.dumps(LINES[0]))
    index_paths(index, [tmp_path / "fruit.jsonl"])
    assert index.counts() == (1, 1)


def test_documents_are_listed_by_uri_a_page_at_a_time_and_found_by_part_of_a_name(fruit: Index) -> None:
    every = fruit.documents()
    assert [one.uri for one in every] == sorted(one.uri for one in every)
    assert [(one.title, one.passages) for one in every] == [("Apples (fruit)", 1), ("Pears", 1), ("Plums", 1)]
    assert all(one.characters and Path(one.path).name == "fruit.jsonl" for one in every)
    first = fruit.documents(limit=2)
    assert first + fruit.documents(after=first[-1].uri) == every
    assert [one.title for one in fruit.documents(matching="PEAR")] == ["Pears"]
    assert len(fruit.documents(matching="fruit.JSONL")) == 3
    assert fruit.documents(matching="%") == fruit.documents(matching="quince") == []


def test_a_document_tells_the_file_that_it_was_read_from(fruit: Index) -> None:
    [file] = fruit.files()
    assert [fruit.file_of(one.id) for one in fruit.documents()] == [file] * 3
    assert fruit.file_of("nothing") is None


def test_filters_may_name_what_documents_have_until_it_changes(fruit: Index, tmp_path: Path) -> None:
    assert fruit.filter_names() >= {"uri", "title", "document", "lang", "year"}
    assert "colour" not in fruit.filter_names()
    (tmp_path / "more.jsonl").write_text(json.dumps({"_id": "d", "text": "Red.", "colour": "red"}))
    index_paths(fruit, [tmp_path / "more.jsonl"])
    assert "colour" in fruit.filter_names()
