"""Who answers the questions of a command, opened the same way whoever it is."""

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from rag_graph.cli.index import index_sample
from rag_graph.cli.loading import loading
from rag_graph.interrupts import leaving_at_once

if TYPE_CHECKING:
    from rag_graph.documents import Document
    from rag_graph.events import Event
    from rag_graph.graph.parts import Parts
    from rag_graph.query import Query
    from rag_graph.settings import Settings

HERE = "none"
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="The server to ask (RAG_SERVER_URL); none: answer in this process. Else your own that runs is asked.",
    ),
]


class Asker(Protocol):
    """What answers questions, and finds the documents that its citations point to."""

    def ask(self, query: "Query", /) -> "AsyncGenerator[Event]": ...

    def document(self, document_id: str, /) -> "Document | None": ...


OpenAsker = AbstractAsyncContextManager[Asker]


def settings_for(server: str | None) -> "Settings":
    """The settings, with the server that was named on the command line."""
    from rag_graph.settings import Settings

    return Settings.load() if server is None else Settings.load(server_url=server)


def choose_asker(settings: "Settings", *, sample: bool = False, query: "Query | None" = None) -> OpenAsker:
    """Let the server that is named answer, else this user's own, else this process. Raises RagGraphError."""
    if settings.server_url and settings.server_url != HERE:
        with leaving_at_once():
            from rag_graph.cli import remote

            return remote.open_remote(remote.named_server(settings))
    # What is to be indexed first is indexed here.
    if not settings.server_url and not sample and os.access(settings.server_file, os.R_OK):
        with leaving_at_once():
            from rag_graph.cli import remote

            if server := remote.own_server(settings):
                _tell(f"Answered by the server at {server.url}.")
                return remote.open_remote(server)
    with loading(settings) as local:
        # Here, so that all of it has been imported when the terminal is told that nothing loads any more.
        from rag_graph.display import terminal  # noqa: F401
        from rag_graph.wiring import default_parts
    if sample:
        settings = index_sample(settings, local.embedder)
    parts = default_parts(settings, embedder=local.embedder, reader=local.reader)
    return _open_here(settings, parts, query)


def _tell(sentence: str) -> None:
    if sys.stderr.isatty():
        typer.secho(sentence, err=True, dim=True)


@asynccontextmanager
async def _open_here(settings: "Settings", parts: "Parts", query: "Query | None") -> AsyncIterator[Asker]:
    from rag_graph.wiring import open_answerer

    async with open_answerer(settings, parts) as answerer:
        await (answerer.check_ready(query.filters, query.model) if query else answerer.check_ready())
        yield answerer
