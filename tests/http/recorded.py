"""Runs as they were recorded, word for word: what every protocol is held to."""

from collections.abc import Mapping, Sequence

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Citation,
    ClaimFate,
    ClaimStated,
    Decided,
    Event,
    NumberedPassage,
    PassagesRetrieved,
    Quoted,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    SourceConflict,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Timings,
    Unsupported,
    Usage,
    Version,
    Warned,
)
from rag_graph.transcript import Transcript

RUN_ID = "01JQZ5V0000000000000000000"
QUESTION = "Wer baute den Turm – and when?"
DRAFT = "Eiffel built it [1]. It is red."
REFINED = "Eiffel’s company built it [1]. It opened in 1889 [2]. 🗼"

EIFFEL = NumberedPassage(
    number=1,
    document="d1",
    title="Eiffel [Tower]",
    uri="https://example.org/eiffel tower.html",
    start=10,
    end=43,
    heading=("History",),
    score=0.9,
    content="It was built by Eiffel’s company.",
)
OPENING = NumberedPassage(
    number=2,
    document="d2",
    title="Openings",
    uri="notes/openings.md",
    start=0,
    end=18,
    score=0.5,
    content="Opened in 1889. 🗼",
)


def _cited(version: Version, passage: NumberedPassage, start: int, end: int) -> Citation:
    return Citation(
        version=version,
        marker=passage.number,
        start=start,
        end=end,
        document=passage.document,
        title=passage.title,
        uri=passage.uri,
        source_start=passage.start,
        source_end=passage.end,
        quote=passage.content,
        attributed_by="model" if version == 1 else "check",
        score=0.8,
    )


def _quoted(passage: NumberedPassage) -> Quoted:
    return Quoted(
        marker=passage.number,
        document=passage.document,
        title=passage.title,
        uri=passage.uri,
        source_start=passage.start,
        source_end=passage.end,
        quote=passage.content,
    )


def _deltas(version: Version, content: str) -> Sequence[Event]:
    words = content.split(" ")
    return [AnswerDelta(version=version, delta=word if n == 0 else f" {word}") for n, word in enumerate(words)]


_RETRIEVED: Sequence[Event] = (
    RunStarted(run_id=RUN_ID, question=QUESTION, mode="deep"),
    StepStarted(step="fast_retrieve", description="Searching the documents", at_ms=0.5),
    PassagesRetrieved(stage="fast", passages=(EIFFEL,)),
    StepFinished(step="fast_retrieve", description="Found 1 passage", at_ms=4.0),
    ThinkingStarted(step="fast_retrieve", thinker="pipeline"),
    ThinkingDelta(step="fast_retrieve", delta="Reading 1 passage.\n"),
    ThinkingFinished(step="fast_retrieve", seconds=0.0),
)
_DRAFTED: Sequence[Event] = (
    StepStarted(step="deep_retrieve", description="Searching more widely", at_ms=4.5),
    StepStarted(step="draft", description="Drafting", at_ms=4.6),
    ThinkingStarted(step="draft", thinker="model"),
    ThinkingDelta(step="draft", delta="A tower… "),
    ThinkingStarted(step="deep_retrieve", thinker="model"),
    ThinkingDelta(step="deep_retrieve", delta="When did "),
    ThinkingDelta(step="draft", delta="which one?"),
    ThinkingFinished(step="draft", seconds=0.2),
    AnswerStarted(version=1),
    *_deltas(1, DRAFT)[:3],
    ThinkingDelta(step="deep_retrieve", delta="it open?"),
    *_deltas(1, DRAFT)[3:4],
    _cited(1, EIFFEL, 0, 20),
    ThinkingFinished(step="deep_retrieve", seconds=0.3),
    *_deltas(1, DRAFT)[4:],
    Unsupported(version=1, start=21, end=31, reason="No passage says this."),
    ClaimStated(version=1, claim="c1", start=0, end=20, state="supported", sources=(1,)),
    ClaimStated(version=1, claim="c2", start=21, end=31, state="unsupported", reason="No passage says this."),
    AnswerFinished(version=1),
    Usage(step="draft", model="small", input_tokens=100, output_tokens=20, reasoning_tokens=5, cached_tokens=64),
    StepFinished(step="draft", description="Drafted an answer", at_ms=50.0),
    PassagesRetrieved(stage="deep", passages=(OPENING, EIFFEL)),
    StepFinished(step="deep_retrieve", description="Found 1 more", at_ms=52.0),
    StepStarted(step="decide", description="Comparing", at_ms=53.0),
)
_DECIDED: Sequence[Event] = (
    SourceConflict(message="The sources disagree.", quotes=(_quoted(OPENING), _quoted(EIFFEL))),
    Decided(decision="refine", checked=True, reason="The date was missing.", new_passages=(2,)),
    StepFinished(step="decide", description="The answer is written anew", at_ms=60.0),
    StepStarted(step="refine", description="Writing the answer", at_ms=61.0),
    AnswerStarted(version=2),
)
_BROKEN: Sequence[Event] = (
    *_deltas(2, "Eiffel’s company made")[:3],
    Warned(step="refine", code="model_stalled", message="The model stopped in the middle; it is asked again."),
    AnswerReset(version=2, attempt=1, reason="the model stopped in the middle"),
)
_REFINED: Sequence[Event] = (
    *_deltas(2, REFINED)[:5],
    _cited(2, EIFFEL, 0, 30),
    *_deltas(2, REFINED)[5:],
    _cited(2, OPENING, 31, 53),
    ClaimStated(version=2, claim="c1", start=0, end=30, state="supported", sources=(1,)),
    ClaimStated(version=2, claim="c3", start=31, end=55, state="supported", sources=(2,)),
    ClaimFate(
        version=2,
        claim="c1",
        fate="corrected",
        before="Eiffel built it.",
        after="Eiffel’s company built it.",
        reason="“Eiffel [Tower]” says it otherwise.",
        quote=EIFFEL.content,
        marker=1,
    ),
    ClaimFate(version=2, claim="c3", fate="added", after="It opened in 1889. 🗼", quote=OPENING.content, marker=2),
    ClaimFate(version=2, claim="c2", fate="withdrawn", before="It is red.", reason="No passage says this."),
    AnswerFinished(version=2),
    Usage(step="refine", model="large", input_tokens=300, output_tokens=40, reasoning_tokens=7, cached_tokens=128),
    StepFinished(step="refine", description="Wrote the answer", at_ms=90.0),
)
_TIMINGS = Timings(first_event_ms=0.1, first_token_ms=10.0, draft_ms=50.0, total_ms=91.0)
_STANDS = RunFinished(
    version=2, answer=REFINED, citations=(_cited(2, EIFFEL, 0, 30), _cited(2, OPENING, 31, 53)), timings=_TIMINGS
)
_CLOSED: Sequence[Event] = (
    AnswerFinished(version=2),
    StepFinished(step="refine", description="Stopped before its end.", at_ms=80.0),
)

