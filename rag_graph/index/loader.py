"""A process in which files are read: a hostile or broken file costs itself only.

Parsers of documents can be made to take any time and memory, so none of them runs in the process that indexes. One
process reads many files, one after the other; one that was stopped is replaced when the next file comes.
"""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import orjson

from rag_graph.documents import Heading, Place
from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loading import Failure, Loaded, LoadedDocument

_MAIN: Final = """
import sys, json
sys.path[:] = json.loads(sys.argv[1])
from rag_graph.index.loader_child import main
main()
"""
"""Not by multiprocessing: that would run the caller's main module once more."""
START_TIMEOUT_S: Final = 60.0
_PATIENCE: Final = 4
"""Where the system counts a process's CPU time, that is the limit; waiting may take so many times as long, as others
may have the processors."""
# So far may it read ahead of who indexes; then its pipe fills, and it waits.
_WAITING_MESSAGES: Final = 8
# A text of 64 MB, of which JSON may write each character in six bytes.
_MAX_MESSAGE_BYTES: Final = 1 << 29


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one document may take: CPU seconds, and memory beyond what the process has anyway."""

    seconds: float = 60
    memory_mb: int = 1024


class Loader:
    """Reads files in a process of its own; one file at a time. `close` may be called from any thread, to stop it."""

    def __init__(self, limits: Limits, by: str = "") -> None:
        self.limits = limits
        self._by = by
        self._child: _Child | None = None
        self._changing = threading.Lock()
        self._closed = False

    def load(self, path: Path, name: str = "") -> Loaded:
        """`loaders.load`, within the limits; what breaks them is a `DocumentUnreadable` too."""
        with closing(self._told({"path": str(path), "name": name or path.name, "by": self._by})) as found:
            for told in found:
                match told:
                    case {"document": document}:
                        outline = tuple(Heading(**heading) for heading in document["outline"])
                        places = tuple(Place(**place) for place in document["places"])
                        yield LoadedDocument(**{**document, "outline": outline, "places": places})
                    case {"failure": failure}:
                        yield Failure(**failure)

    def look(self, path: Path, *, known: str, number: int, quote: Sequence[str] | None = None) -> dict[str, Any]:
        """`loaders.pages.look`, within the limits; what breaks them is a `DocumentUnreadable` too."""
        asked = {"path": str(path), "page": {"hash": known, "number": number, "quote": quote}}
        with closing(self._told(asked)) as found:
            for told in found:
                seen: dict[str, Any] = told["page"]
        return seen

    def _told(self, asked: dict[str, Any]) -> Generator[dict[str, Any]]:
        child = self._running()
        within_s = self.limits.seconds * (_PATIENCE if child.counts_time else 1)
        is_whole = False
        try:
            child.ask(asked)
            while (told := self._next(child, within_s)) is not None:
                yield told
            is_whole = True
        except DocumentUnreadable as exc:
            is_whole = exc.kind not in {"time limit", "memory limit"} and child.is_alive
            raise
        finally:
            if not is_whole:  # or whoever reads has left in the middle
                self._drop(child)

    def close(self) -> None:
        """End the process, also in the middle of a file; nothing is read after that."""
        with self._changing:
            self._closed = True
            child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _running(self) -> "_Child":
        with self._changing:
            if self._closed:
                raise DocumentUnreadable("reading it was stopped", "unreadable")
            if self._child is None or not self._child.is_alive:
                self._child = _Child(self.limits)
            return self._child

    def _drop(self, child: "_Child") -> None:
        child.kill()
        with self._changing:
            if self._child is child:
                self._child = None

    def _next(self, child: "_Child", within_s: float) -> dict[str, Any] | None:
        try:
            told = child.hear(within_s)
        except queue.Empty:
            raise self._too_long() from None
        match told:
            case {"document": _} | {"failure": _} | {"page": _}:
                return told
            case {"unreadable": reason, "kind": kind}:
                raise self._too_large() if kind == "memory limit" else DocumentUnreadable(reason, kind)
            case {"done": True}:
                return None
            case _:
                raise self._died(child)

    def _died(self, child: "_Child") -> DocumentUnreadable:
        """Why a process ended in the middle of a file."""
        if self._closed:
            return DocumentUnreadable("reading it was stopped", "unreadable")
        ended_by = child.wait()
        if ended_by == -getattr(signal, "SIGXCPU", 0):
            return self._too_long()
        if ended_by == -getattr(signal, "SIGKILL", 0):  # what the system does when memory runs out
            return self._too_large()
        return DocumentUnreadable("it is damaged: the parser crashed on it")

    def _too_long(self) -> DocumentUnreadable:
        return DocumentUnreadable(f"time limit: reading it takes more than {self.limits.seconds:g} s", "time limit")

    def _too_large(self) -> DocumentUnreadable:
        return DocumentUnreadable(
            f"memory limit: reading it takes more than {self.limits.memory_mb} MB", "memory limit"
        )


class _Child:
    """The process, and a thread that hears what it says: only so can waiting end in time wherever it hangs."""

    def __init__(self, limits: Limits) -> None:
        # With -P nothing in the working directory stands in for a module; the path is this process's own, handed on.
        command = (sys.executable, "-P", "-c", _MAIN, json.dumps(sys.path))
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._heard: queue.Queue[dict[str, Any] | None] = queue.Queue(_WAITING_MESSAGES)
        self._gone = threading.Event()
        threading.Thread(target=self._listen, name="loader", daemon=True).start()
        self.ask({"seconds": limits.seconds, "memory_bytes": limits.memory_mb << 20})
        try:
            ready = self.hear(START_TIMEOUT_S)
        except queue.Empty:
            ready = None
        if ready is None:
            self.kill()
            raise DocumentUnreadable("the process that reads files could not be started", "unreadable")
        self.counts_time = bool(ready["counts_time"])

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):  # that it is gone is heard as well
            _pipe(self._process.stdin).write(orjson.dumps(message) + b"\n")
            _pipe(self._process.stdin).flush()

    def hear(self, within_s: float) -> dict[str, Any] | None:
        """What it says next; None when it says nothing any more. Raises `queue.Empty`."""
        return self._heard.get(timeout=within_s)

    def wait(self) -> int:
        return self._process.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._gone.set()
        # Whoever listens says nothing more from here on, and somebody may wait for its last word.
        with suppress(queue.Empty):
            while True:
                self._heard.get_nowait()
        self._heard.put_nowait(None)
        with suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()

    def _listen(self) -> None:
        with _pipe(self._process.stdout) as out:
            while line := out.readline(_MAX_MESSAGE_BYTES):
                try:
                    message = orjson.loads(line)
                except orjson.JSONDecodeError:  # cut off where it died, or larger than anything that we read
                    break
                self._put(message)
        self._put(None)

    def _put(self, message: dict[str, Any] | None) -> None:
        while not self._gone.is_set():
            with suppress(queue.Full):
                self._heard.put(message, timeout=1)
                return


def _pipe(stream: "IO[bytes] | None") -> IO[bytes]:
    assert stream is not None  # noqa: S101 - it was asked for
    return stream
