"""Loaders of each kind of file; they run in the process of `index/loader.py` alone, each imported when it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import Source
from rag_graph.index.loading import KINDS, Loaded


def load(path: Path, name: str = "", by: str = "") -> Loaded:
    """The documents of a file. What is wrong with it becomes `DocumentUnreadable`; with a line, a `Failure`.

    `name` tells its kind where that is not its path's; `by` names somebody's own loader, such as `my_package:Loader`.
    A hostile file may take any time and memory here: `Loader` calls this in a process of its own.
    """
    name = name or path.name
    module = "own" if by else KINDS[Path(name).suffix.lower()]
    with _in_our_words():
        yield from _load(module, path, Path(name), by)


def look(path: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """A page of a PDF, as `pages.look` gives it; what is wrong with the file becomes `DocumentUnreadable`."""
    with _in_our_words():
        seen: dict[str, Any] = import_module(f"{__name__}.pages").look(Source(path, path), asked)
        return seen


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (DocumentUnreadable, MemoryError):
        raise
    except OSError as exc:
        raise DocumentUnreadable(f"it cannot be read: {exc.strerror or 'the system refuses'}", "unreadable") from exc
    except Exception as exc:  # a parser may raise anything at all on a hostile file
        raise DocumentUnreadable(f"it is damaged, or not what its suffix says ({type(exc).__name__})") from exc


def _load(module: str, path: Path, name: Path, by: str) -> Loaded:
    loader = import_module(f"{__name__}.{module}")
    yield from loader.load(Source(path, name), *([by] if by else []))
