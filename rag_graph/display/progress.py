"""How far long work has come, as bars on a terminal; and what came of indexing."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from rag_graph.display.counting import counted
from rag_graph.index.indexing import IndexProgress, IndexReport
from rag_graph.text.controls import inert_line


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
        # No markup: a file's name may have brackets, which rich would read as a style.
        TextColumn("{task.description}", style="dim", markup=False),
    )
    # Elsewhere than on a terminal, it would leave an empty line behind.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None, passages=0)

        def on_progress(done: IndexProgress) -> None:
            progress.update(
                task,
                completed=done.bytes_done,
                total=done.bytes_total,
                passages=done.passages,
                description=inert_line(Path(done.uri).name),
            )

        yield on_progress


@contextmanager
def visiting(console: Console) -> Iterator[Callable[[str], None]]:
    """A line that tells which page is read."""
    columns = (TextColumn("Reading page {task.completed}"), TextColumn("{task.description}", style="dim", markup=False))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda url: progress.update(task, advance=1, description=inert_line(url))


@contextmanager
def evaluating(
    parts: Sequence[str], console: Console
) -> Iterator[tuple[Callable[[IndexProgress], None], Callable[[str, int, int], None]]]:
    """A bar for indexing and one for each part, moved by the two yielded functions."""
    columns = (
        TextColumn("{task.description}", markup=False),
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
    """What an indexing run did, a line for each file that it could not read, and how many those are of each kind."""
    rate = report.passages / report.seconds if report.seconds else 0.0
    console.print(
        f"{counted(report.added, 'document')} added, {report.replaced} replaced, {report.removed} removed, "
        f"{report.unchanged} unchanged; {counted(report.passages, 'passage')} in {report.seconds:.1f} s "
        f"({rate:.0f}/s).",
        highlight=False,
    )
    if report.kinds:
        _print_line(f"Read: {', '.join(f'{suffix} ({count})' for suffix, count in report.kinds.items())}.", console)
    for note in report.notes:
        _print_line(f"note: {note.uri}: {note.text}", console)
    for failure in report.failures:
        _print_line(f"not indexed: {failure.uri}: {failure.reason}", console, style="yellow")
    if report.failures:
        counts = Counter(failure.kind for failure in report.failures)
        told = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
        _print_line(f"Not indexed: {len(report.failures)} ({told}).", console, style="yellow")
    if report.left_out:
        told = ", ".join(f"{reason} ({number})" for reason, number in report.left_out.items())
        _print_line(f"Left out: {sum(report.left_out.values())} files and folders: {told}.", console)
    if report.passed_over:
        count = sum(report.passed_over.values())
        told = ", ".join(f"{suffix or 'no suffix'} ({number})" for suffix, number in report.passed_over.items())
        _print_line(f"Passed over: {count} of kinds that cannot be read: {told}.", console, style="yellow")
        if not report.is_all_well and not report.failures:
            _print_line("There was no file that can be read.", console, style="yellow")


def _print_line(line: str, console: Console, *, style: str = "") -> None:
    console.print(Text(inert_line(line), style=style), soft_wrap=True)
