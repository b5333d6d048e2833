"""A search over MCP is work as a run is: it takes a slot, has a deadline, and ends when nobody waits for it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from rag_graph.errors import RetrievalFailed, TooManyRuns
from rag_graph.events import Event, RunStarted
from rag_graph.http.mcp.request import SearchInput
from rag_graph.http.mcp.routes import Tools
from rag_graph.query import Filters, Query
from rag_graph.runs.admission import Admission
from tests.fakes import FixedRetriever

pytestmark = pytest.mark.anyio
SOUGHT = SearchInput(question="Tokyo Tower")


class Ready:
    async def check_ready(self, filters: Filters | None = None) -> None: ...


async def unasked(query: Query, caller: str, chat: str | None) -> AsyncGenerator[Event]:
    assert not query, (caller, chat)
    yield RunStarted(run_id="", question="", mode="fast")


@pytest.fixture
def held() -> FixedRetriever:
    return FixedRetriever(["Tokyo Tower opened in 1958."], gate=asyncio.Event())


@pytest.fixture
def admission() -> Admission:
    return Admission(limit=2, limit_per_caller=1)


async def searching(held: FixedRetriever, tools: Tools, caller: str) -> asyncio.Task[object]:
    task: asyncio.Task[object] = asyncio.create_task(tools.search(SOUGHT, caller=caller))
    for _ in range(5):
        await asyncio.sleep(0)
    assert held.asked
    return task


async def test_a_search_takes_a_slot_and_gives_it_back(held: FixedRetriever, admission: Admission) -> None:
    tools = Tools(Ready(), held, unasked, admitted=admission.slot)
    mine = await searching(held, tools, "me")
    with pytest.raises(TooManyRuns, match="You have 1"):
        await tools.search(SOUGHT, caller="me")
    yours = await searching(held, tools, "you")
    with pytest.raises(TooManyRuns, match="at its limit"):
        await tools.search(SOUGHT, caller="they")
    assert held.gate is not None
    held.gate.set()
    await asyncio.gather(mine, yours)
    assert admission.free == 2


async def test_a_search_that_nobody_waits_for_gives_its_slot_back(held: FixedRetriever, admission: Admission) -> None:
    mine = await searching(held, Tools(Ready(), held, unasked, admitted=admission.slot), "me")
    mine.cancel()
    await asyncio.wait([mine])
    assert admission.free == 2


async def test_a_search_that_takes_too_long_is_an_error(held: FixedRetriever, admission: Admission) -> None:
    tools = Tools(Ready(), held, unasked, admitted=admission.slot, search_limit_s=0.01)
    with pytest.raises(RetrievalFailed, match="too long"):
        await tools.search(SOUGHT, caller="me")
    assert admission.free == 2
