"""What streaming costs a server: CPU per token, time to first token, bytes, memory, against what others build.

    python -m tests.benchmarks.streaming [--trials 3] [--json] [--only recipe,rag_graph]

Each server runs in a process of its own, on three passages, against the same scripted model in another process. Every
figure is taken in the same run, the servers in turn; quote the ratios, since machines differ and are shared.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from rag_graph.index import index_paths
from rag_graph.models.local_embedder import LocalEmbedder
from tests.benchmarks.peers.shared import PASSAGES

PACE_S, PACE_TOKENS, PACE_STREAMS = 0.02, 200, 25
FLAT_TOKENS = 5_000
FIRST_TOKEN_REQUESTS = 30
QUESTION = "How tall is the tower?"
FIRST = b"word0"
"""The scripted model's first token."""
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Server:
    """How a server is started and asked."""

    name: str
    app: str
    path: str
    body: dict[str, Any]
    env: dict[str, str] = field(default_factory=dict)


SERVERS = (
    Server("recipe", "tests.benchmarks.peers.recipe:app", "/ask", {"question": QUESTION}),
    Server("rag_graph", "server:app", "/query", {"question": QUESTION}, {"RAG_RUN_GRACE_S": "0"}),
    Server("langgraph", "tests.benchmarks.peers.langgraph_events:app", "/ask", {"question": QUESTION}),
    Server("langserve", "tests.benchmarks.peers.langserve_lcel:app", "/rag/stream", {"input": {"question": QUESTION}}),
)


@dataclass(frozen=True)
class Measured:
    """One server in one trial. Times in milliseconds, CPU in microseconds per delivered token."""

    pace_us: float
    flat_us: float
    first_token_ms: float
    bytes_per_token: float
    memory_mb: float


def main() -> None:
    options = _options()
    chosen = [server for server in SERVERS if not options.only or server.name in options.only.split(",")]
    trials: list[dict[str, Measured]] = []
    direct: list[float] = []
    for _ in track(range(options.trials), "Measuring", console=Console(stderr=True)):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            library = _library(Path(folder))
            paced = stack.enter_context(_upstream(PACE_S, PACE_TOKENS))
            flat = stack.enter_context(_upstream(0, FLAT_TOKENS))
            direct.append(asyncio.run(_direct_first_token(paced)))
            trials.append({server.name: _measure(server, library, paced, flat) for server in chosen})
    summary = _summary(trials, statistics.median(direct))
    if options.json:
        sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    else:
        _print(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="")
    return parser.parse_args()


def _library(folder: Path) -> Path:
    documents = folder / "documents"
    documents.mkdir()
    for number, passage in enumerate(PASSAGES):
        (documents / f"{number}.txt").write_text(passage)
    index_paths(folder / "data" / "index", [documents], embedder=LocalEmbedder())
    return folder / "data"


@contextmanager
def _upstream(pace_s: float, tokens: int) -> Iterator[str]:
    port = _free_port()
    command = ["-m", "tests.upstream", "--port", str(port), "--pace", str(pace_s), "--tokens", str(tokens)]
    with _process(command, port):
        yield f"http://127.0.0.1:{port}/v1"


def _measure(server: Server, library: Path, paced: str, flat: str) -> Measured:
    with _running(server, library, paced) as (url, process):
        asyncio.run(_read(url, server, streams=2))
        first_token_ms = asyncio.run(_first_token(url, server))
        before = _cpu_s(process)
        size = asyncio.run(_read(url, server, streams=PACE_STREAMS))
        delivered = PACE_STREAMS * PACE_TOKENS
        pace_us = (_cpu_s(process) - before) / delivered * 1e6
        memory_mb = process.memory_info().rss / 1e6
    with _running(server, library, flat) as (url, process):
        asyncio.run(_read(url, server, streams=1))
        before = _cpu_s(process)
        asyncio.run(_read(url, server, streams=1))
        flat_us = (_cpu_s(process) - before) / FLAT_TOKENS * 1e6
    return Measured(pace_us, flat_us, first_token_ms, size / delivered, memory_mb)


