"""A run in a notebook: one output that is updated in place, made of Markdown alone."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import Any

from IPython.display import DisplayHandle, Markdown

from rag_graph.display.view import FindDocument, RunView, Source, changes, sources
from rag_graph.events import ClaimFate, Event, RunFailed, RunFinished
from rag_graph.text.controls import inert, inert_line
from rag_graph.transcript import Transcript

UPDATE_EVERY_S = 0.1
THINKING_LINES = 8
_ACTIVE = re.compile(r"<(?=[A-Za-z/!?])|\](?=[(:\[])")
"""Where Markdown would begin a tag, or make a link or an image of what stands in brackets."""


async def show(events: AsyncIterator[Event], *, find: FindDocument | None = None) -> Transcript:
    """Follow a run to its end in the output of its cell, where it is awaited.

    With `find`, such as `answerer.document`, sources are told by line.
    """
    view, cell = RunView(), _Cell()
    async for event in events:
        view.add(event)
        cell.update(_progress(view))
    cited = await asyncio.to_thread(sources, view.transcript.citations, find)
    cell.update(_result(view, cited), at_once=True)
    return view.transcript


class _Cell:
    """The output, redrawn now and then: a front end that is sent every token falls behind."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._drawn_at = 0.0

    def update(self, blocks: Iterator[str], *, at_once: bool = False) -> None:
        now = monotonic()
        # At the end at once, or the last words would wait for an update that never comes.
        if self._handle and not at_once and now - self._drawn_at < UPDATE_EVERY_S:
            return
        self._drawn_at = now
        content: Any = Markdown("\n\n".join(blocks))  # type: ignore[no-untyped-call]
        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
            self._handle.display(content)
        else:
            self._handle.update(content)


def _progress(view: RunView) -> Iterator[str]:
    yield f"⏳ *{_line(view.status)} …*"
    if view.is_thinking:
        last = view.thoughts.strip().splitlines()[-THINKING_LINES:]
        yield "\n".join(f"> {_inert(line)}  " for line in ("**Thinking**", *last))
    if view.transcript.answer:
        yield f"**{_line(view.heading)}**"
        yield _inert(view.transcript.answer)


def _result(view: RunView, cited: list[Source]) -> Iterator[str]:
    transcript = view.transcript
    if isinstance(transcript.terminal, RunFailed):
        yield f"⚠️ {_line(transcript.terminal.message)}"
    for warning in transcript.warnings:
        yield f"⚠️ {_line(warning.message)}"
    if transcript.answer:
        yield f"**{_line(view.heading)}**"
        yield _inert(transcript.answer)
    for conflict in transcript.conflicts:
        yield f"⚠️ {_line(conflict.message)}"
    if fates := changes(transcript):
        yield "**What changed**"
        yield "\n".join(f"- {_change(fate)}" for fate in fates)
    if cited:
        yield "**Sources**"
        yield "\n".join(f"- [{source.marker}] {_line(source.title)}, `{_line(source.place)}`" for source in cited)
    if isinstance(transcript.terminal, RunFinished):
        timings = transcript.timings
        told = (
            ("first word", timings.first_token_ms),
            ("draft", timings.draft_ms),
            ("decided", timings.decided_ms),
            ("all", timings.total_ms),
        )
        times = " · ".join(f"{name} {ms / 1000:.2f} s" for name, ms in told if ms is not None)
        yield f"*{times}*"


def _change(fate: ClaimFate) -> str:
    before, after, reason = (_line(words) for words in (fate.before, fate.after, fate.reason))
    match fate.fate:
        case "corrected":
            return f"~~{before}~~ → {after} *{reason}*"
        case "withdrawn":
            return f"~~{before}~~ *{reason}*"
        case _:
            return f"*{reason}* “{_line(fate.quote)}”"


def _inert(content: str) -> str:
    """The same to read, but nothing in it is a tag, a link or an image: answers and documents are not to be trusted.

    Notebooks render Markdown with all the HTML in it. A word joiner, which has no width, breaks every such beginning.
    """
    return _ACTIVE.sub(lambda found: f"{found[0]}\u2060", inert(content))


def _line(content: str) -> str:
    """The same of a name or a sentence: it begins no heading or list of its own, and leaves no code span."""
    return _inert(inert_line(content)).replace("`", "'")
