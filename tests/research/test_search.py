import pytest
from anyio import fail_after
from langchain_core.runnables import RunnableConfig

from rag_graph.research import BridgedResearch, ResearchRequest, SearchBudget, WiderSearch
from tests.research.conftest import Log, Shelf

pytestmark = pytest.mark.anyio

ASKED = ResearchRequest("Who founded the tower?", {"lang": "en"})
AMPLE = SearchBudget(rounds=4, passages=20, seconds=10, tokens=1)


async def research(shelf: Shelf, log: Log, budget: SearchBudget = AMPLE) -> list[int]:
    with fail_after(60):
        found = await BridgedResearch(shelf, budget).research(ASKED, log.step, RunnableConfig())
    return [passage.number for passage in found]


async def test_it_searches_from_quote_to_quote_until_those_stay_the_same(log: Log) -> None:
    shelf = Shelf({"Passage 2": [1], "Passage 1": [2, 1], "tower": [1]})
    assert await research(shelf, log) == [1, 2]
    assert shelf.asked == [
        ASKED.question,
        f"{ASKED.question} Passage 1 is here.",
        f"{ASKED.question} Passage 2 is here.",
    ]
    assert shelf.filters == [{"lang": "en"}] * 3
    assert log.steps == ["search", "search"]
    assert log.thoughts == "The best sentences stay the same, so the search ends here.\n"


async def test_it_says_that_it_has_no_plan(log: Log) -> None:
    await research(Shelf({"tower": [1]}), log)
    assert any("without a plan" in getattr(event, "description", "") for event in log.events)


async def test_nothing_found_ends_it(log: Log) -> None:
    assert await research(Shelf({}), log) == []


async def test_rounds_are_limited(log: Log) -> None:
    shelf = Shelf({f"Passage {number}": [number + 1] for number in range(9, 0, -1)} | {"tower": [1]})
    await research(shelf, log, SearchBudget(rounds=2, passages=20, seconds=10, tokens=1))
    assert log.steps == ["search", "search"]


async def test_a_wider_search_is_one_search(log: Log) -> None:
    shelf = Shelf({"tower": [1, 2, 3]})
    found = await WiderSearch(shelf, top_k=2).research(ASKED, log.step, RunnableConfig())
    assert [passage.number for passage in found] == [1, 2]
    assert (shelf.asked, log.steps, log.retrieved) == ([ASKED.question], [], [[1, 2]])
