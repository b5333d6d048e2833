from hypothesis import given
from hypothesis import strategies as st

from rag_graph.documents import Heading
from rag_graph.index.chunking import PASSAGE_CHARS, WHOLE_CHARS, chunk

TEXTS = st.text(st.sampled_from("ab \n.。é😀#"), max_size=6_000)


@given(TEXTS)
def test_passages_hold_all_of_a_text_but_white_space(text: str) -> None:
    found = list(chunk(text))
    assert all(found[i].end <= found[i + 1].start for i in range(len(found) - 1))
    assert "".join("".join(text[c.start : c.end].split()) for c in found) == "".join(text.split())
    assert all(c.end - c.start <= WHOLE_CHARS for c in found)
    assert all(text[c.start : c.end].strip() == text[c.start : c.end] != "" for c in found)


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
