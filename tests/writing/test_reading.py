"""How surely spans answer, with the real reader and embedder."""

import pytest

from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.reader import LocalReader
from rag_graph.retrieval.quotes import content_terms
from rag_graph.writing.reading import MOST_OF_UNCOUNTED, Asked, read_answers
from tests.writing.test_quoting import passage

READER, EMBEDDER = LocalReader(), LocalEmbedder()
TOWER = "The iron tower was finished in 1889 by Ada Rowe, after the dam of 1871. It stands by the river."
WHEN = "When was the iron tower finished?"


@pytest.mark.parametrize(
    ("question", "sort"),
    [
        ("Which tribe did she belong to?", "tribe"),
        ("of what tribe was she", "tribe"),
        ("What is the name of the tribe?", "name"),
        ("What's the capital of Chad?", "capital"),
        ("How many square kilometres of forest were lost?", "square kilometres"),
        ("What is it called?", ""),
        ("Who built the tower?", ""),
    ],
)
def test_a_question_tells_what_sort_of_thing_it_asks_for(question: str, sort: str) -> None:
    assert Asked.of(question).sort == content_terms(sort)


def test_an_answer_that_another_passage_gives_too_is_surer() -> None:
    alone = [passage(1, "Tower", TOWER), passage(2, "River", "The river is long. Ships pass it every day.")]
    agreeing = [alone[0], passage(2, "Rowe", "In 1889 the iron tower was finished by Ada Rowe.")]
    (once, *_), (twice, *_) = (read_answers(WHEN, found, READER, EMBEDDER) for found in (alone, agreeing))
    assert once.text.startswith("1889")
    assert twice.text.startswith("1889")
    assert twice.confidence > once.confidence


def test_a_sentence_that_does_not_tell_what_is_asked_makes_less_sure() -> None:
    asked, *_ = read_answers(WHEN, [passage(1, "Tower", TOWER)], READER, EMBEDDER)
    other, *_ = read_answers("When was the lighthouse sold?", [passage(1, "Tower", TOWER)], READER, EMBEDDER)
    assert asked.signs.alone > other.signs.alone
    assert asked.confidence > other.confidence


@pytest.mark.parametrize(
    ("said", "is_sure"),
    [("It keeps 20 connections alive by default.", True), ("It keeps HTTP/1.1 connections alive by default.", False)],
)
def test_what_counts_nothing_is_no_sure_answer_to_how_many(said: str, is_sure: bool) -> None:
    question = "How many connections are kept alive by default?"
    best, *_ = read_answers(question, [passage(1, "Pool", said)], READER, EMBEDDER)
    assert best.text.endswith(("20", "1.1"))
    assert (best.confidence > MOST_OF_UNCOUNTED) is is_sure


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What does F2 mean?", "water low"),
        ("What does F3 mean?", "door open"),
        ("Which wash takes 40 minutes?", "Wool"),
        ("Which fault says that the door is open?", "door open"),
        ("What is the time of wool?", "40 minutes"),
        ("What is the log level?", "level: warning"),
    ],
)
def test_an_answer_stands_in_the_row_that_the_question_names_and_in_no_other(question: str, answer: str) -> None:
    content = (
        "The washer shows its faults.\n\nF1: drum blocked\nF2: water low\nF3: door open during a wash\n\n"
        "| Wash | Heat | Time |\n|---|---|---|\n| Cotton | 60 °C | 90 minutes |\n| Wool | 30 °C | 40 minutes |"
        "\n\ncache:\n  ttl_seconds: 900\nlogging:\n  level: warning\n"
    )
    found = read_answers(question, [passage(1, "Washer", content)], READER, EMBEDDER)
    for best in found:
        held = content[best.sentence.start : best.sentence.end]
        assert answer in held
        assert held.count(":") <= 1
    assert found or question.startswith(("Which fault", "What is the log"))  # the reader likes nothing of that row


@pytest.mark.parametrize(
    ("question", "said", "never"),
    [
        ("Which states can a job have?", "Three states are possible for a job: waiting, running and done.", "Three"),
        ("What is the number of the draft?", "What is [2] in the draft is [2] in the refinement.", "[2]"),
    ],
)
def test_what_only_counts_or_points_to_a_source_is_no_answer(question: str, said: str, never: str) -> None:
    found = read_answers(question, [passage(1, "Notes", said)], READER, EMBEDDER)
    assert never not in [answer.text for answer in found]


def test_an_answer_ends_with_its_item_of_a_list() -> None:
    content = "Please pack the following:\n\n- a warm sleeping bag\n- rain jacket and rubber boots\n- a towel"
    for answer in read_answers("What should I bring?", [passage(1, "Camp", content)], READER, EMBEDDER):
        assert "\n-" not in content[answer.start : answer.end]


def test_two_amounts_are_no_sure_answer_to_how_much() -> None:
    said = "The fee is 310 euros for the first child and 260 euros for each sibling."
    for answer in read_answers("how much is the fee for a sibling", [passage(1, "Camp", said)], READER, EMBEDDER):
        assert answer.confidence <= MOST_OF_UNCOUNTED or answer.text.count("euros") == 1
