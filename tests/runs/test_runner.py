import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from rag_graph.errors import (
    BadCursor,
    Draining,
    KeyMalformed,
    KeyReused,
    ModelBusy,
    TooManyRuns,
    UnknownRun,
)
from rag_graph.events import (
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Emit,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    StepFinished,
    ThinkingFinished,
)
from rag_graph.query import Query
from rag_graph.runs.attempt import Work
from rag_graph.runs.log import Entry, Gap, RunLog
from rag_graph.runs.runner import Runner
from rag_graph.transcript import Transcript
from tests.runs.stories import BODY, QUERY, Emitting, assert_story, deltas, story

pytestmark = pytest.mark.anyio

OpenRunner = Callable[..., Runner]


@pytest.fixture
async def open_runner(run_log: RunLog) -> AsyncIterator[OpenRunner]:
    runners: list[Runner] = []

    def open_one(
        work: Work, *, grace_s: float = math.inf, max_runs: int = 100, max_runs_per_caller: int = 100
    ) -> Runner:
        runners.append(
            Runner(run_log, work, grace_s=grace_s, max_runs=max_runs, max_runs_per_caller=max_runs_per_caller)
        )
        return runners[-1]

    with anyio.fail_after(60):
        yield open_one
        for runner in runners:
            await runner.drain(0)


async def read(runner: Runner, run_id: str, after: int = 0, *, caller: str = "me") -> list[Event]:
    items = [item async for item in runner.follow(run_id, after, caller=caller)]
    assert not any(isinstance(item, Gap) for item in items)
    return [item.event for item in items if isinstance(item, Entry)]


async def run(runner: Runner) -> list[Event]:
    return await read(runner, (await runner.start(QUERY, caller="me")).run_id)


@asynccontextmanager
async def reading(runner: Runner, run_id: str) -> AsyncIterator[None]:
    """Be a reader of that run."""
    async with aclosing(runner.follow(run_id, caller="me")) as entries:
        await anext(entries)
        yield


def assert_closed(events: Sequence[Event]) -> None:
    """What started has finished, and the only terminal event is the last."""
    terminals = [event for event in events if isinstance(event, (RunFinished, RunFailed, RunCancelled))]
    assert terminals == [events[-1]]
    assert Transcript.of(events).closings(at_ms=0.0) == []
    assert [type(event) for event in events].count(RunStarted) == 1
    assert isinstance(events[0], RunStarted)


async def test_a_run_says_what_its_execution_said(open_runner: OpenRunner) -> None:
    emitting = story()
    runner = open_runner(emitting)
    started = await runner.start(QUERY, caller="me")

    events = await read(runner, started.run_id)

    assert events[0] == RunStarted(run_id=started.run_id, question=QUERY.question, mode="deep")
    assert_story(events)
    assert emitting.calls == [started.run_id]
    assert (await runner.state(started.run_id, caller="me")).status == "finished"


async def test_every_resume_gives_what_followed_its_cursor(open_runner: OpenRunner) -> None:
    runner = open_runner(story())
    run_id = (await runner.start(QUERY, caller="me")).run_id
    canonical = await read(runner, run_id)
    for after in range(len(canonical) + 1):
        assert canonical[:after] + await read(runner, run_id, after) == canonical


@pytest.mark.parametrize("told", range(len(BODY) + 1))
async def test_a_run_cancelled_anywhere_closes_what_it_opened(open_runner: OpenRunner, told: int) -> None:
    emitting = Emitting(BODY[:told])
    runner = open_runner(emitting)
    run_id = (await runner.start(QUERY, caller="me")).run_id
    await emitting.told.wait()

    state = await runner.cancel(run_id, caller="me")

    assert state.status == "cancelled"
    assert emitting.cleaned.is_set()
    events = await read(runner, run_id)
    assert_closed(events)
    assert events[-1] == RunCancelled(by="client", answer=Transcript.of(BODY[:told]).answer)
    assert events[1 : told + 1] == list(BODY[:told])