@contextmanager
def _running(server: Server, library: Path, upstream: str) -> Iterator[tuple[str, psutil.Process]]:
    port = _free_port()
    env = {
        "BENCH_UPSTREAM": upstream,
        "RAG_CHAT_BASE_URL": upstream,
        "RAG_CHAT_MODEL": "scripted",
        "RAG_CHAT_API_KEY": "key",
        "RAG_DATA_DIR": str(library),
        **server.env,
    }
    command = ["-m", "uvicorn", server.app, "--port", str(port), "--log-level", "warning"]
    with _process(command, port, env=env) as process:
        yield f"http://127.0.0.1:{port}{server.path}", process


@contextmanager
def _process(command: Sequence[str], port: int, *, env: dict[str, str] | None = None) -> Iterator[psutil.Process]:
    child = subprocess.Popen([sys.executable, *command], env={**os.environ, **(env or {})})
    try:
        _await_port(port, child)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(30)


def _await_port(port: int, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{child.args!r} did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _read(url: str, server: Server, *, streams: int) -> int:
    """Read so many streams to their ends at once; the bytes of all bodies."""
    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=None)) as client:

        async def read() -> int:
            size = 0
            async with client.stream("POST", url, json=server.body) as response:
                response.raise_for_status()
                async for chunk in response.aiter_raw():
                    size += len(chunk)
            return size

        return sum(await asyncio.gather(*(read() for _ in range(streams))))


async def _first_token(url: str, server: Server) -> float:
    """Median milliseconds from the request to the first token."""
    async with httpx.AsyncClient(timeout=60) as client:
        times = [await _until_token(client, url, server.body) for _ in range(FIRST_TOKEN_REQUESTS)]
    return statistics.median(times)


async def _direct_first_token(base_url: str) -> float:
    body = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    async with httpx.AsyncClient(timeout=60) as client:
        url = f"{base_url}/chat/completions"
        return statistics.median([await _until_token(client, url, body) for _ in range(FIRST_TOKEN_REQUESTS)])


async def _until_token(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> float:
    began = time.perf_counter()
    async with client.stream("POST", url, content=orjson.dumps(body), headers=JSON) as response:
        response.raise_for_status()
        seen = b""
        async for chunk in response.aiter_raw():
            seen += chunk
            if FIRST in seen:
                return (time.perf_counter() - began) * 1000
    raise RuntimeError(f"{url} sent no token")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _summary(trials: Sequence[dict[str, Measured]], direct_ms: float) -> dict[str, Any]:
    servers = {name: _median(trials, name) for name in trials[0]}
    for name, figures in servers.items():
        if "recipe" in servers:
            figures["pace_ratio"] = _ratio(trials, name, "pace_us")
            figures["flat_ratio"] = _ratio(trials, name, "flat_us")
        figures["added_first_token_ms"] = round(figures["first_token_ms"] - direct_ms, 2)
    ours = servers.get("rag_graph", {})
    return {
        "pace_ratio": ours.get("pace_ratio"),
        "flat_ratio": ours.get("flat_ratio"),
        "direct_first_token_ms": round(direct_ms, 2),
        "trials": len(trials),
        "servers": servers,
    }


def _median(trials: Sequence[dict[str, Measured]], name: str) -> dict[str, float]:
    fields = Measured.__dataclass_fields__
    return {key: round(statistics.median(getattr(trial[name], key) for trial in trials), 2) for key in fields}


def _ratio(trials: Sequence[dict[str, Measured]], name: str, key: str) -> float:
    """The median of the ratios to the recipe, each taken within one trial."""
    ratios = [float(getattr(trial[name], key) / getattr(trial["recipe"], key)) for trial in trials]
    return round(statistics.median(ratios), 3)


def _print(summary: dict[str, Any]) -> None:
    table = Table(title=f"{summary['trials']} trials; the model itself: {summary['direct_first_token_ms']} ms")
    columns = (
        "server", "pace ratio", "flat ratio", "us/token pace", "us/token flat", "first token ms", "added ms",
        "bytes/token", "MB",
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "server" else "right")
    keys = (
        "pace_ratio", "flat_ratio", "pace_us", "flat_us", "first_token_ms", "added_first_token_ms", "bytes_per_token",
        "memory_mb",
    )  # fmt: skip
    for name, figures in summary["servers"].items():
        table.add_row(name, *(str(figures.get(key, "")) for key in keys))
    Console().print(table)


if __name__ == "__main__":
    main()
