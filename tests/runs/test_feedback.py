"""What every keeper of feedback does."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from rag_graph.database import Database, SqliteDatabase
from rag_graph.database.postgres import PostgresDatabase
from rag_graph.errors import DatabaseUnavailable
from rag_graph.runs.feedback import Feedback, FeedbackStore, SentenceFeedback
from tests.postgres import running_postgres

Open = Callable[[int], FeedbackStore]
SAID = Feedback("r1", "key-1", 1.0, "up", "", "Who built it?", "Eiffel [1].", ("d1", "d2"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    name = f"feedback_{request.node.originalname}"

    def database() -> Database:
        if request.param == "sqlite":
            return SqliteDatabase(tmp_path / "feedback.db")
        return PostgresDatabase(request.getfixturevalue("server"), schema=name)

    with ExitStack() as stack:
        yield lambda kept: stack.enter_context(closing(FeedbackStore(database(), kept=kept)))


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


def test_each_sentence_has_a_word_of_its_own(open_store: Open) -> None:
    store = open_store(2)
    one = SentenceFeedback("r1", "key-1", "c1", 1.0, "down", "No.", "Who built it?", "Eiffel did.")
    later, other = replace(one, at=2.0, verdict="up", reason=""), replace(one, claim="c2", at=3.0)
    for said in (one, later, other):
        store.put_sentence(said)
    assert store.sentences() == [later, other]
    newest = replace(one, run_id="r2", at=4.0)
    store.put_sentence(newest)
    assert store.sentences() == [other, newest]
    store.remove_sentence("r1", "key-1", "c2")
    assert store.sentences() == [newest]
    assert store.all() == []


def test_the_newest_are_kept(open_store: Open) -> None:
    store = open_store(2)
    said = [replace(SAID, run_id=f"r{number}", at=float(number)) for number in (3, 1, 2)]
    for one in said:
        store.put(one)
    assert [one.run_id for one in store.all()] == ["r2", "r3"]


def test_what_cannot_be_kept_is_said_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "feedback.db").write_bytes(b"this is no database, but a text of some length" * 50)
    nobody = PostgresDatabase("postgresql://nobody@127.0.0.1:1/none", schema="feedback")
    with pytest.raises(DatabaseUnavailable, match=r"feedback\.db .* RAG_DATA_DIR"):
        FeedbackStore(SqliteDatabase(tmp_path / "feedback.db")).put(SAID)
    with pytest.raises(DatabaseUnavailable, match="RAG_POSTGRES_URL"):
        FeedbackStore(nobody).put(SAID)
