"""Loaders of each kind of file; they run in the process of `index/loader.py` alone, each imported when it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import Source, notes
from rag_graph.index.loaders.contents import other_suffix
from rag_graph.index.loading import KINDS, Loaded, LoadedDocument, kind_of


def load(path: Path, name: str = "", by: str = "") -> Loaded:
    """The documents of a file. What is wrong with it becomes `DocumentUnreadable`; with a line, a `Failure`.

    `name` tells its kind where that is not its path's; `by` names somebody's own loader, such as `my_package:Loader`.
    A hostile file may take any time and memory here: `Loader` calls this in a process of its own.
    """
    source = Source(path, Path(name or path.name))
    with _in_our_words():
        if by:
            yield from _module("own").load(source, by)
            return
        yield from _load(source)


def look(path: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """A page of a PDF, as `pages.look` gives it; what is wrong with the file becomes `DocumentUnreadable`."""
    with _in_our_words():
        seen: dict[str, Any] = _module("pages").look(Source(path, path), asked)
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


def _load(source: Source) -> Loaded:
    """By what the file begins with, where that is the mark of another kind than its name says."""
    kind = kind_of(source.name)
    assert kind is not None  # noqa: S101 - nobody asks for files of other kinds
    if not source.path.stat().st_size:
        raise DocumentUnreadable("it is empty", "no text")
    if suffix := other_suffix(source):
        told = f"it was read as {suffix}, which it is whatever its name says"
        for found in _module(KINDS[suffix]).load(replace(source, name=source.name.with_suffix(suffix))):
            yield replace(found, note=notes(told, found.note)) if isinstance(found, LoadedDocument) else found
        return
    yield from _module(kind).load(source)


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
