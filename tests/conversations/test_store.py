"""What every database that keeps conversations is held to."""

import threading
from collections.abc import Callable
from itertools import count

import pytest

from rag_graph.conversations import Bounds, ConversationStore, NewTurn
from rag_graph.database import Database
from rag_graph.errors import ConversationFull, ConversationNotFound, DatabaseUnavailable
from rag_graph.query import Query, Turn
from rag_graph.result import RunResult, run_result
from rag_graph.runs.ids import new_run_id
from rag_graph.transcript import Transcript
from tests.runs.stories import OPENING, STORY

Connect = Callable[[], Database]
ME, OTHER = "me", "somebody else"


@pytest.fixture
def ticking() -> Callable[[], float]:
    seconds = count(1_000_000)
    return lambda: float(next(seconds))


@pytest.fixture
def store(connect: Connect, ticking: Callable[[], float]) -> ConversationStore:
    bounds = Bounds(conversations=3, bytes=60_000, turns=3, conversation_bytes=50_000, result_bytes=20_000)
    return ConversationStore(connect(), bounds=bounds, clock=ticking)


def turn(name: str, question: str = "Who built it?", *, follows: str = "", at: float = 1.0) -> NewTurn:
    history = [Turn(role="user", content="Earlier.")]
    return NewTurn(name, follows, Query(question=question, history=history), new_run_id(at), at)


def answer(run_id: str, **more: object) -> RunResult:
    return run_result(Transcript.of([OPENING, *STORY])).model_copy(update={"run_id": run_id, **more})


def test_a_conversation_begins_with_its_first_question_and_keeps_each_answer(store: ConversationStore) -> None:
    first, second = turn("t1"), turn("t2", "And when?\0", follows="t1", at=2.0)
    assert store.check(ME, "c", follows="", turn="t1") == ""
    store.add(ME, "c", first)
    assert store.check(ME, "c", follows="t1", turn="t2") == first.run_id
    store.add(ME, "c", second)
    assert store.save(answer(second.run_id))
    one, turns = store.get(ME, "c")
    assert (one.title, one.turns, one.share) == ("Who built it?", 2, "")
    assert [(kept.id, kept.follows, kept.run_id) for kept in turns] == [
        ("t1", "", first.run_id),
        ("t2", "t1", second.run_id),
    ]
    assert turns[0].result is None
    assert turns[1].query == Query(question="And when?\0"), "the history is the turns before it"
    assert RunResult.model_validate_json(turns[1].result or "") == answer(second.run_id)


def test_nobody_sees_or_changes_anothers(store: ConversationStore) -> None:
    store.add(ME, "c", turn("t1"))
    store.add(OTHER, "c", turn("t1", "Something else?"))
    assert store.get(OTHER, "c")[0].title == "Something else?"
    store.delete(OTHER, "c")
    assert [one.title for one in store.listed(ME)] == ["Who built it?"]
    assert store.listed(OTHER) == []
    for act in (store.get, store.delete, store.share, store.unshare):
        with pytest.raises(ConversationNotFound):
            act(OTHER, "c")
    with pytest.raises(ConversationNotFound):
        store.rename(OTHER, "c", "Mine")
    with pytest.raises(ConversationNotFound):
        store.check(OTHER, "c", follows="t1", turn=None)


def test_the_list_is_by_last_touch_in_pages_and_is_searched_in_all_that_was_said(store: ConversationStore) -> None:
    for name in ("a", "b", "c"):
        store.add(ME, name, turn(f"t-{name}", f"Tell me of {name.upper()} in Köln"))
    answered = turn("t-a")
    store.add(ME, "a", answered)
    store.save(answer(answered.run_id, answer="It was GROSS, 100% of it."))
    page = store.listed(ME, limit=2)
    assert [one.id for one in page] == ["a", "c"]
    assert [one.id for one in store.listed(ME, after=(page[-1].updated_at, page[-1].id))] == ["b"]
    assert [one.id for one in store.listed(ME, matching="of B")] == ["b"]
    assert [one.id for one in store.listed(ME, matching="groß")] == ["a"]
    assert [one.id for one in store.listed(ME, matching="100%")] == ["a"], "what is searched is no pattern"
    assert store.listed(ME, matching="%") == store.listed(ME, matching="100%")
    assert len(store.listed(ME, matching="KÖLN")) == 3
    assert store.rename(ME, "b", " A\n\u202enew\0 name ").title == "A new� name"
    assert [one.id for one in store.listed(ME, matching="new")] == ["b"]
    assert len(store.rename(ME, "b", "x" * 4_000).title) == 200


