"""Answers in two hops, with the real embedder and the real reader."""

import pytest
from anyio import fail_after

from rag_graph.claims.ledger import state_claims
from rag_graph.events import Decided, NumberedPassage, RunFinished
from rag_graph.graph.build import build_graph
from rag_graph.graph.parts import Parts
from rag_graph.graph.stream import stream_events
from rag_graph.query import Query
from rag_graph.transcript import Written
from rag_graph.writing.contract import Assignment
from rag_graph.writing.hops import MOST_DESCRIPTIONS, descriptions
from rag_graph.writing.quoting import NO_ANSWER, QuotingWriter, short_answer
from tests.fakes import FixedRetriever
from tests.writing.conftest import Page
from tests.writing.test_quoting import CONFIG, passage

pytestmark = pytest.mark.anyio

BRIDGE = passage(
    1,
    "Harrow Bridge",
    "Harrow Bridge crosses the river Wend in two spans. It was designed by Edith Marlow and opened in 1931.",
)
MARLOW = passage(
    2,
    "Edith Marlow",
    "Edith Marlow was an engineer. She was born in Port Ellery in 1889, the daughter of a shipwright.",
)
FERRY = passage(3, "Ferries", "Before the bridge, two ferries crossed the Wend. The last one was sold in 1932.")
PUMP = passage(4, "Model K pump", "The Model K pump is made by Brandt Hydraulics. It moves 40 litres a minute.")
BRANDT = passage(
    5, "Brandt Hydraulics", "Brandt Hydraulics was founded in 1974 in the town of Lindau. It employs 230 people."
)
LIBRARY = (BRIDGE, MARLOW, FERRY, PUMP, BRANDT)


def again(question: str, draft: str = NO_ANSWER, passages: tuple[NumberedPassage, ...] = LIBRARY) -> Assignment:
    return Assignment(question, passages, version=2, step="refine", draft=draft, new_passages=(2, 5))


async def refined(writer: QuotingWriter, page: Page, assignment: Assignment) -> Written:
    with fail_after(60):
        await writer.write(assignment, page.emit, CONFIG)
    return page.transcript.answers[2]


@pytest.mark.parametrize(
    ("question", "described"),
    [
        ("Where was the designer of Harrow Bridge born?", ["the designer of Harrow Bridge"]),
        ("where was Edith Marlow's father born", ["Edith Marlow's father"]),
        ("Who bought the town where Harrow Bridge stands?", ["the town where Harrow Bridge stands"]),
        ("When was Harrow Bridge opened?", []),
        ("Harrow Bridge stands in a town named after which Marlow?", []),
        ("What is the name of the designer of Harrow Bridge?", []),
        ("Who was born first, the designer of Harrow Bridge or the owner of the Wend ferry?", []),
        ("how do i install it", []),
        ("", []),
    ],
)
def test_what_a_question_describes_by_a_name_is_found_in_it(question: str, described: list[str]) -> None:
    found = [one.question[one.start : one.end] for one in descriptions(question)]
    assert [one for one in found if one in described] == described
    assert bool(found) == bool(described)


@pytest.mark.parametrize(
    ("question", "answer", "link"),
    [
        ("Where was the designer of Harrow Bridge born?", "Port Ellery", "Edith Marlow"),
        ("Where was Harrow Bridge's designer born?", "Port Ellery", "Edith Marlow"),
        ("In which town was the company that makes the Model K pump founded?", "Lindau", "Brandt Hydraulics"),
    ],
)
async def test_a_draft_without_an_answer_gives_way_to_one_in_two_hops_with_a_quote_for_each(
    writer: QuotingWriter, page: Page, question: str, answer: str, link: str
) -> None:
    verdict = await writer.review(again(question), page.emit, CONFIG)
    assert verdict.refine
    assert answer in verdict.reason
    assert link in verdict.reason
    written = await refined(writer, page, again(question))
    assert short_answer(written.content) == answer
    assert {citation.marker for citation in written.citations} == ({1, 2} if link == "Edith Marlow" else {4, 5})
    named, way = written.citations[:2]
    assert answer in written.content[named.start : named.end]
    assert answer in named.quote
    assert link in written.content[way.start : way.end]
    assert link in way.quote
    assert {claim.state for claim in state_claims(written, 2)} == {"supported"}


def test_a_long_question_full_of_names_costs_no_more_than_a_few_readings() -> None:
    names = " and ".join(f"the owner of the mill at Harrow {number}" for number in range(12))
    assert len(descriptions(f"When was {names} born?"[:290])) == MOST_DESCRIPTIONS
    assert descriptions(f"When was {names * 20} born?") == []


async def test_a_less_sure_answer_in_two_hops_is_shown_as_possible(writer: QuotingWriter, page: Page) -> None:
    written = await refined(writer, page, again("When was the maker of the Model K pump founded?"))
    assert written.content.startswith("Perhaps 1974 — not certain, so judge by what they say of Brandt Hydraulics.")
    assert short_answer(written.content) == "1974"
    assert {citation.marker for citation in written.citations} == {4, 5}


async def test_a_sure_draft_gives_way_only_where_it_is_what_the_question_describes(
    writer: QuotingWriter, page: Page
) -> None:
    question = "Where was the designer of Harrow Bridge born?"
    half = "Edith Marlow — read from [1]:\n\n> “It was designed by Edith Marlow and opened in 1931.” [1]"
    other = "Lindau — read from [5]:\n\n> “Brandt Hydraulics was founded in 1974 in the town of Lindau.” [5]"
    assert (await writer.review(again(question, half), page.emit, CONFIG)).refine
    assert not (await writer.review(again(question, other), page.emit, CONFIG)).refine


async def test_nothing_is_read_in_two_hops_where_the_second_is_missing(writer: QuotingWriter, page: Page) -> None:
    question = "Where was the designer of Harrow Bridge born?"
    assignment = again(question, passages=(BRIDGE, FERRY, PUMP, BRANDT))
    assert not (await writer.review(assignment, page.emit, CONFIG)).refine


async def test_a_run_whose_first_passages_hold_both_hops_already_refines_its_draft(writer: QuotingWriter) -> None:
    search = FixedRetriever([BRIDGE.content, MARLOW.content])
    graph = build_graph(Parts(fast=search, deep=search, drafter=writer))
    question = "Where was the designer of Harrow Bridge born?"
    with fail_after(60):
        events = [event async for event in stream_events(graph, Query(question=question))]
    [decided] = [event for event in events if isinstance(event, Decided)]
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert (decided.decision, decided.checked, decided.new_passages, last.version) == ("refine", True, (), 2)
    assert short_answer(last.answer) == "Port Ellery"
