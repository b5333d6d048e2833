"""The deep mode by a scripted model."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from anyio import fail_after
from langchain_core.runnables import RunnableConfig

from rag_graph.errors import RetrievalFailed
from rag_graph.events import ThinkingStarted, Usage
from rag_graph.models.replies import Replier
from rag_graph.research import BUDGETS, PlannedResearch, ResearchRequest, SearchBudget
from rag_graph.research.contract import numbered
from rag_graph.transcript import Transcript
from tests.research.conftest import Log, Shelf, pass_time
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

ASKED = ResearchRequest("Who founded the tower?", {"lang": "en"})
AMPLE = SearchBudget(rounds=4, passages=20, seconds=10, tokens=100_000)


def plan(missing: Sequence[str] = (), *, found: Sequence[str] = (), steps: Sequence[str] = ()) -> str:
    return json.dumps({"plan": list(steps), "found": list(found), "missing": list(missing)})


async def research(
    shelf: Shelf, replier: Replier, log: Log, budget: SearchBudget = AMPLE, request: ResearchRequest = ASKED
) -> list[int]:
    with fail_after(60):
        found = await PlannedResearch(shelf, replier, 8_000, budget).research(request, log.step, RunnableConfig())
    assert not Transcript.of(log.events).closings(at_ms=0)
    return [passage.number for passage in found]


async def test_each_search_builds_on_what_the_last_one_found(upstream: Upstream, replier: Replier, log: Log) -> None:
    upstream.say(plan(["Ada"], steps=["Who built it?", "Who founded that?"]), thinking="Let me see.")
    upstream.say(plan(["Bob", "Cid"], found=["Ada built it [2]"]))
    upstream.say(plan(found=["Bob founded it [3]"]))
    shelf = Shelf({"tower": [1], "Ada": [2], "Bob": [3, 1], "Cid": [4]})
    assert await research(shelf, replier, log) == [1, 2, 3, 4]
    assert shelf.asked == ["Who founded the tower?", "Ada", "Bob", "Cid"]
    assert shelf.filters == [{"lang": "en"}] * 4
    assert log.steps == ["plan", "search", "read", "search", "read"]
    assert log.retrieved == [[1], [1, 2], [1, 2, 3, 4]]
    assert log.thoughts == (
        "Let me see."
        "To find out: Who built it?; Who founded that?\nStill missing: Ada\n"
        "Found: Ada built it [2]\nStill missing: Bob; Cid\n"
        "Found: Bob founded it [3]\nNothing is missing.\n"
    )
    read = upstream.chats[1].body["messages"][-1]["content"]
    assert "Passage 2 is here." in read
    assert "- Who founded the tower?\n- Ada\n" in read


async def test_nothing_is_searched_when_nothing_is_missing(upstream: Upstream, replier: Replier, log: Log) -> None:
    upstream.say(plan(found=["all of it [1]"]))
    shelf = Shelf({"tower": [1]})
    assert await research(shelf, replier, log) == [1]
    assert (log.steps, len(shelf.asked)) == (["plan"], 1)


async def test_a_search_that_was_made_is_not_made_again(upstream: Upstream, replier: Replier, log: Log) -> None:
    upstream.say(plan(["Ada"]))
    upstream.say(plan(["ADA", "who founded the tower?"]))
    shelf = Shelf({"tower": [1], "Ada": [2]})
    await research(shelf, replier, log)
    assert shelf.asked == ["Who founded the tower?", "Ada"]


async def test_a_search_that_fails_costs_that_search_only(upstream: Upstream, replier: Replier, log: Log) -> None:
    upstream.say(plan(["Ada", "Bob"]))
    upstream.say(plan())
    shelf = Shelf({"tower": [1], "Bob": [2]}, broken=["Ada"])
    assert await research(shelf, replier, log) == [1, 2]
    assert log.warnings == ["The search broke; try again; the search for “Ada” is left out."]


async def test_a_first_search_that_fails_is_the_callers_to_handle(replier: Replier, log: Log) -> None:
    with pytest.raises(RetrievalFailed):
        await research(Shelf({}, broken=["tower"]), replier, log)


@pytest.mark.parametrize("reply", ["I cannot do that.", "{}"])
async def test_garbage_leaves_the_search_to_the_names(
    upstream: Upstream, replier: Replier, log: Log, reply: str
) -> None:
    upstream.say(reply)
    shelf = Shelf({"Passage 1": [2], "tower": [1]})
    assert await research(shelf, replier, log) == [1, 2]
    assert shelf.asked[1] == "Who founded the tower? Passage 1 is here."
    assert "gave no plan that could be read, so the search goes on by the names" in log.thoughts


async def test_a_model_that_fails_leaves_the_search_to_the_names(
    upstream: Upstream, replier: Replier, log: Log
) -> None:
    upstream.fail(status=500)
    upstream.fail(status=500)
    assert await research(Shelf({"Passage 1": [2], "tower": [1]}), replier, log) == [1, 2]
    assert "the search goes on without a plan" in log.warnings[0]


async def test_rounds_are_limited(upstream: Upstream, replier: Replier, log: Log) -> None:
    for number in range(2, 6):
        upstream.say(plan([f"Ada {number}"]))
    shelf = Shelf({"tower": [1], **{f"Ada {number}": [number] for number in range(2, 6)}})
    budget = SearchBudget(rounds=2, passages=20, seconds=10, tokens=100_000)
    assert await research(shelf, replier, log, budget) == [1, 2, 3]
    assert len(upstream.chats) == 2


async def test_passages_are_limited_and_the_limit_ends_the_search(
    upstream: Upstream, replier: Replier, log: Log
) -> None:
    upstream.say(plan(["Ada"]))
    shelf = Shelf({"tower": [1, 2], "Ada": [3, 4, 5]})
    budget = SearchBudget(rounds=4, passages=3, seconds=10, tokens=100_000)
    assert await research(shelf, replier, log, budget) == [1, 3, 2]
    assert "The search ends here: 3 passages are enough." in log.thoughts


async def test_tokens_are_limited(upstream: Upstream, replier: Replier, log: Log) -> None:
    upstream.say(plan(["Ada"]))
    budget = SearchBudget(rounds=4, passages=20, seconds=10, tokens=20)
    assert await research(Shelf({"tower": [1], "Ada": [2]}), replier, log, budget)
    assert "tokens for planning are used up" in log.thoughts
    assert len(upstream.chats) == 1


async def test_a_model_that_thinks_without_end_is_left(upstream: Upstream, replier: Replier, log: Log) -> None:
    endless = upstream.say("late", thinking="word " * 3_000)
    endless.pace_s = 0.001
    budget = SearchBudget(rounds=4, passages=20, seconds=10, tokens=1_500)
    assert await research(Shelf({"tower": [1]}), replier, log, budget) == [1]
    assert upstream.chats[0].tokens_sent < 3_000


async def test_when_time_is_up_what_was_found_is_kept(upstream: Upstream, replier: Replier, log: Log) -> None:
    upstream.say(plan(["Ada", "Bob"]))
    shelf = Shelf({"tower": [1], "Ada": [2]}, held=["Bob"])
    work = asyncio.create_task(research(shelf, replier, log))
    await shelf.is_held.wait()
    pass_time(AMPLE.seconds)
    assert await work == [1, 2]
    assert "The search ends here: the 10 seconds for searching are over." in log.thoughts


async def test_time_ends_a_model_that_is_silent(upstream: Upstream, replier: Replier, log: Log) -> None:
    silent = upstream.say(plan(["Cid"]), hold_after=0)
    work = asyncio.create_task(research(Shelf({"tower": [1]}), replier, log))
    await asyncio.to_thread(silent.reached.wait)
    pass_time(AMPLE.seconds)
    assert await work == [1]
    assert await asyncio.to_thread(upstream.chats[0].wait_closed)


async def test_cancelling_reaches_the_planning_model(upstream: Upstream, replier: Replier, log: Log) -> None:
    held = upstream.say(plan(["Ada"]), hold_after=0)
    work = asyncio.create_task(research(Shelf({"tower": [1]}), replier, log))
    await asyncio.to_thread(held.reached.wait, 10)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await asyncio.to_thread(upstream.chats[0].wait_closed)


async def test_what_was_known_keeps_its_number_and_tokens_are_told(
    upstream: Upstream, replier: Replier, log: Log
) -> None:
    upstream.say(plan())
    shelf = Shelf({"tower": [3, 1]})
    known = numbered(await shelf.retrieve("tower", top_k=1))
    request = ResearchRequest(ASKED.question, {}, tuple(known))
    assert await research(shelf, replier, log, request=request) == [1, 2]
    [usage] = [event for event in log.events if isinstance(event, Usage)]
    assert usage.step == "plan"


async def test_the_models_thinking_can_be_kept_back(upstream: Upstream, replier: Replier, log: Log) -> None:
    upstream.say(plan(), thinking="Secret thoughts.")
    hushed = PlannedResearch(Shelf({"tower": [1]}), replier, 8_000, AMPLE, shows_thinking=False)
    with fail_after(60):
        await hushed.research(ASKED, log.step, RunnableConfig())
    assert {event.thinker for event in log.events if isinstance(event, ThinkingStarted)} == {"pipeline"}


def test_each_budget_allows_more_than_the_one_before() -> None:
    quick, standard, thorough = BUDGETS.values()
    for name in ("rounds", "passages", "seconds", "tokens"):
        assert getattr(quick, name) < getattr(standard, name) < getattr(thorough, name)
