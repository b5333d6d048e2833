from dataclasses import fields

import pytest

from rag_graph.text.sentences import Sentence
from rag_graph.writing.lists import listed_with, names_alike
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
