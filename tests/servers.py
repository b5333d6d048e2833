"""Real servers on free ports, over a tiny real library and a scripted model; conftests take the fixtures they need."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_graph.events import Event as RunEvent
from rag_graph.events import EventAdapter
from rag_graph.graph.parts import Parts
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.server.app import create_app
from rag_graph.server.process import DrainingServer
from rag_graph.settings import ChatSettings, Settings
from tests.upstream import WITHIN_S, Upstream

TOWERS = {
    "eiffel.md": "# Eiffel Tower\n\nThe Eiffel Tower was built by Gustave Eiffel's company and opened in 1889.\n",
    "tokyo.md": "# Tokyo Tower\n\nTokyo Tower opened in 1958 and is painted white and international orange.\n",
}
MORE_TOWERS = TOWERS | {
    "cn.md": "# CN Tower\n\nThe CN Tower in Toronto was completed in 1976 and is 553 metres high.\n",
    "pisa.md": "# Tower of Pisa\n\nThe tower of Pisa began to lean while it was being built in the twelfth century.\n",
    "babel.md": "# Tower of Babel\n\nThe tower of Babel is told of in Genesis; its builders spoke many languages.\n",
    "skytree.md": "# Tokyo Skytree\n\nTokyo Skytree opened in 2012. The tower was built for radio and is 634 m high.\n",
}
ANSWER = "The Eiffel Tower was built by Gustave Eiffel's company and opened in 1889 [1]."
QUESTION = "Who built the Eiffel Tower?"

FRAME = re.compile(r"(?:retry: \d+\n)?event: (\w+)\ndata: (\{.*\})\nid: (\w{26}):(\d+)")

Serve = Callable[..., "Server"]


@dataclass
class Server:
    """A server in a thread of this process, or in one of its own."""

    http: httpx.Client
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return str(self.http.base_url)

    def ask(self, question: str = QUESTION, **headers: str) -> httpx.Response:
        """The whole answer to a question, in the form that the headers name."""
        return self.http.post("/query", json={"question": question}, headers=_headers(headers))

    @contextmanager
    def asking(self, question: str = QUESTION, *, mode: str = "fast", **headers: str) -> Iterator[httpx.Response]:
        """The answer while it streams."""
        body = {"question": question, "mode": mode}
        with self.http.stream("POST", "/query", json=body, headers=_headers(headers)) as response:
            yield response

    def status(self, run_id: str) -> str:
        return str(self.http.get(f"/runs/{run_id}").json()["status"])


@pytest.fixture(scope="session")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library where the first search finds all there is, so that a run is one call of the model."""
    return _library(tmp_path_factory.mktemp("towers"), TOWERS)


@pytest.fixture(scope="session")
def more_towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library where the deeper search finds more: a draft, its review, and a refinement."""
    return _library(tmp_path_factory.mktemp("more_towers"), MORE_TOWERS)


def copied(library: Path, folder: Path) -> Path:
    """A library of a test's own, without what servers of other tests have kept beside the shared one."""
    return Path(shutil.copytree(library, folder, ignore=shutil.ignore_patterns("*.db*")))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """The model of the servers that a test starts for itself."""
    with Upstream(otherwise=ANSWER) as scripted:
        yield scripted


@pytest.fixture
def serve(upstream: Upstream, towers: Path) -> Iterator[Serve]:
    """Start servers in this process, by their settings."""
    with ExitStack() as stack:

        def start(*, is_ready: bool = True, parts: Parts | None = None, **given: Any) -> Server:
            settings = _settings(upstream, **{"data_dir": towers, **given})
            return stack.enter_context(_served(settings, parts, is_ready=is_ready))

        yield start


@pytest.fixture(scope="session")
def server(towers: Path) -> Iterator[Server]:
    """One server for all tests that need nothing special; its model always says `ANSWER`."""
    with Upstream(otherwise=ANSWER) as upstream, _served(_settings(upstream, data_dir=towers)) as shared:
        yield shared


