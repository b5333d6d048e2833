"""What LangServe answers whole is somebody's work too: it ends with its reader, and takes a bounded share."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson
import pytest

from tests.servers import ANSWER, QUESTION, Serve, Server, refused, until
from tests.upstream import Script, Upstream

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:langserve"),
]
ASKED = {"question": QUESTION}
MESSAGES = {"messages": [{"type": "human", "content": QUESTION}]}
WORDS = tuple(f"word{number} " for number in range(30))
WHOLE: dict[str, Any] = {
    "/rag/invoke": {"input": ASKED},
    "/rag/structured/invoke": {"input": ASKED},
    "/chat/invoke": {"input": MESSAGES},
    "/rag/batch": {"inputs": [ASKED] * 50},
    "/rag/structured/batch": {"inputs": [ASKED] * 50},
    "/chat/batch": {"inputs": [MESSAGES] * 50},
}


@contextmanager
def posted(server: Server, path: str, body: Any, **headers: str) -> Iterator[socket.socket]:
    """A request that was sent and is not read; leaving the block closes its connection."""
    content = orjson.dumps(body)
    named = {"content-type": "application/json", "host": "127.0.0.1", "content-length": str(len(content)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        yield connection


@pytest.mark.parametrize(("path", "body"), WHOLE.items(), ids=WHOLE)
def test_it_ends_when_its_reader_leaves(serve: Serve, upstream: Upstream, path: str, body: Any) -> None:
    held = upstream.say(WORDS, hold_after=3)
    server = serve(max_runs=1, max_queued=0)
    with posted(server, path, body):
        until(held.reached.is_set)
    assert upstream.chats[0].wait_closed()
    until(lambda: server.ask().status_code == 200)
    assert len(upstream.chats) == 2  # the rest of a batch was not asked


def test_batches_whose_readers_left_leave_nothing_running(serve: Serve, upstream: Upstream) -> None:
    answer, upstream.otherwise = upstream.otherwise, Script(content=WORDS, hold_after=3)
    server = serve(max_queued=0)
    with ExitStack() as readers:
        for _ in range(64):
            readers.enter_context(posted(server, "/rag/batch", {"inputs": [ASKED] * 100}))
        until(lambda: len(upstream.chats) == 32)
    until(lambda: all(request.ended.is_set() for request in upstream.chats))
    upstream.otherwise = answer
    assert server.ask().status_code == 200
    assert len(upstream.chats) == 33


def test_a_batch_of_too_many_is_refused(server: Server) -> None:
    answer = server.http.post("/rag/batch", json={"inputs": [ASKED] * 101})
    refused(answer, 422, "invalid_request")
    assert "at most 100" in answer.json()["error"]["message"]


def test_batches_leave_half_of_the_server_to_others(serve: Serve, upstream: Upstream) -> None:
    held = [upstream.say(WORDS, hold_after=3) for _ in range(2)]
    server = serve(max_runs=4, max_queued=0)
    with posted(server, "/rag/batch", {"inputs": [ASKED]}), posted(server, "/chat/batch", {"inputs": [MESSAGES]}):
        until(lambda: all(script.reached.is_set() for script in held))
        refused(server.http.post("/rag/batch", json={"inputs": [ASKED]}), 429, "too_many_runs")
        assert server.ask().status_code == 200


def test_a_batch_ends_with_its_first_failure(serve: Serve, upstream: Upstream) -> None:
    for _ in range(2):
        upstream.fail(status=401)
    server = serve()
    assert server.http.post("/rag/batch", json={"inputs": [ASKED] * 20}).status_code >= 500
    asked = len(upstream.chats)
    assert server.ask().status_code == 200
    assert len(upstream.chats) == asked + 1


def test_a_reader_that_stays_gets_the_answer(server: Server) -> None:
    answer = server.http.post("/rag/batch", json={"inputs": [ASKED] * 3})
    assert [text.startswith(ANSWER) for text in answer.json()["output"]] == [True] * 3
