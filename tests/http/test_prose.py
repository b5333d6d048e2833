import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_graph.http.prose import OneAtATime, Prose


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
