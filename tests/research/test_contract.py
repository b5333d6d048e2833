from dataclasses import replace

from rag_graph.documents import Hit
from rag_graph.research.contract import NumberedPassages, counted, numbered, titles
from tests.fakes import passage


def hits(*numbers: int) -> list[Hit]:
    return [Hit(passage(number, f"Passage {number}."), 1 / (rank + 1)) for rank, number in enumerate(numbers)]


def listed(passages: NumberedPassages) -> list[tuple[int, str]]:
    return [(item.number, item.title) for item in passages.ranked]


def test_what_was_known_keeps_its_number_and_what_is_new_gets_the_next() -> None:
    passages = NumberedPassages(numbered(hits(1, 2, 3)), most=10)
    new = passages.add(hits(4, 2, 5))
    assert [item.number for item in new] == [4, 5]
    assert listed(passages) == [(4, "doc4"), (2, "doc2"), (5, "doc5"), (1, "doc1"), (3, "doc3")]


def test_a_passage_stands_where_its_best_search_put_it() -> None:
    passages = NumberedPassages(most=10)
    passages.add(hits(1, 2, 3))
    assert passages.add(hits(3, 4)) != []
    assert [number for number, _ in listed(passages)] == [1, 3, 2, 4]


def test_searches_of_one_round_take_turns_until_they_are_full() -> None:
    passages = NumberedPassages(most=3)
    assert [item.title for item in passages.add(hits(1, 2, 3), hits(4, 5, 6))] == ["doc1", "doc4", "doc2"]
    assert passages.is_full
    assert passages.add(hits(7)) == []


def test_known_passages_are_kept_even_where_there_are_too_many() -> None:
    passages = NumberedPassages(numbered(hits(1, 2, 3)), most=2)
    assert passages.add(hits(4)) == []
    assert [number for number, _ in listed(passages)] == [1, 2, 3]


def test_people_are_told_how_many_and_which() -> None:
    some = numbered(hits(1, 2, 3, 4, 5, 6))
    assert counted(some) == "6 passages from 6 documents"
    assert counted(some[:1]) == "1 passage from 1 document"
    assert titles(some) == "doc1, doc2, doc3, doc4 and 2 more"
    assert titles(some[:2]) == "doc1, doc2"


def test_names_from_any_store_are_told_without_what_acts_in_them() -> None:
    [hit] = hits(1)
    odd = replace(hit.passage, title="a\nb\u202e", uri="c\x1b[2J.md", heading=("d\r\ne",))
    [passage] = numbered([replace(hit, passage=odd)])
    assert (passage.title, passage.uri, passage.heading) == ("a b", "c\ufffd[2J.md", ("d  e",))
    assert passage.content == hit.passage.content
