"""Questions that come all at once, beside streams that are under way: how long either has to wait.

    python -m tests.benchmarks.burst [--questions 25] [--streams 20] [--trials 5] [--library FOLDER] [--only NAMES]

Each server searches three passages; with `--library`, rag_graph alone is measured, over a data folder that
`tests.benchmarks.scale --keep` has filled, with that one's questions. Meanwhile a server is asked again and again for
its health, which a loop that is kept busy would answer late; one that knows no such path says so. The scripted model
sends 50 tokens/s a stream, and its first one at once. Streams that had no token in time are counted, and left out of
the waits.
"""

import argparse
import asyncio
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.environments import HERE
from tests.benchmarks.grown_text import questions
from tests.benchmarks.rig import Running, make_library, paced_model, running
from tests.benchmarks.servers import chosen
from tests.benchmarks.stream_reader import SETTLING_S, Stream, open_streams, until, warm_up

SETTLED_TOKENS = 50
HEALTH_EVERY_S = 0.05
WINDOW_S = 2.0
"""How long after the questions the other streams are watched."""
PATIENCE_S = 20.0
"""For the first tokens; the model ends no answer within it, so that none without one is served in another's place."""
COLUMNS = (
    "first token, ms: median", "95 of 100", "p99 gap of the others, ms", "longest", "CPU a question, ms",
    "without a token", "health, ms: median", "longest",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One server in one trial; milliseconds."""

    first_token: float
    first_token_p95: float
    p99_gap: float
    longest_gap: float
    cpu: float
    """From the questions to the end of the window, the other streams included."""
    unserved: float
    """Of the questions and the other streams, those that had no token in time."""
    health: float
    longest_health: float
    """Until the first byte of an answer."""


def main() -> None:
    options = _options()
    servers = chosen("rag_graph" if options.library else options.only) or sys.exit("There is no server to measure.")
    if options.library:
        servers = [replace(server, questions=questions()) for server in servers]
    measured: dict[str, list[Measured]] = {server.name: [] for server in servers}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        library = options.library or make_library(Path(folder))
        upstream = stack.enter_context(paced_model())
        targets = [stack.enter_context(running(server, library, upstream)) for server in servers]
        for target in targets:
            uvloop.run(warm_up(target.url, target.ask(5)))
        for _ in track(range(options.trials), "Measuring", console=Console(stderr=True)):
            for target in targets:
                measured[target.server.name].append(uvloop.run(_measure(target, options.streams, options.questions)))
    _print(measured, f"{options.questions} questions at once beside {options.streams} streams")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=25)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--library", type=Path)
    parser.add_argument("--only", default="recipe,rag_graph")
    return parser.parse_args()


async def _measure(target: Running, streams: int, questions: int) -> Measured:
    others = await open_streams(target.url, target.ask(streams))
    with suppress(TimeoutError):
        await until(lambda: all(stream.tokens >= SETTLED_TOKENS for stream in others), PATIENCE_S)
    healthy: list[float] = []
    used, began = target.cpu_s, time.perf_counter()
    asking = asyncio.create_task(_health(target.url, healthy))
    burst = await open_streams(target.url, target.ask(questions), every_s=0)
    with suppress(TimeoutError):
        await until(lambda: all(stream.first_at for stream in burst), PATIENCE_S)
    await asyncio.sleep(max(0, began + WINDOW_S - time.perf_counter()))
    used = target.cpu_s - used
    asking.cancel()
    for stream in (*others, *burst):
        stream.close()
    await asyncio.sleep(SETTLING_S)
    waits = [(stream.first_at - began) * 1_000 for stream in burst if stream.first_at] or [math.inf]
    gaps = [gap for stream in others for gap in _gaps(stream, began)] or [math.inf]
    return Measured(
        statistics.median(waits),
        _share(waits, 0.95),
        _share(gaps, 0.99),
        max(gaps),
        used / questions * 1_000,
        sum(not stream.first_at for stream in (*others, *burst)),
        statistics.median(healthy),
        max(healthy),
    )


async def _health(url: str, waits: list[float]) -> None:
    """Ask again and again, each time over a new connection."""
    parts = urlsplit(url)
    while True:
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await reader.read(1)
        waits.append((time.perf_counter() - began) * 1_000)
        writer.close()
        await asyncio.sleep(HEALTH_EVERY_S)


def _gaps(stream: Stream, began: float) -> list[float]:
    """Milliseconds between arrivals in the window."""
    inside = [at for at, _ in stream.arrivals if began <= at <= began + WINDOW_S]
    return [(later - earlier) * 1_000 for earlier, later in pairwise(inside)]


def _share(values: Sequence[float], share: float) -> float:
    """What that share of the values is not above."""
    return sorted(values)[int(share * (len(values) - 1))]


def _print(measured: dict[str, list[Measured]], title: str) -> None:
    table = Table("", *COLUMNS, title=title)
    for name, trials in measured.items():
        figures = zip(*map(astuple, trials), strict=True)
        table.add_row(name, *(f"{statistics.median(figure):.0f}" for figure in figures))
    console = Console(width=max(Console().width, 120))
    console.print(table)
    console.print(", ".join(f"{package} {number}" for package, number in HERE.versions.items()))


if __name__ == "__main__":
    main()
