"""Whole runs in the deep mode: who refines, and when that is decided without asking."""

from dataclasses import replace

import pytest
from anyio import fail_after

from rag_graph.graph.build import RagGraph, build_graph
from rag_graph.graph.decision import REASONED
from rag_graph.graph.parts import Parts
from rag_graph.graph.stream import stream_events
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.query import Query
from rag_graph.research import BUDGETS, PlannedResearch
from rag_graph.transcript import Transcript
from rag_graph.writing.prompted import PromptedWriter
from tests.fakes import FixedRetriever
from tests.graph.conftest import TOWER
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

PLANNING = "Do not answer yet"
HARDER = Query(question="How tall is the tower?", mode="deep")


async def run(graph: RagGraph) -> Transcript:
    with fail_after(60):
        return Transcript.of([event async for event in stream_events(graph, HARDER)])


async def test_the_same_model_is_asked_whether_it_would_write_something_else(
    graph: RagGraph, upstream: Upstream
) -> None:
    upstream.say('{"missing": []}', when=PLANNING)
    upstream.say("KEEP: the bridge does not matter", when="Reply with one line")
    upstream.say("The tower is 300 metres tall [1].")
    transcript = await run(graph)
    assert transcript.decision is not None
    assert (transcript.decision.decision, transcript.decision.checked) == ("keep", True)


async def test_the_same_model_is_not_asked_when_nothing_new_was_found(
    graph: RagGraph, upstream: Upstream, deep: FixedRetriever
) -> None:
    deep.contents = [TOWER]
    upstream.say('{"missing": []}', when=PLANNING)
    upstream.say("The tower is 300 metres tall [1].")
    transcript = await run(graph)
    assert transcript.decision is not None
    assert (transcript.decision.decision, transcript.decision.checked) == ("keep", False)
    assert len(upstream.chats) == 2


async def test_another_model_writes_the_answer_whatever_was_found(upstream: Upstream, fast: FixedRetriever) -> None:
    model = open_chat_model(upstream.base_url, "key", "scripted")
    replier = Replier(model)
    drafter = PromptedWriter(replier, 8_000)
    parts = Parts(
        fast=fast,
        deep=fast,
        researchers={"deep": PlannedResearch(fast, replier, 8_000, BUDGETS["quick"])},
        drafter=drafter,
        refiners={"deep": replace(drafter, context_tokens=9_000)},
    )
    upstream.say('{"missing": []}', when=PLANNING)
    upstream.say("All in all, the tower is 300 metres tall [1].", when="Write the whole answer again")
    upstream.say("The tower is 300 metres tall [1].")
    transcript = await run(build_graph(parts))
    await model.aclose()
    assert transcript.decision is not None
    assert (transcript.decision.decision, transcript.decision.checked) == ("refine", False)
    assert transcript.decision.reason == REASONED
    assert transcript.answer == "All in all, the tower is 300 metres tall [1]."


async def test_a_search_that_fails_leaves_the_draft_standing(
    graph: RagGraph, upstream: Upstream, deep: FixedRetriever
) -> None:
    deep.fails = True
    upstream.say("The tower is 300 metres tall [1].")
    transcript = await run(graph)
    assert transcript.answer == "The tower is 300 metres tall [1]."
    assert [warning.code for warning in transcript.warnings] == ["retrieval_failed"]
