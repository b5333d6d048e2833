"""The embedded language model's server: a child process, started when first needed, restarted when it dies."""

import asyncio
import http.client
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rag_graph.errors import ModelUnavailable

START_TIMEOUT_S: Final = 60.0
HEALTH_TIMEOUT_S: Final = 5.0
HEALTH_EVERY_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0


@dataclass(slots=True)
class _Child:
    process: "subprocess.Popen[str]"
    url: str
    healthy_at: float


class LocalServer:
    """Serves one GGUF file over the OpenAI protocol on a free local port, to those who have `api_key`.

    The child leaves when its standard input is closed, which the system does even for a killed parent.
    """

    def __init__(self, gguf: Path | Callable[[], Path], *, command: tuple[str, ...] | None = None) -> None:
        """`gguf` may be a function that fetches the file when the server is first needed."""
        self._gguf = gguf
        self.api_key = secrets.token_urlsafe(32)
        self._command = command or (sys.executable, "-m", "rag_graph.models.local_server_child")
        self._child: _Child | None = None
        self._closed = False
        self._changing = threading.Lock()

    async def url(self) -> str:
        """Base URL of a server that runs; many may ask at once, one of them starts it."""
        child = self._child
        if child and child.process.poll() is None and _is_fresh(child):
            return child.url
        return await asyncio.to_thread(self._healthy_url)

    @property
    def pid(self) -> int | None:
        """Process id of the child, while there is one."""
        child = self._child
        return child.process.pid if child and child.process.poll() is None else None

    async def aclose(self) -> None:
        """Stop the child; it is not started again."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        with self._changing:
            self._closed = True
            self._stop()

    def _healthy_url(self) -> str:
        with self._changing:
            if self._closed:
                raise ModelUnavailable("The embedded model has been shut down: start the server again.")
            child = self._child
            if child and child.process.poll() is None and (_is_fresh(child) or _is_healthy(child)):
                return child.url
            self._stop()
            self._child = self._start()
            return self._child.url

    def _start(self) -> _Child:
        gguf = self._gguf if isinstance(self._gguf, Path) else self._gguf()
        process = subprocess.Popen(  # noqa: S603 - a fixed command
            [*self._command, str(gguf)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        too_late = threading.Timer(START_TIMEOUT_S, process.kill)
        too_late.start()
        try:
            url = _greet(process, self.api_key)
        except (OSError, ValueError, KeyError) as exc:
            _end(process)
            raise ModelUnavailable(
                f"The embedded model did not start ({exc}): check that {gguf} is a GGUF file and that "
                "pip install 'rag-graph[local]' was run, or set RAG_CHAT_BASE_URL to another model."
            ) from exc
        finally:
            too_late.cancel()
        child = _Child(process, url, time.monotonic())
        if not _is_healthy(child):
            _end(process)
            raise ModelUnavailable(
                "The embedded model started but does not answer: try again, or set RAG_CHAT_BASE_URL to another model."
            )
        return child

    def _stop(self) -> None:
        if self._child:
            _end(self._child.process)
            self._child = None


def _greet(process: "subprocess.Popen[str]", key: str) -> str:
    if process.stdin is None or process.stdout is None:
        raise ValueError("no pipes")
    process.stdin.write(key + "\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("{"):
            said = json.loads(line)
            if "error" in said:
                raise ValueError(said["error"])
            return str(said["url"])
    raise ValueError(f"exit code {process.wait()}")


def _is_fresh(child: _Child) -> bool:
    return time.monotonic() - child.healthy_at < HEALTH_EVERY_S


def _is_healthy(child: _Child) -> bool:
    connection = http.client.HTTPConnection(urlsplit(child.url).netloc, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        healthy = connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    if healthy:
        child.healthy_at = time.monotonic()
    return healthy


def _end(process: "subprocess.Popen[str]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe:
            try:
                pipe.close()
            except OSError:
                continue
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
