"""Scores and loads as people and programs read them: tables, and JSON."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_graph.evaluation.load import Load, percentile
from rag_graph.evaluation.run import Results
from rag_graph.text.controls import inert_line

BLOCKS: Final = "▁▂▃▄▅▆▇█"
BARS: Final = 32
COUNTS: Final = frozenset({"corrected", "withdrawn"})
"""Sentences a run; all else but times are shares, told in per cent."""


def scores_table(results: Results) -> Table:
    """One column for each part, one row for each score, with the interval that holds 95 % of resampled means."""
    title = Text(inert_line(f"{results.dataset}: {results.questions} questions, {results.passages:,} passages"))
    table = Table(title=title, caption="in brackets: 95 % confidence intervals", title_justify="left")
    table.add_column("")
    for part in results.scores:
        table.add_column(part, justify="right")
    for name in dict.fromkeys(name for its in results.scores.values() for name in its):
        factor = 1 if name.endswith("_ms") or name in COUNTS else 100
        cells = [
            f"{its.mean * factor:.1f} ({its.low * factor:.1f} - {its.high * factor:.1f})" if its else ""
            for its in (means.get(name) for means in results.scores.values())
        ]
        table.add_row(name, *cells)
    return table


def claims_table(results: Results) -> Table:
    """The check of claims on the dataset's labelled ones, with Wilson's intervals."""
    title = f"{results.dataset}: {results.claims['supported'].of} labelled claims"
    table = Table(title=title, caption="in brackets: 95 % confidence intervals", title_justify="left")
    table.add_column("")
    table.add_column("claims", justify="right")
    table.add_column("of", justify="right")
    for name, share in results.claims.items():
        low, high = share.interval
        told = f"{share.value * 100:.1f} ({low * 100:.1f} - {high * 100:.1f})" if share.of else ""
        table.add_row(name, told, str(share.of))
    return table


def scores_as_json(results: Results) -> dict[str, Any]:
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
        "claims": {
            name: {
                "share": round(share.value, 4),
                "of": share.of,
                "interval": [round(end, 4) for end in share.interval],
            }
            for name, share in results.claims.items()
        },
    }


def load_table(load: Load) -> Table:
    """The measures, each with its spread."""
    table = Table("in ms", "p50", "p90", "p99", "greatest", "from least to greatest", box=None)
    for name, values in load.measured().items():
        if values:
            cells = (f"{percentile(values, rank) * 1000:.1f}" for rank in (50, 90, 99, 100))
            table.add_row(name, *cells, sparkline(values))
    return table


def print_load(load: Load, console: Console) -> None:
    told = load.as_dict()
    if load.whole:
        console.print(load_table(load))
    console.print(
        f"{told['streams']} streams in {told['seconds']:.1f} s, {told['failed']} failed; "
        f"{told['pieces_per_second']:.0f} pieces of text a second.",
        highlight=False,
    )
    errors = sorted({stream.error for stream in load.streams if stream.error})
    if errors:
        console.print(Text(inert_line(f"Failures: {', '.join(errors)}.")))


def sparkline(values: Sequence[float], bars: int = BARS) -> str:
    """How the values are spread from the least to the greatest, a bar for each equal step."""
    least, greatest = min(values), max(values)
    step = (greatest - least) / bars or 1.0
    counts = [0] * bars
    for value in values:
        counts[min(bars - 1, int((value - least) / step))] += 1
    highest = max(counts)
    return "".join(BLOCKS[-(-count * (len(BLOCKS) - 1) // highest)] if count else " " for count in counts)
