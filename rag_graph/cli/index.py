"""`rag-graph index`: documents into the library, with a bar that says how far it is."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_graph.cli.contract import FAILED

if TYPE_CHECKING:
    from rag_graph.index.indexing import IndexReport
    from rag_graph.settings import Settings


def index(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to index.")],
    rebuild: Annotated[bool, typer.Option(help="Forget what was indexed before.")] = False,
    loader: Annotated[
        str,
        typer.Option(
            metavar="MODULE:NAME", help="A loader of your own that reads them, such as a LangChain BaseLoader."
        ),
    ] = "",
) -> None:
    """Index documents: text, web pages, PDF, office files, tables, mail, books, code. Unchanged files are skipped.

    Exits with 1 when a file could not be indexed, or none of them is of a kind that can be read.
    """
    from rag_graph.settings import Settings

    if not index_with_bar(Settings.load(), paths, rebuild=rebuild, loader=loader).is_all_well:
        raise typer.Exit(FAILED)


def remove(
    named: Annotated[list[str], typer.Argument(help="Files and folders, whether they are still there or not, or ids.")],
) -> None:
    """Take documents out of the library; their files stay as they are."""
    from rag_graph.errors import LibraryError
    from rag_graph.index.indexing import forget
    from rag_graph.settings import Settings
    from rag_graph.wiring import choose_embedder, choose_index

    settings = Settings.load()
    with closing(choose_index(settings, choose_embedder(settings))) as index:
        removed = forget(index, named)
    if not removed:
        raise LibraryError("The library has no document of these files, folders and ids.")
    typer.echo(f"{removed} documents removed.", err=True)


def index_with_bar(settings: "Settings", paths: Sequence[Path], *, rebuild: bool, loader: str = "") -> "IndexReport":
    """Index into the library of the settings, and say on stderr what came of it."""
    from rich.console import Console

    from rag_graph.display.progress import indexing, print_report
    from rag_graph.index.indexing import index_paths
    from rag_graph.index.loader import Limits
    from rag_graph.wiring import choose_embedder, choose_index

    console = Console(stderr=True)
    with indexing(console) as on_progress, closing(choose_index(settings, choose_embedder(settings))) as index:
        limits = Limits(seconds=settings.load_max_s, memory_mb=settings.load_max_mb)
        report = index_paths(index, paths, on_progress=on_progress, rebuild=rebuild, limits=limits, read_by=loader)
    print_report(report, console)
    return report


def index_sample(settings: "Settings") -> None:
    """Index a copy of the documents that come along, so that another installation of the package replaces it."""
    from rag_graph.errors import IndexMismatch
    from rag_graph.index.guide import copy_guide
    from rag_graph.index.indexing import roots_of
    from rag_graph.wiring import choose_embedder, choose_index

    copy = copy_guide(settings.data_dir)
    try:
        index_with_bar(settings, [copy], rebuild=False)
    except IndexMismatch:
        # Another embedding model is set than last time. What is not ours to rebuild is left as it is.
        with closing(choose_index(settings, choose_embedder(settings))) as kept:
            if any(not root.is_relative_to(copy.resolve()) for root in roots_of(kept.files())):
                raise
        index_with_bar(settings, [copy], rebuild=True)
