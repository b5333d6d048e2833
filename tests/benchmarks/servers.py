"""The servers that the streaming benchmark compares, and the questions they are asked."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from tests.benchmarks.environments import HERE, Environment

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
    environment: Environment = HERE
    questions: Sequence[str] = ()
    """What it is asked in place of the towers."""

    @property
    def label(self) -> str:
        """Its name, with what its environment was made with."""
        return f"{self.name} with {self.environment.asked}" if self.environment.asked else self.name

    def bodies(self) -> Iterator[bytes]:
        """Requests without end, each with a question of its own; the same for every server."""
        if not self.questions:
            return (orjson.dumps(self.asked(f"How tall is tower {number}?")) for number in count(1))
        laps = (f"{question}{' ?' * lap}" for lap in count() for question in self.questions)
        return (orjson.dumps(self.asked(question)) for question in laps)


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
        needs=("llama-index-core", "llama-index-llms-openai-like", "openai<3"),  # as its own requirements have it
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


def chosen(only: str, environment: Environment = HERE) -> Sequence[Server]:
    """The servers named, or all; those whose packages are missing are left out with a word on stderr."""
    found = []
    for server in SERVERS:
        if only and server.name not in only.split(","):
            continue
        if missing := environment.missing(server.needs):
            needs = ", ".join(missing)
            sys.stderr.write(f"{server.name} is skipped, it needs {needs}: pip install 'rag-graph[bench]'\n")
        else:
            found.append(replace(server, environment=environment))
    return found
