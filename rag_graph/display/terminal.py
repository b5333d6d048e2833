"""A run in the terminal: status and thinking while it works, the draft, what replaces it, and numbered sources."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.padding import Padding
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from rag_graph.display.view import FindDocument, RunView, Source, changes, sources
from rag_graph.events import Event, RunCancelled, RunFailed
from rag_graph.text.controls import inert, inert_line
from rag_graph.transcript import Transcript

THINKING_LINES = 6
FRAMES_PER_SECOND = 12
INDENT = (0, 0, 0, 4)
_MARKER = re.compile(r"\s*\[\d+\]")


async def show(events: AsyncIterator[Event], find: FindDocument, console: Console) -> Transcript:
    """Follow a run to its end. On a terminal it is shown as it grows; elsewhere only what stands is written.

    When this is cancelled, a terminal keeps what was written so far.
    """
    view = RunView()
    if not console.file.isatty():
        async for event in events:
            view.add(event)
    else:
        try:
            with Live(_Scene(view), console=console, transient=True, refresh_per_second=FRAMES_PER_SECOND):
                async for event in events:
                    view.add(event)
        except asyncio.CancelledError:
            _print_answer(view, console)
            raise
    cited = await asyncio.to_thread(sources, view.transcript.citations, find)
    _print_remarks(view.transcript)
    _print_answer(view, console)
    _print_changes(view.transcript, console)
    _print_sources(cited, view.transcript.answer, console)
    return view.transcript


class _Scene:
    """What is seen while the run goes on: never more than the terminal holds, the newest lines at the bottom.

    A live region that is higher than its terminal scrolls, and lines that scrolled away can no longer be erased.
    """

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._spinner = Spinner("dots")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # A line for the status below it, and one for the cursor, or the terminal would scroll.
        yield _Tail(Group(*self._above()), console.height - 2)
        self._spinner.update(text=inert(self._view.status), style="bold")
        yield _Tail(self._spinner, 1)

    def _above(self) -> Iterator[RenderableType]:
        view = self._view
        answer = view.transcript.answer
        if answer:
            yield Text(inert_line(view.heading), style="dim")
            yield _markdown(answer)
        if view.is_thinking:
            thoughts = Text(inert(view.thoughts).strip(), style="dim italic")
            yield _Tail(Padding(thoughts, INDENT), THINKING_LINES)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The last lines of what would be higher."""

    content: RenderableType
    height: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Without a height of its own: rich would fill up to it, and the last lines of that would be empty.
        for line in console.render_lines(self.content, options.update(height=None), pad=False)[-self.height :]:
            yield from line
            yield Segment.line()


def _print_remarks(transcript: Transcript) -> None:
    remarks = Console(stderr=True)
    match transcript.terminal:
        case RunFailed(message=message):
            remarks.print(Text(inert_line(message), style="red"), soft_wrap=True)
        case RunCancelled():
            remarks.print(Text("Stopped.", style="yellow"), soft_wrap=True)
        case _:
            for warning in transcript.warnings:
                remarks.print(Text(inert_line(warning.message), style="yellow"), soft_wrap=True)


def _print_answer(view: RunView, console: Console) -> None:
    answer = view.transcript.answer.strip()
    if not answer:
        return
    if not console.file.isatty():
        console.file.write(f"{inert(answer)}\n")
        return
    heading = view.heading if view.transcript.terminal else "What was written so far"
    console.print(Text(inert_line(heading), style="dim"), _markdown(answer), sep="\n")


def _print_changes(transcript: Transcript, console: Console) -> None:
    """What a refinement made of the sentences of the draft, which only a terminal has shown."""
    for conflict in transcript.conflicts:
        console.print(Text(f"\n{inert_line(conflict.message)}", style="yellow"), soft_wrap=True)
    told = changes(transcript) if console.file.isatty() else []
    if told:
        console.print(Text("\nWhat changed", style="bold"))
    for fate in told:
        before, after, reason = (inert_line(words) for words in (fate.before, fate.after, fate.reason))
        match fate.fate:
            case "corrected":
                line = Text.assemble((before, "dim strike"), " → ", after, (f"  {reason}", "dim"))
            case "withdrawn":
                line = Text.assemble((before, "dim strike"), (f"  {reason}", "dim"))
            case _:
                line = Text.assemble((reason, "dim"), (f"  “{inert_line(fate.quote)}”", "dim italic"))
        console.print(Padding(line, INDENT))


def _print_sources(cited: list[Source], answer: str, console: Console) -> None:
    if not cited:
        return
    console.print(Text("\nSources", style="bold"))
    known = " ".join(_MARKER.sub("", answer).split())
    for source in cited:
        where = Text.assemble(
            (f"[{source.marker}] ", "bold"), f"{inert_line(source.title)}  ", (inert_line(source.place), "cyan")
        )
        console.print(where, soft_wrap=True)
        # A quote that is the answer's own sentence, as without a language model, says nothing twice.
        if console.file.isatty() and source.quote not in known:
            how = "" if source.grade == "quoted" else "bears on it: "
            quote = Text(f"{how}“{inert_line(source.quote)}”", style="dim", no_wrap=True, overflow="ellipsis")
            console.print(Padding(quote, INDENT))
    console.file.flush()


def _markdown(content: str) -> Markdown:
    # A link's text may name another address than the one that it leads to.
    return Markdown(inert(content), hyperlinks=False)
