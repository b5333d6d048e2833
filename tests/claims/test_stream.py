import asyncio
import sys
from collections.abc import Sequence
from itertools import pairwise
from types import FrameType

import pytest
from anyio import fail_after
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag_graph.claims import CitationStream, RuleChecker, Sources, cite
from rag_graph.claims.markers import MAX_HELD_CHARS
from rag_graph.claims.parser import ClaimParser
from rag_graph.events import AnswerDelta, Citation, Event, NumberedPassage, Unsupported

TOWER = (
    "The Eiffel Tower was completed in 1889. It is 330 metres tall and has 1,665 steps."
    " It was not meant to be permanent."
)
CUP = "Alice Moreno beat Dana Whitfield in the final. 塔は330メートルです。"
pytestmark = pytest.mark.anyio

QUESTION = "How tall is the Eiffel Tower?"


def passage(number: int, title: str, content: str) -> NumberedPassage:
    start = 100 * number
    return NumberedPassage(
        number=number,
        document=f"document-{number}",
        title=title,
        uri=f"{number}.md",
        start=start,
        end=start + len(content),
        score=1.0,
        content=content,
    )


PASSAGES = [passage(1, "Eiffel Tower", TOWER), passage(2, "Cup", CUP)]


def text_of(facts: Sequence[Event]) -> str:
    return "".join(fact.delta for fact in facts if isinstance(fact, AnswerDelta))


def findings(facts: Sequence[Event]) -> list[Citation | Unsupported]:
    return [fact for fact in facts if isinstance(fact, Citation | Unsupported)]


