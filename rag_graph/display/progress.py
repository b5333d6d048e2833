"""How far long work has come, as bars on a terminal; and what came of indexing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from rag_graph.index.indexing import IndexProgress, IndexReport


class PassagesColumn(ProgressColumn):
    """How many passages there are, and how fast they come."""

    def render(self, task: Task) -> Text:
        passages = task.fields["passages"]
        rate = passages / task.elapsed if task.elapsed else 0.0
        return Text(f"{passages} passages, {rate:.0f}/s")


@contextmanager
def indexing(console: Console) -> Iterator[Callable[[IndexProgress], None]]:
    """A bar that moves as the yielded function is told."""
    columns = (
        TextColumn("Indexing"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        PassagesColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", style="dim"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, passages=0)

        def on_progress(done: IndexProgress) -> None:
            progress.update(
                task,
                completed=done.bytes_done,
                total=done.bytes_total,
                passages=done.passages,
                description=Path(done.uri).name,
            )

        yield on_progress


@contextmanager
def evaluating(
    parts: Sequence[str], console: Console
) -> Iterator[tuple[Callable[[IndexProgress], None], Callable[[str, int, int], None]]]:
    """A bar for indexing and one for each part, moved by the two yielded functions."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {name: progress.add_task(name, total=None, start=False) for name in ("indexing", *parts)}

        def on_indexing(done: IndexProgress) -> None:
            progress.update(tasks["indexing"], completed=done.bytes_done, total=done.bytes_total)

        def on_asked(part: str, done: int, total: int) -> None:
            progress.start_task(tasks[part])
            progress.update(tasks[part], completed=done, total=total)

        yield on_indexing, on_asked


def print_report(report: IndexReport, console: Console) -> None:
    """What an indexing run did, and a line for each file that it could not read."""
    rate = report.passages / report.seconds if report.seconds else 0.0
    console.print(
        f"{report.added} documents added, {report.replaced} replaced, {report.removed} removed, "
        f"{report.unchanged} unchanged; {report.passages} passages in {report.seconds:.1f} s ({rate:.0f}/s).",
        highlight=False,
    )
    for failure in report.failures:
        console.print(Text(f"not indexed: {failure.uri}: {failure.reason}", style="yellow"), soft_wrap=True)
