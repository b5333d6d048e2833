import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_graph.documents import Heading
from rag_graph.index.chunking import PASSAGE_CHARS, WHOLE_CHARS, chunk
from rag_graph.text.sentences import sentences

TEXTS = st.text(st.sampled_from("ab \n.。é😀#"), max_size=6_000)


@given(TEXTS)
def test_passages_hold_all_of_a_text_but_white_space(text: str) -> None:
    found = list(chunk(text))
    assert all(found[i].end <= found[i + 1].start for i in range(len(found) - 1))
    assert "".join("".join(text[c.start : c.end].split()) for c in found) == "".join(text.split())
    assert all(c.end - c.start <= WHOLE_CHARS for c in found)
    assert all(text[c.start : c.end].strip() == text[c.start : c.end] != "" for c in found)


PARAGRAPHS = st.integers(1, 60).map(lambda count: " ".join(["Apples grow here."] * count))
TABLES = st.just("| Apples | Pears |\n|---|---|\n| Apples | 1 |")
CODE = st.builds(
    lambda fence, count: f"{fence}text\n" + "\n".join(["keep(pears) | count", "---", ""] * count) + f"\n{fence}",
    st.sampled_from(["```", "~~~", "````"]),
    st.integers(1, 80),
)


@given(st.lists(PARAGRAPHS | TABLES | CODE, max_size=12))
def test_code_is_code_and_prose_is_prose_wherever_a_passage_begins(blocks: list[str]) -> None:
    text = "\n\n".join(blocks)
    found = list(chunk(text))
    assert "".join("".join(text[c.start : c.end].split()) for c in found) == "".join(text.split())
    for passage in (text[c.start : c.end] for c in found):
        if "Apples" in passage:
            said = [(item.kind, passage[item.start : item.end]) for item in sentences(passage)]
            assert all((kind == "code") == ("Apples" not in words) for kind, words in said if re.search(r"\w", words))


def test_what_introduces_code_stays_with_it() -> None:
    code = "```py\n" + "eat(apple)\n" * 100 + "```"
    text = "All about apples. " * 60 + "\n\nSo it is done:\n\n" + code
    assert text[[*chunk(text)][-1].start :] == f"So it is done:\n\n{code}"


def test_waves_under_a_heading_open_no_code() -> None:
    text = "\n\n".join(["Apples\n~~~~~~\n\n" + "Apples grow here. " * 80] * 3)
    begins = [text[c.start :].split()[0] for c in chunk(text)]
    assert "~~~~~~" not in begins
    assert begins.count("Apples") > 3


def test_a_text_that_fits_stays_whole() -> None:
    assert [(c.start, c.end) for c in chunk("x " * 900 + "x")] == [(0, 1801)]


def test_one_endless_line_is_cut_to_size() -> None:
    found = list(chunk("x" * 200_000))
    assert max(c.end - c.start for c in found) == PASSAGE_CHARS
    assert sum(c.end - c.start for c in found) == 200_000


def test_passages_know_the_headings_above_them() -> None:
    text = "intro\n# A\none\n## B\ntwo\n# C\n## D\nthree"
    outline = [
        Heading(text.index(mark), level, mark[-1]) for mark, level in (("# A", 1), ("## B", 2), ("# C", 1), ("## D", 2))
    ]
    assert [(text[c.start : c.end], c.heading) for c in chunk(text, outline)] == [
        ("intro", ()),
        ("# A\none", ("A",)),
        ("## B\ntwo", ("A", "B")),
        ("# C\n## D\nthree", ("C", "D")),
    ]


def test_a_line_that_only_names_a_place_is_no_passage() -> None:
    text = (
        "(shells)=\n# Shells\n\n<!-- to do -->\n## Support\n\nBash and Fish are.\n\n.. _end:\n\n## End\n\nThat is all."
    )
    titles = ((1, "Shells"), (2, "Support"), (2, "End"))
    outline = [Heading(text.index(f"{'#' * level} {title}"), level, title) for level, title in titles]
    found = [(text[c.start : c.end], c.heading) for c in chunk(text, outline)]
    assert [heading for _, heading in found] == [("Shells", "Support"), ("Shells", "End")]
    assert all(said.endswith((".", ":")) for said, _ in found)
    assert found[0][0].startswith("(shells)=")


@pytest.mark.parametrize(
    "line", ["|", "|a", "| ", "a|\n-" + " " * 1_000, "|\n", "| a |\n", " " * 1_000 + "|x\n", "a | b\n- c | d\n", "|-"]
)
def test_signs_of_a_table_without_end_cost_no_more_than_as_many_letters(line: str) -> None:
    """Each of them took minutes where a line was read anew from each of its signs."""
    text = line * (200_000 // len(line))
    pieces = list(chunk(text))
    assert "".join("".join(text[it.start : it.end].split()) for it in pieces) == "".join(text.split())


def test_a_list_below_a_line_with_a_bar_is_no_table() -> None:
    text = "Choose a | b.\n- c | d\n" + "Then go on with the work of the day. " * 60
    assert {piece.heading for piece in chunk(text)} == {()}


def test_a_table_that_is_quoted_keeps_its_header_in_each_passage() -> None:
    rows = "".join(f"> M{number} | {number} kg\n" for number in range(400))
    first, *others = chunk(f"> Name | Weight\n> --- | ---\n{rows}")
    assert first.heading == ()
    assert {piece.heading for piece in others} == {("Name | Weight",)}
