"""`rag-graph ask`: one question, and its answer as it comes."""

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rag_graph.cli.answering import OpenAsker, ServerOption, choose_asker, settings_for
from rag_graph.cli.contract import (
    FAILED,
    FilterOption,
    LanguageOption,
    ModelOption,
    filters_of,
    keep_logs_from_the_answer,
)
from rag_graph.interrupts import leaving_at_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rag_graph.display.saved import SavedRun
    from rag_graph.events import Event
    from rag_graph.query import Query
    from rag_graph.transcript import Transcript

Form = Literal["shown", "document", "lines"]
_REFUSED = {
    "filters": "The filters cannot be used",
    "model": "--model is no name",
    "language": "--language is no name of a language",
}


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know; - or nothing reads it from stdin.")] = "-",
    deep: Annotated[bool, typer.Option(help="Think harder: more searches, the reasoning model.")] = False,
    sample: Annotated[bool, typer.Option(help="Index the sample documents first.")] = False,
    filters: FilterOption = None,
    model: ModelOption = "",
    language: LanguageOption = "",
    server: ServerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the whole run as one JSON document.")] = False,
    as_lines: Annotated[bool, typer.Option("--jsonl", help="Write each event as it comes, a line of JSON.")] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the answer: in a .md, its run in a .json or .jsonl.")
    ] = None,
) -> None:
    """Ask a question; the answer is shown as it comes, and replaced when the evidence changes it."""
    with leaving_at_once():
        from pydantic import ValidationError

        from rag_graph.display.saved import SavedRun
        from rag_graph.errors import InvalidRequest
        from rag_graph.events import RunFailed
        from rag_graph.query import Query

    settings = settings_for(server)
    keep_logs_from_the_answer()
    if question == "-" and sys.stdin.isatty():
        sys.stderr.write("Type the question, then Ctrl-D:\n")
    try:
        asked = sys.stdin.read().strip() if question == "-" else question
        query = Query(
            question=asked,
            mode="deep" if deep else "fast",
            filters=filters_of(filters),
            model=model,
            language=language,
        )
    except ValidationError as exc:
        first = exc.errors()[0]
        what = _REFUSED.get(str(first["loc"][0]), "The question is not one")
        raise InvalidRequest(f"{what}: {first['msg'].removeprefix('Value error, ')}.") from None
    saved = SavedRun(save) if save else None
    asker = choose_asker(settings, sample=sample, query=query)
    form: Form = "lines" if as_lines else "document" if as_json else "shown"
    transcript = asyncio.run(_ask(asker, query, form, saved))
    if isinstance(transcript.terminal, RunFailed):
        raise typer.Exit(FAILED)


async def _ask(opening: OpenAsker, query: "Query", form: Form, saved: "SavedRun | None") -> "Transcript":
    from rich.console import Console

    from rag_graph.display import terminal
    from rag_graph.display.saved import as_json, as_line
    from rag_graph.display.view import sources
    from rag_graph.transcript import Transcript

    heard: list[Event] = []

    async def noted(events: "AsyncIterator[Event]") -> "AsyncIterator[Event]":
        async for event in events:
            heard.append(event)
            yield event

    async with opening as asker, aclosing(asker.ask(query)) as events:
        if form == "shown":
            transcript = await terminal.show(noted(events), asker.document, Console())
        else:
            transcript = Transcript()
            async for event in noted(events):
                transcript.add(event)
                if form == "lines":
                    sys.stdout.write(as_line(event))
                    sys.stdout.flush()
        if form == "document":
            sys.stdout.write(as_json(transcript))
        if saved is not None:
            cited = await asyncio.to_thread(sources, transcript.citations, asker.document)
            saved.write(query.question, transcript, heard, cited)
    return transcript
