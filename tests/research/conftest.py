import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from rag_graph.documents import Hit
from rag_graph.errors import RetrievalFailed
from rag_graph.events import Event, PassagesRetrieved, StepStarted, ThinkingDelta, Warned
from rag_graph.graph.step import Step
from rag_graph.models.providers.openai import open_chat_model
from rag_graph.models.replies import Replier
from rag_graph.query import Filters
from tests.fakes import passage
from tests.upstream import Upstream


@dataclass
class Shelf:
    """A retriever that finds, for each search, the passages listed under a word of it; `broken` words fail."""

    finds: Mapping[str, Sequence[int]]
    broken: Sequence[str] = ()
    held: Mapping[str, asyncio.Event] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    filters: list[Filters | None] = field(default_factory=list)

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        self.asked.append(question)
        self.filters.append(filters)
        for word, gate in self.held.items():
            if word in question:
                await gate.wait()
        if any(word in question for word in self.broken):
            raise RetrievalFailed("The search broke; try again.")
        numbers = next((found for word, found in self.finds.items() if word in question), ())
        return [Hit(passage(number, f"Passage {number} is here."), 1 / number) for number in numbers][:top_k]


@dataclass
class Log:
    """What a researcher tells, and the step it tells it under."""

    events: list[Event] = field(default_factory=list)

    @property
    def step(self) -> Step:
        return Step("deep_retrieve", self.emit, began=0, clock=lambda: 0, narrates=True)

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    @property
    def steps(self) -> list[str]:
        return [event.step for event in self.events if isinstance(event, StepStarted)]

    @property
    def thoughts(self) -> str:
        return "".join(event.delta for event in self.events if isinstance(event, ThinkingDelta))

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    @property
    def retrieved(self) -> list[list[int]]:
        return [[p.number for p in event.passages] for event in self.events if isinstance(event, PassagesRetrieved)]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
async def replier(upstream: Upstream) -> AsyncIterator[Replier]:
    model = open_chat_model(upstream.base_url, "key", "scripted")
    yield Replier(model)
    await model.aclose()
