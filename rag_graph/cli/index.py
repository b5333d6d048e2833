"""`rag-graph index`: documents into the library, with a bar that says how far it is."""

import atexit
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from rag_graph.cli.contract import FAILED
from rag_graph.display.counting import counted
from rag_graph.errors import SettingsError

if TYPE_CHECKING:
    from rag_graph.index.indexing import IndexReport
    from rag_graph.index.sites import Sites
    from rag_graph.models.embeddings import Embedder
    from rag_graph.settings import Settings


def index(
    named: Annotated[
        list[str],
        typer.Argument(metavar="PATH|URL...", help="Files and folders, and addresses of pages and sitemaps."),
    ],
    rebuild: Annotated[bool, typer.Option(help="Forget what was indexed before.")] = False,
    loader: Annotated[
        str,
        typer.Option(
            metavar="MODULE:NAME", help="A loader of your own that reads them, such as a LangChain BaseLoader."
        ),
    ] = "",
    max_pages: Annotated[int, typer.Option(min=1, help="Pages of a sitemap that are read.")] = 500,
    delay: Annotated[float, typer.Option(min=0, help="Seconds between two requests to one site.")] = 0.5,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Read pages of this machine and of private networks, too.")
    ] = False,
) -> None:
    """Index documents: text, web pages, PDF, office files, tables, mail, books, code. Unchanged files are skipped.

    Exits with 1 when a file could not be indexed, or none of them is of a kind that can be read.
    """
    from rag_graph.errors import InvalidRequest
    from rag_graph.index.sites import is_address
    from rag_graph.settings import Settings

    settings = Settings.load()
    addresses = [one for one in named if is_address(one)]
    paths = [Path(one) for one in named if not is_address(one)]
    if other := next((one for one in named if "://" in one and not is_address(one)), None):
        raise InvalidRequest(f"{other}: only addresses of http:// and https:// are read, besides files and folders.")
    if addresses and (loader or (rebuild and not paths)):
        raise InvalidRequest("--rebuild and --loader are for files and folders; name addresses without them.")
    is_well = not paths or index_with_bar(settings, paths, rebuild=rebuild, loader=loader).is_all_well
    if addresses:
        visit = Visit(max_pages=max_pages, delay_s=delay, allow_private=allow_private)
        is_well = index_addresses(settings, addresses, visit).is_all_well and is_well
    if not is_well:
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class Visit:
    """How pages of the web are read."""

    max_pages: int = 500
    delay_s: float = 0.5
    allow_private: bool = False


def index_addresses(settings: "Settings", addresses: Sequence[str], visit: Visit) -> "IndexReport":
    """Bring the pages of these addresses into the library, and say on stderr what came of it."""
    from rich.console import Console

    from rag_graph.display.progress import print_report, visiting
    from rag_graph.wiring import choose_embedder, choose_index

    console = Console(stderr=True)
    sites = open_sites(settings, visit)
    with visiting(console) as on_page, closing(choose_index(settings, choose_embedder(settings))) as index:
        report = sites.index(index, addresses, on_page)
    print_report(report, console)
    return report


def open_sites(settings: "Settings", visit: Visit) -> "Sites":
    """The pages that are kept in the data folder."""
    from rag_graph.index.loader import Limits
    from rag_graph.index.sites import Sites
    from rag_graph.index.web import Bounds

    return Sites(
        settings.data_dir / "web",
        bounds=Bounds(pages=visit.max_pages, delay_s=visit.delay_s),
        limits=Limits(seconds=settings.load_max_s, memory_mb=settings.load_max_mb),
        allow_private=visit.allow_private,
    )


def remove(
    named: Annotated[
        list[str], typer.Argument(help="Files, folders and addresses, whether still there or not, or ids.")
    ],
) -> None:
    """Take documents out of the library; their files stay as they are."""
    from rag_graph.errors import LibraryError
    from rag_graph.index.indexing import forget
    from rag_graph.settings import Settings
    from rag_graph.wiring import choose_embedder, choose_index

    settings = Settings.load()
    with closing(choose_index(settings, choose_embedder(settings))) as index:
        removed = open_sites(settings, Visit()).drop(index, named) + forget(index, named)
    if not removed:
        raise LibraryError("The library has no document of these files, folders, addresses and ids.")
    typer.echo(f"{counted(removed, 'document')} removed.", err=True)


def index_with_bar(
    settings: "Settings",
    paths: Sequence[Path],
    *,
    rebuild: bool,
    loader: str = "",
    embedder: "Embedder | None" = None,
) -> "IndexReport":
    """Index into the library of the settings, and say on stderr what came of it."""
    from rich.console import Console

    from rag_graph.display.progress import indexing, print_report
    from rag_graph.index.indexing import index_paths
    from rag_graph.index.loader import Limits
    from rag_graph.wiring import choose_embedder, choose_index

    console, chosen = Console(stderr=True), embedder or choose_embedder(settings)
    with indexing(console) as on_progress, closing(choose_index(settings, chosen)) as index:
        limits = Limits(seconds=settings.load_max_s, memory_mb=settings.load_max_mb)
        report = index_paths(index, paths, on_progress=on_progress, rebuild=rebuild, limits=limits, read_by=loader)
    print_report(report, console)
    return report


def index_sample(settings: "Settings", embedder: "Embedder | None" = None) -> "Settings":
    """Index a copy of the documents that come along, so that another installation of the package replaces it.

    The `embedder` is the one that the settings choose, where that is at hand already. Returns the settings of the
    library that has them: where the data folder cannot be written to, one that is gone when the process ends.
    """
    from rag_graph.errors import IndexMismatch
    from rag_graph.index.guide import copy_guide
    from rag_graph.index.indexing import roots_of
    from rag_graph.wiring import choose_embedder, choose_index

    try:
        copy = copy_guide(settings.data_dir)
    except OSError as exc:
        if settings.postgres_url.get_secret_value():
            raise SettingsError(f"RAG_DATA_DIR: {settings.data_dir} cannot be written to: {exc.strerror}.") from exc
        folder = Path(mkdtemp(prefix="rag-graph-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        typer.echo(f"{settings.data_dir} cannot be written to: the sample is indexed for this time only.", err=True)
        settings = settings.model_copy(update={"data_dir": folder})
        copy = copy_guide(folder)
    try:
        index_with_bar(settings, [copy], rebuild=False, embedder=embedder)
    except IndexMismatch:
        # Another embedding model is set than last time. What is not ours to rebuild is left as it is.
        with closing(choose_index(settings, choose_embedder(settings))) as kept:
            if any(not root.is_relative_to(copy.resolve()) for root in roots_of(kept.files())):
                raise
        index_with_bar(settings, [copy], rebuild=True, embedder=embedder)
    return settings
