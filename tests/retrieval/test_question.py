from collections.abc import Sequence

import pytest

from rag_graph.retrieval.question import GUESS_WEIGHT, INFLECTED_WEIGHT, STOP_WEIGHT, read_question
from rag_graph.text.terms import stem


class Held:
    """A corpus in which so many passages hold these words."""

    size = 100

    def __init__(self, **counts: int) -> None:
        self._counts = {stem(word) if word.isalpha() else word: count for word, count in counts.items()}

    def frequencies(self, phrases: Sequence[Sequence[str]]) -> list[int]:
        return [min((self._counts.get(term, 0) for term in phrase), default=0) for phrase in phrases]


def test_small_words_count_little_beside_others() -> None:
    query = read_question("What is bridging?", Held(what=40, bridging=1)).query
    assert query == {"what": STOP_WEIGHT, "is": STOP_WEIGHT, "bridg": 1.0}


def test_small_words_count_where_there_is_nothing_else() -> None:
    assert read_question("who is who", Held(who=3)).query == {"who": 2.0, "is": 1.0}


@pytest.mark.parametrize(
    "question", ["Wo ist der Motor von dem Auto und wie alt ist es?", "Où est le moteur de la voiture ?"]
)
def test_the_small_words_of_the_question_s_own_language_count_little(question: str) -> None:
    query = read_question(question, Held()).query
    assert {term for term, weight in query.items() if weight >= 1} <= {"wo", "motor", "auto", "alt", "moteur", "voitur"}


def test_a_german_word_is_searched_in_its_other_forms_too() -> None:
    held = Held(pumpen=3, pumpe=5, ventil=2)
    query = read_question("Wie viele Pumpen hat das Ventil und wo ist es?", held).query
    assert query[stem("pumpen")] == query[stem("ventil")] == 1.0
    assert query[stem("pumpe")] == INFLECTED_WEIGHT
    assert stem("pumpe") not in read_question("How many Pumpen has the Ventil got?", held).query


@pytest.mark.parametrize("typed", ["midleware", "middlewaer", "mjddleware"])
def test_a_word_that_no_passage_has_is_searched_as_one_that_is_spelt_nearly_so(typed: str) -> None:
    asked = read_question(f"How do I add {typed}?", Held(middleware=3, add=9))
    assert asked.query["middlewar"] == GUESS_WEIGHT
    [word] = [word for word in asked.words if word.text == typed]
    assert word.is_in({"middlewar"})
    assert not word.is_in({"add"})


@pytest.mark.parametrize(
    ("question", "least", "most"),
    [("addd midleware", 1.0, 1.0), ("add midleware", 0.4, 0.9), ("add pages of middleware", 0.0, 0.0)],
)
def test_it_is_known_how_much_of_a_question_was_mistyped(question: str, least: float, most: float) -> None:
    asked = read_question(question, Held(middleware=3, add=9, page=9))
    assert least <= asked.slips(lambda _: False) <= most
    assert asked.slips(lambda _: True) == 0.0  # what is a word to the embedder is no slip


def test_of_several_spellings_the_most_common_are_taken() -> None:
    query = read_question("a brige", Held(bridge=5, brine=9, bride=1)).query
    assert {stem("bridge"), stem("brine")} <= query.keys()
    assert stem("bride") not in query


@pytest.mark.parametrize("question", ["PX-4471-B", "8847", "middleware"])
def test_numbers_and_words_that_are_there_are_taken_as_they_stand(question: str) -> None:
    known = Held(middleware=1, middlewares=50, **{"4472": 8, "8848": 8, "px": 3})
    assert set(read_question(question, known).query.values()) == {1.0}


@pytest.mark.parametrize(
    ("typed", "meant"), [("notifcaiton", "notification"), ("galciers", "glacier"), ("flacier", "glacier")]
)
def test_rarer_slips_are_tried_where_the_common_ones_lead_to_no_word(typed: str, meant: str) -> None:
    assert stem(meant) in read_question(typed, Held(notification=3, glacier=2)).query


def test_two_slips_are_tried_for_one_word_of_a_question_only() -> None:
    assert stem("notification") not in read_question("notifcaiton benachrichtigung", Held(notification=3)).query


def test_a_rarer_slip_is_not_tried_where_a_common_one_leads_to_a_word() -> None:
    assert stem("glacier") not in read_question("flacier", Held(glacier=9, flaccier=1)).query


@pytest.mark.parametrize(
    ("question", "held"),
    [
        ("the trailingspace", ("trailing", "space")),
        ("a data base", ("database",)),
        ("getUser", ("get_user",)),
    ],
)
def test_words_are_searched_parted_and_joined_too(question: str, held: Sequence[str]) -> None:
    query = read_question(question, Held(**dict.fromkeys(held, 2))).query
    assert {stem(word) if word.isalpha() else word for word in held} <= query.keys()


@pytest.mark.parametrize(("question", "joined"), [("what is the me of this", "theme"), ("how to log in", "login")])
def test_small_words_are_not_joined(question: str, joined: str) -> None:
    assert stem(joined) not in read_question(question, Held(**{joined: 5})).query


@pytest.mark.parametrize(
    "question", ["on the 3rd of May 2021", "May 3, 2021", "03.05.2021", "2021/05/03", "am 3. Mai 2021", "3/5/2021"]
)
def test_a_date_is_searched_in_the_spellings_of_others(question: str) -> None:
    query = read_question(question, Held(**{"2021-05-03": 1, "may": 4, "3": 9})).query
    assert {"2021-05-03", "may", "3"} <= query.keys()
    assert query["2021-05-03"] > GUESS_WEIGHT, "it stands for three words"


@pytest.mark.parametrize(("question", "unit"), [("5km", "kilometre"), ("5 kilometers", "km"), ("2 GB", "gigabytes")])
def test_a_measure_is_searched_with_the_other_names_of_its_unit(question: str, unit: str) -> None:
    assert stem(unit) in read_question(question, Held(**{unit: 3})).query


@pytest.mark.parametrize(
    "question", ["sales in FY2022", "sales in FY22", "sales in fy 22", "Q2 of FY2022", "sales of 2022Q2", "CY'22 sales"]
)
def test_a_year_of_accounts_is_searched_as_a_year(question: str) -> None:
    assert "2022" in read_question(question, Held(**{"2022": 5, "sales": 9})).query


@pytest.mark.parametrize("question", ["the second quarter, Q2 2022", "Q2 of FY2022", "FY2022Q2"])
def test_a_quarter_is_searched_with_its_year(question: str) -> None:
    assert "2022q2" in read_question(question, Held(**{"2022q2": 5})).query


@pytest.mark.parametrize(
    ("question", "is_named"),
    [
        ("Why does drain_valve stall?", True),
        ("Is SKU-8847 in stock?", True),
        ("Is SKU-8848 in stock?", False),  # no passage has it
        ("Is an e-mail sent?", False),  # words, with one spelling more
        ("Which rooms had COVID-19?", False),  # half of the passages
    ],
)
def test_an_identifier_that_some_passages_have_is_known(question: str, is_named: bool) -> None:
    held = Held(**{"drain_valve": 1, "sku-8847": 2, "email": 3, "covid-19": 50})
    assert read_question(question, held).has_identifier == is_named


@pytest.mark.parametrize("question", ["what may I do", "10 to 12 items", "release 3.1.2", "see 13/45/2021", "army 22"])
def test_what_is_no_date_nor_measure_has_no_other_spelling(question: str) -> None:
    held = {"2021-05-03": 1, "mai": 4, "tonne": 3, "2022": 5}
    assert not {stem(word) for word in held} & read_question(question, Held(**held)).query.keys()
