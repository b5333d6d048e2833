"""What test runs say: events of a whole run, and producers that tell them in several ways."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerStarted,
    Citation,
    Decided,
    Emit,
    Event,
    NumberedPassage,
    PassagesRetrieved,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Timings,
    Version,
)
from rag_graph.query import Query
from rag_graph.transcript import Transcript

QUERY = Query(question="Who built the tower?", mode="deep")
PASSAGE = NumberedPassage(
    number=1, document="d", title="Towers", uri="towers.md", start=0, end=16, score=1.0, content="Eiffel built it."
)


def citation(version: Version) -> Citation:
    return Citation(
        version=version,
        marker=1,
        start=0,
        end=12,
        document="d",
        title="Towers",
        uri="towers.md",
        source_start=0,
        source_end=16,
        quote="Eiffel built it.",
        attributed_by="model",
        score=0.9,
    )


def finished(version: Version = 1, answer: str = "Eiffel did.") -> RunFinished:
    return RunFinished(version=version, answer=answer, citations=(), timings=Timings(total_ms=9.0))


def deltas(version: Version, *words: str) -> list[Event]:
    return [AnswerDelta(version=version, delta=word) for word in words]


BODY: Sequence[Event] = (
    StepStarted(step="draft", description="Drafting", at_ms=1.0),
    PassagesRetrieved(stage="fast", passages=(PASSAGE,)),
    ThinkingStarted(step="draft", thinker="model"),
    ThinkingDelta(step="draft", delta="A tower… "),
    ThinkingDelta(step="draft", delta="which one?"),
    ThinkingFinished(step="draft", seconds=0.2),
    AnswerStarted(version=1),
    *deltas(1, "Somebody ", "did [1]."),
    citation(1),
    AnswerFinished(version=1),
    StepFinished(step="draft", description="Drafted", at_ms=5.0),
    Decided(decision="refine", checked=True, reason="New evidence names him."),
    StepStarted(step="refine", description="Refining", at_ms=6.0),
    AnswerStarted(version=2),
    *deltas(2, "Eiffel ", "did [1]."),
    citation(2),
    AnswerFinished(version=2),
    StepFinished(step="refine", description="Refined", at_ms=8.0),
)
ANSWER = "Eiffel did [1]."
STORY: Sequence[Event] = (*BODY, finished(2, ANSWER))
OPENING = RunStarted(run_id="ignored", question=QUERY.question, mode=QUERY.mode)


@dataclass
class Emitting:
    """Work that emits the given events, and unless `pauses` is false waits for `go_on` before the `rest`."""

    events: Sequence[Event] = BODY
    rest: Sequence[Event] = ()
    pauses: bool = True
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    cleaned: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[str] = field(default_factory=list)
    afters: list[Transcript | None] = field(default_factory=list)

    async def __call__(self, query: Query, emit: Emit, *, run_id: str, attempt: int, after: Transcript | None) -> None:
        del query, attempt
        self.calls.append(run_id)
        self.afters.append(after)
        try:
            for event in self.events:
                await emit(event)
            self.told.set()
            if self.pauses:
                await self.go_on.wait()
            for event in self.rest:
                await emit(event)
        finally:
            self.cleaned.set()


def story() -> Emitting:
    """Work that says a whole run without a pause."""
    return Emitting(pauses=False)


def assert_story(events: Sequence[Event]) -> None:
    """What `story` said, between its run's start and end."""
    assert isinstance(events[0], RunStarted)
    assert events[1:-1] == list(BODY)
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.version, end.answer, end.citations) == (2, ANSWER, (citation(2),))
