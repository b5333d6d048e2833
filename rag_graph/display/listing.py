"""The library as a list on a terminal, or as JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from rag_graph.display.counting import counted
from rag_graph.index.base import DocumentEntry, IndexedFile
from rag_graph.text.controls import inert_line


def kind_of(uri: str) -> str:
    """The kind of a document, by its name."""
    return PurePath(uri.partition("#")[0]).suffix.lower().removeprefix(".") or "-"


def print_documents(documents: Iterable[DocumentEntry], unread: Sequence[IndexedFile], console: Console) -> None:
    """A row for each document, a line for each file that could not be read, and how many those are."""
    table = Table("title", "kind", Column("passages", justify="right"), "from", "id", box=None, pad_edge=False)
    for one in documents:
        cells = (one.title, kind_of(one.uri), str(one.passages), one.uri, one.id)
        table.add_row(*(Text(inert_line(cell)) for cell in cells))
    if table.row_count:
        console.print(table)
    for file in unread:
        console.print(Text(inert_line(f"not indexed: {file.uri}: {file.failure}"), style="yellow"), soft_wrap=True)
    console.print(f"{counted(table.row_count, 'document')}.", highlight=False, style="dim")


def print_documents_as_json(documents: Iterable[DocumentEntry]) -> None:
    for one in documents:
        listed = {
            "id": one.id,
            "uri": one.uri,
            "title": one.title,
            "kind": kind_of(one.uri),
            "path": one.path,
            "characters": one.characters,
            "passages": one.passages,
        }
        sys.stdout.write(json.dumps(listed) + "\n")


def print_status(status: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(status) + "\n")
        return
    held = ", ".join(counted(status[f"{noun}s"], noun) for noun in ("document", "passage"))
    unread = f"{counted(status['unread'], 'file')} could not be read: rag-graph library names them."
    lines = [
        f"{held}, of {counted(status['files'], 'file')}.",
        *([unread] if status["unread"] else []),
        f"Embedded by {status['embedder']}, kept in {status['kept_in']}.",
        *(f"From {root}" for root in status["roots"]),
    ]
    sys.stdout.write("".join(f"{inert_line(line)}\n" for line in lines))
