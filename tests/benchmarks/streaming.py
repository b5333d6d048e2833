"""What streaming costs a server: CPU per token, time to first token, bytes, memory, against what others build.

    python -m tests.benchmarks.streaming [--trials 3] [--json] [--only recipe,rag_graph] [--held [25,50,...]]
                                         [--with 'openai[aiohttp]==2.*']

Each server runs in a process of its own, on three passages, against the same scripted model in another process; every
request asks another question, the same ones of every server. Every figure is taken in the same run, the servers in
turn; quote the ratios, since machines differ and are shared. What a server does not deliver is counted, and its figure
left out. `--with` measures every server in one more environment, that has these packages over the installed ones, so
that both generations of the OpenAI SDK stand in one report. `--held` adds how many streams each holds on one core,
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
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from tests.benchmarks.environments import HERE, Environment, environment_with
from tests.benchmarks.rig import NotStarted, Running, make_library, paced_model, running, scripted_model
from tests.benchmarks.servers import Server, chosen
from tests.benchmarks.stream_reader import FIRST, open_streams, until, warm_up
from tests.benchmarks.streams_held import LEVELS, Climb, measure_held

PACE_S, PACE_TOKENS, PACE_STREAMS = 0.02, 200, 25
FLAT_TOKENS, FLAT_STREAMS = 5_000, 4
"""One after another: the clock of CPU time ticks too coarsely for fewer."""
SETTLE_S = 0.1
FIRST_TOKEN_REQUESTS = 30
FIRST_TOKEN_PATIENCE_S = 10.0
READ_PATIENCE_S = 60.0
"""For streams that the model ends after four seconds, or at once."""
OPEN_STREAMS, OPEN_TOKENS = 100, 100
OPEN_PATIENCE_S = 30.0
"""For two seconds' tokens. The model ends no answer within it, so that a stream without a token has had no turn yet."""
JSON = {"content-type": "application/json"}
TABLE_WIDTH = 120
READ_STREAMS = PACE_STREAMS + FLAT_STREAMS
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
    "silent": f"without a token in {FIRST_TOKEN_PATIENCE_S:.0f} s, of {FIRST_TOKEN_REQUESTS} asked in turn",
    "unfinished": f"not ended in {READ_PATIENCE_S:.0f} s, of {READ_STREAMS} read to their end",
    "unserved": f"without a token in {OPEN_PATIENCE_S:.0f} s, of {OPEN_STREAMS} open at once",
    "behind": f"below {OPEN_TOKENS} tokens then, of the same",
}


@dataclass
class Measured:
    """One server in one trial. Times in milliseconds, CPU in microseconds per delivered token; None was not seen."""

    pace_us: float | None = None
    flat_us: float | None = None
    first_token_ms: float | None = None
    bytes_per_token: float | None = None
    memory_mb: float | None = None
    streams_100_mb: float | None = None
    """What a hundred streams add, each with its first hundred tokens sent."""
    silent: int | None = None
    unfinished: int | None = None
    unserved: int | None = None
    behind: int | None = None


COUNTED = ("silent", "unfinished", "unserved", "behind")


@dataclass(frozen=True)
class Upstreams:
    """Base URLs of the scripted models."""

    paced: str
    flat: str
    light: str


def main() -> None:
    options = _options()
    trials: list[dict[str, Measured]] = []
    direct: list[float] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        environments = [HERE, *(stack.enter_context(environment_with(needs)) for needs in options.environments)]
        servers = [server for environment in environments for server in chosen(options.only, environment)]
        if not servers:
            sys.exit("There is no server to measure.")
        library = make_library(Path(folder))
        upstreams = Upstreams(
            paced=stack.enter_context(scripted_model(PACE_S, PACE_TOKENS)),
            flat=stack.enter_context(scripted_model(0, FLAT_TOKENS)),
            light=stack.enter_context(paced_model()),
        )
        for _ in track(range(options.trials), "Measuring", console=Console(stderr=True)):
            direct.append(asyncio.run(_direct_first_token(upstreams.paced)))
            trials.append({server.label: _measure(server, library, upstreams) for server in servers})
        climbs = measure_held(servers, library, options.held) if options.held else []
        reports = [_report(environment, servers, trials, direct, climbs) for environment in environments]
    if options.json:
        held = {climb.name: climb.held for climb in climbs}
        readings = {climb.name: climb.readings for climb in climbs}
        summary = {**reports[0], "with": reports[1:], "streams_held": held, "held_readings": readings}
        sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    else:
        for report in reports:
            _print(report)
        if climbs:
            Console().print(f"The rig itself holds {climbs[0].held} streams.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--with", action="append", default=[], metavar="REQUIREMENT", dest="environments")
    parser.add_argument("--held", nargs="?", const=LEVELS, default=(), type=_levels, metavar="LEVELS")
    return parser.parse_args()


