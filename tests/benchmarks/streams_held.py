"""How many streams at 50 tokens/s a server holds on one core: p99 gap at most 100 ms, no stream below 97 % of its rate.

The server has core 0 to itself, the model and the reader share the others. Every level gets a fresh server, and a
second try when it fails; the servers take turns at each level. The reader reading the model itself, with no server
between them, shows what the rig can hold: a server that comes to that level may hold more.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import track

from tests.benchmarks.rig import NotStarted, on_cores, paced_model, running
from tests.benchmarks.servers import Server
from tests.benchmarks.stream_reader import WARM_UP_STREAMS, Reading

LEVELS = (25, 50, 75, 100, 150, 200, 300)
MAX_GAP_MS, MIN_RATE = 100, 0.97
TRIES = 2


@dataclass
class Climb:
    """One server's way up the levels; `attempt` reads so many streams of it."""

    name: str
    attempt: Callable[[int], Reading]
    held: int = 0
    is_over: bool = False
    readings: list[dict[str, Any]] = field(default_factory=list)

    def step(self, level: int) -> None:
        for _ in range(0 if self.is_over else TRIES):
            try:
                reading = self.attempt(level)
            except NotStarted as exc:
                reading = Reading(p99_gap_ms=0.0, slowest_rate=0.0, refusal=str(exc))
            self.readings.append({"streams": level, **asdict(reading)})
            if reading.refusal:
                sys.stderr.write(f"{self.name} refused at {level} streams: {reading.refusal}\n")
            if reading.p99_gap_ms <= MAX_GAP_MS and reading.slowest_rate >= MIN_RATE:
                self.held = level
                return
        self.is_over = True


def measure_held(servers: Sequence[Server], library: Path, levels: Sequence[int]) -> list[Climb]:
    """Climb with every server, level by level; the first climb is the rig's own."""
    under_test, others = _cores()
    with on_cores(others), paced_model() as upstream:
        rig = Climb("rig", partial(_read_model, f"{upstream}/chat/completions"))
        climbs = [
            rig,
            *(Climb(server.label, partial(_read, server, library, upstream, under_test)) for server in servers),
        ]
        for level in track(levels, "Climbing", console=Console(stderr=True)):
            for climb in climbs:
                climb.step(level)
    for climb in climbs[1:]:
        if climb.held >= rig.held:
            sys.stderr.write(f"{climb.name} holds all that the rig can show ({rig.held} streams), and perhaps more\n")
    return climbs


def _cores() -> tuple[list[int], list[int]]:
    """The core of the server under test, and those of everything else."""
    if not hasattr(os, "sched_getaffinity"):
        sys.exit("--held pins processes to cores, which this system cannot do: run it on Linux")
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        sys.exit("--held needs two cores: one for the server, one for the model and the reader")
    return [first], others


def _read(server: Server, library: Path, upstream: str, cores: Sequence[int], streams: int) -> Reading:
    with running(server, library, upstream, cores=cores) as target:
        return read_apart(target.url, target.ask(WARM_UP_STREAMS + streams))


def _read_model(url: str, streams: int) -> Reading:
    return read_apart(url, [orjson.dumps({})] * (WARM_UP_STREAMS + streams))


def read_apart(url: str, bodies: Sequence[bytes]) -> Reading:
    """Read in a process of its own, after a few streams to warm the server up."""
    given = orjson.dumps({"url": url, "bodies": [body.decode() for body in bodies]})
    command = [sys.executable, "-m", "tests.benchmarks.stream_reader"]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True)
    return Reading(**orjson.loads(done.stdout))
