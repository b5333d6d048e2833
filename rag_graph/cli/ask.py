"""`rag-graph ask`: one question, and its answer as it comes."""

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from rag_graph.cli.contract import FAILED, FilterOption, filters_of, keep_logs_from_the_answer
from rag_graph.cli.index import index_sample

if TYPE_CHECKING:
    from rag_graph.query import Query
    from rag_graph.settings import Settings
    from rag_graph.transcript import Transcript


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know; - reads it from stdin.")],
    deep: Annotated[bool, typer.Option(help="Think harder: more searches, the reasoning model.")] = False,
    sample: Annotated[bool, typer.Option(help="Index the sample documents first.")] = False,
    filters: FilterOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the whole run as one JSON document.")] = False,
) -> None:
    """Ask a question; the answer is shown as it comes, and replaced when the evidence changes it."""
    from pydantic import ValidationError

    from rag_graph.errors import InvalidRequest
    from rag_graph.events import RunFailed
    from rag_graph.query import Query
    from rag_graph.settings import Settings

    settings = Settings.load()
    keep_logs_from_the_answer()
    try:
        asked = sys.stdin.read().strip() if question == "-" else question
        query = Query(question=asked, mode="deep" if deep else "fast", filters=filters_of(filters))
    except ValidationError as exc:
        first = exc.errors()[0]
        what = "The filters cannot be used" if first["loc"][0] == "filters" else "The question is not one"
        raise InvalidRequest(f"{what}: {first['msg']}.") from None
    if sample:
        index_sample(settings)
    transcript = asyncio.run(_ask(settings, query, as_json=as_json))
    if isinstance(transcript.terminal, RunFailed):
        raise typer.Exit(FAILED)


async def _ask(settings: "Settings", query: "Query", *, as_json: bool) -> "Transcript":
    from rich.console import Console

    from rag_graph.display import terminal
    from rag_graph.result import run_result
    from rag_graph.text.controls import inert_json
    from rag_graph.transcript import Transcript
    from rag_graph.wiring import open_answerer

    async with open_answerer(settings) as answerer:
        await answerer.check_ready(query.filters)
        async with aclosing(answerer.ask(query)) as events:
            if not as_json:
                return await terminal.show(events, answerer.document, Console())
            transcript = Transcript()
            async for event in events:
                transcript.add(event)
        sys.stdout.write(inert_json(run_result(transcript).model_dump_json(indent=2)) + "\n")
        return transcript
