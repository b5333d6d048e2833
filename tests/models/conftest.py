import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_graph.errors import ModelUnavailable
from rag_graph.models.local.server import LocalServer
from rag_graph.models.local.weights import embedded_gguf


@pytest.fixture(scope="session")
def gguf() -> Path:
    try:
        return embedded_gguf()
    except ModelUnavailable as exc:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def embedded(gguf: Path) -> Iterator[LocalServer]:
    server = LocalServer(gguf)
    yield server
    server.close()
