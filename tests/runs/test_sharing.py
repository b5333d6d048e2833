"""Several runners over one Redis, as so many server processes have them."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing

import anyio
import pytest
from redis.asyncio import Redis

from rag_graph.events import AnswerReset, AnswerStarted, Emit, Event, RunCancelled, RunFailed, RunFinished, RunStarted
from rag_graph.query import Query
from rag_graph.runs.attempt import MAX_ATTEMPTS, Work
from rag_graph.runs.ids import digest, new_run_id
from rag_graph.runs.log import Bounds, Entry, Gap, NewRun
from rag_graph.runs.redis import RedisRunLog
from rag_graph.runs.runner import Runner
from rag_graph.transcript import Transcript
from tests.runs.conftest import OpenRedisLog
from tests.runs.stories import BODY, QUERY, Emitting, assert_story, deltas, story
from tests.runs.test_runner import assert_closed

pytestmark = pytest.mark.anyio
LEASE_S = 2.0
SHORT_LEASE_S = 0.3

OpenProcess = Callable[..., Awaitable["Process"]]


class Process:
    """What one server process has of the runs."""

    def __init__(self, run_log: RedisRunLog, work: Work, *, grace_s: float) -> None:
        self.log = run_log
        self.runner = Runner(run_log, work, grace_s=grace_s, max_runs=100, max_runs_per_caller=100, leases=run_log)

    async def freeze(self) -> None:
        """Renew nothing any more, as a process does that is paused or cut off, but go on executing."""
        assert self.runner._sharing is not None
        await self.runner._sharing.end()

    async def start(self, key: str | None = None) -> str:
        return (await self.runner.start(QUERY, caller="me", key=key)).run_id

    async def read(self, run_id: str, after: int = 0) -> list[Event]:
        items = [item async for item in self.runner.follow(run_id, after, caller="me")]
        assert not any(isinstance(item, Gap) for item in items)
        return [item.event for item in items if isinstance(item, Entry)]


@pytest.fixture
async def open_process(open_redis_log: OpenRedisLog) -> AsyncIterator[OpenProcess]:
    async with AsyncExitStack() as stack:
        opened: list[Process] = []

        async def open_one(
            work: Work,
            *,
            lease_s: float = LEASE_S,
            grace_s: float = math.inf,
            bounds: Bounds | None = None,
        ) -> Process:
            opened.append(Process(open_redis_log(bounds, lease_s=lease_s), work, grace_s=grace_s))
            await stack.enter_async_context(opened[-1].runner)
            return opened[-1]

        with anyio.fail_after(60):
            yield open_one


async def test_starts_with_one_key_in_two_processes_are_one_run_with_one_execution(
    open_process: OpenProcess,
) -> None:
    emitting = story()
    one, other = await open_process(emitting), await open_process(emitting)

    run_ids = await asyncio.gather(*(process.start(key="k") for process in (one, other) * 25))
    transcripts = await asyncio.gather(*(process.read(run_ids[0]) for process in (one, other) * 25))

    assert len(set(run_ids)) == 1
    assert len(emitting.calls) == 1
    assert all(events == transcripts[0] for events in transcripts)
    assert_story(transcripts[0])


async def test_a_chat_is_found_in_another_process_by_its_caller_alone(open_process: OpenProcess) -> None:
    emitting = Emitting(BODY)
    one, other = await open_process(emitting), await open_process(story())
    run_id = (await one.runner.start(QUERY, caller="me", chat="chat")).run_id
    found = await other.runner.latest("chat", caller="me")
    assert found is not None
    assert (found.run_id, found.status) == (run_id, "running")
    assert await other.runner.latest("chat", caller="them") is None
    assert await other.runner.latest("another chat", caller="me") is None
    emitting.go_on.set()
    await one.read(run_id)


async def test_a_run_is_read_in_another_process_while_it_goes_on(open_process: OpenProcess) -> None:
    emitting = Emitting(BODY)
    one, other = await open_process(emitting), await open_process(story())
    run_id = await one.start()
    async with aclosing(other.runner.follow(run_id, caller="me")) as entries:
        seen = [await anext(entries) for _ in range(len(BODY) + 1)]
        emitting.go_on.set()
        seen += [entry async for entry in entries]
    assert [entry.event for entry in seen if isinstance(entry, Entry)] == await one.read(run_id)


async def test_every_resume_in_another_process_gives_what_followed(open_process: OpenProcess) -> None:
    one, other = await open_process(story()), await open_process(story())
    run_id = await one.start()
    canonical = await one.read(run_id)
    for after in range(len(canonical) + 1):
        assert canonical[:after] + await other.read(run_id, after) == canonical


async def test_a_cancel_in_another_process_stops_the_execution_at_once(open_process: OpenProcess) -> None:
    emitting = Emitting(BODY[:8])
    one, other = await open_process(emitting), await open_process(story())
    run_id = await one.start()
    await emitting.told.wait()

    state = await other.runner.cancel(run_id, caller="me")

    assert state.status == "cancelled"
    assert emitting.cleaned.is_set()
    events = await other.read(run_id)
    assert_closed(events)
    assert events[-1] == RunCancelled(by="client", answer="Somebody ")


async def test_readers_in_another_process_keep_a_run_and_their_leaving_ends_it(
    open_process: OpenProcess,
) -> None:
    emitting = Emitting(())
    one, other = await open_process(emitting, grace_s=1, lease_s=3), await open_process(story(), lease_s=3)
    run_id = await one.start()
    async with aclosing(other.runner.follow(run_id, caller="me")) as entries:
        await anext(entries)
        with anyio.move_on_after(2.5):
            await emitting.cleaned.wait()
        assert not emitting.cleaned.is_set()
    await emitting.cleaned.wait()
    assert (await other.read(run_id))[-1] == RunCancelled(by="absence")


async def test_a_run_whose_process_has_stopped_is_taken_over_undoubled(open_process: OpenProcess) -> None:
    dying = Emitting(BODY[:8])
    heir = Emitting([AnswerStarted(version=1), *deltas(1, "All of it.")], pauses=False)
    one = await open_process(dying, lease_s=1)  # long enough for one that both could claim
    run_id = await one.start()
    await dying.told.wait()
    await one.log.flush(run_id)
    other = await open_process(heir, lease_s=1)
    reading = asyncio.create_task(other.read(run_id))

    await one.freeze()
    events = await reading

    assert_closed(events)
    assert events[1:9] == list(BODY[:8])
    reset = next(event for event in events if isinstance(event, AnswerReset))
    assert (reset.version, reset.attempt) == (1, 2)
    assert Transcript.of(events).answer == "All of it."
    (after,) = heir.afters
    assert after is not None
    assert (after.question, after.open_versions, after.answer) == (QUERY.question, [], "")
    assert "".join(after.thinking["draft"]) == "A tower… which one?"
    assert (await other.runner.state(run_id, caller="me")).attempt == 2


async def test_a_process_that_lost_a_run_cannot_write_to_it(open_process: OpenProcess) -> None:
    lost = Emitting(BODY[:8], rest=deltas(1, "LATE"))
    heir = Emitting(())
    one = await open_process(lost, lease_s=SHORT_LEASE_S)
    run_id = await one.start()
    await lost.told.wait()
    await one.freeze()
    other = await open_process(heir, lease_s=SHORT_LEASE_S)
    await heir.told.wait()

    lost.go_on.set()
    await lost.cleaned.wait()
    heir.go_on.set()

    events = await other.read(run_id)
    assert_closed(events)
    assert "LATE" not in str(events)
    assert await one.read(run_id) == events


async def test_a_finished_draft_is_kept_by_a_takeover_and_reset_only_if_written_anew(
    open_process: OpenProcess,
) -> None:
    drafted = BODY[:12]
    resuming = Emitting([AnswerStarted(version=2), *deltas(2, "Better.")], pauses=False)
    one = await open_process(Emitting(drafted), lease_s=SHORT_LEASE_S)
    run_id = await one.start()
    await one.log.flush(run_id)
    await one.freeze()

    events = await (await open_process(resuming, lease_s=SHORT_LEASE_S)).read(run_id)

    assert not any(isinstance(event, AnswerReset) for event in events)
    transcript = Transcript.of(events)
    assert (transcript.answers[1].content, transcript.answer) == ("Somebody did [1].", "Better.")


async def test_a_run_that_stopped_before_its_first_event_is_opened_by_its_heir(
    open_process: OpenProcess, open_redis_log: OpenRedisLog
) -> None:
    new = NewRun(run_id=new_run_id(1.0), caller=digest("me"), query=QUERY, created_at=1.0)
    await open_redis_log(lease_s=0.01).create(new)

    events = await (await open_process(story(), lease_s=SHORT_LEASE_S)).read(new.run_id)

    assert isinstance(events[0], RunStarted)
    assert events[0].attempt == 2
    assert_closed(events)


async def test_a_cancel_that_nobody_could_hear_is_heeded_by_the_heir(open_process: OpenProcess) -> None:
    frozen, heir = Emitting(BODY[:8]), story()
    one = await open_process(frozen, lease_s=SHORT_LEASE_S)
    run_id = await one.start()
    await frozen.told.wait()
    await one.log.flush(run_id)
    await one.freeze()
    await one.log.request_cancel(run_id, "client")

    events = await (await open_process(heir, lease_s=SHORT_LEASE_S)).read(run_id)

    assert_closed(events)
    assert events[-1] == RunCancelled(by="client", answer="Somebody ")
    assert heir.calls == []


async def test_a_run_that_no_process_survives_is_given_up(open_process: OpenProcess) -> None:
    emitting = Emitting(BODY[:8])
    one = await open_process(emitting, lease_s=SHORT_LEASE_S)
    run_id = await one.start()
    await emitting.told.wait()
    await one.log.flush(run_id)
    await one.freeze()
    for _ in range(MAX_ATTEMPTS):
        await one.log.release(run_id, (await one.log.describe(run_id)).attempt)
        await one.log.claim(1)

    events = await (await open_process(story(), lease_s=SHORT_LEASE_S)).read(run_id)

    assert_closed(events)
    assert isinstance(events[-1], RunFailed)
    assert events[-1].code == "run_abandoned"


async def test_a_run_with_a_trimmed_log_is_given_up_instead_of_taken_over(open_process: OpenProcess) -> None:
    emitting = Emitting([AnswerStarted(version=1), *deltas(1, *"abcdefghijklmnop")])
    bounds = Bounds(max_entries=8)
    one = await open_process(emitting, bounds=bounds, lease_s=SHORT_LEASE_S)
    run_id = await one.start()
    await emitting.told.wait()
    await one.log.flush(run_id)
    await one.freeze()

    other = await open_process(story(), bounds=bounds, lease_s=SHORT_LEASE_S)

    items = [item async for item in other.runner.follow(run_id, caller="me")]
    assert isinstance(items[0], Gap)
    last = items[-1]
    assert isinstance(last, Entry)
    assert isinstance(last.event, RunFailed)
    assert last.event.code == "run_abandoned"


async def test_a_process_that_could_not_answer_takes_nothing_over(
    open_redis_log: OpenRedisLog, open_process: OpenProcess
) -> None:
    dying, heir = Emitting(BODY[:8]), story()
    asked, ready = asyncio.Event(), asyncio.Event()

    async def is_ready() -> bool:
        asked.set()
        return ready.is_set()

    one = await open_process(dying, lease_s=SHORT_LEASE_S)
    run_id = await one.start()
    await dying.told.wait()
    await one.log.flush(run_id)
    await one.freeze()
    await one.log.release(run_id, 1)
    shared = open_redis_log(lease_s=SHORT_LEASE_S)
    async with Runner(
        shared, heir, grace_s=math.inf, max_runs=9, max_runs_per_caller=9, leases=shared, is_ready=is_ready
    ) as runner:
        await asked.wait()
        asked.clear()
        await asked.wait()
        assert (await runner.state(run_id, caller="me")).attempt == 1
        ready.set()
        items = [item async for item in runner.follow(run_id, caller="me")]
    assert isinstance(items[-1], Entry)
    assert isinstance(items[-1].event, RunFinished)


async def test_a_run_that_is_won_back_while_its_old_attempt_lets_go_is_kept_and_ends(
    open_process: OpenProcess, open_redis_log: OpenRedisLog
) -> None:
    began, won_back, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_: Query, emit: Emit, *, attempt: int, **__: object) -> None:
        if attempt > 1:
            await emit(AnswerStarted(version=1))
            won_back.set()
            await release.wait()
            return
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            await release.wait()

    one = await open_process(work, lease_s=SHORT_LEASE_S)
    run_id = await one.start()
    await began.wait()
    await one.log.flush(run_id)
    old = one.runner.executions[run_id]

    thief = open_redis_log(lease_s=SHORT_LEASE_S)
    await thief.release(run_id, 1)
    [claim] = await thief.claim(1)
    await thief.release(run_id, claim.run.attempt)
    await won_back.wait()
    successor = one.runner.executions[run_id]
    release.set()
    await old.ended.wait()
    await successor.ended.wait()

    assert successor is not old
    assert (await one.runner.state(run_id, caller="me")).status == "finished"
    assert one.runner.executions == {}
    assert one.runner.room == 100


async def test_draining_hands_running_runs_over_to_others(open_process: OpenProcess) -> None:
    emitting, heir = Emitting(BODY[:8]), Emitting(())
    heir.go_on.set()
    one, other = await open_process(emitting), await open_process(heir)
    run_id = await one.start()
    await emitting.told.wait()
    reading = asyncio.create_task(one.read(run_id))

    await one.runner.drain(0.01)

    assert emitting.cleaned.is_set()
    events = await reading
    assert_closed(events)
    assert isinstance(events[-1], RunFinished)
    assert len(heir.calls) == 1
    assert await other.read(run_id) == events


async def test_no_process_takes_a_run_that_is_renewed(open_process: OpenProcess) -> None:
    emitting = Emitting(())
    processes = [await open_process(emitting, lease_s=2) for _ in range(3)]
    run_ids = [await process.start() for process in processes]
    with anyio.move_on_after(2.6):
        await asyncio.Event().wait()
    emitting.go_on.set()
    for run_id in run_ids:
        assert isinstance((await processes[0].read(run_id))[-1], RunFinished)
    assert Counter(emitting.calls) == dict.fromkeys(run_ids, 1)


async def test_nothing_is_lost_or_doubled_while_redis_pauses(open_process: OpenProcess, redis_url: str) -> None:
    words = [f"{number} " for number in range(500)]
    emitting = Emitting([AnswerStarted(version=1), *deltas(1, "begin ")], rest=deltas(1, *words))
    one, other = await open_process(emitting), await open_process(story())
    run_id = await one.start()
    reading = asyncio.create_task(other.read(run_id))
    async with Redis.from_url(redis_url, protocol=2) as redis:
        await redis.execute_command("CLIENT", "PAUSE", 600, "ALL")  # type: ignore[no-untyped-call]
    emitting.go_on.set()

    events = await reading

    assert Transcript.of(events).answer == "begin " + "".join(words)
    assert await one.read(run_id) == events
