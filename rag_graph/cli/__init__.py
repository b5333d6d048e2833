"""The `rag-graph` command: index documents, ask, talk, serve, evaluate. One module for each."""

from importlib.metadata import version
from typing import Annotated

import typer

from rag_graph.cli import ask, bench, chat, evaluate, feedback, index, library, mcp, serve, settings, studio
from rag_graph.cli.contract import FAILED, UNUSABLE, in_one_line
from rag_graph.interrupts import INTERRUPTED

__all__ = ["FAILED", "INTERRUPTED", "UNUSABLE", "cli", "main"]

# A command imports what it needs when it is run: what answers and serves takes seconds to import, and neither
# `--help` nor `settings` needs any of it, nor `ask` the server.
cli = typer.Typer(
    name="rag-graph",
    help="Streaming RAG: a draft at once, deep retrieval meanwhile, a refinement when it changes the answer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.command("index")(in_one_line(index.index))
cli.command("remove")(in_one_line(index.remove))
cli.add_typer(library.library, name="library")
cli.command("ask")(in_one_line(ask.ask))
cli.command("chat")(in_one_line(chat.chat))
cli.command("serve")(in_one_line(serve.serve))
cli.add_typer(feedback.feedback, name="feedback")
cli.command("eval")(in_one_line(evaluate.evaluate))
cli.command("mcp")(in_one_line(mcp.serve_mcp))
cli.command("studio")(in_one_line(studio.studio))
cli.command("bench")(in_one_line(bench.bench))
cli.command("settings")(in_one_line(settings.show_settings))


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rag-graph {version('rag-graph')}")
        raise typer.Exit


@cli.callback()
def _all(
    _: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """What can be said before any command."""


def main(*arguments: str) -> None:
    """Run the command with these arguments, or those of the process, and exit."""
    cli(list(arguments) or None)
