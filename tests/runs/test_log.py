"""The contract of a run log, held by every keeper of runs."""

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from rag_graph.errors import BadCursor, KeyReused, UnknownRun
from rag_graph.events import AnswerDelta, Event, RunCancelled
from rag_graph.query import Query, Turn
from rag_graph.runs.ids import Cursor, new_run_id
from rag_graph.runs.log import BATCH_ENTRIES, Bounds, Entry, Gap, NewRun, RunEnded, RunLog
from tests.runs.conftest import OpenLog
from tests.runs.stories import OPENING, QUERY, STORY, deltas, finished

pytestmark = pytest.mark.anyio
WHOLE: Sequence[Event] = (OPENING, *STORY)


def new_run(key: str | None = None, query: Query = QUERY, **more: Any) -> NewRun:
    return NewRun(
        run_id=new_run_id(1_000_000.0), caller="somebody", query=query, created_at=1_000_000.0, key=key, **more
    )


async def created(run_log: RunLog, events: Sequence[Event] = ()) -> str:
    run_id = (await run_log.create(new_run())).run_id
    for event in events:
        await run_log.append(run_id, event, attempt=1)
    await run_log.flush(run_id)
    return run_id


async def read(run_log: RunLog, run_id: str, after: int = 0) -> list[Entry | Gap]:
    with anyio.fail_after(60):
        return [item async for item in run_log.follow(run_id, after)]


async def test_entries_are_numbered_from_one_without_holes(run_log: RunLog) -> None:
    run_id = await created(run_log, WHOLE)
    items = await read(run_log, run_id)
    assert [item.seq for item in items if isinstance(item, Entry)] == list(range(1, len(WHOLE) + 1))
    assert [item.event for item in items if isinstance(item, Entry)] == list(WHOLE)


async def test_what_precedes_a_cursor_and_what_follows_it_make_the_whole(run_log: RunLog) -> None:
    run_id = await created(run_log, WHOLE)
    canonical = await read(run_log, run_id)
    for after in range(len(canonical) + 1):
        assert canonical[:after] + await read(run_log, run_id, after) == canonical


async def test_readers_that_come_while_it_grows_read_the_same_as_those_after(run_log: RunLog) -> None:
    run_id = await created(run_log)
    seen: dict[int, list[Entry | Gap]] = {}

    async def follow(after: int) -> None:
        seen[after] = [item async for item in run_log.follow(run_id, after)]

    with anyio.fail_after(60):
        async with anyio.create_task_group() as readers:
            for number, event in enumerate(WHOLE):
                readers.start_soon(follow, number)
                await asyncio.sleep(0)
                await run_log.append(run_id, event, attempt=1)
                await run_log.flush(run_id)

    canonical = await read(run_log, run_id)
    assert seen == {after: canonical[after:] for after in range(len(WHOLE))}


async def test_a_cursor_at_the_end_of_an_ended_run_stops_at_once(run_log: RunLog) -> None:
    run_id = await created(run_log, WHOLE)
    assert await read(run_log, run_id, len(WHOLE)) == []


@pytest.mark.parametrize("events", [WHOLE, WHOLE[:3]], ids=["ended", "running"])
async def test_a_cursor_beyond_the_end_is_an_error(run_log: RunLog, events: Sequence[Event]) -> None:
    run_id = await created(run_log, events)
    with pytest.raises(BadCursor):
        await read(run_log, run_id, len(events) + 1)


async def test_an_unknown_run_is_an_error_for_readers_writers_and_askers(run_log: RunLog) -> None:
    unknown = new_run_id(1.0)
    with pytest.raises(UnknownRun):
        await read(run_log, unknown)
    with pytest.raises(UnknownRun):
        await run_log.describe(unknown)
    with pytest.raises(UnknownRun):
        await run_log.append(unknown, OPENING, attempt=1)


async def test_after_the_first_terminal_event_nothing_is_taken(run_log: RunLog) -> None:
    run_id = await created(run_log, WHOLE)
    with pytest.raises(RunEnded):
        await run_log.append(run_id, RunCancelled(by="client"), attempt=1)
    assert len(await read(run_log, run_id)) == len(WHOLE)