class Writing:
    """An answer that is being written; `write` gives what is told meanwhile."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        sources = Sources(tuple(PASSAGES), QUESTION)
        self.stream = CitationStream(sources, RuleChecker(), self._emit, version=1, step="draft")

    async def write(self, delta: str) -> list[Event]:
        before = len(self.told)
        await self.stream.write(delta)
        return self.told[before:]

    async def _emit(self, event: Event) -> None:
        self.told.append(event)


def fed(*pieces: str) -> list[Event]:
    return asyncio.run(fed_to_a_stream(*pieces))


async def fed_to_a_stream(*pieces: str) -> list[Event]:
    writing = Writing()
    for piece in pieces:
        await writing.write(piece)
    await writing.stream.finish()
    await writing.stream.aclose()
    return writing.told


def cited(answer: str) -> list[tuple[int, str, str, str]]:
    facts = fed(answer)
    return [
        (fact.marker, fact.attributed_by, text_of(facts)[fact.start : fact.end], fact.quote)
        for fact in facts
        if isinstance(fact, Citation)
    ]


def flagged(answer: str) -> list[tuple[int | None, str]]:
    facts = fed(answer)
    return [(fact.marker, text_of(facts)[fact.start : fact.end]) for fact in facts if isinstance(fact, Unsupported)]


def test_a_marker_is_bound_to_the_exact_words_of_its_passage() -> None:
    (found,) = findings(fed("The Eiffel Tower is 330 m tall [1]. "))
    quote = "It is 330 metres tall and has 1,665 steps."
    assert found == Citation(
        version=1,
        marker=1,
        start=0,
        end=35,
        document="document-1",
        title="Eiffel Tower",
        uri="1.md",
        source_start=100 + TOWER.index(quote),
        source_end=100 + TOWER.index(quote) + len(quote),
        quote=quote,
        attributed_by="model",
        score=1.0,
    )


async def test_a_citation_follows_the_text_it_is_about_at_once() -> None:
    writing = Writing()
    assert text_of(await writing.write("It was completed in 1889 [1]")) == "It was completed in 1889"
    assert text_of(await writing.write(".\n")) == " [1].\n"
    # The check runs in a thread, so the citation comes with the next word after it is done.
    facts: Sequence[Event] = []
    with fail_after(10):
        while not any(isinstance(fact, Citation) for fact in facts):
            await asyncio.sleep(0)
            facts = await writing.write("more ")
    assert [type(fact) for fact in facts] == [AnswerDelta, Citation]


async def test_a_marker_is_shown_once_it_cannot_be_a_link_any_more() -> None:
    writing = Writing()
    assert await writing.write("Tall [1") == [AnswerDelta(version=1, delta="Tall")]
    assert await writing.write("]") == []
    assert await writing.write(" and") == [AnswerDelta(version=1, delta=" [1] and")]


def test_a_claim_without_a_marker_is_attributed_when_a_passage_clearly_says_it() -> None:
    assert cited("The Eiffel Tower has 1665 steps.") == [
        (1, "check", "The Eiffel Tower has 1665 steps.", "It is 330 metres tall and has 1,665 steps.")
    ]


def test_a_claim_that_no_passage_holds_is_flagged() -> None:
    answer = "It was to the harbour of Antwerp that painters sailed."
    assert flagged(answer) == [(None, answer)]


@pytest.mark.parametrize(
    "answer",
    [
        "It is 320 metres tall [1].",
        "It was meant to be permanent [1].",
        "The stadium was painted yellow by Martin Ashford [2].",
        "The Eiffel Tower was completed in 1889 [2].",
    ],
)
def test_a_marker_whose_passage_has_no_such_thing_or_denies_it_is_reported(answer: str) -> None:
    marker = int(answer[-3])
    assert (marker, answer) in flagged(answer)
    assert not [found for found in cited(answer) if found[:2] == (marker, "model")]


@pytest.mark.parametrize(
    "answer",
    [
        "It is 330 feet tall [1].",
        "The tower has 330 steps and is 1,665 metres tall [1].",
        "Dana Whitfield beat Alice Moreno in the final [2].",
        "塔は330メートルではない [2].",
    ],
)
def test_of_what_is_said_in_the_same_words_and_otherwise_nothing_is_said(answer: str) -> None:
    assert cited(answer) == []
    assert flagged(answer) == []


def test_the_passage_that_does_say_it_is_cited_instead() -> None:
    answer = "The Eiffel Tower was completed in 1889 [2]."
    assert [(marker, by) for marker, by, _, _ in cited(answer)] == [(1, "check")]
    assert flagged(answer) == [(2, answer)]


def test_a_marker_that_points_to_nothing_leaves_the_text_and_is_reported() -> None:
    assert text_of(fed("It was completed in 1889 [99].")) == "It was completed in 1889."
    assert flagged("The Eiffel Tower was painted by Martians [99].") == [
        (99, "The Eiffel Tower was painted by Martians.")
    ]
    assert flagged("[99]") == [(99, "")]


def test_each_marker_of_a_sentence_is_checked_for_what_stands_before_it() -> None:
    answer = "The Eiffel Tower was completed in 1889 [1], and Alice Moreno beat Dana Whitfield in the final [2]."
    assert [(marker, words) for marker, _, words, _ in cited(answer)] == [
        (1, "The Eiffel Tower was completed in 1889 [1]"),
        (2, "and Alice Moreno beat Dana Whitfield in the final [2]"),
    ]
    assert flagged(answer) == []


@pytest.mark.parametrize(
    "answer",
    [
        "How tall is the Eiffel Tower in Paris really?",
        "Here is what I found about it:",
        "The sources do not say who painted the tower.",
        "I could not find any information about the painter.",
        "# Height and history of towers\n",
        "```\nprint('Martians painted the tower green')\n```",
        "Yes.",
        "Der Turm wurde von Leuten aus Paris gebaut und gestrichen.",
        "หอคอยนี้สูงมากและเก่าแก่",
    ],
)
def test_what_claims_nothing_is_neither_cited_nor_flagged(answer: str) -> None:
    assert findings(fed(answer)) == []


def test_a_short_answer_is_judged_together_with_its_question() -> None:
    assert [found[:2] for found in cited("330 metres [1].")] == [(1, "model")]
    assert flagged("340 metres [1].") == [(1, "340 metres [1].")]


def test_a_finished_text_gets_the_same_facts() -> None:
    answer = "The Eiffel Tower is 330 m tall [1]. It was completed in 1889【1】. It is red [7]."
    assert findings(cite(answer, PASSAGES, question=QUESTION)) == findings(fed(*answer))


ANSWERS = st.lists(
    st.sampled_from(
        [
            "The Eiffel Tower is 330 m tall",
            "It was completed in 1889",
            "Alice Moreno beat Dana Whitfield in the final",
            "It was not meant to be permanent",
            "塔は330メートルです。",
            "Martians painted the tower green",
            *(
                " [1]",
                "[2]",
                " [1, 2]",
                "【1】",
                " [99]",
                "[",
                "[1",
                "`",
                "\n```\n",
                "\n\n",
                "- ",
                "| ",
                "[1](http://x)",
            ),
            *(". ", ".", "? ", ", and ", " 𝒳 ", "\n"),
        ]
    )
    | st.text(max_size=3),
    max_size=20,
).map("".join)


@settings(deadline=None, max_examples=50)
@example(", and  [1]", [6, 7])
@given(ANSWERS, st.lists(st.integers(min_value=0), max_size=8))
def test_pieces_give_the_same_text_and_facts_as_the_whole(answer: str, cuts: list[int]) -> None:
    borders = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
    in_pieces = fed(*(answer[start:end] for start, end in pairwise(borders)))
    in_one = fed(answer)
    assert text_of(in_pieces) == text_of(in_one) == text_of(fed(*answer))
    assert findings(in_pieces) == findings(in_one) == findings(fed(*answer))


@settings(deadline=None, max_examples=50)
@given(ANSWERS)
def test_every_span_is_exact(answer: str) -> None:
    facts = fed(answer)
    text = text_of(facts)
    contents = {one.document: one for one in PASSAGES}
    for fact in findings(facts):
        assert 0 <= fact.start <= fact.end <= len(text)
        if isinstance(fact, Citation):
            source = contents[fact.document]
            assert source.content[fact.source_start - source.start : fact.source_end - source.start] == fact.quote
            assert 0.0 < fact.score <= 1.0


@settings(deadline=None, max_examples=50)
@given(ANSWERS.filter(lambda answer: "[99]" not in answer))
def test_text_is_never_far_behind_the_model(answer: str) -> None:
    parser = ClaimParser({1, 2})
    shown = 0
    for at, char in enumerate(answer, 1):
        shown += len(parser.feed(char))
        behind = at - shown
        assert behind <= MAX_HELD_CHARS + answer.count("【") + 3 * answer.count("[1, 2]") + 2 * answer.count("】")


@pytest.mark.parametrize("token", [" word", "word ", "word"])
def test_a_token_that_ends_and_begins_nothing_costs_one_call(token: str) -> None:
    parser, calls, tokens = ClaimParser({1, 2}), 0, 1_000

    def count(frame: FrameType, event: str, arg: object) -> None:  # noqa: ARG001 - the signature of a profile
        nonlocal calls
        calls += event == "call" and "rag_graph" in frame.f_code.co_filename

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for _ in range(tokens):
            parser.feed(token)
    finally:
        sys.setprofile(before)
    assert calls < 1.5 * tokens  # now and then all that came since are read together


def test_an_answer_holds_nothing_that_reorders_it_and_its_spans_count_what_is_told() -> None:
    facts = cite("It is \u202e330\u202c metres tall and has 1,665 steps [1].", PASSAGES, question=QUESTION)
    [citation] = findings(facts)
    assert isinstance(citation, Citation)
    assert text_of(facts)[citation.start : citation.end].startswith("It is 330 metres tall")


async def test_nor_does_one_that_streams() -> None:
    writing = Writing()
    for delta in ("It is \u202e", "330\u2069 metres tall [1]."):
        await writing.write(delta)
    await writing.stream.finish()
    assert not {"\u202e", "\u2069"} & set(text_of(writing.told))
    assert "330 metres tall" in text_of(writing.told)
