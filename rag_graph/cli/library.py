"""`rag-graph library`: what can be asked about, and keeping it as its folders are."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_graph.cli.contract import FAILED, in_one_line
from rag_graph.display.counting import counted

if TYPE_CHECKING:
    from rag_graph.index import DocumentEntry, Index
    from rag_graph.settings import Settings

PAGE = 500
# How often the watcher comes round without a change, since the first reading waits for its first round.
QUIET_MS = 500

library = typer.Typer(invoke_without_command=True, help="List the documents; bring them up to date with their folders.")


@library.callback()
@in_one_line
def show(
    context: typer.Context,
    matching: Annotated[str, typer.Option(help="Only documents whose name or title holds this.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Write a line of JSON for each document.")] = False,
) -> None:
    """List the documents: title, kind, passages, where from; and the files that could not be read."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console

    from rag_graph.display.listing import print_documents, print_documents_as_json

    with _opened() as (_, index):
        found = _documents(index, matching)
        if as_json:
            print_documents_as_json(found)
        else:
            unread = [file for file in index.files() if file.failure and matching.lower() in file.uri.lower()]
            print_documents(found, unread, Console())


@library.command()
@in_one_line
def status(as_json: Annotated[bool, typer.Option("--json", help="Write it as JSON.")] = False) -> None:
    """Say how much there is, from which folders, and by which embedding model."""
    from rag_graph.cli.index import Visit, open_sites
    from rag_graph.display.listing import print_status
    from rag_graph.errors import IndexNotFound
    from rag_graph.index.indexing import roots_of

    with _opened() as (settings, index):
        files = index.files()
        if not files:
            raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")
        documents, passages = index.counts()
        print_status(
            {
                "documents": documents,
                "passages": passages,
                "files": len(files),
                "unread": sum(bool(file.failure) for file in files),
                "roots": [*map(str, roots_of(files)), *open_sites(settings, Visit()).roots()],
                "embedder": index.embedder.name,
                "kept_in": "PostgreSQL" if settings.postgres_url else str(settings.data_dir),
            },
            as_json=as_json,
        )


@library.command()
@in_one_line
def sync(
    max_pages: Annotated[int, typer.Option(min=1, help="Pages of a sitemap that are read.")] = 500,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Read pages of this machine and of private networks, too.")
    ] = False,
) -> None:
    """Read all files, folders and addresses again that were indexed: what is new, changed or gone.

    Exits with 1 when a file could not be read, or a folder is not there: its documents stay until you remove them.
    """
    from rag_graph.cli.index import Visit, index_addresses, index_with_bar, open_sites
    from rag_graph.errors import IndexNotFound
    from rag_graph.index.indexing import roots_of

    visit = Visit(max_pages=max_pages, allow_private=allow_private)
    with _opened() as (settings, index):
        roots = list(roots_of(index.files()))
    addresses = open_sites(settings, visit).roots()
    if not roots and not addresses:
        raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")
    gone = [root for root in roots if not root.exists()]
    for root in gone:
        typer.echo(f"Not there: {root}. If it is gone for good: rag-graph remove {str(root)!r}", err=True)
    there = [root for root in roots if root.exists()]
    is_well = not there or index_with_bar(settings, there, rebuild=False).is_all_well
    if addresses:
        is_well = index_addresses(settings, addresses, visit).is_all_well and is_well
    if gone or not is_well:
        raise typer.Exit(FAILED)


@library.command("export")
@in_one_line
def export(file: Annotated[Path, typer.Argument(help="The archive to write, such as library.zip.")]) -> None:
    """Write the whole library into one file: texts, passages and vectors."""
    from rag_graph.index.archive import export_library

    with _opened() as (_, index):
        copied = export_library(index, file)
    typer.echo(f"{counted(copied.documents, 'document')}, {counted(copied.passages, 'passage')} written.", err=True)


@library.command("import")
@in_one_line
def import_(
    file: Annotated[Path, typer.Argument(help="An archive that `library export` has written.")],
    replace: Annotated[bool, typer.Option(help="Let go of what the library holds now.")] = False,
) -> None:
    """Take a library out of a file. Nothing is embedded where the same model has made its vectors."""
    from rag_graph.index.archive import import_library

    with _opened() as (_, index):
        copied = import_library(index, file, replace=replace)
    how = ", embedded anew" if copied.embedded else ""
    typer.echo(
        f"{counted(copied.documents, 'document')}, {counted(copied.passages, 'passage')} taken in{how}.", err=True
    )


@library.command()
@in_one_line
def watch() -> None:
    """Go on bringing the library up to date as files change, until Ctrl-C.

    A folder that goes away keeps its documents, and is read again when it comes back.
    """
    from rag_graph.errors import LibraryError

    with _opened() as (settings, index):
        roots = _roots(index)
    watched: dict[Path, int] | None = None
    while True:
        there = _there(roots)
        if watched is None and not there:
            raise LibraryError(f"None of the indexed folders is there: {', '.join(map(str, roots))}.")
        for root in roots if watched is None else watched:
            if root not in there:
                typer.echo(f"Not there: {root}. If it is gone for good: rag-graph remove {str(root)!r}", err=True)
        if there:
            _follow(settings, roots, there, is_first=watched is None)
        else:
            time.sleep(QUIET_MS / 1000)
        watched = there


def _follow(settings: "Settings", roots: Sequence[Path], there: dict[Path, int], *, is_first: bool) -> None:
    """Read what changes, until a folder goes away or comes back: what took its place has to be watched anew."""
    from watchfiles import watch as changes_of

    from rag_graph.cli.index import index_with_bar
    from rag_graph.errors import LibraryError

    is_read = False
    for changes in changes_of(*there, raise_interrupt=True, rust_timeout=QUIET_MS, yield_on_timeout=True):
        if _there(roots) != there:
            return
        if changes or not is_read:  # nothing is missed that changes during the reading: it is watched by then
            try:
                index_with_bar(settings, list(there), rebuild=False)
            except LibraryError:
                if _there(roots) == there:
                    raise
                return  # it went away while it was read
        if is_first and not is_read:
            typer.echo(f"Watching {', '.join(map(str, there))}. Ctrl-C ends it.", err=True)
        is_read = True


def _there(roots: Sequence[Path]) -> dict[Path, int]:
    """Those that are there, and which file or folder each is."""
    found = {}
    for root in roots:
        with suppress(OSError):
            found[root] = root.stat().st_ino
    return found


@contextmanager
def _opened() -> Iterator[tuple["Settings", "Index"]]:
    from rag_graph.settings import Settings
    from rag_graph.wiring import choose_embedder, choose_index

    settings = Settings.load()
    with closing(choose_index(settings, choose_embedder(settings))) as index:
        yield settings, index


def _roots(index: "Index") -> Sequence[Path]:
    from rag_graph.errors import IndexNotFound
    from rag_graph.index.indexing import roots_of

    roots = list(roots_of(index.files()))
    if not roots:
        raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")
    return roots


def _documents(index: "Index", matching: str) -> Iterator["DocumentEntry"]:
    after = ""
    while page := index.documents(matching=matching, after=after, limit=PAGE):
        yield from page
        after = page[-1].uri
