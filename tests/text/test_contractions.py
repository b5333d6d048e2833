import pytest

from rag_graph.text.contractions import with_apostrophes


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("whats the flow of the pump", "what's the flow of the pump"),
        ("Wheres the pump, and whos it for?", "Where's the pump, and who's it for?"),
        ("why doesnt it run", "why doesn't it run"),
        ("why cant we if youve said that theyre well", "why can't we if you've said that they're well"),
        ("WHATS THIS", "WHAT'S THIS"),
    ],
)
def test_an_apostrophe_that_was_left_out_is_put_back(typed: str, meant: str) -> None:
    assert with_apostrophes(typed) == meant


@pytest.mark.parametrize(
    "question",
    [
        "What's it? It isn't here, and it’s not there.",
        "whose pumps were its own, and id they ill well",
        "Quelle est la pompe dont parle le manuel de la ville ?",
        "",
    ],
)
def test_other_words_stay_as_they_are(question: str) -> None:
    assert with_apostrophes(question) == question
