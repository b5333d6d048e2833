"""The servers that the streaming benchmark compares, and the questions they are asked."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from platform import python_version
from typing import Any

import orjson

PACKAGES = (
    "openai", "langchain-core", "langgraph", "langserve", "haystack-ai", "hayhooks", "llama-index-core", "fastapi",
    "uvicorn", "uvloop",
)  # fmt: skip
PIPELINES = Path(__file__).parent / "peers" / "pipelines"


def plain(question: str) -> dict[str, Any]:
    return {"question": question}


def nested(question: str) -> dict[str, Any]:
    return {"input": {"question": question}}


@dataclass(frozen=True)
class Server:
    """How a server is started and asked."""

    name: str
    app: str
    path: str
    asked: Callable[[str], dict[str, Any]] = plain
    env: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    def bodies(self) -> Iterator[bytes]:
        """Requests without end, each with a question of its own; the same for every server."""
        return (orjson.dumps(self.asked(f"How tall is tower {number}?")) for number in count(1))

    @property
    def missing(self) -> list[str]:
        return [package for package in self.needs if _version(package) is None]


SERVERS = (
    Server("recipe", "tests.benchmarks.peers.recipe:app", "/ask"),
    Server(
        "rag_graph",
        "server:app",
        "/query",
        env={
            "RAG_RUN_GRACE_S": "0",
            "RAG_MAX_RUNS": "1000",
            "RAG_MAX_RUNS_PER_CALLER": "1000",
            "RAG_MAX_QUEUED": "1000",
        },
    ),
    Server("langgraph", "tests.benchmarks.peers.langgraph_events:app", "/ask"),
    Server("langserve", "tests.benchmarks.peers.langserve_lcel:app", "/rag/stream", nested),
    Server(
        "llamaindex",
        "tests.benchmarks.peers.llamaindex_query_engine:app",
        "/ask",
        needs=("llama-index-core", "llama-index-llms-openai-like"),
    ),
    Server(
        "hayhooks",
        "tests.benchmarks.peers.hayhooks_pipeline:app",
        "/rag/run",
        env={
            "HAYHOOKS_PIPELINES_DIR": str(PIPELINES),
            "HAYHOOKS_LOG_LEVEL": "WARNING",
            "HAYSTACK_TELEMETRY_ENABLED": "False",
        },
        needs=("haystack-ai", "hayhooks"),
    ),
)


def chosen(only: str) -> Sequence[Server]:
    """The servers named, or all; those whose packages are missing are left out with a word on stderr."""
    named = [server for server in SERVERS if not only or server.name in only.split(",")]
    for server in named:
        if server.missing:
            needs = ", ".join(server.missing)
            sys.stderr.write(f"{server.name} is skipped, it needs {needs}: pip install 'rag-graph[bench]'\n")
    return [server for server in named if not server.missing]


def versions() -> dict[str, str]:
    """Of Python and the packages that matter here, those that are installed."""
    found = {package: _version(package) for package in PACKAGES}
    return {"python": python_version(), **{package: number for package, number in found.items() if number}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
