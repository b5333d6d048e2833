import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_graph.index import EmbeddedIndex, Snapshot, index_paths
from rag_graph.retrieval.entities import PassageAnalysis, analyse, names_something
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
def view(tmp_path: Path) -> Iterator[Snapshot]:
    lines = [json.dumps({"_id": title, "title": title, "text": text}) for title, text in LINES]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    index = EmbeddedIndex(tmp_path / "index", HashEmbedder())
    index_paths(index, [tmp_path / "a.jsonl"])
    with index.snapshot() as view:
        yield view


def analysis(view: Snapshot, number: int, question: str) -> PassageAnalysis:
    return analyse(view.passages([number])[0], view, weights=dict.fromkeys(terms(question), 1.0))


def test_names_years_and_titles_are_found(view: Snapshot) -> None:
    names = [entity.name for entity in analysis(view, 1, "who shot it?").entities]
    assert set(names) >= {"G Stanley Hall", "University of Leeds", "1965", "Hill"}


def test_what_the_question_has_is_no_entity(view: Snapshot) -> None:
    names = [entity.name for entity in analysis(view, 1, "G. Stanley Hall").entities]
    assert "G Stanley Hall" not in names


def test_titles_of_other_documents_are_mentions(view: Snapshot) -> None:
    assert [(m.name, m.passages) for m in analysis(view, 1, "x").mentions] == [("g stanley hall", (2,))]
    assert [(m.name, m.passages) for m in analysis(view, 3, "x").mentions] == [("the hill", (1,))]


def test_a_text_without_names_leads_on_by_its_rare_words(view: Snapshot) -> None:
    assert "pycnometer" in [entity.name for entity in analysis(view, 4, "bench").entities]


def test_a_passage_covers_its_own_words_and_title(view: Snapshot) -> None:
    assert {"film", "shot", "leed"} <= analysis(view, 1, "x").covered


@pytest.mark.parametrize(
    "question",
    ["Should I go?", "Can I have it, and do I need it?", "I'm late. I've run.", "Will I see it?", "Did it go?"],
)
def test_a_capital_that_grammar_asks_for_makes_no_name(view: Snapshot, question: str) -> None:
    assert not names_something(question, view)


@pytest.mark.parametrize("question", ["Did Hall go?", "Has the film of George I come out?", "Will Hall"])
def test_a_name_behind_the_first_word_is_one(view: Snapshot, question: str) -> None:
    assert names_something(question, view)
