"""What streaming costs a server: CPU per token, time to first token, bytes, memory, against what others build.

    python -m tests.benchmarks.streaming [--trials 3] [--json] [--only recipe,rag_graph] [--held [25,50,...]]

Each server runs in a process of its own, on three passages, against the same scripted model in another process; every
request asks another question, the same ones of every server. Every figure is taken in the same run, the servers in
turn; quote the ratios, since machines differ and are shared. `--held` adds how many streams each holds on one core,
which takes some twenty minutes. LlamaIndex and Hayhooks need `pip install 'rag-graph[bench]'`.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.rig import Running, make_library, paced_model, running, scripted_model
from tests.benchmarks.servers import Server, chosen, versions
from tests.benchmarks.stream_reader import FIRST, open_streams, until, warm_up
from tests.benchmarks.streams_held import LEVELS, Climb, measure_held

PACE_S, PACE_TOKENS, PACE_STREAMS = 0.02, 200, 25
FLAT_TOKENS, FLAT_STREAMS = 5_000, 4
"""One after another: the clock of CPU time ticks too coarsely for fewer."""
SETTLE_S = 0.1
FIRST_TOKEN_REQUESTS = 30
OPEN_STREAMS, OPEN_TOKENS = 100, 100
JSON = {"content-type": "application/json"}
TABLE_WIDTH = 120
ROWS = {
    "pace_ratio": "CPU per token at pace, to the recipe's",
    "flat_ratio": "CPU per token flat out, to the recipe's",
    "pace_us": "CPU per token at pace, us",
    "flat_us": "CPU per token flat out, us",
    "first_token_ms": "first token, ms",
    "added_first_token_ms": "first token, ms more than the model",
    "bytes_per_token": "bytes per token",
    "memory_mb": "memory, MB",
    "streams_100_mb": "memory per 100 streams, MB",
    "streams_held": "streams held on one core",
}


@dataclass(frozen=True)
class Measured:
    """One server in one trial. Times in milliseconds, CPU in microseconds per delivered token."""

    pace_us: float
    flat_us: float
    first_token_ms: float
    bytes_per_token: float
    memory_mb: float
    streams_100_mb: float
    """What a hundred streams add, each with its first hundred tokens sent."""


@dataclass(frozen=True)
class Upstreams:
    """Base URLs of the scripted models."""

    paced: str
    flat: str
    light: str


def main() -> None:
    options = _options()
    servers = chosen(options.only) or sys.exit("There is no server to measure.")
    trials: list[dict[str, Measured]] = []
    direct: list[float] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        library = make_library(Path(folder))
        upstreams = Upstreams(
            paced=stack.enter_context(scripted_model(PACE_S, PACE_TOKENS)),
            flat=stack.enter_context(scripted_model(0, FLAT_TOKENS)),
            light=stack.enter_context(paced_model()),
        )
        for _ in track(range(options.trials), "Measuring", console=Console(stderr=True)):
            direct.append(asyncio.run(_direct_first_token(upstreams.paced)))
            trials.append({server.name: _measure(server, library, upstreams) for server in servers})
        climbs = measure_held(servers, library, options.held) if options.held else []
    summary = _summary(trials, statistics.median(direct), climbs)
    if options.json:
        sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    else:
        _print(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--held", nargs="?", const=LEVELS, default=(), type=_levels, metavar="LEVELS")
    return parser.parse_args()


def _levels(given: str) -> list[int]:
    return [int(level) for level in given.split(",")]


def _measure(server: Server, library: Path, upstreams: Upstreams) -> Measured:
    with running(server, library, upstreams.paced) as target:
        asyncio.run(_read(target, streams=2))
        first_token_ms = asyncio.run(_first_token(target))
        before = target.cpu_s
        size = asyncio.run(_read(target, streams=PACE_STREAMS))
        delivered = PACE_STREAMS * PACE_TOKENS
        pace_us = (target.cpu_s - before) / delivered * 1e6
        memory_mb = target.memory_mb
    with running(server, library, upstreams.flat) as target:
        asyncio.run(_read(target, streams=1))
        before = target.cpu_s
        for _ in range(FLAT_STREAMS):
            asyncio.run(_read(target, streams=1))
        flat_us = (target.cpu_s - before) / (FLAT_STREAMS * FLAT_TOKENS) * 1e6
    with running(server, library, upstreams.light) as target:
        streams_100_mb = asyncio.run(_open_memory(target))
    return Measured(pace_us, flat_us, first_token_ms, size / delivered, memory_mb, streams_100_mb)


async def _read(target: Running, *, streams: int) -> int:
    """Read so many streams to their ends at once; the bytes of all bodies."""
    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=None)) as client:

        async def read(body: bytes) -> int:
            size = 0
            async with client.stream("POST", target.url, content=body, headers=JSON) as response:
                response.raise_for_status()
                async for chunk in response.aiter_raw():
                    size += len(chunk)
            return size

        return sum(await asyncio.gather(*(read(body) for body in target.ask(streams))))


async def _first_token(target: Running) -> float:
    """Median milliseconds from the request to the first token."""
    return await _median_first_token(target.url, target.ask(FIRST_TOKEN_REQUESTS))


async def _direct_first_token(base_url: str) -> float:
    asked = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": "How tall is the tower?"}]}
    return await _median_first_token(f"{base_url}/chat/completions", [orjson.dumps(asked)] * FIRST_TOKEN_REQUESTS)


async def _median_first_token(url: str, bodies: Sequence[bytes]) -> float:
    """One request at a time; between them, time for the server to let go of the run that was left."""
    times = []
    async with httpx.AsyncClient(timeout=60) as client:
        for body in bodies:
            times.append(await _until_token(client, url, body))
            await asyncio.sleep(SETTLE_S)
    return statistics.median(times)


async def _until_token(client: httpx.AsyncClient, url: str, body: bytes) -> float:
    began = time.perf_counter()
    async with client.stream("POST", url, content=body, headers=JSON) as response:
        response.raise_for_status()
        seen = b""
        async for chunk in response.aiter_raw():
            seen += chunk
            if FIRST in seen:
                return (time.perf_counter() - began) * 1000
    raise RuntimeError(f"{url} sent no token")


async def _open_memory(target: Running) -> float:
    """Megabytes that a hundred open streams add to a server that is warm."""
    await warm_up(target.url, target.ask(5))
    before = target.memory_mb
    streams = await open_streams(target.url, target.ask(OPEN_STREAMS))
    await until(lambda: all(stream.tokens >= OPEN_TOKENS for stream in streams), 120)
    added = target.memory_mb - before
    for stream in streams:
        stream.close()
    return added


def _summary(trials: Sequence[dict[str, Measured]], direct_ms: float, climbs: Sequence[Climb]) -> dict[str, Any]:
    servers: dict[str, dict[str, Any]] = {name: _median(trials, name) for name in trials[0]}
    for name, figures in servers.items():
        if "recipe" in servers:
            figures["pace_ratio"] = _ratio(trials, name, "pace_us")
            figures["flat_ratio"] = _ratio(trials, name, "flat_us")
        figures["added_first_token_ms"] = round(figures["first_token_ms"] - direct_ms, 2)
    held = {climb.name: climb.held for climb in climbs}
    for name in held.keys() & servers.keys():
        servers[name]["streams_held"] = held[name]
    ours = servers.get("rag_graph", {})
    return {
        "pace_ratio": ours.get("pace_ratio"),
        "flat_ratio": ours.get("flat_ratio"),
        "direct_first_token_ms": round(direct_ms, 2),
        "trials": len(trials),
        "servers": servers,
        "streams_held": held,
        "held_readings": {climb.name: climb.readings for climb in climbs},
        "versions": versions(),
    }


def _median(trials: Sequence[dict[str, Measured]], name: str) -> dict[str, Any]:
    figures = [asdict(trial[name]) for trial in trials]
    return {key: round(statistics.median(figure[key] for figure in figures), 2) for key in figures[0]}


def _ratio(trials: Sequence[dict[str, Measured]], name: str, key: str) -> float:
    """The median of the ratios to the recipe, each taken within one trial."""
    ratios = [float(getattr(trial[name], key) / getattr(trial["recipe"], key)) for trial in trials]
    return round(statistics.median(ratios), 3)


def _print(summary: dict[str, Any]) -> None:
    console = Console(width=max(Console().width, TABLE_WIDTH))
    table = Table(title=f"{summary['trials']} trials; the model itself: {summary['direct_first_token_ms']} ms")
    table.add_column("")
    servers = summary["servers"]
    for name in servers:
        table.add_column(name, justify="right")
    for key, label in ROWS.items():
        if any(key in figures for figures in servers.values()):
            table.add_row(label, *(str(figures.get(key, "")) for figures in servers.values()))
    console.print(table)
    if held := summary["streams_held"]:
        console.print(f"The rig itself holds {held['rig']} streams.")
    console.print(", ".join(f"{package} {number}" for package, number in summary["versions"].items()))


if __name__ == "__main__":
    main()