def test_what_is_asked_again_is_the_same_turn_with_its_newer_run(store: ConversationStore) -> None:
    lost = turn("t1")
    store.add(ME, "c", lost)
    store.save(answer(lost.run_id))
    store.add(ME, "c", lost)
    assert store.get(ME, "c")[1][0].result is not None, "a replay is no new run"
    again = turn("t1", at=2.0)
    store.add(ME, "c", again)
    assert [(kept.run_id, kept.result) for kept in store.get(ME, "c")[1]] == [(again.run_id, None)]
    assert not store.save(answer(lost.run_id))
    assert store.save(answer(again.run_id))


def test_a_full_conversation_takes_no_more_and_those_longest_untouched_make_room(store: ConversationStore) -> None:
    for number in range(3):
        store.add(ME, "long", turn(f"t{number}"))
    with pytest.raises(ConversationFull):
        store.check(ME, "long", follows="t1", turn="t3")
    store.check(ME, "long", follows="t1", turn="t2")  # asked again, it is there already
    for name in ("b", "c", "d"):
        store.add(ME, name, turn("t"))
    assert [one.id for one in store.listed(ME)] == ["d", "c", "b"]
    store.add(OTHER, "e", turn("t"))
    for name in ("b", "c", "d"):
        large = turn("t", at=3.0)
        store.add(ME, name, large)
        store.save(answer(large.run_id, answer="many words " * 1_700))
    assert [one.id for one in store.listed(ME)] == ["d"], "two of them are more than the bytes that are kept"
    assert store.count(OTHER) == 1


def test_of_a_large_result_the_answer_is_kept(store: ConversationStore) -> None:
    asked = turn("t1")
    store.add(ME, "c", asked)
    store.save(answer(asked.run_id, thinking="hm " * 10_000, answer="The answer."))
    kept = RunResult.model_validate_json(store.get(ME, "c")[1][0].result or "")
    assert (kept.thinking, kept.answer) == ("", "The answer.")
    assert kept.documents == answer("").documents


def test_a_share_is_one_secret_until_it_is_taken_back(store: ConversationStore) -> None:
    store.add(ME, "c", turn("t1"))
    store.add(ME, "d", turn("t1"))
    secret = store.share(ME, "c")
    assert store.share(ME, "c") == secret != store.share(ME, "d")
    assert len(secret) >= 32
    assert store.shared(secret)[0].id == "c"
    store.unshare(ME, "c")
    with pytest.raises(ConversationNotFound):
        store.shared(secret)
    with pytest.raises(ConversationNotFound):
        store.shared("")
    assert store.share(ME, "c") != secret


def test_deleting_tells_which_runs_may_go_on(store: ConversationStore) -> None:
    done, open_ = turn("t1"), turn("t2", follows="t1")
    store.add(ME, "c", done)
    store.add(ME, "c", open_)
    store.save(answer(done.run_id))
    assert store.delete(ME, "c") == [open_.run_id]
    assert not store.save(answer(open_.run_id)), "nothing comes back"


def test_several_processes_begin_and_write_at_once(connect: Connect) -> None:
    stores = [ConversationStore(connect()) for _ in range(4)]
    failures: list[Exception] = []

    def write(number: int) -> None:
        try:
            for index in range(5):
                asked = turn(f"t{number}-{index}")
                stores[number].add(ME, f"c{index}", asked)
                assert stores[number].save(answer(asked.run_id))
        except Exception as exc:  # noqa: BLE001 - told below, whichever it is
            failures.append(exc)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [one.turns for one in stores[0].listed(ME)] == [4] * 5


def test_what_a_newer_version_keeps_is_left_alone(connect: Connect) -> None:
    ConversationStore(connect()).open()
    with connect().transaction(write=True) as execute:
        execute("UPDATE facts SET value = '99'", ())
    with pytest.raises(DatabaseUnavailable, match="newer version"):
        ConversationStore(connect()).listed(ME)
