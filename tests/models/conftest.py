from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_graph.errors import ModelUnavailable
from rag_graph.models.local.server import LocalServer
from rag_graph.models.local.weights import embedded_gguf
from tests.needed import missing


@pytest.fixture(scope="session")
def gguf() -> Path:
    try:
        return embedded_gguf()
    except ModelUnavailable as exc:
        missing(str(exc))


@pytest.fixture(scope="session")
def embedded(gguf: Path) -> Iterator[LocalServer]:
    server = LocalServer(gguf)
    yield server
    server.close()