async def test_a_log_over_its_number_of_entries_tells_its_readers_of_the_gap(open_log: OpenLog) -> None:
    run_log = open_log(Bounds(max_entries=8))
    run_id = await created(run_log, [OPENING, *deltas(1, *"abcdefghijklmnop"), finished()])

    gap, *entries = await read(run_log, run_id, 2)

    assert isinstance(gap, Gap)
    assert gap.after == 2
    assert [entry.seq for entry in entries if isinstance(entry, Entry)] == list(range(gap.first_kept, 19))
    assert 1 <= len(entries) <= 8


async def test_a_log_over_its_size_keeps_the_newest(open_log: OpenLog) -> None:
    run_log = open_log(Bounds(max_bytes=5_000))
    run_id = await created(run_log, [OPENING, *deltas(1, *["x" * 1000] * 20), finished()])

    gap, *entries = await read(run_log, run_id)

    assert isinstance(gap, Gap)
    assert gap.after == 0
    assert sum(entry.size for entry in entries if isinstance(entry, Entry)) <= 5_000
    assert isinstance(entries[-1], Entry)
    assert entries[-1].ends


async def test_a_reader_within_what_is_kept_meets_no_gap(open_log: OpenLog) -> None:
    run_log = open_log(Bounds(max_entries=8))
    run_id = await created(run_log, [OPENING, *deltas(1, *"abcdefghijklmnop"), finished()])
    assert [item.seq for item in await read(run_log, run_id, 15) if isinstance(item, Entry)] == [16, 17, 18]


async def test_a_reader_that_stands_still_holds_one_batch_and_misses_nothing_kept(run_log: RunLog) -> None:
    run_id = await created(run_log, [OPENING])
    batches = run_log.follow_batches(run_id)
    with anyio.fail_after(60):
        first = await anext(batches)
        for event in [*deltas(1, *"x" * 1000), finished()]:
            await run_log.append(run_id, event, attempt=1)
        await run_log.flush(run_id)
        later = [batch async for batch in batches]
    assert max(map(len, later)) <= BATCH_ENTRIES
    assert [item.seq for batch in [first, *later] for item in batch if isinstance(item, Entry)] == list(range(1, 1003))


async def test_a_reader_takes_all_that_is_ready_in_one_batch(run_log: RunLog) -> None:
    run_id = await created(run_log, WHOLE)
    with anyio.fail_after(60):
        assert [len(batch) async for batch in run_log.follow_batches(run_id)] == [len(WHOLE)]


async def test_the_json_of_an_entry_is_that_of_its_event(run_log: RunLog) -> None:
    run_id = await created(run_log, WHOLE)
    for item in await read(run_log, run_id):
        assert isinstance(item, Entry)
        assert item.data == item.event.model_dump_json().encode()


async def test_a_run_is_described_as_it_stands(run_log: RunLog) -> None:
    run_id = await created(run_log, WHOLE[:2])
    run = await run_log.describe(run_id)
    assert (run.status, run.last_seq, run.attempt, run.ended_at) == ("running", 2, 1, None)
    assert (run.query, run.caller, run.created_at) == (QUERY, "somebody", 1_000_000.0)

    await run_log.append(run_id, RunCancelled(by="client"), attempt=1)
    await run_log.flush(run_id)
    run = await run_log.describe(run_id)
    assert (run.status, run.last_seq) == ("cancelled", 3)
    assert run.ended_at is not None


async def test_a_key_gives_back_the_run_it_has_started(run_log: RunLog) -> None:
    first = await run_log.create(new_run("key"))
    again = await run_log.create(new_run("key"))
    other = await run_log.create(new_run("other key"))

    assert (first.replayed, again.replayed, other.replayed) == (False, True, False)
    assert again.run_id == first.run_id != other.run_id
    assert await run_log.find("key") == first.run_id
    assert await run_log.find("no key") is None


async def test_a_key_with_another_question_is_refused(run_log: RunLog) -> None:
    await run_log.create(new_run("key"))
    with pytest.raises(KeyReused):
        await run_log.create(new_run("key", Query(question="And the bridge?")))


async def test_a_key_lives_as_long_as_its_run(open_log: OpenLog) -> None:
    run_log = open_log(Bounds(ttl_s=0.0))
    first = await run_log.create(new_run("key"))
    await run_log.append(first.run_id, finished(), attempt=1)
    await run_log.flush(first.run_id)
    with anyio.fail_after(60):
        while await run_log.find("key") is not None:  # noqa: ASYNC110  (a store's expiry raises no event)
            await anyio.sleep(0.001)
    assert not (await run_log.create(new_run("key"))).replayed


