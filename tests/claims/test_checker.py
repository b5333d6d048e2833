"""A checker of one's own behind the writer: scripted verdicts, slow ones, and failures."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from anyio import fail_after
from langchain_core.runnables import RunnableConfig

from rag_graph.claims import CitationStream, Claim, RuleChecker, Sources, Support, Verdict
from rag_graph.events import AnswerDelta, Citation, Event, NumberedPassage, Unsupported, Warned
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.writing.contract import Assignment
from rag_graph.writing.prompted import PromptedWriter
from tests.claims.labelled import number_passage
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

TOWER = "The Eiffel Tower is a structure of wrought iron. It opened in 1889."
IRON = Support(passage=1, start=0, end=48, score=0.8)
ANSWER = "Eiffel built with metal [1]. He liked green [1]. Paris paid for it all. Who knows?"
ASSIGNMENT = Assignment(
    question="What is the tower made of?", passages=(number_passage(1, "Tower", TOWER),), version=1, step="draft"
)


@dataclass
class ScriptedChecker:
    """Gives each claim the verdict that `judge` has for it; `gate` holds it back."""

    judge: Callable[[Claim], Verdict]
    gate: asyncio.Event | None = None
    asked: list[list[Claim]] = field(default_factory=list)
    prepared: list[Sources] = field(default_factory=list)
    cancelled: int = 0

    async def prepare(self, sources: Sources) -> None:
        self.prepared.append(sources)

    async def check(self, claims: Sequence[Claim], sources: Sources) -> Sequence[Verdict]:
        self.asked.append(list(claims))
        assert all(sources.by_number.keys() >= set(claim.markers) for claim in claims)
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [self.judge(claim) for claim in claims]


def by_topic(claim: Claim) -> Verdict:
    if "metal" in claim.content:
        return Verdict("supported", (IRON,))
    if "green" in claim.content:
        return Verdict("contradicted", reason="It is brown.")
    return Verdict("unchecked", reason="No passage speaks of money.")


def failing(claim: Claim) -> Verdict:
    raise RuntimeError(f"the judge is ill, and {claim.content} must wait")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


async def written(upstream: Upstream, checker: ScriptedChecker) -> list[Event]:
    events: list[Event] = []

    async def emit(event: Event) -> None:
        events.append(event)

    model = open_chat_model(upstream.base_url, "key", "scripted")
    upstream.say(ANSWER)
    with fail_after(10):
        await PromptedWriter(Replier(model), 8_000, checker=checker).write(ASSIGNMENT, emit, RunnableConfig())
    await model.aclose()
    return events


@dataclass
class Told:
    """A stream over a checker, and what it has told."""

    checker: ScriptedChecker
    patience_s: float = 10.0
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        sources = Sources(ASSIGNMENT.passages, ASSIGNMENT.question)
        self.stream = CitationStream(
            sources, self.checker, self._emit, version=1, step="draft", patience_s=self.patience_s
        )

    async def _emit(self, event: Event) -> None:
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


async def test_a_writer_tells_what_its_checker_says(upstream: Upstream) -> None:
    checker = ScriptedChecker(by_topic)
    events = await written(upstream, checker)
    (citation,) = [event for event in events if isinstance(event, Citation)]
    assert citation.quote == TOWER[:48]
    assert (citation.marker, citation.attributed_by, citation.score) == (1, "model", 0.8)
    assert ANSWER[citation.start : citation.end] == "Eiffel built with metal [1]."
    (flag,) = [event for event in events if isinstance(event, Unsupported)]
    assert (flag.marker, flag.reason) == (1, "It is brown.")


async def test_a_checker_is_given_the_words_the_markers_and_what_came_before(upstream: Upstream) -> None:
    checker = ScriptedChecker(by_topic)
    await written(upstream, checker)
    claims = [claim for batch in checker.asked for claim in batch]
    assert [(claim.content, claim.markers) for claim in claims] == [
        ("Eiffel built with metal    .", (1,)),
        ("He liked green    .", (1,)),
        ("Paris paid for it all.", ()),
    ]
    assert claims[2].before == (claims[0].content, claims[1].content)
    assert ANSWER[claims[2].start : claims[2].end] == "Paris paid for it all."


async def test_a_failing_checker_costs_the_checks_and_not_the_answer(upstream: Upstream) -> None:
    events = await written(upstream, ScriptedChecker(failing))
    assert "".join(event.delta for event in events if isinstance(event, AnswerDelta)) == ANSWER
    assert not [event for event in events if isinstance(event, Citation | Unsupported)]
    (warning,) = [event for event in events if isinstance(event, Warned)]
    assert (warning.step, warning.code) == ("draft", "claims_unchecked")


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("supported", (Support(passage=7, start=0, end=5, score=1.0),)),
        Verdict("supported", (Support(passage=1, start=0, end=5_000, score=1.0),)),
    ],
)
async def test_a_quote_that_no_passage_holds_is_not_told(upstream: Upstream, verdict: Verdict) -> None:
    events = await written(upstream, ScriptedChecker(lambda _: verdict))
    assert not [event for event in events if isinstance(event, Citation)]
    assert [event.code for event in events if isinstance(event, Warned)] == ["claims_unchecked"]


async def test_text_streams_on_while_a_verdict_is_awaited_and_what_ends_meanwhile_is_one_batch() -> None:
    gate = asyncio.Event()
    told = Told(ScriptedChecker(by_topic, gate))
    told.stream.prepare()
    for piece in ("Eiffel built with metal [1]. ", "He liked green [1]. ", "Paris paid for it all. ", "Then"):
        await told.stream.write(piece)
    assert set(told.types) == {"answer_delta"}
    gate.set()
    with fail_after(5):
        await told.stream.finish()
    assert len(told.checker.prepared) == 1
    assert [len(batch) for batch in told.checker.asked] == [1, 3]
    assert [kind for kind in told.types if kind != "answer_delta"] == ["citation", "unsupported"]


async def test_a_checker_that_takes_too_long_is_ended_and_the_answer_is_whole() -> None:
    told = Told(ScriptedChecker(by_topic, asyncio.Event()), patience_s=0.01)
    await told.stream.write("Eiffel built with metal [1]. He liked green [9]. Then")
    with fail_after(5):
        await told.stream.finish()
    assert told.checker.cancelled == 1
    # That a marker points to no passage needs no check.
    assert told.types == ["answer_delta", "warning", "unsupported"]


async def test_a_stream_that_is_closed_ends_its_check() -> None:
    told = Told(ScriptedChecker(by_topic, asyncio.Event()))
    await told.stream.write("Eiffel built with metal [1]. Then")
    with fail_after(5):
        await told.stream.aclose()
    assert told.checker.cancelled == 1
    assert told.types == ["answer_delta"]


async def test_the_rules_forget_the_sources_of_an_answer_that_is_written() -> None:
    checker = RuleChecker()
    sources = Sources((NumberedPassage.model_validate(ASSIGNMENT.passages[0].model_dump()),))
    await checker.prepare(sources)
    assert len(checker._read) == 1
    del sources
    assert len(checker._read) == 0
