from contextlib import suppress

import anyio
import pytest

from rag_graph.errors import UnknownRun
from rag_graph.runs.ids import new_run_id
from rag_graph.runs.log import Bounds, NewRun
from rag_graph.runs.memory import MemoryRunLog
from tests.runs.conftest import Clock
from tests.runs.stories import OPENING, QUERY, deltas, finished

pytestmark = pytest.mark.anyio


async def created(run_log: MemoryRunLog) -> str:
    new = NewRun(run_id=new_run_id(1.0), caller="c", query=QUERY, created_at=1.0)
    return (await run_log.create(new)).run_id


async def test_an_ended_run_is_forgotten_after_its_time(clock: Clock) -> None:
    run_log = MemoryRunLog(Bounds(ttl_s=60.0), clock=clock)
    run_id = await created(run_log)
    await run_log.append(run_id, finished(), attempt=1)

    clock.now += 60.0
    assert (await run_log.describe(run_id)).status == "finished"
    clock.now += 0.1
    with pytest.raises(UnknownRun):
        await run_log.describe(run_id)


async def test_a_running_run_is_kept_however_old(clock: Clock) -> None:
    run_log = MemoryRunLog(Bounds(ttl_s=60.0), clock=clock)
    run_id = await created(run_log)
    clock.now += 1e6
    assert (await run_log.describe(run_id)).status == "running"


async def test_only_the_newest_ended_runs_are_kept(clock: Clock) -> None:
    run_log = MemoryRunLog(max_ended=2, clock=clock)
    run_ids = [await created(run_log) for _ in range(3)]
    for run_id in run_ids:
        await run_log.append(run_id, finished(), attempt=1)

    with pytest.raises(UnknownRun):
        await run_log.describe(run_ids[0])
    assert (await run_log.describe(run_ids[2])).status == "finished"


async def test_a_reader_slower_than_the_expiry_errs_instead_of_waiting(clock: Clock) -> None:
    run_log = MemoryRunLog(Bounds(ttl_s=60.0), clock=clock)
    run_id = await created(run_log)
    await run_log.append(run_id, OPENING, attempt=1)
    reader = run_log.follow(run_id)
    with anyio.fail_after(60):
        await anext(reader)
        for event in [*deltas(1, "late"), finished()]:
            await run_log.append(run_id, event, attempt=1)
        clock.now += 61.0
        with pytest.raises(UnknownRun):
            await anext(reader)


async def test_the_events_of_all_ended_runs_are_bounded_together(clock: Clock) -> None:
    run_log = MemoryRunLog(clock=clock, max_ended_bytes=10_000)
    run_ids = [await created(run_log) for _ in range(5)]
    for run_id in run_ids:
        await run_log.append(run_id, OPENING, attempt=1)
        for event in deltas(1, *["x" * 1_000] * 4):
            await run_log.append(run_id, event, attempt=1)
        await run_log.append(run_id, finished(), attempt=1)
    kept = []
    for run_id in run_ids:
        with suppress(UnknownRun):
            kept.append((await run_log.describe(run_id)).run_id)
    assert kept == run_ids[-2:]
