"""What serves a language model out of a GGUF file: a child process, started when needed, restarted when it dies."""

import asyncio
import http.client
import json
import logging
import math
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rag_graph.errors import ModelUnavailable
from rag_graph.tasks import stop

START_TIMEOUT_S: Final = 60.0
HEALTH_TIMEOUT_S: Final = 5.0
HEALTH_EVERY_S: Final = 30.0
HUNG_AFTER_S: Final = 20.0
"""A child that somebody waits for tells its health within a second, however busy; one silent for so long hangs."""
COMMAND: Final = (sys.executable, "-P", str(Path(__file__).with_name("child.py")))
"""By its path: as a module, the child would import this whole package first."""

END_TIMEOUT_S: Final = 5.0
START_AGAIN_S: Final = 60.0
"""After a start that failed, so that each question need not wait for another that cannot work."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Child:
    process: "subprocess.Popen[str]"
    url: str
    healthy_at: float


class LocalServer:
    """Serves one GGUF file over the OpenAI protocol on a free local port, to those who have `api_key`.

    The child leaves when its standard input is closed, which the system does even for a killed parent.
    """

    def __init__(
        self,
        gguf: Path,
        *,
        command: tuple[str, ...] = COMMAND,
        stop_timeout_s: float = 5.0,
        hung_after_s: float = HUNG_AFTER_S,
    ) -> None:
        self._gguf = gguf
        self.api_key = secrets.token_urlsafe(32)
        self._command = command
        self._stop_timeout_s = stop_timeout_s
        self._hung_after_s = hung_after_s
        self._is_checking = False
        self._child: _Child | None = None
        self._failure = ""
        self._failed_at = 0.0
        self._pending: Future[str] | None = None
        self._asking = threading.Lock()
        self._closed = False
        self._changing = threading.Lock()

    async def url(self) -> str:
        """Base URL of a server that runs; many may ask at once, one of them starts it."""
        child = self._child
        if child and child.process.poll() is None and _is_fresh(child):
            return child.url
        starting = asyncio.wrap_future(self._begin())
        starting.add_done_callback(_hear_out)
        return await asyncio.shield(starting)

    def heard(self) -> None:
        """Take what the child just sent for a sign of health: a busy one may be slow to answer when asked."""
        if child := self._child:
            child.healthy_at = time.monotonic()

    def doubt(self) -> None:
        """Ask the child whether it is well before it is used again: a killed one may not be known as dead yet."""
        if child := self._child:
            child.healthy_at = -math.inf

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Wait for the child's answer; one that hangs is ended, which ends the wait, and the next call replaces it."""
        watching = asyncio.create_task(self._end_if_hung(self._child))
        try:
            yield
        finally:
            await stop(watching)

    async def _end_if_hung(self, child: "_Child | None") -> None:
        since = time.monotonic()
        while child is not None and child.process.poll() is None:
            await asyncio.sleep(self._hung_after_s / 4)
            silent_s = time.monotonic() - max(since, child.healthy_at)
            if silent_s > self._hung_after_s:
                log.warning("the embedded model hangs and is started again")
                # Its end cuts the connection of whoever waits, who is told so and may ask again.
                child.process.kill()
            elif silent_s > self._hung_after_s / 4 and not self._is_checking:
                self._is_checking = True  # one check serves all who wait: many would take all threads
                try:
                    await asyncio.to_thread(_is_healthy, child)
                finally:
                    self._is_checking = False

    @property
    def pid(self) -> int | None:
        """Process id of the child, while there is one."""
        child = self._child
        return child.process.pid if child and child.process.poll() is None else None

    async def aclose(self) -> None:
        """Stop the child; it is not started again."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        self._closed = True
        # Whoever is still starting it ends it by itself, or goes with this process.
        if self._changing.acquire(timeout=self._stop_timeout_s):
            try:
                self._stop()
            finally:
                self._changing.release()

    def _begin(self) -> "Future[str]":
        """Find or start a server in a thread that nobody else needs: loading a large file may take a minute."""
        with self._asking:
            if self._pending is None or self._pending.done():
                self._pending = Future()
                threading.Thread(target=self._fulfil, args=(self._pending,), daemon=True).start()
            return self._pending

    def _fulfil(self, promise: "Future[str]") -> None:
        try:
            promise.set_result(self._healthy_url())
        except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
            promise.set_exception(exc)

    def _healthy_url(self) -> str:
        with self._changing:
            child = self._child
            if child and child.process.poll() is None and (_is_fresh(child) or _is_healthy(child)):
                return child.url
            self._stop()
            if self._failure and time.monotonic() - self._failed_at < START_AGAIN_S:
                raise ModelUnavailable(self._failure)
            self._raise_if_closed()
            try:
                self._child = child = self._start()
            except ModelUnavailable as exc:
                self._failure, self._failed_at = str(exc), time.monotonic()
                raise
            self._raise_if_closed()
            return child.url

    def _raise_if_closed(self) -> None:
        if self._closed:
            self._stop()
            raise ModelUnavailable("The embedded model has been shut down: start the server again.")

    def _start(self) -> _Child:
        gguf = self._gguf
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
                "pip install 'rag-graph[gguf]' was run, or set RAG_CHAT_BASE_URL to another model."
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


def _hear_out(starting: "asyncio.Future[str]") -> None:
    """Take note of a failure although nobody waits any more, or asyncio complains of it."""
    if not starting.cancelled():
        starting.exception()


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
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
