"""Ctrl-C: when it ends the process at once, and when it is raised as KeyboardInterrupt."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130
"""What shells say of a process that SIGINT has ended."""

_ERASED = b"\r\x1b[2K"

Handler = Callable[[int, FrameType | None], object]


def leave(_: int, __: FrameType | None) -> None:
    """End the process, saying so, without waiting for anything."""
    # By the system's call: the handler may have come in the middle of a write to the same stream.
    os.write(2, (_ERASED if os.isatty(2) else b"") + b"rag-graph: Stopped.\n")
    # No `sys.exit`: raised in the middle of an import it may be caught, and threads that load would be waited for.
    os._exit(INTERRUPTED)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """While nothing goes on that is worth an orderly end: what is imported, opened or closed.

    KeyboardInterrupt raised inside an import is told with a traceback, or lost in a callback; and it waits for every
    thread that loads.
    """
    with _answered_by(leave):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """While work goes on that is ended in order: Ctrl-C is KeyboardInterrupt."""
    with _answered_by(signal.default_int_handler):
        yield


@contextmanager
def _answered_by(handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
