import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_graph.events import ClaimFate, RunFinished
from rag_graph.http.mcp.encoding import answered
from rag_graph.http.prose import OneAtATime, Prose, change_list
from rag_graph.transcript import Transcript
from tests.http.recorded import REFINES


def test_text_goes_out_as_it_comes() -> None:
    prose = Prose()
    assert [prose.add("The "), prose.add("tower.")] == ["The ", "tower."]
    assert prose.settle("The tower.") == ""


def test_the_same_words_written_again_are_not_sent_again() -> None:
    prose = Prose()
    sent = prose.add("The tower ")
    prose.restart("the model stalled")
    sent += prose.add("The ") + prose.add("tower ") + prose.add("stands.") + prose.settle("The tower stands.")
    assert sent == "The tower stands."
    assert prose.start == 0


def test_other_words_follow_in_full_under_a_heading() -> None:
    prose = Prose()
    sent = prose.add("The tower ")
    prose.restart("the model stalled")
    sent += prose.add("The bridge ") + prose.add("stands.") + prose.settle("The bridge stands.")
    assert sent == "The tower \n\n---\n\n**Written again: the model stalled**\n\nThe bridge stands."
    assert sent[prose.start :] == "The bridge stands."


def test_what_was_never_sent_is_sent_at_the_end() -> None:
    assert Prose().settle("The tower.") == "The tower."


def test_an_earlier_text_that_stands_after_all_is_pointed_to() -> None:
    prose = Prose()
    sent = prose.add("A draft.") + prose.begin("Refined") + prose.add("Bet")
    prose.restart("the model stalled")
    sent += prose.settle("A draft.")
    assert sent.endswith("Bet\n\n---\n\n*The answer above stands.*")
    assert sent[prose.start :].startswith("A draft.")


@given(st.lists(st.lists(st.sampled_from(["a", "b", "ab ", "🗼"]), max_size=6), min_size=1, max_size=5))
def test_however_often_it_starts_again_the_answer_stands_where_start_says(attempts: list[list[str]]) -> None:
    prose = Prose()
    sent = ""
    for number, deltas in enumerate(attempts):
        if number:
            prose.restart("again")
        sent += "".join(prose.add(delta) for delta in deltas)
    answer = "".join(attempts[-1])
    sent += prose.settle(answer)
    assert sent[prose.start :] == answer


def test_a_second_speaker_waits_for_the_end_of_the_first() -> None:
    voices = OneAtATime()
    sent = [voices.add("a", "one"), voices.add("b", "two"), voices.add("a", " more"), voices.end("a")]
    assert sent == ["one", "", " more", "\n\ntwo"]
    assert voices.add("b", " more") == " more"


def test_those_that_have_ended_while_they_waited_are_heard_in_their_order() -> None:
    voices = OneAtATime()
    voices.add("a", "one")
    for speaker in ("b", "c"):
        voices.add(speaker, speaker)
        voices.end(speaker)
    assert voices.end("a") == "\n\nb\n\nc"
    assert voices.add("d", "d") == "\n\nd"


@pytest.mark.parametrize("ends", [True, False])
def test_one_who_speaks_again_after_its_end_is_heard(*, ends: bool) -> None:
    voices = OneAtATime()
    voices.add("a", "one")
    if ends:
        voices.end("a")
    assert voices.add("a", "two").strip() == "two"


def test_changes_are_told_with_their_reasons_and_what_only_stays_is_not() -> None:
    reason = "“News” gives another number."
    confirmed = "Confirmed by 2 more sources."
    fates = (
        ClaimFate(version=2, claim="c1", fate="kept"),
        ClaimFate(version=2, claim="c2", fate="corrected", before="It is 1 m.", after="It is 2 m.", reason=reason),
        ClaimFate(version=2, claim="c3", fate="confirmed", reason=confirmed, quote="It is red.", marker=4),
        ClaimFate(version=2, claim="c4", fate="added", after="It is new."),
        ClaimFate(version=2, claim="c5", fate="withdrawn", before="It is old.", reason="No source says it."),
        ClaimFate(version=2, claim="c6", fate="withdrawn", before="Nothing was found."),
    )
    assert change_list(fates).splitlines() == [
        f"Corrected: “It is 1 m.” → “It is 2 m.” – {reason}",
        "Confirmed by 2 more sources. “It is red.”",
        "Withdrawn: “It is old.” – No source says it.",
    ]


def test_the_text_of_an_answer_over_mcp_says_where_sources_disagree() -> None:
    transcript, last = Transcript.of(REFINES), REFINES[-1]
    assert isinstance(last, RunFinished)
    written = answered(transcript, last).written
    assert written.startswith(f"{last.answer}\n\n{transcript.conflicts[0].message}\n\nSources\n[1] ")