def _levels(given: str) -> list[int]:
    return [int(level) for level in given.split(",")]


def _measure(server: Server, library: Path, upstreams: Upstreams) -> Measured:
    measured = Measured()
    try:
        with running(server, library, upstreams.paced) as target:
            _measure_paced(target, measured)
        with running(server, library, upstreams.flat) as target:
            _measure_flat(target, measured)
        with running(server, library, upstreams.light) as target:
            asyncio.run(_measure_open(target, measured))
    except NotStarted as exc:
        sys.stderr.write(f"{server.label}: {exc}\n")
    return measured


def _measure_paced(target: Running, measured: Measured) -> None:
    asyncio.run(_read(target, streams=2))
    measured.first_token_ms, measured.silent = asyncio.run(_first_token(target.url, target.ask(FIRST_TOKEN_REQUESTS)))
    before = target.cpu_s
    sizes = asyncio.run(_read(target, streams=PACE_STREAMS))
    measured.unfinished = PACE_STREAMS - len(sizes)
    if not measured.unfinished:
        delivered = PACE_STREAMS * PACE_TOKENS
        measured.pace_us = (target.cpu_s - before) / delivered * 1e6
        measured.bytes_per_token = sum(sizes) / delivered
    measured.memory_mb = target.memory_mb


def _measure_flat(target: Running, measured: Measured) -> None:
    asyncio.run(_read(target, streams=1))
    before = target.cpu_s
    ended = sum(len(asyncio.run(_read(target, streams=1))) for _ in range(FLAT_STREAMS))
    if ended == FLAT_STREAMS:
        measured.flat_us = (target.cpu_s - before) / (FLAT_STREAMS * FLAT_TOKENS) * 1e6
    measured.unfinished = (measured.unfinished or 0) + FLAT_STREAMS - ended


async def _measure_open(target: Running, measured: Measured) -> None:
    """Megabytes that a hundred open streams add to a server that is warm, and which of them it serves."""
    await warm_up(target.url, target.ask(5))
    before = target.memory_mb
    streams = await open_streams(target.url, target.ask(OPEN_STREAMS))
    with suppress(TimeoutError):
        await until(lambda: all(stream.tokens >= OPEN_TOKENS for stream in streams), OPEN_PATIENCE_S)
    measured.unserved = sum(not stream.tokens for stream in streams)
    measured.behind = sum(stream.tokens < OPEN_TOKENS for stream in streams)
    if not measured.behind:
        measured.streams_100_mb = target.memory_mb - before
    for stream in streams:
        stream.close()


async def _read(target: Running, *, streams: int) -> list[int]:
    """Read so many streams to their ends at once; the bytes of each body that had an end in time."""
    sizes: list[int] = []
    async with httpx.AsyncClient(timeout=READ_PATIENCE_S, limits=httpx.Limits(max_connections=None)) as client:

        async def read(body: bytes) -> None:
            size = 0
            async with client.stream("POST", target.url, content=body, headers=JSON) as response:
                response.raise_for_status()
                async for chunk in response.aiter_raw():
                    size += len(chunk)
            sizes.append(size)

        async def read_in_time(body: bytes) -> None:
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(READ_PATIENCE_S):
                    await read(body)

        await asyncio.gather(*(read_in_time(body) for body in target.ask(streams)))
    return sizes


async def _direct_first_token(base_url: str) -> float:
    asked = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": "How tall is the tower?"}]}
    bodies = [orjson.dumps(asked)] * FIRST_TOKEN_REQUESTS
    median, _ = await _first_token(f"{base_url}/chat/completions", bodies)
    if median is None:
        sys.exit("The scripted model itself sent no token: the rig is broken.")
    return median


