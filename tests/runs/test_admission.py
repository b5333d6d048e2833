"""Who may begin at once, who waits, and who is refused."""

import asyncio

import pytest

from rag_graph.errors import Draining, TooManyRuns
from rag_graph.runs.admission import SHORTEST_WAIT_S, Admission

pytestmark = pytest.mark.anyio


def waiting(admission: Admission, caller: str) -> "asyncio.Task[None]":
    return asyncio.create_task(admission.take(caller))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_place_that_is_left_goes_to_who_has_waited_longest() -> None:
    admission = Admission(limit=1, limit_per_caller=5, line=2, patience_s=5)
    await admission.take("a")
    first, second = waiting(admission, "b"), waiting(admission, "c")
    await settle()
    assert admission.waiting == 2

    admission.leave("a")
    await first
    assert not second.done()
    admission.leave("b")
    await second
    assert admission.free == 0


async def test_a_newcomer_does_not_overtake_the_line() -> None:
    admission = Admission(limit=1, limit_per_caller=5, line=2, patience_s=5)
    await admission.take("a")
    first = waiting(admission, "b")
    await settle()
    admission.leave("a")
    late = waiting(admission, "c")
    await first
    await settle()
    assert not late.done()
    admission.leave("b")
    await late


async def test_the_line_is_bounded_in_length_and_time() -> None:
    admission = Admission(limit=1, limit_per_caller=5, line=1, patience_s=0.05)
    await admission.take("a")
    patient = waiting(admission, "b")
    await settle()
    with pytest.raises(TooManyRuns) as full:
        await admission.take("c")
    assert full.value.retry_after_s
    with pytest.raises(TooManyRuns):
        await patient
    assert admission.waiting == 0


async def test_a_caller_with_all_of_their_own_is_refused_at_once_and_others_are_not() -> None:
    admission = Admission(limit=10, limit_per_caller=2)
    await admission.take("a")
    await admission.take("a")
    with pytest.raises(TooManyRuns, match="2 questions"):
        await admission.take("a")
    await admission.take("b")


async def test_who_waits_counts_as_one_of_their_own() -> None:
    admission = Admission(limit=1, limit_per_caller=1, line=5, patience_s=5)
    await admission.take("a")
    first = waiting(admission, "b")
    await settle()
    with pytest.raises(TooManyRuns, match="1 questions"):
        await admission.take("b")
    first.cancel()


async def test_a_place_given_to_who_has_just_left_goes_to_the_next() -> None:
    admission = Admission(limit=1, limit_per_caller=5, line=2, patience_s=5)
    await admission.take("a")
    gone, next_one = waiting(admission, "b"), waiting(admission, "c")
    await settle()
    admission.leave("a")
    gone.cancel()
    await next_one
    assert (admission.free, admission.waiting) == (0, 0)


async def test_all_who_wait_are_told_that_the_server_stops() -> None:
    admission = Admission(limit=1, limit_per_caller=5, line=2, patience_s=5)
    await admission.take("a")
    told = [waiting(admission, "b"), waiting(admission, "c")]
    await settle()
    admission.dismiss(Draining("Ask again."))
    for outcome in await asyncio.gather(*told, return_exceptions=True):
        assert isinstance(outcome, Draining)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_refusal_says_when_a_slot_will_be_left_over() -> None:
    clock = Clock()
    admission = Admission(limit=2, limit_per_caller=2, line=1, patience_s=600, clock=clock)
    for _ in range(100):
        await admission.take("a")
        clock.now += 40
        admission.leave("a")
    await admission.take("a")
    clock.now += 10
    await admission.take("a")
    clock.now += 5
    with pytest.raises(TooManyRuns) as own:
        await admission.take("a")
    assert own.value.retry_after_s == pytest.approx(25, abs=0.1)  # the older of the two has 25 of 40 s left

    first = waiting(admission, "b")
    await settle()
    with pytest.raises(TooManyRuns) as behind:
        await admission.take("c")
    assert behind.value.retry_after_s == pytest.approx(35, abs=0.1)  # "b" has the first slot, "c" the second
    clock.now += 100
    with pytest.raises(TooManyRuns) as late:
        await admission.take("c")
    assert late.value.retry_after_s == SHORTEST_WAIT_S
    first.cancel()


async def test_who_waits_is_told_how_many_come_first_and_who_does_not_is_told_nothing() -> None:
    admission = Admission(limit=1, limit_per_caller=9, line=3, patience_s=60)
    await admission.take("a", name="runs")
    line = [asyncio.create_task(admission.take("a", name=name)) for name in ("first", "second", "third")]
    await settle()
    assert [admission.ahead_of(name) for name in ("runs", "first", "second", "third", "other")] == [None, 0, 1, 2, None]
    admission.leave("a")
    await line[0]
    assert [admission.ahead_of(name) for name in ("first", "second", "third")] == [None, 0, 1]
    for task in line[1:]:
        task.cancel()
    await asyncio.gather(*line, return_exceptions=True)
