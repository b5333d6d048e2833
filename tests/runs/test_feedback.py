"""What every keeper of feedback does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag_graph.errors import LibraryError
from rag_graph.runs.feedback.base import Feedback, FeedbackStore
from rag_graph.runs.feedback.embedded import EmbeddedFeedback
from rag_graph.runs.feedback.postgres import PostgresFeedback
from tests.postgres import running_postgres

Open = Callable[[int], FeedbackStore]
SAID = Feedback("r1", "key-1", 1.0, "up", "", "Who built it?", "Eiffel [1].", ("d1", "d2"))


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["embedded", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "embedded":
        return lambda kept: EmbeddedFeedback(tmp_path / "feedback.sqlite", kept=kept)
    url = request.getfixturevalue("database")
    for said in PostgresFeedback(url).all():
        PostgresFeedback(url).remove(said.run_id, said.caller)
    return lambda kept: PostgresFeedback(url, kept=kept)


def test_each_caller_has_one_word_on_a_run_the_last(open_store: Open) -> None:
    store = open_store(10)
    other = replace(SAID, caller="key-2", at=2.0)
    later = replace(SAID, at=3.0, verdict="down", reason="It is “naïve” 😀.")
    for said in (SAID, other, later):
        store.put(said)
    assert list(store.all()) == [other, later]
    store.remove("r1", "key-2")
    store.remove("r1", "nobody")
    assert list(open_store(10).all()) == [later]


def test_the_newest_are_kept(open_store: Open) -> None:
    store = open_store(2)
    said = [replace(SAID, run_id=f"r{number}", at=float(number)) for number in (3, 1, 2)]
    for one in said:
        store.put(one)
    assert [one.run_id for one in store.all()] == ["r2", "r3"]


def test_what_cannot_be_kept_is_said_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "feedback.sqlite").write_bytes(b"this is no database, but a text of some length" * 50)
    with pytest.raises(LibraryError, match="data folder"):
        EmbeddedFeedback(tmp_path / "feedback.sqlite").put(SAID)
    with pytest.raises(LibraryError, match="RAG_POSTGRES_URL"):
        PostgresFeedback("postgresql://nobody@127.0.0.1:1/none").put(SAID)
