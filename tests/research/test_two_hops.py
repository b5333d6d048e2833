"""A whole run over real retrieval, on a question whose last hop shares no word with it."""

import json

import pytest
from anyio import fail_after

from rag_graph.events import Event, RunFinished, StepStarted
from rag_graph.graph.build import RagGraph, build_graph
from rag_graph.graph.parts import Parts
from rag_graph.graph.stream import stream_events
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.replies import Replier
from rag_graph.query import Query
from rag_graph.research import BUDGETS, PlannedResearch
from rag_graph.retrieval import DeepRetriever, FastRetriever
from rag_graph.transcript import Transcript
from rag_graph.writing.prompted import PromptedWriter
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

QUESTION = "In which county was the founder of the company that made the Larkspur engine born?"
HOPS = {
    "Larkspur engine": "The Larkspur engine is a steam engine of 1874. It was made by Fenwick Works.",
    "Fenwick Works": "Fenwick Works was set up in 1870 by Augusta Thorne with money from a lottery.",
    "Augusta Thorne": "Augusta Thorne came into the world at Greyhaven in 1841 and died at sea.",
    "Greyhaven": "Greyhaven is a harbour of Westmark, known for its herring.",
}
TOWNS = (
    "Arden",
    "Borough",
    "Calder",
    "Dunmore",
    "Elton",
    "Farley",
    "Gorton",
    "Halden",
    "Irvine",
    "Jarrow",
    "Keld",
    "Leven",
)
DISTRACTORS = {
    **{
        f"{town} Motor Company": f"The founder of the company was born in the county of {town}. It made an engine."
        for town in TOWNS
    },
    **{
        f"History of {town}": f"The county of {town} was founded by a company of engine makers born there."
        for town in TOWNS
    },
}
PLAN = {
    "plan": ["Who made the Larkspur engine?", "Who founded that company?", "Where was that person born?"],
    "found": ["Fenwick Works made the Larkspur engine [1]"],
    "missing": ["Who set up Fenwick Works?"],
}
THEN = {
    "found": ["Augusta Thorne set up Fenwick Works [2]", "She came into the world at Greyhaven [11]"],
    "missing": ["Where is Greyhaven?"],
}
AT_LAST = {"found": ["Greyhaven is in Westmark"], "missing": []}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedIndex:
    folder = tmp_path_factory.mktemp("hops")
    for title, content in {**DISTRACTORS, **HOPS}.items():
        (folder / f"{title}.md").write_text(f"# {title}\n\n{content}\n")
    index = EmbeddedIndex(folder / ".index", LocalEmbedder())
    index_paths(index, [folder])
    return index


@pytest.fixture
async def graph(library: EmbeddedIndex, replier: Replier) -> RagGraph:
    drafter, thinker = PromptedWriter(replier, 8_000), PromptedWriter(replier, 8_000)
    deep = DeepRetriever(library)
    return build_graph(
        Parts(
            fast=FastRetriever(library),
            deep=deep,
            researchers={"deep": PlannedResearch(deep, replier, 8_000, BUDGETS["standard"])},
            drafter=drafter,
            refiners={"deep": thinker},
        )
    )


async def run(graph: RagGraph, query: Query) -> list[Event]:
    with fail_after(60):
        return [event async for event in stream_events(graph, query)]


async def test_no_single_search_finds_the_last_hops(library: EmbeddedIndex) -> None:
    hits = await DeepRetriever(library).retrieve(QUESTION, top_k=10)
    titles = {hit.passage.title for hit in hits}
    assert "Larkspur engine" in titles
    assert titles.isdisjoint(["Augusta Thorne", "Greyhaven"])


async def test_thinking_harder_finds_them_step_by_step(graph: RagGraph, upstream: Upstream) -> None:
    for reply in (PLAN, THEN, AT_LAST):
        upstream.say(json.dumps(reply), when="Do not answer yet")
    upstream.say("Greyhaven is a harbour of Westmark.", when="Write the whole answer again")
    upstream.say("The Larkspur engine was made by Fenwick Works [1].")
    events = await run(graph, Query(question=QUESTION, mode="deep"))
    transcript = Transcript.of(events)
    assert isinstance(events[-1], RunFinished)
    told = [line for line in story(events) if not line.startswith("Drafting")]
    assert told[:-1] == [
        "Searching the documents",
        "Searching in several steps",
        "Planning what to look for",
        "Searching for “Who set up Fenwick Works?”",
        "Reading what was found",
        "Searching for “Where is Greyhaven?”",
        "Reading what was found",
        "Comparing the draft with what was found since",
    ]
    [citation] = transcript.citations
    assert citation.title == "Greyhaven"
    assert citation.quote == HOPS["Greyhaven"].partition(",")[0] + ", known for its herring."
    assert transcript.decision is not None
    assert not transcript.decision.checked


async def test_nothing_outside_the_filters_is_read_by_any_step(graph: RagGraph, upstream: Upstream) -> None:
    for reply in (PLAN, THEN, AT_LAST):
        upstream.say(json.dumps(reply), when="Do not answer yet")
    await run(graph, Query(question=QUESTION, mode="deep", filters={"title": [*DISTRACTORS, "Larkspur engine"]}))
    asked = json.dumps([request.body for request in upstream.chats])
    assert "Larkspur engine is a steam engine" in asked
    assert not any(HOPS[title] in asked for title in ("Fenwick Works", "Augusta Thorne", "Greyhaven"))


def story(events: list[Event]) -> list[str]:
    return [event.description for event in events if isinstance(event, StepStarted)]
