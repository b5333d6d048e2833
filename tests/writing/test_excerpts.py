import pytest

from rag_graph.retrieval.quotes import Quote
from rag_graph.writing.excerpts import LONGEST_CODE_CHARS, excerpt
from tests.writing.test_quoting import passage

MARKDOWN = "You can upload files:\n\n```python\nwith open(x) as f:\n    post(f)\n```\n\nDone."
LITERAL = "Start it\n--------\n\nTo start, use ``run``.\n\n.. code-block:: text\n\n    $ run\n     * on\n\nDone."
LIST = "There are two hooks:\n\n* `request` - Called\n  before.\n* `response` - Called after.\n\nBoth are [lists](x)."


def quoted(content: str, words: str) -> Quote:
    start = content.index(words)
    return Quote(passage(1, "Guide", content), start, start + len(words))


@pytest.mark.parametrize(
    ("content", "words", "said", "code", "language"),
    [
        (MARKDOWN, "You can upload files:", "You can upload files:", "with open(x) as f:\n    post(f)", "python"),
        (MARKDOWN, "    post(f)", "You can upload files:", "with open(x) as f:\n    post(f)", "python"),
        (LITERAL, "To start, use ``run``.", "To start, use ``run``.", "$ run\n * on", "text"),
        (MARKDOWN, "Done.", "Done.", "", ""),
    ],
)
def test_code_is_shown_whole_with_the_sentence_before_it(
    content: str, words: str, said: str, code: str, language: str
) -> None:
    shown = excerpt(quoted(content, words), with_example=True)
    assert (shown.said, shown.code, shown.language) == (said, code, language)
    assert content[shown.quote.start : shown.quote.end].endswith(code.rpartition("\n")[2].strip() or words)


def test_a_sentence_that_leads_in_to_a_list_is_shown_with_it() -> None:
    shown = excerpt(quoted(LIST, "There are two hooks:"))
    assert shown.items == ("`request` - Called before.", "`response` - Called after.")
    assert shown.quote.quote == LIST.partition("\n\nBoth")[0]
    assert excerpt(quoted(LIST, "Both are [lists](x).")).said == "Both are lists."


def test_long_code_is_cut_at_a_line() -> None:
    content = "So:\n\n```\n" + "\n".join(f"line {n}" for n in range(400)) + "\n```"
    shown = excerpt(quoted(content, "So:"))
    assert len(shown.code) <= LONGEST_CODE_CHARS
    assert shown.code.splitlines()[-1] in content.splitlines()
