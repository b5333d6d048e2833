"""Whether a server stays as it is under a load that goes on: memory, open files, tasks, and every answer whole.

    python -m tests.benchmarks.soak [--minutes 30] [--streams 50] [--json]

So many readers follow answers of 200 tokens at 20 ms a token all the time; some leave, resume, read slowly, ask twice
at once, cancel, or ask what cannot be answered. An ended run is kept for a minute instead of an hour (RAG_RUN_KEPT_S),
so that memory can come to rest within the first minutes; memory's slope is that of the last two thirds. Before and
after the load the server is looked at idle, where what it has not let go of shows best. Ends with 1 if an answer was
not whole, or if open files or tasks grew.
"""

import argparse
import asyncio
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from rag_graph.evaluation.load import percentile
from tests.benchmarks.crowd import PACE_S, PLAIN, WORDS, Crowd, Scripted, Window
from tests.benchmarks.readers import Server, serving
from tests.servers import free_port, until

SAMPLE_S = 10.0
GRACE_S = 5
VARIABLES = {"RAG_RUN_KEPT_S": "60", "RAG_RUN_GRACE_S": str(GRACE_S)}
IDLE_LINKS_S = 6.0
"""The server's links to the model are closed when they have not been used for five seconds, at the next question."""
SLACK, MORE = 5, 1.1
"""Counts that wander by so many, or by a tenth, have not grown."""


@dataclass(frozen=True)
class Sample:
    """The server as it looks from outside; the times are those of well-behaved readers since the sample before."""

    minute: float
    rss_mb: float
    files: int
    threads: int
    tasks: int
    runs: int
    readers: int
    first_p99_ms: float
    gap_p99_ms: float

    @classmethod
    def of(cls, server: Server, window: Window, minute: float) -> "Sample":
        told = server.told()
        return cls(
            minute=round(minute, 2),
            rss_mb=server.megabytes,
            files=server.files,
            threads=server.threads,
            tasks=int(told["rag_tasks"]),
            runs=int(told["rag_runs_active"]),
            readers=int(told["rag_readers"]),
            first_p99_ms=_p99_ms(window.first_tokens),
            gap_p99_ms=_p99_ms(window.gaps),
        )


@dataclass(frozen=True)
class Slope:
    """Megabytes an hour by least squares, with their standard error."""

    mb_per_hour: float
    error: float

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Slope | None":
        """Nothing, when there are too few samples for an error."""
        if len(samples) < 3:
            return None
        hours, sizes = [sample.minute / 60 for sample in samples], [sample.rss_mb for sample in samples]
        slope, start = statistics.linear_regression(hours, sizes)
        left = sum((size - start - slope * hour) ** 2 for hour, size in zip(hours, sizes, strict=True))
        spread = statistics.pvariance(hours) * len(hours)
        return cls(round(slope, 2), round(math.sqrt(left / (len(hours) - 2) / spread), 2))


