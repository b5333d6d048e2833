"""Who may begin at once, who waits, and who is refused."""

import asyncio

import pytest

from rag_graph.errors import Draining, TooManyRuns
from rag_graph.runs.admission import Places

pytestmark = pytest.mark.anyio


def waiting(places: Places, caller: str) -> "asyncio.Task[None]":
    return asyncio.create_task(places.take(caller))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_place_that_is_left_goes_to_who_has_waited_longest() -> None:
    places = Places(limit=1, limit_per_caller=5, line=2, patience_s=5)
    await places.take("a")
    first, second = waiting(places, "b"), waiting(places, "c")
    await settle()
    assert places.waiting == 2

    places.leave("a")
    await first
    assert not second.done()
    places.leave("b")
    await second
    assert places.free == 0


async def test_a_newcomer_does_not_overtake_the_line() -> None:
    places = Places(limit=1, limit_per_caller=5, line=2, patience_s=5)
    await places.take("a")
    first = waiting(places, "b")
    await settle()
    places.leave("a")
    late = waiting(places, "c")
    await first
    await settle()
    assert not late.done()
    places.leave("b")
    await late


async def test_the_line_is_bounded_in_length_and_time() -> None:
    places = Places(limit=1, limit_per_caller=5, line=1, patience_s=0.05)
    await places.take("a")
    patient = waiting(places, "b")
    await settle()
    with pytest.raises(TooManyRuns) as full:
        await places.take("c")
    assert full.value.retry_after_s
    with pytest.raises(TooManyRuns):
        await patient
    assert places.waiting == 0


async def test_a_caller_with_all_of_their_own_is_refused_at_once_and_others_are_not() -> None:
    places = Places(limit=10, limit_per_caller=2)
    await places.take("a")
    await places.take("a")
    with pytest.raises(TooManyRuns, match="2 questions"):
        await places.take("a")
    await places.take("b")


async def test_who_waits_counts_as_one_of_their_own() -> None:
    places = Places(limit=1, limit_per_caller=1, line=5, patience_s=5)
    await places.take("a")
    first = waiting(places, "b")
    await settle()
    with pytest.raises(TooManyRuns, match="1 questions"):
        await places.take("b")
    first.cancel()


async def test_a_place_given_to_who_has_just_left_goes_to_the_next() -> None:
    places = Places(limit=1, limit_per_caller=5, line=2, patience_s=5)
    await places.take("a")
    gone, next_one = waiting(places, "b"), waiting(places, "c")
    await settle()
    places.leave("a")
    gone.cancel()
    await next_one
    assert (places.free, places.waiting) == (0, 0)


async def test_all_who_wait_are_told_that_the_server_stops() -> None:
    places = Places(limit=1, limit_per_caller=5, line=2, patience_s=5)
    await places.take("a")
    told = [waiting(places, "b"), waiting(places, "c")]
    await settle()
    places.dismiss(Draining("Ask again."))
    for outcome in await asyncio.gather(*told, return_exceptions=True):
        assert isinstance(outcome, Draining)