async def test_a_run_cancelled_at_once_is_closed_and_let_go(open_runner: OpenRunner) -> None:
    emitting = Emitting(())
    runner = open_runner(emitting)
    run_id = (await runner.start(QUERY, caller="me")).run_id

    await runner.cancel(run_id, caller="me")

    events = await read(runner, run_id)
    assert_closed(events)
    assert isinstance(events[-1], RunCancelled)
    assert len(emitting.calls) == int(emitting.cleaned.is_set())


async def test_cancelling_an_ended_run_changes_nothing(open_runner: OpenRunner) -> None:
    runner = open_runner(story())
    run_id = (await runner.start(QUERY, caller="me")).run_id
    before = await read(runner, run_id)
    assert (await runner.cancel(run_id, caller="me")).status == "finished"
    assert await read(runner, run_id) == before


@pytest.mark.parametrize("steps", range(12))
async def test_a_cancel_that_races_with_the_end_has_one_winner(open_runner: OpenRunner, steps: int) -> None:
    emitting = Emitting(BODY[:8])
    runner = open_runner(emitting)
    run_id = (await runner.start(QUERY, caller="me")).run_id
    await emitting.told.wait()
    emitting.go_on.set()
    for _ in range(steps):
        await asyncio.sleep(0)

    state = await runner.cancel(run_id, caller="me")

    events = await read(runner, run_id)
    assert_closed(events)
    assert state.status == {RunFinished: "finished", RunCancelled: "cancelled"}[type(events[-1])]


async def test_an_error_with_a_code_fails_the_run_and_keeps_what_was_written(open_runner: OpenRunner) -> None:
    async def execute(_: Query, emit: Emit, **__: object) -> None:
        await emit(AnswerStarted(version=1))
        for event in deltas(1, "So ", "far"):
            await emit(event)
        raise ModelBusy("The model is busy: ask again in a minute.")

    events = await run(open_runner(execute))

    assert_closed(events)
    assert events[-1] == RunFailed(
        code="model_busy", message="The model is busy: ask again in a minute.", retryable=True, answer="So far"
    )


async def test_an_unforeseen_error_fails_the_run_without_emitting_its_words(
    open_runner: OpenRunner, caplog: pytest.LogCaptureFixture
) -> None:
    async def execute(_: Query, emit: Emit, **__: object) -> None:
        await emit(AnswerStarted(version=1))
        raise RuntimeError("password=hunter2")

    events = await run(open_runner(execute))

    assert_closed(events)
    assert isinstance(events[-1], RunFailed)
    assert events[-1].code == "internal"
    assert "hunter2" not in events[-1].message
    assert "the run broke" in caplog.text


@pytest.mark.parametrize("told", [BODY[:0], BODY[:8]], ids=["nothing", "half"])
async def test_work_that_returns_has_finished_the_run_with_what_it_said(
    open_runner: OpenRunner, told: Sequence[Event]
) -> None:
    events = await run(open_runner(Emitting(told, pauses=False)))
    assert_closed(events)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].answer == Transcript.of(told).answer


async def test_what_is_open_when_the_run_finishes_is_closed_before_the_end(open_runner: OpenRunner) -> None:
    events = await run(open_runner(Emitting([*BODY[:4], AnswerStarted(version=1)], pauses=False)))
    assert_closed(events)
    assert [type(event) for event in events[-4:]] == [ThinkingFinished, AnswerFinished, StepFinished, RunFinished]


async def test_a_version_that_is_written_anew_is_reset_first(open_runner: OpenRunner) -> None:
    events = await run(
        open_runner(
            Emitting(
                [
                    AnswerStarted(version=1),
                    *deltas(1, "half"),
                    AnswerStarted(version=1),
                    *deltas(1, "whole"),
                ],
                pauses=False,
            )
        )
    )
    assert isinstance(events[3], AnswerReset)
    assert Transcript.of(events).answer == "whole"


async def test_a_leaked_cancellation_is_a_failure_not_a_cancel(open_runner: OpenRunner) -> None:
    async def execute(_: Query, emit: Emit, **__: object) -> None:
        await emit(AnswerStarted(version=1))
        raise asyncio.CancelledError

    events = await run(open_runner(execute))
    assert_closed(events)
    assert isinstance(events[-1], RunFailed)


