"""`rag-graph feedback`: what people said of answers."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rag_graph.cli.contract import in_one_line

feedback = typer.Typer(no_args_is_help=True, help="Use what people said of answers.")


@feedback.callback()
def _all() -> None:
    """A group, so that `export` is named."""


@feedback.command()
@in_one_line
def export(folder: Annotated[Path, typer.Argument(help="Where to write the dataset.")]) -> None:
    """Write what was liked and disliked as a dataset for `rag-graph eval`."""
    from rag_graph.evaluation.feedback import export_feedback
    from rag_graph.settings import Settings
    from rag_graph.wiring import choose_embedder, choose_feedback, choose_index

    settings = Settings.load()
    with (
        closing(choose_index(settings, choose_embedder(settings))) as index,
        closing(choose_feedback(settings)) as kept,
    ):
        count = export_feedback(kept.all(), index, folder, sentences=kept.sentences())
    questions = "1 question" if count == 1 else f"{count} questions"
    typer.echo(f"Wrote {questions} to {folder}; measure by: rag-graph eval {folder}", err=True)
