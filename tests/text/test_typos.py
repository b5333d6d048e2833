import pytest

from rag_graph.text.typos import MOST_CHARS, near_spellings, other_openings, parted, two_slips


@pytest.mark.parametrize("typed", ["middlewaer", "middlware", "middlewware", "middlewafe", "middleware"])
def test_one_slip_leads_back_to_the_word(typed: str) -> None:
    assert ("middleware" in near_spellings(typed)) == (typed != "middleware")


def test_other_alphabets_have_slips_too() -> None:
    assert "документ" in near_spellings("докумнт")


@pytest.mark.parametrize("word", ["8847", "v12a", "cat", "", "東京都庁", "a" * (MOST_CHARS + 1)])
def test_numbers_and_short_words_have_no_other_spelling(word: str) -> None:
    assert list(near_spellings(word)) == []


@pytest.mark.parametrize("typed", ["lgacier", "flacier", "lacier", "gglacier", "qglacier"])
def test_a_slip_at_the_first_letter_leads_back_to_the_word(typed: str) -> None:
    assert "glacier" in {*other_openings(typed), *near_spellings(typed)}


@pytest.mark.parametrize("typed", ["notifcaiton", "notifiactoin", "nottificatoin"])
def test_two_slips_lead_back_to_a_long_word(typed: str) -> None:
    assert "notification" in two_slips(typed)


@pytest.mark.parametrize("word", ["fork", "8847", "東京都庁"])
def test_short_words_and_numbers_have_neither_another_opening_nor_two_slips(word: str) -> None:
    assert not [*other_openings(word), *two_slips(word)]


@pytest.mark.parametrize(
    ("typed", "parts"),
    [("trailingspace", ("trailing", "space")), ("login", ("log", "in")), ("sku8847", ("sku", "8847"))],
)
def test_words_that_were_written_as_one_are_parted(typed: str, parts: tuple[str, str]) -> None:
    assert parts in parted(typed)
