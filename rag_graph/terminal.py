"""A run in the terminal: status and thinking while it works, the draft, what replaces it, and numbered sources."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.spinner import Spinner
from rich.text import Text

from rag_graph.documents import Document
from rag_graph.events import Citation, Event, RunCancelled, RunFailed, StepStarted, ThinkingDelta
from rag_graph.transcript import Transcript

THINKING_LINES = 6
FRAMES_PER_SECOND = 12

FindDocument = Callable[[str], Document | None]


async def show(events: AsyncIterator[Event], find: FindDocument, console: Console) -> Transcript:
    """Follow a run to its end. On a terminal it is shown as it grows; elsewhere only what stands is written."""
    transcript, view = Transcript(), _View()
    if console.is_terminal:
        with Live(console=console, transient=True, refresh_per_second=FRAMES_PER_SECOND) as live:
            async for event in events:
                transcript.add(event)
                view.add(event)
                live.update(view.render(transcript))
    else:
        async for event in events:
            transcript.add(event)
    _write_result(transcript, find, console)
    return transcript


class _View:
    """What is seen while the run goes on."""

    def __init__(self) -> None:
        self._status = "Starting"
        self._thoughts = ""

    def add(self, event: Event) -> None:
        match event:
            case StepStarted():
                self._status = event.description
            case ThinkingDelta():
                self._thoughts += event.delta

    def render(self, transcript: Transcript) -> RenderableType:
        parts: list[RenderableType] = [Spinner("dots", Text(self._status, style="bold"))]
        if self._thoughts and not transcript.answers[2].deltas:
            last = "\n".join(self._thoughts.strip().splitlines()[-THINKING_LINES:])
            parts.append(Padding(Text(last, style="dim italic"), (0, 0, 0, 2)))
        if transcript.answer:
            name = "Draft" if transcript.standing == 1 else "Refined answer"
            parts += [Rule(name, style="dim", align="left"), Markdown(transcript.answer)]
        return Group(*parts)


def _write_result(transcript: Transcript, find: FindDocument, console: Console) -> None:
    remarks = Console(stderr=True)
    match transcript.terminal:
        case RunFailed(message=message):
            remarks.print(Text(message, style="red"), soft_wrap=True)
        case RunCancelled():
            remarks.print(Text("Stopped.", style="yellow"))
        case _:
            for warning in transcript.warnings:
                remarks.print(Text(warning.message, style="yellow"), soft_wrap=True)
    if not transcript.answer:
        return
    if console.is_terminal:
        console.print(_heading(transcript), Markdown(transcript.answer), sep="\n")
    else:
        sys.stdout.write(f"{transcript.answer.strip()}\n")
    sources = list(_sources(transcript.citations, find))
    if sources:
        console.print(Text("\nSources", style="bold"))
        for line in sources:
            console.print(line, soft_wrap=True)


def _heading(transcript: Transcript) -> RenderableType:
    decision = transcript.decision
    if decision is None:
        return Rule("Answer", style="dim", align="left")
    what = "Refined" if transcript.standing != 1 else "The draft stands"
    return Rule(f"{what}: {decision.reason}", style="dim", align="left")


def _sources(citations: Iterable[Citation], find: FindDocument) -> Iterable[Text]:
    seen: set[tuple[int, int]] = set()
    for citation in sorted(citations, key=lambda citation: (citation.marker, citation.source_start)):
        line = _line(citation, find)
        if (citation.marker, line) not in seen:
            seen.add((citation.marker, line))
            where = f"{citation.uri}:{line}" if line else citation.uri
            yield Text.assemble((f"[{citation.marker}] ", "bold"), f"{citation.title}  ", (where, "cyan"))


def _line(citation: Citation, find: FindDocument) -> int:
    document = find(citation.document)
    return document.text.count("\n", 0, citation.source_start) + 1 if document else 0
