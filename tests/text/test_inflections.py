import pytest

from rag_graph.text.inflections import other_forms
from rag_graph.text.terms import stem


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("Gruppen", "Gruppe"),
        ("Häuser", "Haus"),
        ("Gerätes", "Geräten"),
        ("Motor", "Motoren"),
        ("Schlüsseln", "Schlüssel"),
    ],
)
def test_a_german_word_is_known_in_its_other_forms(asked: str, written: str) -> None:
    terms = {asked_term(asked), *other_forms(asked, "de")}
    assert asked_term(written) in terms


@pytest.mark.parametrize(("word", "language"), [("Gruppen", "en"), ("groups", ""), ("Rat", "de"), ("v2000", "de")])
def test_other_words_have_no_other_form(word: str, language: str) -> None:
    assert other_forms(word, language) == ()


def test_another_word_is_no_form_of_it() -> None:
    assert asked_term("Gruppierung") not in other_forms("Gruppen", "de")


def asked_term(word: str) -> str:
    return stem(word.lower().replace("ä", "a").replace("ü", "u"))
