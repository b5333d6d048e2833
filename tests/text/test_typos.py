import pytest

from rag_graph.text.typos import MOST_CHARS, near_spellings


@pytest.mark.parametrize("typed", ["middlewaer", "middlware", "middlewware", "middlewafe", "middleware"])
def test_one_slip_leads_back_to_the_word(typed: str) -> None:
    assert ("middleware" in near_spellings(typed)) == (typed != "middleware")


def test_other_alphabets_have_slips_too() -> None:
    assert "документ" in near_spellings("докумнт")


@pytest.mark.parametrize("word", ["8847", "v12a", "cat", "", "東京都庁", "a" * (MOST_CHARS + 1)])
def test_numbers_and_short_words_have_no_other_spelling(word: str) -> None:
    assert list(near_spellings(word)) == []
