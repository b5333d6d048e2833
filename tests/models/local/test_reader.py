"""The embedded reader, with its real weights."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from rag_graph.errors import SettingsError
from rag_graph.models.local.reader import UNSEEN, WEIGHTS, LocalReader
from rag_graph.models.reading import ReadablePassage

TOWER = ReadablePassage("Iron tower", "The iron tower was finished in 1889 (in May). It stands by the river.")
RIVER = ReadablePassage("River", "The river is long. Ships pass it every day.")
PADDING = "Ships pass it every day, and sheep graze on its banks. " * 30


@pytest.fixture(scope="module")
def reader() -> LocalReader:
    return LocalReader()


def test_it_points_at_the_words_that_answer(reader: LocalReader) -> None:
    best, *_ = reader.read("When was the iron tower finished?", [RIVER, TOWER])
    assert best.passage == 1
    assert best.text == TOWER.content[best.start : best.end]
    assert best.text.startswith("1889")


def test_what_answers_has_a_greater_margin_than_what_does_not(reader: LocalReader) -> None:
    answered, *_ = reader.read("When was the iron tower finished?", [TOWER])
    unanswered, *_ = reader.read("What is the capital of Australia?", [TOWER])
    assert answered.margin > 0 > unanswered.margin


def test_a_span_far_into_a_long_passage_is_exact(reader: LocalReader) -> None:
    long = ReadablePassage("River", f"{PADDING}The dam was built by Ada Rowe. {PADDING}")
    best, *_ = reader.read("Who built the dam?", [long])
    assert long.content[best.start : best.end] == best.text == "Ada Rowe"


def test_spans_of_one_passage_do_not_overlap(reader: LocalReader) -> None:
    spans = sorted((span.start, span.end) for span in reader.read("When was the iron tower finished?", [TOWER]))
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_no_span_ends_within_a_name_in_code(reader: LocalReader) -> None:
    content = "With an OpenAI key alone OPENAI_BASE_URL, RAG_MAX_UPLOAD_BYTES and `chat_model_name` are read."
    names = [match.span() for match in re.finditer(r"\w+", content)]
    spans = reader.read("Which model is used with an OpenAI key alone?", [ReadablePassage("Settings", content)])
    assert spans
    for span in spans:
        assert not any(start < at < end for start, end in names for at in (span.start, span.end)), span.text


@pytest.mark.parametrize("content", ["", " \n", "\ud800 lone", "x" * 50_000, "十五天"])
def test_no_text_is_too_odd_to_be_read(reader: LocalReader, content: str) -> None:
    for span in reader.read("\ud800?", [ReadablePassage("", content)]):
        assert content[span.start : span.end] == span.text


@pytest.mark.parametrize(
    ("content", "question", "words"),
    [
        ("The extra is called flask[async] by its authors.", "What is the extra called?", "flask[async]"),
        ("The dam was finished in 1889[3] by Ada Rowe.", "When was the dam finished?", "1889"),
    ],
)
def test_a_bracket_within_a_name_belongs_to_it_and_a_note_does_not(
    reader: LocalReader, content: str, question: str, words: str
) -> None:
    best, *_ = reader.read(question, [ReadablePassage("Notes", content)])
    assert best.text == words


def test_no_passage_has_no_span(reader: LocalReader) -> None:
    assert reader.read("Why?", []) == []


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "reader.onnx"
    damaged.write_bytes(WEIGHTS.read_bytes()[:-1])
    with pytest.raises(SettingsError, match="damaged"):
        LocalReader(damaged).load()


def test_a_place_is_weighed_whether_or_not_it_is_the_likeliest(reader: LocalReader) -> None:
    question = "When was the iron tower finished?"
    best, *_ = reader.read(question, [TOWER])
    river = TOWER.content.index("river")
    assert reader.weigh(question, [TOWER], [(best.start, best.end)]) == [pytest.approx(best.margin)]
    assert reader.weigh(question, [TOWER], [(river, river + 5)])[0] < best.margin


def test_a_place_that_no_window_holds_whole_has_no_margin(reader: LocalReader) -> None:
    long = ReadablePassage("River", PADDING)
    assert reader.weigh("How long is the river?", [long, TOWER], [(0, len(PADDING)), (0, 3)])[0] == UNSEEN