@pytest.fixture
def spawn(upstream: Upstream, towers: Path) -> Iterator[Serve]:
    """Start servers in processes of their own, to be stopped by signals; settings come as `RAG_…` variables."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(**variables: str) -> Server:
        port = variables.setdefault("RAG_PORT", str(free_port()))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "OPENAI_"))},
            "RAG_DATA_DIR": str(towers),
            "RAG_CHAT_BASE_URL": upstream.base_url,
            "RAG_CHAT_API_KEY": "key",
            "RAG_CHAT_MODEL": "scripted",
            "RAG_LOG_LEVEL": "warning",
            **variables,
        }
        process = subprocess.Popen([sys.executable, "-m", "server"], env=environment)
        processes.append(process)
        server = stack.enter_context(_reaching(int(port), process))
        await_ready(server)
        return server

    with ExitStack() as stack:
        yield start
    for process in processes:
        process.kill()
        process.wait()


def frames(body: str) -> list[tuple[int, RunEvent]]:
    """Every frame must be exactly as promised: name, data, then the id, and nothing else."""
    assert body.endswith("\n\n")
    found = []
    for frame in body[:-2].split("\n\n"):
        match = FRAME.fullmatch(frame)
        assert match, frame
        event = EventAdapter.validate_json(match[2])
        assert event.type == match[1]
        found.append((int(match[4]), event))
    return found


def events_of(response: httpx.Response) -> list[RunEvent]:
    assert response.headers["content-type"].startswith("text/event-stream")
    return [event for _, event in frames(response.text)]


def refused(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]


@dataclass
class CallerByHeader:
    """Stands in for authentication: the caller is who the header `x-caller` says."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["caller"] = Headers(scope=scope).get("x-caller", "")
        await self.app(scope, receive, send)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_ready(server: Server, *, within_s: float = 90) -> None:
    until(lambda: _status(server) == "ready", within_s=within_s)


def until(holds: Callable[[], bool], *, within_s: float = WITHIN_S) -> None:
    """Return once it holds; what is watched from outside a process tells of no change."""
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at, "it did not come to hold in time"
        time.sleep(0.02)


def _headers(named: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in named.items()}


def _status(server: Server) -> str:
    try:
        return str(server.http.get("/health").json()["status"])
    except httpx.TransportError:
        return "down"


@contextmanager
def _reaching(port: int, process: subprocess.Popen[bytes] | None = None) -> Iterator[Server]:
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN_S, limits=limits) as http:
        yield Server(http, process)


def _library(folder: Path, documents: dict[str, str]) -> Path:
    source = folder / "documents"
    source.mkdir()
    for name, content in documents.items():
        (source / name).write_text(content)
    report = index_paths(EmbeddedIndex(folder / "index", LocalEmbedder()), [source])
    assert report.added == len(documents)
    return folder


def _settings(upstream: Upstream, **given: Any) -> Settings:
    chat = ChatSettings(base_url=upstream.base_url, api_key=SecretStr("key"), model="scripted")
    unset: dict[str, Any] = {"_env_file": None, "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
    return Settings(**{"chat": chat, "log_level": "warning", **unset, **given})


@contextmanager
def _served(settings: Settings, parts: Parts | None = None, *, is_ready: bool = True) -> Iterator[Server]:
    app = create_app(settings, parts)
    app.add_middleware(CallerByHeader)
    config = uvicorn.Config(app, port=0, log_level=settings.log_level)
    uvicorn_server = DrainingServer(
        config,
        app,
        drain_s=0,
        read_timeout_s=settings.read_timeout_s,
        write_timeout_s=settings.write_timeout_s,
        max_connections=settings.max_connections,
    )
    thread = threading.Thread(target=uvicorn_server.run, name="server")
    thread.start()
    try:
        until(lambda: uvicorn_server.started or not thread.is_alive(), within_s=60)
        port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
        with _reaching(port) as server:
            if is_ready:
                await_ready(server)
            yield server
    finally:
        uvicorn_server.should_exit = True
        thread.join(WITHIN_S)
        # FastAPI remembers endpoints in a cache of its module, and they hold the app: without this, each server's
        # embedder (200 MB) would stay until the end of all tests.
        app.state._state.clear()
