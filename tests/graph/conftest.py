from collections.abc import AsyncIterator, Iterator

import pytest
from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.memory import InMemorySaver

from rag_graph.graph.build import RagGraph, build_graph
from rag_graph.graph.parts import Parts
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.research import BUDGETS, PlannedResearch
from rag_graph.writing.condensing import PromptedCondenser
from rag_graph.writing.prompted import PromptedWriter
from tests.fakes import FixedRetriever
from tests.upstream import Upstream

TOWER = "The tower is 300 metres tall. It was built in 1889."
BRIDGE = "The bridge beside the tower crosses the river. It was opened in 1931."


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def fast() -> FixedRetriever:
    return FixedRetriever([TOWER])


@pytest.fixture
def deep() -> FixedRetriever:
    return FixedRetriever([TOWER, BRIDGE])


@pytest.fixture
async def graph(
    request: pytest.FixtureRequest, upstream: Upstream, fast: FixedRetriever, deep: FixedRetriever
) -> AsyncIterator[RagGraph]:
    """The real graph and writers over a scripted model and fixed passages."""
    model = open_chat_model(upstream.base_url, "key", "scripted")
    yield graph_over(model, fast, deep, hurries=is_silent(request))
    await model.aclose()


def is_silent(request: pytest.FixtureRequest) -> bool:
    """Whether the model of this test falls silent by its script; elsewhere a starved one would be taken for silent."""
    return "[silent]" in request.node.name


def graph_over(
    model: BaseChatModel,
    fast: FixedRetriever,
    deep: FixedRetriever,
    *,
    fallback: BaseChatModel | None = None,
    checkpointer: InMemorySaver | None = None,
    hurries: bool = False,
) -> RagGraph:
    stall_s, first_token_s = (0.5, 2.0) if hurries else (60.0, 60.0)
    replier = Replier(model, fallback, stall_timeout_s=stall_s, first_token_timeout_s=first_token_s)
    writer = PromptedWriter(replier, context_tokens=8_000)
    parts = Parts(
        fast=fast,
        deep=deep,
        researchers={"deep": PlannedResearch(deep, replier, 8_000, BUDGETS["standard"])},
        drafter=writer,
        condenser=PromptedCondenser(replier, context_tokens=8_000),
    )
    return build_graph(parts, checkpointer=checkpointer)
