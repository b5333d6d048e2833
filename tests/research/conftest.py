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


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time a test moves on, so that a limit is reached when the test says so, and not before."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


def pass_time(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    loop.ahead_s += seconds


@dataclass
class Shelf:
    """A retriever that finds, for each search, the passages listed under a word of it.

    `broken` words fail; `held` ones are never answered, and `is_held` says that one is waited for.
    """

    finds: Mapping[str, Sequence[int]]
    broken: Sequence[str] = ()
    held: Sequence[str] = ()
    is_held: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)
    filters: list[Filters | None] = field(default_factory=list)

    async def retrieve(self, question: str, *, top_k: int, filters: Filters | None = None) -> list[Hit]:
        self.asked.append(question)
        self.filters.append(filters)
        if any(word in question for word in self.held):
            self.is_held.set()
            await asyncio.Future()
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
def anyio_backend() -> tuple[str, dict[str, type[Loop]]]:
    return "asyncio", {"loop_factory": Loop}


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
