"""The process of a `Loader`: it reads the files that its input names, within limits, and answers in lines of JSON.

JSON is data and nothing else, whatever a hostile file has made of the process that writes it. The process leaves when
its input is closed: by its parent, or because that is gone.
"""

import os
import signal
import sys
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any, Final

import orjson

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders import load, look
from rag_graph.index.loading import Failure

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_NEAR_BYTES: Final = 32 << 20
_STATUS: Final = Path("/proc/self/status")


def main() -> None:
    """Serve until the input ends; its first line says the limits."""
    # Ctrl-C reaches everything in the terminal; the parent says when it has no more use for this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what a parser prints is no answer

    def say(message: dict[str, Any]) -> None:
        answers.write(orjson.dumps(message) + b"\n")
        answers.flush()

    limits = orjson.loads(sys.stdin.buffer.readline())
    memory = _limit_memory(limits["memory_bytes"])
    say({"counts_time": resource is not None})
    for line in sys.stdin.buffer:
        asked = orjson.loads(line)
        for told in _read(asked, limits["seconds"], memory):
            say(told)


def _read(asked: dict[str, Any], seconds: float, memory: int | None) -> Iterator[dict[str, Any]]:
    path = Path(asked["path"])
    try:
        _limit_time(seconds)
        if page := asked.get("page"):
            yield {"page": look(path, page)}
        else:
            for found in load(path, asked["name"], asked["by"]):
                yield {"failure" if isinstance(found, Failure) else "document": found}
                _limit_time(seconds)
        yield {"done": True}
    except MemoryError:
        yield {"unreadable": "", "kind": "memory limit"}
    except DocumentUnreadable as exc:
        # Of memory that they did not get, some parsers say that the file is damaged.
        is_spent = memory is not None and _memory("VmPeak") > memory - _NEAR_BYTES
        yield {"unreadable": str(exc), "kind": "memory limit" if exc.kind == "damaged" and is_spent else exc.kind}


def _limit_time(seconds: float) -> None:
    """From now on so much CPU time is left: the system ends the process that takes more."""
    if resource is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        # Whole seconds, and of all that the process has used since it began.
        _lower(resource.RLIMIT_CPU, ceil(used.ru_utime + used.ru_stime + seconds))


def _limit_memory(max_bytes: int) -> int | None:
    """So much beyond what the process has now; where Linux does not count it, nothing. Return the limit."""
    if resource is None or not _STATUS.exists():
        return None
    # The limit is on addresses, of which the imported libraries have taken their share by now.
    limit = _memory("VmSize") + max_bytes
    _lower(resource.RLIMIT_AS, limit)
    # A parser that aborts would leave a file as large as its memory, with the document in it.
    _lower(resource.RLIMIT_CORE, 0)
    return limit


def _lower(what: int, limit: int) -> None:
    """Set a limit, unless whoever started us has set a lower one that cannot be raised."""
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _memory(name: str) -> int:
    """A measure of this process's memory, in bytes, as Linux names it."""
    [line] = [line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) << 10