@dataclass(frozen=True)
class Report:
    """What came of it all."""

    samples: list[Sample]
    idle_before: Sample
    idle_after: Sample
    crowd: Crowd

    @property
    def quarters(self) -> tuple[list[Sample], list[Sample]]:
        size = math.ceil(len(self.samples) / 4)
        return self.samples[:size], self.samples[-size:]

    @property
    def grown(self) -> list[str]:
        """What there is more of, under load or idle."""
        first, last = self.quarters
        return [
            f"{name} {when}"
            for name in ("files", "tasks")
            for when, before, after in (
                ("under load", _median(first, name), _median(last, name)),
                ("idle", getattr(self.idle_before, name), getattr(self.idle_after, name)),
            )
            if after > max(before + SLACK, before * MORE)
        ]

    @property
    def slope(self) -> Slope | None:
        return Slope.of(self.samples[len(self.samples) // 3 :])

    @property
    def manners(self) -> dict[str, dict[str, int]]:
        outcomes = self.crowd.outcomes
        names = sorted({name for name, _ in outcomes})
        return {name: {"whole": outcomes[name, True], "broken": outcomes[name, False]} for name in names}

    @property
    def is_good(self) -> bool:
        return not self.crowd.faults and not self.grown

    def as_dict(self) -> dict[str, Any]:
        first, last = self.quarters
        return {
            "medians": {
                name: {"first_quarter": _median(first, name), "last_quarter": _median(last, name)} for name in COLUMNS
            },
            "idle": {"before": asdict(self.idle_before), "after": asdict(self.idle_after)},
            "rss_slope": asdict(self.slope) if self.slope else None,
            "most": {name: max(getattr(sample, name) for sample in self.samples) for name in COLUMNS},
            "readers": self.manners,
            "faults": self.crowd.faults,
            "grown": self.grown,
            "samples": [asdict(sample) for sample in self.samples],
        }


COLUMNS = [field.name for field in fields(Sample) if field.name != "minute"]


async def soak(server: Server, crowd: Crowd, *, streams: int, minutes: float, console: Console) -> Report:
    await asyncio.gather(*(crowd.visit(PLAIN) for _ in range(streams)))
    idle_before = await rested(server, crowd)
    crowd.look()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(streams):
            tasks.create_task(crowd.visit_forever())
            await asyncio.sleep(PACE_S * WORDS / streams)
        samples = await sampled(server, crowd, minutes=minutes, console=console)
        crowd.going_home = True
    return Report(samples, idle_before, await rested(server, crowd), crowd)


async def sampled(server: Server, crowd: Crowd, *, minutes: float, console: Console) -> list[Sample]:
    """Look every so often, and tell at once, since whoever waits for half an hour wants to see."""
    began, samples = time.monotonic(), []
    for number in range(1, max(1, round(minutes * 60 / SAMPLE_S)) + 1):
        await asyncio.sleep(began + number * SAMPLE_S - time.monotonic())
        minute = (time.monotonic() - began) / 60
        samples.append(await asyncio.to_thread(Sample.of, server, crowd.look(), minute))
        seen = "  ".join(f"{name} {value}" for name, value in asdict(samples[-1]).items())
        console.print(f"{seen}  broken {len(crowd.faults)}", highlight=False, soft_wrap=True)
    return samples


async def rested(server: Server, crowd: Crowd) -> Sample:
    """The server when nobody reads, all runs have ended, and old links to the model are closed."""
    await asyncio.to_thread(until, lambda: _is_idle(server), within_s=GRACE_S + 30)
    await asyncio.sleep(IDLE_LINKS_S)
    await crowd.visit(PLAIN)
    await asyncio.to_thread(until, lambda: _is_idle(server), within_s=GRACE_S + 30)
    return await asyncio.to_thread(Sample.of, server, crowd.look(), 0.0)


def _is_idle(server: Server) -> bool:
    told = server.told()
    return told["rag_readers"] == told["rag_runs_active"] == 0


def _median(samples: Sequence[Sample], name: str) -> float:
    return round(float(statistics.median(getattr(sample, name) for sample in samples)), 2)


def _p99_ms(seconds: Sequence[float]) -> float:
    return round(percentile(seconds, 99) * 1000, 1) if seconds else 0.0


@contextmanager
def modelled() -> Iterator[str]:
    """The URL of the scripted model, in a process of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.soak", "--be-the-model", str(port)])
    try:
        until(lambda: _answers(f"{url}/models"), within_s=60)
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def show(report: Report, console: Console) -> None:
    told, most = report.as_dict(), report.as_dict()["most"]
    table = Table("", "idle before", "first quarter", "last quarter", "most", "idle after", box=None)
    for name in COLUMNS:
        quarters = (told["medians"][name]["first_quarter"], told["medians"][name]["last_quarter"], most[name])
        row = (told["idle"]["before"][name], *quarters, told["idle"]["after"][name])
        table.add_row(name, *map(str, row))
    console.print(table)
    if report.slope is not None:
        slope = f"{report.slope.mb_per_hour} ± {report.slope.error} MB an hour"
        console.print(f"Memory over the last two thirds: {slope}.", highlight=False)
    for name, counts in report.manners.items():
        console.print(f"{name:20} {counts['whole']:6} whole, {counts['broken']} broken", highlight=False)
    console.print(*report.crowd.faults[:20], *(f"grown: {name}" for name in report.grown), sep="\n", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--be-the-model", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be_the_model:
        with Scripted(port=given.be_the_model) as model:
            model._thread.join()
        return
    most_runs = str(4 * given.streams + 10)
    variables = {**VARIABLES, "RAG_MAX_RUNS": most_runs, "RAG_MAX_RUNS_PER_CALLER": most_runs}
    with tempfile.TemporaryDirectory() as folder, modelled() as url, serving(url, Path(folder), variables) as server:
        crowd = Crowd(server.port, random.Random(given.seed))  # noqa: S311 - manners need no secrecy
        progress = Console(stderr=True)
        report = asyncio.run(soak(server, crowd, streams=given.streams, minutes=given.minutes, console=progress))
    if given.json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
    else:
        show(report, Console())
    sys.exit(not report.is_good)


if __name__ == "__main__":
    main()
