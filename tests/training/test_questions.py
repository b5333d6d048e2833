"""What the reader is trained on, out of two small sets of the same form as the real ones."""

import json
from pathlib import Path

import pytest

from rag_graph.models.local.tokens import tokenizer
from tests.training.questions import QED, SQUADSHIFTS, Examples, read_questions

TOWER = "The iron tower was finished in 1889. It stands by the river and is painted brown every seven years."
BRIDGE = "The stone bridge was finished in 1702. It crosses the river below the iron tower."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in SQUADSHIFTS:
        (tmp_path / name).write_text(json.dumps({"data": []}))
    asked = [{"question": "When was the iron tower finished?", "answers": [{"answer_start": 31, "text": "1889"}]}]
    also = [{"question": "What does the stone bridge cross?", "answers": [{"answer_start": 50, "text": "the river"}]}]
    paragraphs = [{"context": TOWER, "qas": asked}, {"context": BRIDGE, "qas": also}]
    articles = {"data": [{"title": "Iron_tower", "paragraphs": paragraphs}]}
    (tmp_path / SQUADSHIFTS[0]).write_text(json.dumps(articles))
    line = {
        "question_text": "when was the bridge finished",
        "title_text": "Stone bridge",
        "paragraph_text": BRIDGE,
        "original_nq_answers": [[{"start": 33, "end": 37, "string": "1702"}]],
    }
    (tmp_path / QED).write_text(json.dumps(line))
    return tmp_path


def test_the_tokens_of_an_example_are_those_of_the_answer(folder: Path) -> None:
    questions = read_questions(folder)
    examples = Examples(questions, tokenizer(), seed=1)
    said = set()
    for _ in range(40):
        for number in range(len(questions)):
            example = examples.draw(number)
            if example is not None and example.last:
                said.add(tokenizer().decode(list(example.ids[example.first : example.last + 1])))
    assert said == {"1889", "1702", "the river"}


def test_a_neighbour_shares_words_and_lacks_the_answer(folder: Path) -> None:
    tower, *_ = read_questions(folder)
    neighbours = [read_questions(folder)[number].passage for number in tower.neighbours]
    assert neighbours
    assert all("1889" not in passage for passage in neighbours)


def test_windows_that_do_not_answer_point_at_nothing(folder: Path) -> None:
    questions = read_questions(folder)
    examples = Examples(questions, tokenizer(), seed=1)
    drawn = [examples.draw(number % len(questions)) for number in range(200)]
    without = [example for example in drawn if example is not None and not example.last]
    assert without
    assert {example.first for example in without} == {0}
