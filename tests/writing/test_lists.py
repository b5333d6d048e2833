from dataclasses import fields

import pytest

from rag_graph.text.sentences import Sentence
from rag_graph.writing.lists import counted, listed_with, names_alike, whole_list
from rag_graph.writing.reading import Answer, Signs
from tests.writing.test_quoting import passage


def answer(sentence: str, words: str) -> Answer:
    start = sentence.index(words)
    signs = Signs(**{field.name: 0.0 for field in fields(Signs)})
    return Answer(passage(1, "Notes", sentence), start, start + len(words), Sentence(0, len(sentence)), signs, most=0.9)


@pytest.mark.parametrize(
    ("sentence", "words", "named"),
    [
        ("It works in Bash (version 4.4), Zsh, Fish, and PowerShell.", "Bash", ["Bash", "Zsh", "Fish", "PowerShell"]),
        ("It works in Bash (version 4.4), Zsh, Fish, and PowerShell.", "Fish", ["Bash", "Zsh", "Fish", "PowerShell"]),
        ("There are {exc}`ToolError` and {exc}`~x.Abort` only.", "ToolError", ["ToolError", "x.Abort"]),
        ("Use asyncio or trio.", "trio", ["asyncio", "trio"]),
        ("Ada Rowe, Bo Lind and Cy built it in 1889.", "Bo Lind", ["Ada Rowe", "Bo Lind", "Cy"]),
        (
            "The storm took the old weir, three mills and eleven houses.",
            "old weir",
            ["old weir", "three mills", "eleven houses"],
        ),
        ("He saw the old weir, and moved to Graz.", "old weir", ["old weir"]),
        ("The tower is of iron, which rusts.", "iron", ["iron"]),
        ("The parser reads and writes files.", "reads", ["reads"]),
        ("It has bolts and nuts.", "bolts and nuts", ["bolts and nuts"]),
    ],
)
def test_the_items_of_a_list_are_named_together(sentence: str, words: str, named: list[str]) -> None:
    assert [item.text for item in listed_with(answer(sentence, words))] == named


def test_what_is_named_in_code_beside_the_answer_may_be_meant_as_well() -> None:
    sentence = "`max_age` is `600`, and `min_age` is less."
    assert names_alike(answer(sentence, "600"), "What is the default of max_age?")
    assert not names_alike(answer("`max_age` is `600`.", "600"), "What is the default of max_age?")
    assert not names_alike(answer("It is 600, never `none`.", "600"), "What is the default?")


PACKED = "Leave phones.\n\nPack:\n\n- a sleeping bag\n- boots and\n  a rain jacket\n- a torch with batteries\n\nBye."


@pytest.mark.parametrize(
    ("question", "words", "is_whole"),
    [
        ("What should I pack?", "a sleeping bag", True),
        ("What should I pack?", "boots", True),
        ("What should batteries be packed for?", "torch", False),
        ("What should I leave?", "phones", False),
    ],
)
def test_a_list_is_the_answer_to_what_asks_for_none_of_its_items(question: str, words: str, is_whole: bool) -> None:
    whole = ["a sleeping bag", "boots and a rain jacket", "a torch with batteries"]
    assert [item.text for item in whole_list(answer(PACKED, words), question)] == (whole if is_whole else [])


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("How many mills and houses fell?", ["three mills", "eleven brick houses"]),
        ("How many houses and how many mills fell?", ["eleven brick houses", "three mills"]),
        ("How many mills and trees fell?", []),
        ("How many mills fell?", None),
    ],
)
def test_of_two_counts_that_are_asked_for_both_are_named_or_none(question: str, named: list[str] | None) -> None:
    found = counted(answer("In 1928 three mills and eleven brick houses fell.", "eleven"), question)
    assert (None if found is None else [item.text for item in found]) == named
