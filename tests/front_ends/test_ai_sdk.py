from typing import Any

import pytest

from tests.front_ends.conftest import REFINED, Node, Refining
from tests.servers import ANSWER, QUESTION, Serve, Server
from tests.upstream import WITHIN_S, Upstream


def ask(question: str = QUESTION, chat: str = "c") -> dict[str, Any]:
    return {"id": chat, "messages": [{"id": "u", "role": "user", "parts": [{"type": "text", "text": question}]}]}


@pytest.mark.parametrize("ai", ["ai-5", "ai"], ids=["5", "newest"])
def test_the_sdk_builds_one_message_with_both_versions(node: Node, refining_server: Refining, ai: str) -> None:
    refining_server.script(pace_s=0.05)
    told = node.run("ui_messages.mjs", refining_server.url, QUESTION, ai)
    parts = told["answer"]["parts"]
    assert [part["text"] for part in parts if part["type"] == "text"] == [ANSWER, REFINED]
    (standing,) = [part["data"] for part in parts if part["type"] == "data-answer"]
    assert (standing["status"], standing["part"]) == ("final", 1)
    assert {"source-document", "data-citation", "reasoning"} <= {part["type"] for part in parts}
    assert told["again"]["parts"] == parts
    assert told["over"] is None
    assert told["second"]["id"] != told["answer"]["id"]
    assert any(part["type"] == "text" for part in told["second"]["parts"])
    assert told["refused"].startswith("messages: ")


def test_an_answer_is_resumed_whole_and_stopped(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(ANSWER, hold_after=3)
    server = serve()
    with server.http.stream("POST", "/api/chat", json=ask()) as first:
        assert first.headers["x-vercel-ai-ui-message-stream"] == "v1"
        assert held.reached.wait(WITHIN_S)
        with server.http.stream("GET", "/api/chat/c/stream") as second:
            begun = second.iter_lines()
            assert next(begun).startswith('data: {"type":"start"')
            assert server.http.post("/api/chat/c/stop").status_code == 204
            assert list(begun)[-2] == "data: [DONE]"
        assert list(first.iter_lines())[-4] == 'data: {"type":"abort"}'
    assert server.http.get("/api/chat/c/stream").status_code == 204
    assert server.http.post("/api/chat/c/stop").status_code == 204


def test_a_chat_that_is_not_known_has_nothing_to_resume(server: Server) -> None:
    assert server.http.get("/api/chat/nobody/stream").status_code == 204


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "body"),
        (b"{", "JSON"),
        (b"\xff", "body"),
        (b'{"id": "c", "messages": []}', "messages"),
        (b'{"id": "c", "messages": [{"role": "user", "parts": []}]}', "question"),
        (b'{"id": "", "messages": [{"role": "user", "parts": []}]}', "id"),
    ],
)
def test_what_is_no_chat_is_refused_in_a_sentence(server: Server, body: bytes, problem: str) -> None:
    refused = server.http.post("/api/chat", content=body, headers={"content-type": "application/json"})
    assert refused.status_code in (400, 422)
    assert refused.headers["content-type"].startswith("text/plain")
    assert problem in refused.text
