"""The processes of the streaming benchmark: scripted models, servers under test, and the cores they run on."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil

from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from tests.benchmarks.peers.shared import PASSAGES
from tests.benchmarks.servers import Server
from tests.servers import free_port


class NotStarted(Exception):
    """A process ended, or two minutes did, before it listened at its port."""


@dataclass
class Running:
    """A server under test; `ask` gives so many requests that it has not had before."""

    server: Server
    url: str
    process: psutil.Process
    _bodies: Iterator[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._bodies = self.server.bodies()

    def ask(self, number: int) -> list[bytes]:
        return list(islice(self._bodies, number))

    @property
    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss / 1e6)


def make_library(folder: Path) -> Path:
    """Index the three passages for rag_graph; its data directory."""
    documents = folder / "documents"
    documents.mkdir()
    for number, passage in enumerate(PASSAGES):
        (documents / f"{number}.txt").write_text(passage)
    index_paths(EmbeddedIndex(folder / "data" / "index", LocalEmbedder()), [documents])
    return folder / "data"


@contextmanager
def scripted_model(pace_s: float, tokens: int) -> Iterator[str]:
    """The tests' upstream; its base URL."""
    port = free_port()
    command = ["-m", "tests.upstream", "--port", str(port), "--pace", str(pace_s), "--tokens", str(tokens)]
    with process(command, port):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def paced_model(cores: Sequence[int] = ()) -> Iterator[str]:
    """The light upstream, for hundreds of streams; its base URL."""
    port = free_port()
    with process(["-m", "tests.benchmarks.paced_model", str(port)], port, cores=cores):
        yield f"http://127.0.0.1:{port}/v1"


def answering(library: Path, upstream: str) -> dict[str, str]:
    """The variables by which a rag_graph server answers from this library, in the words of this model."""
    return {
        "RAG_CHAT_BASE_URL": upstream,
        "RAG_CHAT_MODEL": "scripted",
        "RAG_CHAT_API_KEY": "key",
        "RAG_DATA_DIR": str(library),
    }


@contextmanager
def running(server: Server, library: Path, upstream: str, *, cores: Sequence[int] = ()) -> Iterator[Running]:
    """A fresh process of the server."""
    port = free_port()
    env = {"BENCH_UPSTREAM": upstream, **answering(library, upstream), **server.env}
    command = ["-m", "uvicorn", server.app, "--port", str(port), "--loop", "uvloop", "--log-level", "warning"]
    with process(command, port, env=env, cores=cores, python=server.environment.python) as child:
        yield Running(server, f"http://127.0.0.1:{port}{server.path}", child)


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Processes started meanwhile stay on these cores with all their threads; on any when there are none."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def process(
    command: Sequence[str],
    port: int,
    *,
    env: dict[str, str] | None = None,
    cores: Sequence[int] = (),
    python: str = sys.executable,
) -> Iterator[psutil.Process]:
    """A Python process, from when it listens at its port; raises NotStarted."""
    with on_cores(cores):
        child = subprocess.Popen([python, *command], env={**os.environ, **(env or {})}, stdout=sys.stderr)
    try:
        _await_port(port, child)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _await_port(port: int, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise NotStarted(f"{child.args!r} did not start")
