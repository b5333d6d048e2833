"""What holds for every command: what goes wrong is one line on stderr and an exit code."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Annotated, Final, ParamSpec, TypeVar

import typer

from rag_graph.errors import InvalidRequest, RagGraphError
from rag_graph.interrupts import INTERRUPTED, interruptible
from rag_graph.text.controls import inert_line

FAILED: Final = 1
"""It was done, and something of it failed."""
UNUSABLE: Final = 2
"""It could not be done, for a reason that the user can mend."""
UNREAD: Final = 141
"""What shells say of a process that SIGPIPE has ended."""

FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", metavar="NAME=VALUE", help="Search only what matches, such as uri=notes/*; may be repeated."
    ),
]

ModelOption = Annotated[
    str, typer.Option("--model", metavar="NAME", help="Who answers, of RAG_CHAT_MODELS; else the chat model.")
]
LanguageOption = Annotated[
    str, typer.Option("--language", metavar="NAME", help="The language to answer in; else the question's.")
]

P = ParamSpec("P")
R = TypeVar("R")


def in_one_line(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what a command raises into the line and the code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with interruptible():
                done = command(*args, **kwargs)
                sys.stdout.flush()
                return done
        except RagGraphError as exc:
            _complain(str(exc))
            raise typer.Exit(UNUSABLE) from None
        except BrokenPipeError:  # such as `| head`, which has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at the exit fails too
            raise typer.Exit(UNREAD) from None
        except KeyboardInterrupt:
            _complain("Stopped.")
            raise typer.Exit(INTERRUPTED) from None

    return run


def filters_of(given: Sequence[str] | None) -> dict[str, list[int | float | str]]:
    """Filters as they are typed: values of one name are alternatives; what reads as a number may be one or a text."""
    filters: dict[str, list[int | float | str]] = {}
    for one in given or ():
        name, sign, value = one.partition("=")
        if not sign or not name.strip():
            raise InvalidRequest(f"--filter {one[:80]!r} is no NAME=VALUE, such as uri=notes/* or year=2025.")
        filters.setdefault(name.strip(), []).extend([value, *_number(value)])
    return filters


def _number(value: str) -> Sequence[int | float]:
    for kind in (int, float):
        with suppress(ValueError):
            return [kind(value)]
    return []


def keep_logs_from_the_answer() -> None:
    """What goes less well than it should is told by the run itself."""
    logging.getLogger("rag_graph").setLevel(logging.ERROR)


def _complain(message: str) -> None:
    line = inert_line(f"rag-graph: {message}")
    is_coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org
    sys.stderr.write(f"{typer.style(line, fg='red') if is_coloured else line}\n")
