"""What people are shown: names for the text that stands, and the places it cites."""

from rag_graph.display.view import RunView, sources
from rag_graph.documents import Document
from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    AnswerStarted,
    Citation,
    Decided,
    Event,
    RunCancelled,
    RunFinished,
    StepStarted,
    ThinkingDelta,
    Timings,
)

TEXT = "One.\nTwo.\nThree."
WORD1, WORD2 = AnswerDelta(version=1, delta="draft"), AnswerDelta(version=2, delta="better")
REFINE = Decided(decision="refine", checked=True, reason="more is known")
KEEP = Decided(decision="keep", checked=True, reason="nothing is new")


def shown(*events: Event) -> RunView:
    view = RunView()
    for event in events:
        view.add(event)
    return view


def finished(version: int) -> RunFinished:
    return RunFinished.model_validate(
        {"version": version, "answer": "", "citations": (), "timings": Timings()},
    )


def citation(marker: int, start: int, end: int) -> Citation:
    return Citation(
        version=1,
        marker=marker,
        start=0,
        end=1,
        document="d",
        title="Numbers",
        uri="numbers.md",
        source_start=start,
        source_end=end,
        quote=TEXT[start:end],
        attributed_by="check",
        score=1.0,
    )


def find(_: str) -> Document:
    return Document("d", "numbers.md", "Numbers", TEXT)


def test_a_draft_is_named_by_what_becomes_of_it() -> None:
    draft: list[Event] = [AnswerStarted(version=1), WORD1]
    assert shown(*draft).heading == "First answer"
    assert shown(*draft, REFINE).heading == "First answer, which is being improved: more is known"
    assert shown(*draft, REFINE, WORD2).heading == "Refined answer"
    assert shown(*draft, REFINE, WORD2, finished(2)).heading == "Refined: more is known"
    assert shown(*draft, KEEP, finished(1)).heading == "The draft stands: nothing is new"
    assert shown(*draft, RunCancelled(by="client")).heading == "What was written so far"


def test_a_text_that_became_void_is_said_to_be_written_again() -> None:
    reset = AnswerReset(version=1, attempt=1, reason="the model fell silent")
    assert "written again: the model fell silent" in shown(AnswerStarted(version=1), WORD1, reset, WORD1).heading


def test_thinking_is_shown_until_the_words_come_that_it_led_to() -> None:
    thought = ThinkingDelta(step="draft", delta="Hm.")
    assert shown(StepStarted(step="draft", description="Drafting", at_ms=0), thought).is_thinking
    assert not shown(thought, WORD1).is_thinking
    assert shown(thought, WORD1, REFINE).is_thinking
    assert not shown(thought, WORD1, REFINE, WORD2).is_thinking


def test_sources_are_places_in_the_order_of_their_markers_each_line_once() -> None:
    cited = [citation(2, 10, 16), citation(1, 5, 9), citation(1, 5, 8), citation(1, 0, 4)]
    assert [(source.marker, source.place) for source in sources(cited, find)] == [
        (1, "numbers.md:1"),
        (1, "numbers.md:2"),
        (2, "numbers.md:3"),
    ]


def test_a_source_without_its_document_has_no_line() -> None:
    [source] = sources([citation(1, 5, 9)])
    assert (source.place, source.quote) == ("numbers.md", "Two.")
