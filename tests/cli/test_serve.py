"""The `rag-graph serve` command as a process: what it begins with, and what it leaves behind."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from rag_graph.result import RunResult
from tests.gguf import small_gguf
from tests.servers import QUESTION, free_port, until
from tests.terminals import COMMAND, Terminal, environment, one_line, run
from tests.upstream import WITHIN_S


def test_a_port_that_is_taken_is_one_line(scripted: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, settings={**scripted, "RAG_LOG_LEVEL": "warning"})
    assert done.returncode != 0
    assert port in one_line(done)


def test_serve_answers_from_the_sample_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving("--sample", RAG_DATA_DIR=str(tmp_path)) as (server, http):
        assert http.get("/health").json()["documents"] > 0
        answer = http.post("/query", json={"question": "What is a run?"}, headers={"accept": "application/json"})
        result = RunResult.model_validate(answer.json())
        assert (result.status, bool(result.citations)) == ("finished", True)
        assert not children(server.pid)
        server.terminate()
        assert server.wait(WITHIN_S) == -signal.SIGTERM


def test_the_model_of_a_killed_server_leaves_by_itself(towers: Path) -> None:
    with serving(RAG_DATA_DIR=str(towers), RAG_LOCAL_GGUF=str(small_gguf())) as (server, _):
        until(lambda: bool(children(server.pid)))
        model = children(server.pid)
        server.kill()
    gone(model)


@contextmanager
def serving(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """`rag-graph serve` on a free port, ready."""
    port = free_port()
    command = [COMMAND, "serve", "--port", str(port), *arguments]
    server = subprocess.Popen(command, env=environment({"RAG_LOG_LEVEL": "warning", **variables}))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN_S) as http:
            until(lambda: is_ready(http))
            yield server, http
    finally:
        server.kill()
        server.wait()


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/health").is_success
    except httpx.TransportError:
        return False


def children(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "models/local/child.py" in " ".join(child.cmdline())]


def gone(processes: list[psutil.Process]) -> None:
    """They end by themselves."""
    assert psutil.wait_procs(processes, timeout=WITHIN_S)[1] == []


def test_ctrl_c_takes_a_model_of_ones_own_along(towers: Path) -> None:
    settings = {"RAG_DATA_DIR": str(towers), "RAG_LOCAL_GGUF": str(small_gguf())}
    with Terminal("ask", QUESTION, settings=settings) as terminal:
        until(lambda: bool(children(terminal.process.pid)))
        model = children(terminal.process.pid)
        terminal.interrupt()
        assert terminal.wait() in {0, 130}
    gone(model)
    assert "Traceback" not in terminal.text