REFINES: Sequence[Event] = (*_RETRIEVED, *_DRAFTED, *_DECIDED, *_REFINED, _STANDS)
RESETS: Sequence[Event] = (*_RETRIEVED, *_DRAFTED, *_DECIDED, *_BROKEN, *_REFINED, _STANDS)
KEEPS: Sequence[Event] = (
    *_RETRIEVED,
    *_DRAFTED,
    Decided(decision="keep", checked=True, reason="Nothing changes."),
    StepFinished(step="decide", description="The draft stands", at_ms=60.0),
    RunFinished(version=1, answer=DRAFT, citations=(_cited(1, EIFFEL, 0, 20),), timings=_TIMINGS),
)
FALLS_BACK: Sequence[Event] = (
    *_RETRIEVED,
    *_DRAFTED,
    *_DECIDED,
    *_BROKEN,
    *_CLOSED,
    RunFinished(version=1, answer=DRAFT, citations=(_cited(1, EIFFEL, 0, 20),), timings=_TIMINGS),
)
FAILS: Sequence[Event] = (
    *_RETRIEVED,
    StepStarted(step="draft", description="Drafting", at_ms=4.6),
    AnswerStarted(version=1),
    *_deltas(1, DRAFT)[:2],
    AnswerFinished(version=1),
    StepFinished(step="draft", description="The draft broke off", at_ms=30.0),
    RunFailed(code="model_unavailable", message="The model cannot be reached.", retryable=True, answer="Eiffel built"),
)
STOPS: Sequence[Event] = (
    *_RETRIEVED,
    *_DRAFTED,
    *_DECIDED,
    *_deltas(2, REFINED)[:3],
    *_CLOSED,
    RunCancelled(by="client", answer="Eiffel’s company built"),
)

RUNS: Mapping[str, Sequence[Event]] = {
    "refines": REFINES,
    "resets": RESETS,
    "keeps": KEEPS,
    "falls_back": FALLS_BACK,
    "fails": FAILS,
    "stops": STOPS,
}


def failed_at(cut: int, run: Sequence[Event]) -> list[Event]:
    """The run, broken off there: what has started finishes, then it fails."""
    told = run[:cut]
    closings = Transcript.of(told).closings(at_ms=99.0)
    return [*told, *closings, RunFailed(code="internal", message="It broke.", retryable=True)]


def taken_over_at(cut: int, run: Sequence[Event]) -> list[Event]:
    """The run, broken off there and written again from its beginning by another process."""
    transcript = Transcript.of(run[:cut])
    events = [*run[:cut], *transcript.closings(at_ms=99.0)]
    events.append(RunStarted(run_id=RUN_ID, question=QUESTION, mode="deep", attempt=2))
    for event in run[1:]:
        if isinstance(event, AnswerStarted) and transcript.answers[event.version].deltas:
            events.append(AnswerReset(version=event.version, attempt=2, reason="another process took over"))
        events.append(event)
    return events
