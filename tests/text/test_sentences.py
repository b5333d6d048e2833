import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag_graph.text.sentences import MAX_SENTENCE_CHARS, Sentence, SentenceStream, sentence_spans, sentences

TEXTS = st.lists(
    st.sampled_from(
        [
            *(" ", "\n", "\n\n", ". ", ".", "! ", "? ", "…", "。", "」", "[1]", " [2]", "[", "]", "`", "```\n", "~~~"),
            *(
                "# ",
                "- ",
                "1. ",
                "> ",
                "| a | b |\n",
                "---\n",
                "Dr. ",
                "J. ",
                "U.S. ",
                "e.g. ",
                "3.5",
                "The tower",
                "it",
            ),
        ]
    )
    | st.text(max_size=4),
    max_size=30,
).map("".join)


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def fed_in_pieces(text: str, cuts: list[int]) -> list[Sentence]:
    stream = SentenceStream()
    borders = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    found = [sentence for at, border in enumerate(borders[1:]) for sentence in stream.feed(text[borders[at] : border])]
    return found + stream.finish()


@pytest.mark.parametrize(
    "expected",
    [
        ["It is tall.", "It is old!", "Is it?", "Yes"],
        ["Dr. Smith met J. K. Rowling and John F. Kennedy.", "They talked."],
        ["It grew by 3.5 percent, i.e. a little.", "See Fig. 3 and No. 5 for more."],
        ["She eats vitamin C.", "He does not."],
        ["Der Vertrag gilt ab 1. Mai 2023.", "Er endet im 19. Jahrhundert.", "See chapter 3.", "The rest is new."],
        ["He joined the U.S. Army at 5 p.m. on Monday.", "It was in the U.S.", "The law changed."],
        ['"It is tall."', "She left (at last.)", "Then he came."],
        ["Acme Inc. was sold.", "It made e.g. screws, nuts etc.", "Others did too."],
        ["Use `foo. Bar` now.", "Then stop."],
        ["See example.com and version 1.2.3 now.", "Done."],
        ["It is tall [1].", "It is old.[2]", "It is new. [3]", "End."],
        ["the tower is tall.", "it was built long ago."],
    ],
)
def test_sentences_end_where_a_reader_sees_them_end(expected: list[str]) -> None:
    assert split(" ".join(expected)) == expected


def test_a_wrapped_line_does_not_end_a_sentence_and_a_blank_one_does() -> None:
    assert split("A wrapped\nline goes\non\n\nA new one") == ["A wrapped\nline goes\non", "A new one"]


def test_each_block_of_markdown_is_its_own_sentence() -> None:
    text = "# Title. More\nIntro:\n- one\n- [ ] two. Three\n1. four\n\n> five\n> six\n\n"
    text += "| a. B | c |\n|---|---|\n| d | e |\n"
    kinds = [(sentence.kind, text[sentence.start : sentence.end]) for sentence in sentences(text)]
    assert kinds == [
        ("heading", "Title. More"),
        ("prose", "Intro:"),
        *[("prose", words) for words in ("one", "two.", "Three", "four", "five\n> six")],
        *[("row", words) for words in ("a. B | c |", "d | e |")],
    ]


def test_code_is_found_line_by_line() -> None:
    text = "Run this:\n```python\nx = 1. \n\ny = 2\n```\nThen stop."
    kinds = [(sentence.kind, text[sentence.start : sentence.end]) for sentence in sentences(text)]
    assert kinds == [("prose", "Run this:"), ("code", "x = 1."), ("code", "y = 2"), ("prose", "Then stop.")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```{note}\nIt is so. Or not.\n```\nThen\n```py\nx\n```\nD.", ["It is so.", "Or not.", "Then", "x", "D."]),
        ("````{tip} Do\nIt is so.\n```py\nx. Y\n```\nStill.\n````\nD.", ["It is so.", "x. Y", "Still.", "D."]),
        ("Before.\n:::tip Title\nIt helps. Use it.\n:::\nAfter.", ["Before.", "It helps.", "Use it.", "After."]),
        ('!!! note "A title."\n    It helps.\n\nAfter.', ["It helps.", "After."]),
        (".. code-block:: py\n\n   x = 1\n\n.. _label:\n\nAfter.", ["x = 1", "After."]),
        ("(my-label)=\nAfter it (see below) = nothing.", ["After it (see below) = nothing."]),
    ],
)
def test_what_marks_a_note_is_no_sentence_and_what_it_says_is(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_scripts_without_spaces_are_split_at_their_own_stops() -> None:
    assert split("塔は330メートル。[1]「高い。」次の文！終わり") == [
        "塔は330メートル。[1]",
        "「高い。」",
        "次の文！",
        "終わり",
    ]
    assert split("यह ऊँचा है। यह पुराना है।") == ["यह ऊँचा है।", "यह पुराना है।"]


def test_a_sentence_is_reported_at_the_first_letter_of_the_next() -> None:
    stream = SentenceStream()
    assert stream.feed("It is tall. ") == []
    assert stream.feed("N") == [Sentence(0, 11)]


def test_a_paragraph_is_reported_at_the_blank_line() -> None:
    stream = SentenceStream()
    assert stream.feed("It is tall\n") == []
    assert stream.feed("\n") == [Sentence(0, 10)]


def test_a_stretch_without_an_end_is_cut() -> None:
    spans = sentence_spans("word " * MAX_SENTENCE_CHARS)
    assert len(spans) == 5
    assert all(end - start <= MAX_SENTENCE_CHARS for start, end in spans)


@settings(deadline=None)
@given(TEXTS)
def test_spans_are_in_order_apart_and_without_outer_space(text: str) -> None:
    before = 0
    for start, end in sentence_spans(text):
        assert before <= start < end <= len(text)
        assert text[start:end].strip() == text[start:end]
        before = end


@settings(deadline=None)
@example("。 [2]", [2])
@given(TEXTS, st.lists(st.integers(min_value=0), max_size=8))
def test_pieces_give_the_same_sentences_as_the_whole(text: str, cuts: list[int]) -> None:
    assert fed_in_pieces(text, cuts) == sentences(text)
    assert fed_in_pieces(text, list(range(len(text)))) == sentences(text)


def test_lines_that_each_begin_with_a_key_are_sentences_of_their_own() -> None:
    text = "Port: 8080\n**Host:** db1\nRestart (seconds): 30\n\nIt is written in the\nform: a key and a value."
    assert split(text) == [
        "Port: 8080",
        "**Host:** db1",
        "Restart (seconds): 30",
        "It is written in the\nform: a key and a value.",
    ]


def test_the_marks_of_blocks_are_no_sentences() -> None:
    text = "/// tab | Python 3.8+ non-Annotated\n\nUse it here.\n\n///\n\n//// note\nRead me.\n////\n"
    assert [text[start:end] for start, end in sentence_spans(text)] == ["Use it here.", "Read me."]
