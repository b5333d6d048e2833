from collections.abc import Sequence

import pytest

from rag_graph.retrieval.question import GUESS_WEIGHT, STOP_WEIGHT, read_question
from rag_graph.text.terms import stem


class Held:
    """A corpus in which so many passages hold these words."""

    size = 100

    def __init__(self, **counts: int) -> None:
        self._counts = {stem(word): count for word, count in counts.items()}

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


@pytest.mark.parametrize("typed", ["midleware", "middlewaer", "mjddleware"])
def test_a_word_that_no_passage_has_is_searched_as_one_that_is_spelt_nearly_so(typed: str) -> None:
    asked = read_question(f"How do I add {typed}?", Held(middleware=3, add=9))
    assert asked.query["middlewar"] == GUESS_WEIGHT
    [word] = [word for word in asked.words if word.text == typed]
    assert word.is_in({"middlewar"})
    assert not word.is_in({"add"})


def test_of_several_spellings_the_most_common_are_taken() -> None:
    query = read_question("a brige", Held(bridge=5, brine=9, bride=1)).query
    assert {stem("bridge"), stem("brine")} <= query.keys()
    assert stem("bride") not in query


@pytest.mark.parametrize("question", ["PX-4471-B", "8847", "middleware"])
def test_numbers_and_words_that_are_there_are_taken_as_they_stand(question: str) -> None:
    known = Held(middleware=1, middlewares=50, **{"4472": 8, "8848": 8, "px": 3})
    assert set(read_question(question, known).query.values()) == {1.0}
