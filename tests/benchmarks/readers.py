"""What readers cost a server that do not read as they should: idle ones, slow ones, and one huge answer.

    python -m tests.benchmarks.readers [--idle 1000] [--slow 50] [--json]

The server is a process of its own; its resident memory is read from outside before, at the height of, and after each.
"""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from tests.benchmarks.peers.shared import PASSAGES
from tests.servers import free_port, until
from tests.upstream import Upstream

QUESTION = b'{"question": "How tall is the tower?"}'
HUGE_CHARS = 9_000_000
MB = 1_000_000
VARIABLES = {
    "RAG_WRITE_TIMEOUT_S": "3",
    "RAG_MAX_RUN_TOKENS": "100000000",
    "RAG_HEARTBEAT_S": "5",
    "RAG_RUN_GRACE_S": "600",
}


class Server:
    """The server's process as it looks from outside."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        self._process = psutil.Process(pid)

    @property
    def megabytes(self) -> float:
        return round(self._process.memory_info().rss / MB, 1)

    @property
    def files(self) -> int:
        return self._process.num_fds()

    @property
    def threads(self) -> int:
        return self._process.num_threads()

    def is_ready(self) -> bool:
        try:
            return self.http.get("/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def told(self) -> dict[str, float]:
        """The metrics that have no labels, by name."""
        lines = (line.split() for line in self.http.get("/metrics").text.splitlines())
        return {line[0]: float(line[1]) for line in lines if len(line) == 2 and line[0].startswith("rag_")}

    def readers(self) -> int:
        return int(self.told()["rag_readers"])

    def start_run(self) -> str:
        with self.http.stream("POST", "/query", content=QUESTION, headers={"content-type": "application/json"}) as told:
            return str(told.headers["x-run-id"])

    def follow(self, run_id: str, *, receive_buffer: int = 0) -> socket.socket:
        """Ask for the events of a run, and read none of them."""
        reader = socket.socket()
        if receive_buffer:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        reader.connect(("127.0.0.1", self.port))
        reader.sendall(f"GET /runs/{run_id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        return reader


@contextmanager
def serving(base_url: str, folder: Path, variables: Mapping[str, str]) -> Iterator[Server]:
    """`rag-graph serve` on three passages, set by these variables too."""
    (folder / "documents").mkdir()
    for number, passage in enumerate(PASSAGES):
        (folder / "documents" / f"{number}.md").write_text(str(passage))
    index_paths(EmbeddedIndex(folder / "index", LocalEmbedder()), [folder / "documents"])
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "OPENAI_"))},
        "RAG_PORT": str(port),
        "RAG_DATA_DIR": str(folder),
        "RAG_CHAT_BASE_URL": base_url,
        "RAG_CHAT_API_KEY": "key",
        "RAG_CHAT_MODEL": "scripted",
        "RAG_LOG_LEVEL": "error",
        **variables,
    }
    command = [sys.executable, "-c", "from rag_graph.cli import main; main()", "serve"]
    process = subprocess.Popen(command, env=environment)
    try:
        server = Server(port, process.pid)
        until(server.is_ready, within_s=60)
        yield server
    finally:
        process.kill()
        process.wait()


def measured(server: Server, name: str, load: Callable[[ExitStack], str]) -> dict[str, str | float]:
    """Memory before, with the load on, and once it has left."""
    before, began = server.megabytes, time.monotonic()
    with ExitStack() as stack:
        outcome = load(stack)
        height = server.megabytes
    until(lambda: server.readers() == 0, within_s=60)
    return {
        "case": name,
        "before_mb": before,
        "height_mb": height,
        "after_mb": server.megabytes,
        "files_after": server.files,
        "seconds": round(time.monotonic() - began, 1),
        "outcome": outcome,
    }


def idle(server: Server, upstream: Upstream, count: int, stack: ExitStack) -> str:
    """Readers of runs in which nothing happens."""
    held = upstream.say(("word ",) * 10, hold_after=5)
    stack.callback(held.release)
    run_id = server.start_run()
    until(held.reached.is_set)
    for _ in range(count):
        stack.enter_context(closing(server.follow(run_id)))
    until(lambda: server.readers() == count, within_s=60)
    return f"{count} readers held"


def slow(server: Server, upstream: Upstream, count: int, stack: ExitStack) -> str:
    """Readers that take nothing of a long run: they are cut, and the run ends."""
    upstream.say("Done [1].", thinking=["So many words. " * 1_000] * (HUGE_CHARS // 15_000))
    run_id = server.start_run()
    for _ in range(count):
        stack.enter_context(closing(server.follow(run_id, receive_buffer=4_096)))
    until(lambda: server.http.get(f"/runs/{run_id}").json()["status"] == "finished", within_s=60)
    until(lambda: server.readers() == 0, within_s=60)
    return f"{count} readers cut, the run finished"


def huge(server: Server, upstream: Upstream, stack: ExitStack) -> str:  # noqa: ARG001 - the others need one
    """An answer in one piece of thinking after the other, of more than the log keeps."""
    upstream.say("Done [1].", thinking=["So many words. " * 1_000] * (2 * HUGE_CHARS // 15_000))
    run_id = server.start_run()
    until(lambda: server.http.get(f"/runs/{run_id}").json()["status"] == "finished", within_s=120)
    return f"{2 * HUGE_CHARS / MB:.0f} million characters"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=1_000)
    parser.add_argument("--slow", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory() as name,
        Upstream(otherwise="Done [1].") as upstream,
        serving(upstream.base_url, Path(name), VARIABLES) as server,
    ):
        server.start_run()
        rows = [
            measured(server, "idle readers", lambda stack: idle(server, upstream, given.idle, stack)),
            measured(server, "slow readers", lambda stack: slow(server, upstream, given.slow, stack)),
            measured(server, "huge answer", lambda stack: huge(server, upstream, stack)),
        ]
    if given.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