async def test_a_chat_gives_its_newest_run(run_log: RunLog) -> None:
    first = await run_log.create(new_run(chat="chat"))
    assert await run_log.latest("chat") == first.run_id
    await run_log.append(first.run_id, finished(), attempt=1)
    await run_log.flush(first.run_id)
    second = await run_log.create(new_run("key", chat="chat"))
    await run_log.create(new_run())
    await run_log.create(new_run(chat="other chat"))
    assert await run_log.latest("chat") == second.run_id
    assert await run_log.latest("no chat") is None


async def test_a_chat_whose_newest_run_is_forgotten_does_not_give_an_older_one(open_log: OpenLog) -> None:
    run_log = open_log(Bounds(ttl_s=0.0))
    run_ids = [(await run_log.create(new_run(chat="chat"))).run_id for _ in range(2)]
    for run_id in reversed(run_ids):
        await run_log.append(run_id, finished(), attempt=1)
        await run_log.flush(run_id)
        assert await run_log.latest("chat") in (run_ids[-1], None)


@pytest.mark.parametrize(
    "malformed",
    ["", "17", ":17", "x:17", "{id}:", "{id}:²", "{id}:-1", "{id}: 1", "{id}:01", "{id}:" + "9" * 5000, "{id}:1\n"],
)
async def test_a_malformed_cursor_is_refused(malformed: str) -> None:
    with pytest.raises(BadCursor):
        Cursor.parse(malformed.format(id=new_run_id(1.0)))


async def test_a_cursor_reads_back_as_it_was_written() -> None:
    cursor = Cursor(new_run_id(1.0), 17)
    assert Cursor.parse(str(cursor)) == cursor


async def test_run_ids_sort_by_time() -> None:
    ids = [new_run_id(at) for at in (1.0, 1.5, 1_000.0, 1_900_000_000.0)]
    assert ids == sorted(ids)


async def test_a_token_is_sized_without_encoding_it() -> None:
    entry = Entry(1, 0.0, AnswerDelta(version=1, delta="word"))
    assert abs(entry.size - len(entry.data)) < 40


async def test_an_entry_made_of_its_json_says_the_same() -> None:
    event = AnswerDelta(version=1, delta="wörd")
    entry = Entry(1, 0.0, event)
    again = Entry(1, 0.0, None, entry.data)
    assert again == entry
    assert (again.kind, again.ends, again.size) == ("answer_delta", False, entry.size)


async def test_of_an_ended_run_neither_history_nor_filters_are_kept(run_log: RunLog) -> None:
    history = [Turn(role="user", content="long " * 6_000)] * 100
    query = Query(question="Who?", history=history, filters={"topic": ["x" * 1_000]})
    run_id = (await run_log.create(new_run("key", query))).run_id
    assert (await run_log.describe(run_id)).query == query

    await run_log.append(run_id, finished(), attempt=1)
    await run_log.flush(run_id)
    assert (await run_log.describe(run_id)).query == Query(question="Who?")
    assert (await run_log.create(new_run("key", query))).run_id == run_id
    with pytest.raises(KeyReused):
        await run_log.create(new_run("key", Query(question="Who?")))


async def test_what_a_run_follows_and_that_it_needs_no_reader_outlive_its_end(run_log: RunLog) -> None:
    run_id = (await run_log.create(new_run(follows="another", unattended=True))).run_id
    for event in WHOLE:
        await run_log.append(run_id, event, attempt=1)
    await run_log.flush(run_id)
    run = await run_log.describe(run_id)
    assert (run.follows, run.unattended) == ("another", True)
    plain = await run_log.describe(await created(run_log, WHOLE))
    assert (plain.follows, plain.unattended) == ("", False)


async def test_a_run_that_is_forgotten_leaves_nothing_but_one_that_goes_on_stays(run_log: RunLog) -> None:
    new = new_run("key", chat="chat")
    await run_log.create(new)
    await run_log.append(new.run_id, OPENING, attempt=1)
    await run_log.flush(new.run_id)
    await run_log.forget(new.run_id)
    assert (await run_log.describe(new.run_id)).status == "running"
    for event in STORY:
        await run_log.append(new.run_id, event, attempt=1)
    await run_log.flush(new.run_id)
    await run_log.forget(new.run_id)
    with pytest.raises(UnknownRun):
        await run_log.describe(new.run_id)
    with pytest.raises(UnknownRun):
        await read(run_log, new.run_id)
    assert await run_log.find("key") is None
    await run_log.forget(new.run_id)
