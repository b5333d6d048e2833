"""`rag-graph bench`: how a running server feels under load."""

import asyncio
import json
import sys
from typing import Annotated

import typer

from rag_graph.cli.contract import FAILED


def bench(
    url: Annotated[str, typer.Argument(help="The server, such as http://localhost:8000.")],
    streams: Annotated[int, typer.Option(min=1, help="Questions to ask in all.")] = 50,
    at_once: Annotated[int, typer.Option(min=1, help="Questions that go on at a time.")] = 10,
    question: Annotated[list[str] | None, typer.Option(help="What to ask, in turn; may be given again.")] = None,
    key: Annotated[
        str,
        typer.Option(envvar="BENCH_API_KEY", help="The server's key; given here, others on this machine can see it."),
    ] = "",
    deep: Annotated[bool, typer.Option(help="Ask to think harder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as one JSON document.")] = False,
) -> None:
    """Measure a running server: first token, gaps between tokens, throughput."""
    from rich.console import Console

    from rag_graph.evaluation.load import QUESTIONS, measure
    from rag_graph.evaluation.report import print_load

    asked = measure(url, streams=streams, at_once=at_once, key=key, questions=question or QUESTIONS, deep=deep)
    load = asyncio.run(asked)
    if as_json:
        sys.stdout.write(json.dumps(load.as_dict(), indent=2) + "\n")
    else:
        print_load(load, Console())
    if not load.whole:
        raise typer.Exit(FAILED)
