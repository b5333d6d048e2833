from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from rag_graph.errors import ModelUnavailable
from rag_graph.events import Event
from rag_graph.models.local.chat import local_chat_model
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.server import LocalServer
from rag_graph.models.local.weights import embedded_gguf
from rag_graph.models.replies import Replier
from rag_graph.transcript import Transcript
from rag_graph.writing.quoting import LONGEST_PHRASE_TOKENS, PHRASE_ENDS, QuotingWriter
from tests.needed import missing
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
def server() -> Iterator[LocalServer]:
    try:
        weights = embedded_gguf()
    except ModelUnavailable as exc:
        missing(str(exc))
    server = LocalServer(weights)
    yield server
    server.close()


@pytest.fixture(scope="session")
def embedder() -> LocalEmbedder:
    return LocalEmbedder()


@pytest.fixture
async def writer(server: LocalServer, embedder: LocalEmbedder) -> AsyncIterator[QuotingWriter]:
    """The embedded writer, whole."""
    model = local_chat_model(server, raw=True, max_tokens=LONGEST_PHRASE_TOKENS, stop=PHRASE_ENDS)
    yield QuotingWriter(embedder, Replier(model))
    await model.aclose()
