"""Whole runs of the real graph, seen as events."""

import asyncio
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest
from anyio import fail_after
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    Decided,
    Event,
    PassagesRetrieved,
    RunFailed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    ThinkingDelta,
    Warned,
)
from rag_graph.graph.build import RagGraph
from rag_graph.graph.stream import stream_events
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.query import Query, Turn
from rag_graph.transcript import Transcript
from tests.fakes import FixedRetriever
from tests.graph.conftest import BRIDGE, TOWER, graph_over
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio
TALL = Query(question="How tall is the tower?")
AS_JSON: Any = {"question": "How tall is the tower?"}


async def run(graph: RagGraph, query: Query = TALL) -> list[Event]:
    with fail_after(60):
        return [event async for event in stream_events(graph, query)]


async def test_a_draft_that_the_deeper_evidence_leaves_alone_stands(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("KEEP: the bridge does not matter")
    events = await run(graph)
    transcript = Transcript.of(events)
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert transcript.answer == "The tower is 300 metres tall [1]."
    reason = "the bridge does not matter"
    assert transcript.decision == Decided(decision="keep", checked=True, reason=reason, new_passages=(2,))
    assert not transcript.answers[2].started


async def test_a_refinement_replaces_the_draft(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("REFINE: the bridge was asked for too")
    upstream.say("The bridge was opened in 1931 [2].")
    events = await run(graph)
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.version == 2
    assert last.answer == "The bridge was opened in 1931 [2]."
    [citation] = last.citations
    assert BRIDGE[citation.source_start : citation.source_end] == citation.quote == "It was opened in 1931."
    transcript = Transcript.of(events)
    assert [(told.claim, told.state) for told in transcript.answers[2].claims] == [("c2", "supported")]
    assert [(told.claim, told.fate) for told in transcript.answers[2].fates] == [("c2", "added"), ("c1", "withdrawn")]


async def test_no_model_is_asked_when_the_deeper_search_brings_nothing_new(
    graph: RagGraph, upstream: Upstream, deep: FixedRetriever
) -> None:
    deep.contents = [TOWER]
    upstream.say("The tower is 300 metres tall [1].")
    decision = Transcript.of(await run(graph)).decision
    assert decision is not None
    assert (decision.decision, decision.checked) == ("keep", False)
    assert len(upstream.chats) == 1


async def test_the_first_token_does_not_wait_for_deep_retrieval(
    graph: RagGraph, upstream: Upstream, deep: FixedRetriever
) -> None:
    deep.gate = asyncio.Event()
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("KEEP: fine")
    seen: list[Event] = []
    with fail_after(60):
        async for event in stream_events(graph, TALL):
            seen.append(event)
            if isinstance(event, AnswerDelta):
                deep.gate.set()
    order = [type(event) for event in seen]
    deep_found = next(i for i, e in enumerate(seen) if isinstance(e, PassagesRetrieved) and e.stage == "deep")
    assert order.index(AnswerDelta) < deep_found


async def test_deep_retrieval_runs_while_the_draft_is_written(
    graph: RagGraph, upstream: Upstream, deep: FixedRetriever
) -> None:
    deep.gate = asyncio.Event()
    held = upstream.say("The tower is 300 metres tall [1].", hold_after=2)
    upstream.say("KEEP: fine")
    spans: dict[str, list[float]] = {}
    with fail_after(60):
        async for event in stream_events(graph, TALL):
            if isinstance(event, PassagesRetrieved) and event.stage == "deep":
                held.release()
            if isinstance(event, AnswerDelta):
                deep.gate.set()
            if isinstance(event, StepStarted | StepFinished):
                spans.setdefault(event.step, []).append(event.at_ms)
    assert spans["draft"][0] < spans["deep_retrieve"][1] < spans["draft"][1]


async def test_what_starts_finishes_and_steps_come_in_order(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("REFINE: more")
    upstream.say("It is tall [1].")
    events = await run(graph)
    transcript = Transcript.of(events)
    assert not transcript.closings(at_ms=0)
    steps = [event.step for event in events if isinstance(event, StepStarted)]
    assert steps[0] == "fast_retrieve"
    assert set(steps[1:3]) == {"draft", "deep_retrieve"}
    assert steps[3:] == ["decide", "refine"]
    times = [event.at_ms for event in events if isinstance(event, StepStarted | StepFinished)]
    assert all(earlier <= later for earlier, later in pairwise(times))


async def test_the_pipeline_tells_what_it_reads_before_the_answer(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("The tower is tall [1].")
    upstream.say("KEEP: fine")
    events = await run(graph)
    first_thought = next(event for event in events if isinstance(event, ThinkingDelta))
    assert first_thought.delta == "Reading 1 passage from 1 document: doc1.\n"
    assert events.index(first_thought) < next(i for i, e in enumerate(events) if isinstance(e, AnswerDelta))


async def test_the_models_thinking_streams_apart_from_the_answer(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("It is 300 metres tall [1].", thinking="Let me look at the tower.")
    upstream.say("KEEP: fine")
    transcript = Transcript.of(await run(graph))
    assert "".join(transcript.thinking["draft"]) == "Let me look at the tower."
    assert transcript.answer == "It is 300 metres tall [1]."


async def test_history_makes_the_question_stand_by_itself(
    graph: RagGraph, upstream: Upstream, fast: FixedRetriever
) -> None:
    upstream.say("How tall is the Eiffel Tower?", when="Last question")
    upstream.say("It is 300 metres tall [1].")
    upstream.say("KEEP: fine")
    history = [Turn(role="user", content="Tell me of the Eiffel Tower."), Turn(role="assistant", content="It is high.")]
    await run(graph, Query(question="How tall is it?", history=history, filters={"uri": "doc1.md"}))
    assert fast.asked == [("How tall is the Eiffel Tower?", {"uri": "doc1.md"})]


async def test_a_failed_draft_is_made_good_by_the_refinement(graph: RagGraph, upstream: Upstream) -> None:
    upstream.fail(status=500)
    upstream.fail(status=500)
    upstream.say("The tower is 300 metres tall [1].")
    events = await run(graph)
    transcript = Transcript.of(events)
    assert transcript.answer == "The tower is 300 metres tall [1]."
    assert [event.code for event in events if isinstance(event, Warned)] == ["model_unavailable"]


async def test_a_failed_refinement_leaves_the_draft_standing(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("REFINE: more")
    upstream.drop(after=3)
    upstream.fail(status=500)
    events = await run(graph)
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert (last.version, last.answer) == (1, "The tower is 300 metres tall [1].")
    assert len(last.citations) == 1
    assert [event.version for event in events if isinstance(event, AnswerReset)] == [2]


async def test_a_failed_deep_retrieval_leaves_the_draft_standing(
    graph: RagGraph, upstream: Upstream, deep: FixedRetriever
) -> None:
    deep.fails = True
    upstream.say("The tower is 300 metres tall [1].")
    events = await run(graph)
    assert isinstance(events[-1], RunFinished)
    assert [event.code for event in events if isinstance(event, Warned)] == ["retrieval_failed"]


async def test_a_failed_first_search_waits_for_the_deeper_one(
    graph: RagGraph, upstream: Upstream, fast: FixedRetriever
) -> None:
    fast.fails = True
    upstream.say("The tower is 300 metres tall [1].")
    last = (await run(graph))[-1]
    assert isinstance(last, RunFinished)
    assert last.version == 2


async def test_a_run_in_which_nothing_works_fails_with_a_stable_code(
    graph: RagGraph, upstream: Upstream, fast: FixedRetriever, deep: FixedRetriever
) -> None:
    fast.fails = deep.fails = True
    last = (await run(graph))[-1]
    assert isinstance(last, RunFailed)
    assert (last.code, last.retryable) == ("retrieval_failed", True)
    for _ in range(4):
        upstream.fail(status=401)
    fast.fails = deep.fails = False
    last = (await run(graph))[-1]
    assert isinstance(last, RunFailed)
    assert last.code == "model_refused"
    assert "RAG_CHAT_API_KEY" in last.message


async def test_a_stream_that_breaks_is_reset_and_told_whole(graph: RagGraph, upstream: Upstream) -> None:
    upstream.drop(after=3, content="The tower is 300 metres tall [1].")
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("KEEP: fine")
    events = await run(graph)
    assert [event.version for event in events if isinstance(event, AnswerReset)] == [1]
    assert Transcript.of(events).answer == "The tower is 300 metres tall [1]."


async def test_leaving_the_stream_closes_the_models_connection(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("one two three four five", hold_after=2)
    with fail_after(60):
        async with aclosing(stream_events(graph, TALL)) as events:
            async for event in events:
                if isinstance(event, AnswerDelta):
                    break
        assert await asyncio.to_thread(upstream.chats[0].wait_closed)


async def test_answers_without_passages_ask_no_model(
    graph: RagGraph, upstream: Upstream, fast: FixedRetriever, deep: FixedRetriever
) -> None:
    fast.contents = deep.contents = []
    last = (await run(graph))[-1]
    assert isinstance(last, RunFinished)
    assert last.answer == "The documents hold no passage on this question."
    assert not upstream.chats


async def test_astream_events_shows_nodes_tokens_and_our_events(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("KEEP: fine")
    nodes, told, tokens = set(), [], []
    with fail_after(60):
        async for event in graph.astream_events(AS_JSON, version="v2"):
            match event["event"]:
                case "on_chain_start":
                    nodes.add(event["name"])
                case "on_custom_event":
                    data: Any = event["data"]
                    told.append((event["name"], data["type"]))
                case "on_chat_model_stream":
                    tokens.append(event["data"]["chunk"].text)
    assert {"rag_graph", "fast_retrieve", "draft", "deep_retrieve", "decide"} <= nodes
    assert "".join(tokens).startswith("The tower is 300 metres tall [1].")
    assert {"passages_retrieved", "answer_delta", "citation", "decided"} <= {name for name, _ in told}
    assert all(name == kind for name, kind in told)


async def test_invoke_returns_the_whole_output(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("KEEP: fine")
    with fail_after(60):
        output = await graph.ainvoke(AS_JSON)
    assert set(output) == {"answer", "draft", "citations", "documents", "decision", "timings", "messages"}
    assert output["answer"] == output["draft"] == "The tower is 300 metres tall [1]."
    assert [document.number for document in output["documents"]] == [1, 2]
    assert set(output["timings"]) == {"fast_retrieve", "draft", "deep_retrieve", "decide"}


async def test_prompts_of_a_run_begin_alike(graph: RagGraph, upstream: Upstream) -> None:
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("REFINE: more")
    upstream.say("It is tall [1].")
    await run(graph)
    drafted, reviewed, refined = (request.body["messages"] for request in upstream.chats)
    shared = drafted[-1]["content"].partition("Question:")[0].rstrip()
    assert TOWER in shared
    assert reviewed[-1]["content"].startswith(shared)
    assert refined[-1]["content"].startswith(shared)
    assert drafted[:-1] == reviewed[:-1] == refined[:-1]


async def test_a_failure_of_one_turn_is_forgotten_in_the_next_of_its_thread(
    upstream: Upstream, fast: FixedRetriever, deep: FixedRetriever
) -> None:
    model = open_chat_model(upstream.base_url, "key", "scripted")
    graph = graph_over(model, fast, deep, checkpointer=InMemorySaver())
    thread = RunnableConfig(configurable={"thread_id": "one"})
    upstream.fail(status=401)
    upstream.say("It is tall [1].")
    first = await graph.ainvoke(AS_JSON, thread)
    upstream.say("How tall is the tower?")  # a thread is a conversation
    upstream.say("The tower is 300 metres tall [1].")
    upstream.say("KEEP: fine")
    second = await graph.ainvoke(AS_JSON, thread)
    await model.aclose()
    assert first["answer"] == "It is tall [1]."
    assert second["decision"].decision == "keep"
    assert second["answer"] == "The tower is 300 metres tall [1]."
