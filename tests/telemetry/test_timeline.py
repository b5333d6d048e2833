"""A run's events folded into what is measured, told to an exporter that writes it down."""

import sys
from collections.abc import Sequence
from types import FrameType

import pytest

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    Event,
    RunFinished,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    ThinkingStarted,
    Timings,
    Usage,
)
from rag_graph.telemetry.timeline import GAPS_AT_ONCE, First, ModelCall, RunExporter, RunTimeline

WORD, BETTER = AnswerDelta(version=1, delta="word "), AnswerDelta(version=2, delta="better ")


class Written(RunExporter):
    """Everything that was told."""

    def __init__(self) -> None:
        self.firsts: list[First] = []
        self.gap_counts: list[int] = []
        self.steps: list[tuple[str, float]] = []
        self.calls: list[tuple[str, int, bool]] = []
        self.ended: list[bool] = []
        self.noted_types: list[str] = []

    def first(self, what: First, at_s: float) -> None:
        assert at_s >= 0
        self.firsts.append(what)

    def gaps(self, seconds: Sequence[float]) -> None:
        assert min(seconds) >= 0
        self.gap_counts.append(len(seconds))

    def step_took(self, step: str, seconds: float) -> None:
        self.steps.append((step, seconds))

    def called(self, call: ModelCall, usage: Usage, at_s: float) -> None:
        assert at_s >= call.began_s
        self.calls.append((usage.model, len(call.pieces), call.is_streamed))

    def noted(self, event: Event, at_s: float) -> None:  # noqa: ARG002 - what is told, not when
        self.noted_types.append(event.type)

    def closed(self, at_s: float, *, has_ended: bool) -> None:  # noqa: ARG002 - what is told, not when
        self.ended.append(has_ended)


def told(*events: Event) -> Written:
    written = Written()
    timeline = RunTimeline([written])
    for event in events:
        timeline.on_event(event)
    timeline.close()
    return written


def used(model: str = "m", step: str = "draft") -> Usage:
    return Usage(step=step, model=model, input_tokens=1, output_tokens=2)


def test_gaps_lie_between_pieces_of_one_version_alone() -> None:
    written = told(
        AnswerStarted(version=1), WORD, WORD, WORD, AnswerFinished(version=1),
        AnswerStarted(version=2), BETTER, BETTER,
        AnswerReset(version=2, attempt=1, reason=""), BETTER, BETTER, BETTER,
    )  # fmt: skip
    assert written.gap_counts == [2, 1, 2]
    assert written.firsts == ["token", "refined_token"]


def test_the_gaps_of_a_long_answer_are_told_as_it_grows_and_none_is_lost() -> None:
    written = told(AnswerStarted(version=1), *[WORD] * (2 * GAPS_AT_ONCE + 10))
    assert sum(written.gap_counts) == 2 * GAPS_AT_ONCE + 9
    assert max(written.gap_counts) < GAPS_AT_ONCE


def test_every_first_is_told_once_and_every_step_by_its_length() -> None:
    written = told(
        StepStarted(step="draft", description="", at_ms=10),
        ThinkingDelta(step="draft", delta="hm"),
        ThinkingDelta(step="draft", delta="hm"),
        WORD,
        StepFinished(step="draft", description="", at_ms=30),
        StepFinished(step="unknown", description="", at_ms=30),
        StepStarted(step="refine", description="", at_ms=40),
        AnswerStarted(version=2),
        BETTER,
    )
    assert written.firsts == ["status", "thinking", "token", "refined_token"]
    assert written.steps == [("draft", 0.02)]
    assert written.noted_types == ["step_started", "step_finished", "step_finished", "step_started", "answer_started"]


def test_a_call_has_the_pieces_since_the_call_before_of_model_and_answer() -> None:
    written = told(
        StepStarted(step="draft", description="", at_ms=0),
        ThinkingStarted(step="draft", thinker="model"),
        ThinkingDelta(step="draft", delta="hm"),
        WORD,
        used("first"),
        WORD,
        used("second"),
        used("third"),
    )
    assert written.calls == [("first", 2, True), ("second", 1, False), ("third", 0, False)]


@pytest.mark.parametrize("has_ended", [True, False])
def test_an_attempt_is_closed_with_whether_it_said_how_it_ended(*, has_ended: bool) -> None:
    end = RunFinished(version=1, answer="", citations=(), timings=Timings())
    assert told(*[end] * has_ended).ended == [has_ended]


def test_a_token_costs_one_call_of_ours_however_many_export() -> None:
    timeline = RunTimeline([Written(), Written()])
    for event in (StepStarted(step="draft", description="", at_ms=0), AnswerStarted(version=1), WORD):
        timeline.on_event(event)
    called: list[str] = []

    def note(frame: FrameType, what: str, _: object) -> None:
        if what == "call":
            called.append(frame.f_code.co_name)

    sys.setprofile(note)
    timeline.on_event(WORD)
    sys.setprofile(None)
    assert called == ["on_event"]
