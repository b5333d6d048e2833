from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from rag_graph.events import Event
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.reader import LocalReader
from rag_graph.transcript import Transcript
from rag_graph.writing.quoting import QuotingWriter
from tests.upstream import Upstream


@dataclass
class Page:
    """What a writer tells."""

    events: list[Event] = field(default_factory=list)

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    @property
    def transcript(self) -> Transcript:
        return Transcript.of(self.events)


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def writer() -> QuotingWriter:
    """The writer without a language model, whole."""
    return QuotingWriter(LocalEmbedder(), LocalReader())