async def _first_token(url: str, bodies: Sequence[bytes]) -> tuple[float | None, int]:
    """Median milliseconds from a request to its first token, and how many had none in time.

    One request at a time; between them, time for the server to let go of the run that was left.
    """
    times = []
    async with httpx.AsyncClient(timeout=FIRST_TOKEN_PATIENCE_S) as client:
        for body in bodies:
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(FIRST_TOKEN_PATIENCE_S):
                    times.append(await _until_token(client, url, body))
            await asyncio.sleep(SETTLE_S)
    return (statistics.median(times) if times else None), len(bodies) - len(times)


async def _until_token(client: httpx.AsyncClient, url: str, body: bytes) -> float:
    began = time.perf_counter()
    async with client.stream("POST", url, content=body, headers=JSON) as response:
        response.raise_for_status()
        seen = b""
        async for chunk in response.aiter_raw():
            seen += chunk
            if FIRST in seen:
                return (time.perf_counter() - began) * 1000
    raise httpx.ReadError("It ended without a token.")


def _report(
    environment: Environment,
    servers: Sequence[Server],
    trials: Sequence[dict[str, Measured]],
    direct: Sequence[float],
    climbs: Sequence[Climb],
) -> dict[str, Any]:
    """What was measured in one environment; ratios are to the recipe there."""
    direct_ms = statistics.median(direct)
    held = {climb.name: climb.held for climb in climbs}
    figures: dict[str, dict[str, Any]] = {}
    for server in servers:
        if server.environment != environment:
            continue
        measured = [trial[server.label] for trial in trials]
        found: dict[str, Any] = {each.name: _over_trials(measured, each.name) for each in fields(Measured)}
        recipes = [trial.get(replace(server, name="recipe").label, Measured()) for trial in trials]
        found["pace_ratio"] = _ratio(measured, recipes, "pace_us")
        found["flat_ratio"] = _ratio(measured, recipes, "flat_us")
        if found["first_token_ms"] is not None:
            found["added_first_token_ms"] = round(found["first_token_ms"] - direct_ms, 2)
        found["streams_held"] = held.get(server.label)
        figures[server.name] = {key: found[key] for key in ROWS if found.get(key) is not None}
    ours = figures.get("rag_graph", {})
    return {
        "pace_ratio": ours.get("pace_ratio"),
        "flat_ratio": ours.get("flat_ratio"),
        "direct_first_token_ms": round(direct_ms, 2),
        "trials": len(trials),
        "servers": figures,
        "asked": environment.asked,
        "versions": environment.versions,
    }


def _over_trials(measured: Sequence[Measured], key: str) -> float | None:
    """The median where there is one in any trial; of what was not delivered, the most."""
    values: list[float] = [value for each in measured if (value := getattr(each, key)) is not None]
    if not values:
        return None
    return max(values) if key in COUNTED else round(statistics.median(values), 2)


def _ratio(measured: Sequence[Measured], recipes: Sequence[Measured], key: str) -> float | None:
    """The median of the ratios to the recipe, each taken within one trial."""
    pairs = [(getattr(each, key), getattr(recipe, key)) for each, recipe in zip(measured, recipes, strict=True)]
    ratios = [cost / recipe_cost for cost, recipe_cost in pairs if cost and recipe_cost]
    return round(statistics.median(ratios), 3) if ratios else None


def _print(report: dict[str, Any]) -> None:
    console = Console(width=max(Console().width, TABLE_WIDTH))
    asked = f"with {escape(report['asked'])}; " if report["asked"] else ""
    model = f"the model itself: {report['direct_first_token_ms']} ms"
    table = Table(title=f"{asked}{report['trials']} trials; {model}")
    table.add_column("")
    servers = report["servers"]
    for name in servers:
        table.add_column(name, justify="right")
    for key, label in ROWS.items():
        if any(key in figures for figures in servers.values()):
            table.add_row(label, *(str(figures.get(key, "-")) for figures in servers.values()))
    console.print(table)
    console.print(", ".join(f"{package} {number}" for package, number in report["versions"].items()))


if __name__ == "__main__":
    main()
