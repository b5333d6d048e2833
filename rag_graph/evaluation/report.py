"""Scores as people and programs read them: a table with intervals, and JSON."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from rag_graph.evaluation.run import Results
from rag_graph.evaluation.scores import Estimate


def table(results: Results) -> Table:
    """One column for each part, one row for each score, with the interval that holds 95 % of resampled means."""
    title = f"{results.dataset}: {results.questions} questions, {results.passages:,} passages"
    board = Table(title=title, caption="in brackets: 95 % confidence intervals", title_justify="left")
    board.add_column("")
    for part in results.scores:
        board.add_column(part, justify="right")
    for name in dict.fromkeys(name for its in results.scores.values() for name in its):
        board.add_row(name, *(_cell(name, its) for its in results.scores.values()))
    return board


def as_json(results: Results) -> dict[str, Any]:
    """Means by part and name; the intervals and the sizes beside them."""
    return {
        "dataset": results.dataset,
        "questions": results.questions,
        "passages": results.passages,
        **{part: {name: round(its.mean, 4) for name, its in means.items()} for part, means in results.scores.items()},
        "intervals": {
            part: {name: [round(its.low, 4), round(its.high, 4)] for name, its in means.items()}
            for part, means in results.scores.items()
        },
    }


def _cell(name: str, means: Mapping[str, Estimate]) -> str:
    its = means.get(name)
    if its is None:
        return ""
    if name.endswith("_ms"):
        return f"{its.mean:.1f} ({its.low:.1f} - {its.high:.1f})"
    return f"{its.mean * 100:.1f} ({its.low * 100:.1f} - {its.high * 100:.1f})"
