import pytest

from rag_graph.documents import Hit, Passage
from rag_graph.retrieval.copies import distinct

BONUS = "The quarterly bonus is paid in the first week of the following quarter, with the salary of that month."


def hit(number: int, content: str, title: str = "Handbook", **metadata: str) -> Hit:
    passage = Passage(number, str(number), title, title, 0, len(content), content, metadata=metadata)
    return Hit(passage, score=1 / number)


def ids(*hits: Hit) -> list[int]:
    found = distinct(hits)
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    return [item.passage.id for item in found]


def test_of_copies_the_one_that_was_indexed_last_is_kept_in_the_place_of_the_best() -> None:
    assert ids(hit(1, BONUS), hit(2, "Something else is said here, at some length."), hit(3, BONUS.upper())) == [3, 2]


@pytest.mark.parametrize("name", ["modified", "date", "created"])
def test_of_copies_the_newest_by_its_date_is_kept(name: str) -> None:
    old, new = hit(5, BONUS, **{name: "2019-03-01"}), hit(2, BONUS, **{name: "2024-01-31"})
    assert ids(new, old) == ids(replaced(old, 1), replaced(new, 2)) == [2]


def replaced(of: Hit, rank: int) -> Hit:
    return Hit(of.passage, 1 / rank)


def test_of_versions_the_newest_comes_first() -> None:
    old = hit(1, BONUS, "Handbook 2019", date="2019-03-01")
    new = hit(2, BONUS.replace("first", "second"), "Handbook 2024", date="2024-01-31")
    other = hit(3, "The canteen is open from eleven to two, and on Fridays to one.", date="2025-01-01")
    assert ids(old, other, replaced(new, 3)) == [2, 3, 1]


def test_without_dates_and_between_different_pages_the_order_stays() -> None:
    undated = hit(1, BONUS), hit(2, BONUS.replace("first", "second"))
    assert ids(*undated) == [1, 2]
    anna = hit(1, BONUS, "Anna", date="2019-03-01")
    bert = hit(2, BONUS.replace("first", "second"), "Bert", date="2024-01-31")
    assert ids(anna, bert) == [1, 2]


def test_short_answers_are_no_copies() -> None:
    assert ids(hit(1, "Yes."), hit(2, "Yes.")) == [1, 2]
