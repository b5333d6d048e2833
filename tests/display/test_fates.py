"""What a refinement made of the draft's sentences, as a terminal and a notebook tell it."""

import io
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from rag_graph.display import terminal
from rag_graph.display.notebook import _result
from rag_graph.display.view import RunView
from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerStarted,
    ClaimFate,
    Decided,
    Event,
    RunFinished,
    Timings,
)

REASON = "“Newer page” says otherwise than the first answer"
EVENTS: tuple[Event, ...] = (
    AnswerStarted(version=1),
    AnswerDelta(version=1, delta="It is 324 metres tall. It is painted red. It stands in Paris. It is of iron."),
    AnswerFinished(version=1),
    Decided(decision="refine", checked=True, reason=REASON),
    AnswerStarted(version=2),
    AnswerDelta(version=2, delta="It is 330 metres tall. It stands in Paris. It is of iron. It opened in 1889."),
    ClaimFate(version=2, claim="c4", fate="kept"),
    ClaimFate(
        version=2,
        claim="c3",
        fate="confirmed",
        reason="Confirmed by 2 more sources.",
        quote="The tower of \x1b[2JParis",
        marker=4,
        sources=(4, 5),
    ),
    ClaimFate(
        version=2,
        claim="c1",
        fate="corrected",
        before="It is 324 metres tall.",
        after="It is 330 metres tall.",
        reason="“News” gives another number.",
    ),
    ClaimFate(version=2, claim="c5", fate="added", after="It opened in 1889."),
    ClaimFate(
        version=2, claim="c2", fate="withdrawn", before="It is painted red.", reason="No source was found that says it."
    ),
    AnswerFinished(version=2),
    RunFinished(version=2, answer="", citations=(), timings=Timings()),
)

STRUCK, QUOTED, DIM, PLAIN = "\x1b[2;9m", "\x1b[2;3m", "\x1b[2m", "\x1b[0m"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


async def told() -> AsyncIterator[Event]:
    for event in EVENTS:
        yield event


async def on(file: io.StringIO) -> str:
    console = Console(file=file, width=100, color_system="standard", force_terminal=file.isatty(), legacy_windows=False)
    await terminal.show(told(), lambda _: None, console)
    return file.getvalue()


@pytest.mark.anyio
async def test_a_terminal_tells_corrected_then_withdrawn_then_confirmed_sentences_with_the_reasons() -> None:
    _, _, changed = (await on(Screen())).partition("What changed\x1b[0m\n")
    assert [line.strip() for line in changed.splitlines()] == [
        f"{STRUCK}It is 324 metres tall.{PLAIN} → It is 330 metres tall.{DIM}  “News” gives another number.{PLAIN}",
        f"{STRUCK}It is painted red.{PLAIN}{DIM}  No source was found that says it.{PLAIN}",
        f"{DIM}Confirmed by 2 more sources.{PLAIN}{QUOTED}  “The tower of \ufffd[2JParis”{PLAIN}",
    ]


@pytest.mark.anyio
async def test_a_file_that_the_answer_is_written_to_holds_what_stands_and_no_changes() -> None:
    assert await on(io.StringIO()) == "It is 330 metres tall. It stands in Paris. It is of iron. It opened in 1889.\n"


def test_a_notebook_tells_the_same_with_the_old_words_struck() -> None:
    view = RunView()
    for event in EVENTS:
        view.add(event)
    heading, changes = list(_result(view, []))[2:4]
    assert heading == "**What changed**"
    assert changes.splitlines() == [
        "- ~~It is 324 metres tall.~~ → It is 330 metres tall. *“News” gives another number.*",
        "- ~~It is painted red.~~ *No source was found that says it.*",
        "- *Confirmed by 2 more sources.* “The tower of \ufffd[2JParis”",
    ]
