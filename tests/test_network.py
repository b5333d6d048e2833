"""Nothing that was not asked for leaves the machine: a guard in each process notes every address it goes to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ANSWER, Serve, spawn, towers, upstream

__all__ = ["spawn", "towers", "upstream"]

GUARD = """
import sys

def note(event, args):
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[-1]
        host = address[0] if isinstance(address, tuple) else "localhost"
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"):
        with open(%r, "a") as seen:
            print(event, host, file=seen)
        raise OSError(f"not from here: {host}")

sys.addaudithook(note)
"""
IMPORT_ALL = """
import importlib, pkgutil, rag_graph
for module in pkgutil.walk_packages(rag_graph.__path__, "rag_graph."):
    importlib.import_module(module.name)
"""


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """Where guarded processes note what they went to; each process that has this folder on its path is guarded."""
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(GUARD % str(folder / "seen"))
    return folder / "seen"


def environment(seen: Path) -> dict[str, str]:
    path = os.pathsep.join([str(seen.parent), str(Path.cwd())])
    return {**os.environ, "PYTHONPATH": path, "LANGSMITH_API_KEY": "set, but tracing was not asked for"}


def test_the_guard_sees_what_goes_out(seen: Path) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    refused = subprocess.run([sys.executable, "-c", code], env=environment(seen), capture_output=True, check=False)
    assert b"not from here" in refused.stderr
    assert "192.0.2.1" in seen.read_text()


def test_no_import_goes_to_the_network(seen: Path) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", IMPORT_ALL], env=environment(seen), check=True)
    assert not seen.exists()


def test_a_server_goes_to_its_model_alone(seen: Path, spawn: Serve) -> None:
    guarded = environment(seen)
    server = spawn(PYTHONPATH=guarded["PYTHONPATH"], LANGSMITH_API_KEY=guarded["LANGSMITH_API_KEY"])
    assert ANSWER in server.ask().text
    assert ANSWER in server.http.post("/rag/invoke", json={"input": {"question": "Who built it?"}}).text
    assert not seen.exists()
