"""Spoilt input of every kind, a repeatable share of it here.

As much as wanted, never the same, and counted:

    FUZZ_EXAMPLES=20000 pytest tests/fuzz --hypothesis-show-statistics
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from rag_graph.index.loader import Limits, Loader
from tests.fuzz import files, replies, routes
from tests.servers import Serve, Server
from tests.upstream import Upstream

WANTED = int(os.environ.get("FUZZ_EXAMPLES", "0"))
BOUNDED = settings(
    max_examples=WANTED or 250,
    deadline=None,
    derandomize=not WANTED,
    database=None,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if WANTED else [])],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def spawned(spawn: Serve) -> Server:
    """In a process of its own: within this one its threads would use the `random` that hypothesis guards."""
    return spawn()


@BOUNDED
@given(sent=routes.requests())
def test_no_request_breaks_the_server(spawned: Server, sent: routes.Request) -> None:
    routes.send(spawned.http, sent)


@BOUNDED
@given(reply=replies.replies())
def test_no_reply_of_a_model_leaves_a_run_without_an_end(
    spawned: Server, upstream: Upstream, reply: tuple[bytes, int]
) -> None:
    replies.answer(spawned.http, upstream, reply)


@pytest.fixture
def loader() -> Iterator[Loader]:
    loader = Loader(Limits(seconds=30))
    yield loader
    loader.close()


@BOUNDED
@given(file=files.files())
def test_no_document_costs_more_than_itself(loader: Loader, tmp_path: Path, file: files.File) -> None:
    files.read(loader, tmp_path, file)
