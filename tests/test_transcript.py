import pytest

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerReset,
    AnswerStarted,
    RunStarted,
    StepFinished,
    StepStarted,
    ThinkingFinished,
)
from rag_graph.transcript import Transcript
from tests.runs.stories import BODY, OPENING, STORY, citation, deltas


def test_a_whole_run_folds_into_what_it_said() -> None:
    transcript = Transcript.of([OPENING, *STORY])

    assert transcript.question == "Who built the tower?"
    assert transcript.standing == 2
    assert transcript.answer == "Eiffel did [1]."
    assert transcript.answers[1].content == "Somebody did [1]."
    assert transcript.citations == (citation(2),)
    assert "".join(transcript.thinking["draft"]) == "A tower… which one?"
    assert transcript.decision is not None
    assert transcript.terminal == STORY[-1]
    assert transcript.timings.total_ms == 9.0


def test_a_reset_voids_text_citations_and_flags_of_its_version_only() -> None:
    transcript = Transcript.of([*BODY, AnswerReset(version=2, attempt=1, reason="The model stalled.")])

    assert transcript.answers[2].content == ""
    assert transcript.answers[2].citations == []
    assert transcript.standing == 1
    assert transcript.citations == (citation(1),)


def test_a_draft_stands_until_the_first_word_of_the_refinement() -> None:
    transcript = Transcript.of([AnswerStarted(version=1), *deltas(1, "Draft"), AnswerStarted(version=2)])
    assert (transcript.standing, transcript.answer) == (1, "Draft")

    transcript.add(AnswerDelta(version=2, delta="Better"))
    assert (transcript.standing, transcript.answer) == (2, "Better")


def test_a_whole_run_leaves_nothing_to_close() -> None:
    assert Transcript.of(STORY).closings(at_ms=10.0) == []


def test_closings_finish_thinking_then_answers_then_steps_innermost_first() -> None:
    transcript = Transcript.of(
        [StepStarted(step="outer", description="", at_ms=1.0), StepStarted(step="inner", description="", at_ms=2.0)]
    )
    for event in BODY[2:4]:
        transcript.add(event, at_ms=500.0)
    transcript.add(AnswerStarted(version=1), at_ms=600.0)

    closings = transcript.closings(at_ms=1500.0)

    assert [type(event) for event in closings] == [ThinkingFinished, AnswerFinished, StepFinished, StepFinished]
    assert closings[0] == ThinkingFinished(step="draft", seconds=1.0)
    assert [event.step for event in closings if isinstance(event, StepFinished)] == ["inner", "outer"]


@pytest.mark.parametrize("told", range(len(BODY) + 1))
def test_after_its_closings_no_cut_of_a_run_leaves_anything_open(told: int) -> None:
    transcript = Transcript.of(BODY[:told])
    for event in transcript.closings(at_ms=10.0):
        transcript.add(event)
    assert transcript.closings(at_ms=10.0) == []


def test_times_are_those_given_at_the_first_of_each_kind() -> None:
    transcript = Transcript()
    for at_ms, event in enumerate([OPENING, *BODY]):
        transcript.add(event, at_ms=float(at_ms))

    timings = transcript.timings
    assert timings.first_event_ms == 0.0
    assert timings.first_passages_ms == 2.0
    assert timings.first_thinking_ms == 4.0
    assert timings.first_token_ms == 8.0
    assert timings.first_citation_ms == 10.0
    assert timings.draft_ms == 11.0
    assert timings.decided_ms == 13.0
    assert timings.refinement_first_token_ms == 16.0
    assert timings.total_ms is None


def test_without_given_times_none_are_known() -> None:
    assert Transcript.of([OPENING, *BODY]).timings.first_token_ms is None


def test_the_opening_tells_which_run_it_is() -> None:
    transcript = Transcript.of([RunStarted(run_id="R", question="Why?", mode="fast", attempt=1)])
    assert (transcript.run_id, transcript.mode, transcript.attempt) == ("R", "fast", 1)