async def test_fifty_starts_with_one_key_are_one_run_that_all_can_read(open_runner: OpenRunner) -> None:
    emitting = story()
    runner = open_runner(emitting, max_runs=1, max_runs_per_caller=1)

    started = await asyncio.gather(*(runner.start(QUERY, caller="me", key="k") for _ in range(50)))
    transcripts = await asyncio.gather(*(read(runner, run_id) for run_id, _ in started))

    assert len({run_id for run_id, _ in started}) == 1
    assert Counter(replayed for _, replayed in started) == {True: 49, False: 1}
    assert len(emitting.calls) == 1
    assert all(events == transcripts[0] for events in transcripts)


async def test_a_key_belongs_to_its_caller_and_its_question(open_runner: OpenRunner) -> None:
    runner = open_runner(story())
    mine = await runner.start(QUERY, caller="me", key="k")
    theirs = await runner.start(QUERY, caller="you", key="k")
    assert mine.run_id != theirs.run_id
    with pytest.raises(KeyReused):
        await runner.start(Query(question="And the bridge?"), caller="me", key="k")


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_malformed_key_is_refused(open_runner: OpenRunner, key: str) -> None:
    with pytest.raises(KeyMalformed):
        await open_runner(story()).start(QUERY, caller="me", key=key)


@pytest.mark.parametrize("steps", range(8))
async def test_a_starter_that_leaves_at_any_step_leaves_a_whole_run_or_none(
    open_runner: OpenRunner, steps: int
) -> None:
    emitting = story()
    runner = open_runner(emitting, max_runs=1)
    starting = asyncio.create_task(runner.start(QUERY, caller="me", key="k"))
    for _ in range(steps):
        await asyncio.sleep(0)
    starting.cancel()
    again = await runner.start(QUERY, caller="me", key="k")
    assert_story(await read(runner, again.run_id))
    assert emitting.calls == [again.run_id]


