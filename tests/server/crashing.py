"""Workers that come to no good, each a process of its own; they import little, so that a test starts many."""

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from rag_graph.errors import LogUnavailable


def crash(starts: Path, _: Connection) -> None:
    """End before it serves, as a process does that is killed; every start is one character of the file."""
    note(starts)
    os._exit(9)


def serve_alone(folder: Path, supervisor: Connection) -> None:
    """The first to come serves; all others end once it does, and the eighth ends the supervisor."""
    served = folder / "served"
    try:
        os.mkfifo(served)
    except FileExistsError:
        served.open("rb").close()  # which waits until there is somebody who writes
        if note(folder / "starts") == 8:
            os.kill(os.getppid(), signal.SIGTERM)
        os._exit(9)
    supervisor.send(None)
    with served.open("r+b", buffering=0):
        signal.pause()


def refuse(supervisor: Connection) -> None:
    supervisor.send(LogUnavailable("RAG_REDIS_URL: nobody answers."))


def note(starts: Path) -> int:
    with starts.open("a") as file:
        file.write(".")
    return starts.stat().st_size
