"""The updating cell of a notebook."""

import pytest
from markdown_it import MarkdownIt

from rag_graph.display.notebook import _inert, _progress, _result
from rag_graph.display.view import RunView, Source
from rag_graph.events import AnswerDelta, RunFinished, StepStarted, Timings


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <!-- b --> c",
        "![pixel](https://example.com/?q=secret)",
        "[click](javascript:alert(1))",
        "[click][here]\n\n[here]: https://example.com",
        "<https://example.com>",
    ],
)
def test_nothing_that_was_answered_becomes_a_tag_a_link_or_an_image(hostile: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).render(_inert(hostile))
    assert not any(tag in html for tag in ("<script", "<img", "<a ", "<!--"))


def test_text_reads_as_it_was_written() -> None:
    words = "2 < 3, a[1], [1] and *more*"
    assert _inert(words) == words
    assert _inert("<b>").replace("\u2060", "") == "<b>"


def test_a_cell_tells_the_step_and_the_answer_and_at_the_end_the_times() -> None:
    view = RunView()
    view.add(StepStarted(step="draft", description="Drafting", at_ms=0))
    view.add(AnswerDelta(version=1, delta="It is tall."))
    assert list(_progress(view)) == ["⏳ *Drafting …*", "**First answer**", "It is tall."]
    view.add(
        RunFinished(
            version=1, answer="It is tall.", citations=(), timings=Timings(first_token_ms=120.0, total_ms=2_500.0)
        )
    )
    assert list(_result(view, [])) == ["**Answer**", "It is tall.", "*first word 0.12 s · all 2.50 s*"]


def test_titles_and_answers_neither_steer_nor_reorder_nor_begin_blocks_of_their_own() -> None:
    view = RunView()
    view.add(AnswerDelta(version=1, delta="\u202eevil\u202c \x1b[2J"))
    assert list(_progress(view))[-1] == "evil \ufffd[2J"
    source = Source(1, "A\n# Heading \u202e", "a`b\nc.md", 3, "quote")
    assert list(_result(view, [source]))[-1] == "- [1] A # Heading , `a'b c.md:3`"
