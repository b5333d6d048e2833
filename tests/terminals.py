"""The real `rag-graph` command: over pipes, and at a terminal whose screen can be read."""

import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pyte

from tests.upstream import WITHIN_S

COMMAND = str(Path(sys.executable).with_name("rag-graph"))
_OURS = ("RAG_", "OPENAI_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_")


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**inherited, "TERM": "xterm-256color", **variables}


def run(*arguments: str, settings: Mapping[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The command over pipes, to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(settings),
        timeout=WITHIN_S,
        check=False,
    )


class Terminal:
    """The command at a terminal of this size."""

    def __init__(self, *arguments: str, settings: Mapping[str, str], columns: int = 80, lines: int = 24) -> None:
        self._near, far = os.openpty()
        termios.tcsetwinsize(far, (lines, columns))
        self._screen = pyte.HistoryScreen(columns, lines, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self.received = b""
        self.process = subprocess.Popen(
            [COMMAND, *arguments],
            stdin=far,
            stdout=far,
            stderr=far,
            env=environment(settings),
            start_new_session=True,
        )
        os.close(far)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._near)

    @property
    def text(self) -> str:
        """What can be read, with what has scrolled away."""
        scrolled = [
            "".join(line[column].data for column in range(self._screen.columns)) for line in self._screen.history.top
        ]
        return "\n".join(line.rstrip() for line in [*scrolled, *self._screen.display])

    def type(self, keys: str) -> None:
        os.write(self._near, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C, which every process at the terminal is told of."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait_for(self, words: str, *, times: int = 1) -> None:
        give_up_at = time.monotonic() + WITHIN_S
        while self.text.count(words) < times:
            assert time.monotonic() < give_up_at, f"{words!r} did not appear:\n{self.text}"
            self._read()

    def wait(self) -> int:
        """Its exit code, after all it has written was read."""
        give_up_at = time.monotonic() + WITHIN_S
        while self._read():
            assert time.monotonic() < give_up_at, f"it did not end:\n{self.text}"
        return self.process.wait(WITHIN_S)

    def _read(self) -> bool:
        readable, _, _ = select.select([self._near], [], [], 0.1)
        if not readable:
            return True
        try:
            piece = os.read(self._near, 65_536)
        except OSError:  # how Linux says that the other side is gone
            return False
        self.received += piece
        self._stream.feed(piece)
        return bool(piece)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line that the command wrote, on stderr."""
    assert done.stdout == ""
    return one_line_of(done.stderr)


def one_line_of(written: str) -> str:
    [line] = written.splitlines()
    return line
