from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_graph.models.local.server import LocalServer
from tests.gguf import small_gguf


@pytest.fixture(scope="session")
def gguf() -> Path:
    return small_gguf()


@pytest.fixture(scope="session")
def embedded(gguf: Path) -> Iterator[LocalServer]:
    server = LocalServer(gguf)
    yield server
    server.close()
