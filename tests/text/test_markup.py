import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_graph.text.markup import blanked, code_blocks, document_sentences, unmarked

PIECES = [
    *("[a](b)", "![c](d.png)", "`e`", "``f``", "```\n", "~~~\n", "**g**", ":ref:`h <i>`", "{class}`~J.k`", "<br/>"),
    *(
        "<name>",
        "\n",
        "\n\n",
        "::\n\n    l\n",
        ".. note::\n",
        ".. code-block:: sh\n\n   $ m\n",
        "m",
        ". ",
        "[",
        "`",
        "<",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_what_is_left_of_a_text_stands_where_it_stood(text: str) -> None:
    left = blanked(text)
    assert len(left) == len(text)
    assert all(one in (other, " ") for one, other in zip(left, text, strict=True))
    assert "".join(left.split()) == "".join(unmarked(text).split())
    for block in code_blocks(text):
        assert 0 <= block.outer <= block.start <= block.end <= block.after <= len(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("See [the guide](../a.md#x) and **[b](c)**.", "See the guide and b."),
        ('![x](y.png) <div align="center"><img src="a"/> hi</div> <!-- no -->', "hi"),
        ("restore <snapshot> as `List<b>` with f(**kw), 2**3", "restore <snapshot> as `List<b>` with f(**kw), 2**3"),
        ("{class}`~click.Group` and :func:`run <x.run>` on `PyPI <https://p>`_", "click.Group and run on PyPI"),
        (".. note::\n    Be careful.", "Be careful."),
        ("```{tip}\nBe **quick**.\n```", "Be quick."),
        ("Use:\n\n```python\nf(**kw)\n```\n\n[x]: https://y", "Use: f(**kw)"),
        ("It is so [^a].\n\n[^a]: On PyPy only.", "It is so [^a]. [^a]: On PyPy only."),
    ],
)
def test_marks_are_not_read_and_words_and_code_are(text: str, said: str) -> None:
    assert " ".join(unmarked(text).split()) == said


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Title\n-----\n\nUse::\n\n    $ a. B\n    c\n\nThen.", [("heading", "Title"), ("prose", "Use::"),
         ("code", "$ a. B"), ("code", "c"), ("prose", "Then.")]),
        ("Mode\n~~~~\n\nOne. Two.", [("heading", "Mode"), ("prose", "One."), ("prose", "Two.")]),
        ("Text.\n\n~~~\nx. y\n~~~\nEnd.", [("prose", "Text."), ("code", "x. y"), ("prose", "End.")]),
        (".. note::\n    Care.\n\n    .. code-block:: sh\n\n        $ x\n\nEnd.",
         [("prose", "Care."), ("code", "$ x"), ("prose", "End.")]),
    ],
)  # fmt: skip
def test_headings_and_code_of_a_document_are_told_from_its_prose(text: str, kinds: list[tuple[str, str]]) -> None:
    assert [(item.kind, text[item.start : item.end]) for item in document_sentences(text)] == kinds
