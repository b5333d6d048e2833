import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_graph.index import Library, View, index_paths
from rag_graph.retrieval.entities import PassageAnalysis, analyse
from rag_graph.text.terms import terms
from tests.index.hashing import HashEmbedder

LINES = [
    ("The Hill (film)", "However, The Hill was shot by G. Stanley Hall of the University of Leeds in 1965."),
    ("G. Stanley Hall", "G. Stanley Hall studied at the University of Leeds. Nothing happened in 1965."),
    ("Another", "In The Hill, however, the University of Leeds plays no part. Shot twice."),
    ("notes", "the zymurgy bench uses a pycnometer"),
    ("more notes", "calibrate the pycnometer first"),
]


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    lines = [json.dumps({"_id": title, "title": title, "text": text}) for title, text in LINES]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    index_paths(tmp_path / "index", [tmp_path / "a.jsonl"], embedder=HashEmbedder())
    with Library.open(tmp_path / "index", HashEmbedder()).view() as view:
        yield view


def analysis(view: View, number: int, question: str) -> PassageAnalysis:
    return analyse(view.passages([number])[0], view, weights=dict.fromkeys(terms(question), 1.0))


def test_names_years_and_titles_are_found(view: View) -> None:
    names = [entity.name for entity in analysis(view, 1, "who shot it?").entities]
    assert set(names) >= {"G Stanley Hall", "University of Leeds", "1965", "Hill"}


def test_what_the_question_has_is_no_entity(view: View) -> None:
    names = [entity.name for entity in analysis(view, 1, "G. Stanley Hall").entities]
    assert "G Stanley Hall" not in names


def test_titles_of_other_documents_are_mentions(view: View) -> None:
    assert [(m.name, m.passages) for m in analysis(view, 1, "x").mentions] == [("g stanley hall", (2,))]
    assert [(m.name, m.passages) for m in analysis(view, 3, "x").mentions] == [("the hill", (1,))]


def test_a_text_without_names_leads_on_by_its_rare_words(view: View) -> None:
    assert "pycnometer" in [entity.name for entity in analysis(view, 4, "bench").entities]


def test_a_passage_covers_its_own_words_and_title(view: View) -> None:
    assert {"film", "shot", "leed"} <= analysis(view, 1, "x").covered