async def test_questions_whose_askers_left_while_they_waited_are_not_answered(run_log: RunLog) -> None:
    first, later = Emitting(()), story()
    works = iter([first])

    async def work(query: Query, emit: Emit, **given: Any) -> None:
        await next(works, later)(query, emit, **given)

    runner = Runner(
        run_log, work, grace_s=math.inf, max_runs=1, max_runs_per_caller=10, max_waiting=10, max_wait_s=60.0
    )
    with anyio.fail_after(10):
        await runner.start(QUERY, caller="me")
        waiting = [asyncio.create_task(runner.start(QUERY, caller="me")) for _ in range(4)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert runner.waiting == len(waiting)
        for asking in waiting[:3]:
            asking.cancel()
        await asyncio.wait(waiting[:3])
        first.go_on.set()
        assert_story(await read(runner, (await waiting[3]).run_id))
        await runner.drain(5)
    assert len(later.calls) == 1


async def test_anothers_run_is_unknown(open_runner: OpenRunner) -> None:
    runner = open_runner(story())
    run_id = (await runner.start(QUERY, caller="me")).run_id
    with pytest.raises(UnknownRun):
        await runner.state(run_id, caller="you")
    with pytest.raises(UnknownRun):
        await runner.cancel(run_id, caller="you")
    with pytest.raises(UnknownRun):
        await read(runner, run_id, caller="you")


@pytest.mark.parametrize("malformed", ["", "x", "0" * 25, "../" * 9, "\ud800" * 26, "0" * 100_000])
async def test_a_malformed_id_is_an_unknown_run(open_runner: OpenRunner, malformed: str) -> None:
    with pytest.raises(UnknownRun):
        await open_runner(story()).state(malformed, caller="me")


async def test_check_raises_what_a_reader_would_meet(open_runner: OpenRunner) -> None:
    runner = open_runner(story())
    run_id = (await runner.start(QUERY, caller="me")).run_id
    length = len(await read(runner, run_id))
    assert (await runner.check(run_id, length, caller="me")).last_seq == length
    with pytest.raises(BadCursor):
        await runner.check(run_id, length + 1, caller="me")


async def test_runs_are_limited_in_all_and_per_caller(open_runner: OpenRunner) -> None:
    emitting = Emitting(())
    runner = open_runner(emitting, max_runs=2, max_runs_per_caller=1)
    first = await runner.start(QUERY, caller="me", key="k")
    with pytest.raises(TooManyRuns, match=f"You have 1 .* POST /runs/{first.run_id}/cancel"):
        await runner.start(QUERY, caller="me")
    await runner.start(QUERY, caller="you")
    with pytest.raises(TooManyRuns) as refused:
        await runner.start(QUERY, caller="them")
    assert refused.value.retry_after_s
    assert (await runner.start(QUERY, caller="me", key="k")).run_id == first.run_id

    await runner.cancel(first.run_id, caller="me")
    assert not (await runner.start(QUERY, caller="them")).replayed


async def test_a_run_that_nobody_reads_is_cancelled_after_the_grace_time(open_runner: OpenRunner) -> None:
    emitting = Emitting(BODY[:8])
    runner = open_runner(emitting, grace_s=0.01)
    run_id = (await runner.start(QUERY, caller="me")).run_id
    await emitting.cleaned.wait()
    events = await read(runner, run_id)
    assert events[-1] == RunCancelled(by="absence", answer="Somebody ")


async def test_a_run_whose_reader_leaves_is_cancelled_after_the_grace_time(open_runner: OpenRunner) -> None:
    emitting = Emitting(())
    runner = open_runner(emitting, grace_s=0.01)
    run_id = (await runner.start(QUERY, caller="me")).run_id
    async with reading(runner, run_id):
        await anyio.sleep(0.05)
        assert not emitting.cleaned.is_set()
    await emitting.cleaned.wait()


async def test_a_reader_that_returns_in_time_keeps_the_run(open_runner: OpenRunner) -> None:
    emitting = Emitting(())
    runner = open_runner(emitting, grace_s=0.5)
    run_id = (await runner.start(QUERY, caller="me")).run_id
    async with reading(runner, run_id):
        pass
    async with reading(runner, run_id), reading(runner, run_id):
        await anyio.sleep(0.6)
        emitting.go_on.set()
        assert isinstance((await read(runner, run_id))[-1], RunFinished)


async def test_draining_takes_no_new_runs_but_lets_those_that_run_end(open_runner: OpenRunner) -> None:
    emitting = Emitting(())
    runner = open_runner(emitting)
    run_id = (await runner.start(QUERY, caller="me", key="k")).run_id
    draining = asyncio.create_task(runner.drain(5))
    await emitting.told.wait()
    await asyncio.sleep(0)

    with pytest.raises(Draining):
        await runner.start(QUERY, caller="me")
    assert (await runner.start(QUERY, caller="me", key="k")).replayed

    emitting.go_on.set()
    await draining
    assert (await runner.state(run_id, caller="me")).status == "finished"
    assert runner.running == 0


async def test_draining_stops_what_does_not_end_in_time(open_runner: OpenRunner) -> None:
    emitting = Emitting(BODY[:8])
    runner = open_runner(emitting)
    run_id = (await runner.start(QUERY, caller="me")).run_id
    await emitting.told.wait()
    await runner.drain(0.01)
    assert (await read(runner, run_id))[-1] == RunCancelled(by="shutdown", answer="Somebody ")
    assert emitting.cleaned.is_set()


@dataclass
class Held:
    """Holds a resource that takes its time to be let go."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    released: bool = False

    async def __call__(self, _: Query, emit: Emit, **__: object) -> None:
        try:
            await emit(AnswerStarted(version=1))
            self.opened.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            self.released = True


async def test_cancelling_returns_when_all_has_been_let_go(open_runner: OpenRunner) -> None:
    held = Held()
    runner = open_runner(held)
    run_id = (await runner.start(QUERY, caller="me")).run_id
    await held.opened.wait()
    await runner.cancel(run_id, caller="me")
    assert held.released


async def test_a_reader_cancelled_by_an_anyio_scope_ends_alone(open_runner: OpenRunner) -> None:
    emitting = Emitting(())
    runner = open_runner(emitting)
    run_id = (await runner.start(QUERY, caller="me")).run_id
    async with reading(runner, run_id):
        with anyio.move_on_after(0.01):
            await read(runner, run_id)
        assert not emitting.cleaned.is_set()
        emitting.go_on.set()
        assert isinstance((await read(runner, run_id))[-1], RunFinished)
