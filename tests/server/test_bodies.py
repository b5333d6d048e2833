"""Which bodies are read, at a real server and as their shape is measured."""

import gzip
import json
from typing import Any

import pytest

from rag_graph.http.conversation import MAX_MESSAGES
from rag_graph.http.langserve.request import MAX_BATCH, MAX_BATCH_MESSAGES
from rag_graph.server.bodies import MAX_JSON_DEPTH, MAX_JSON_VALUES, shape_problem
from tests.servers import QUESTION, Serve, Server, refused

ASKED = json.dumps({"question": QUESTION}).encode()
JSON_ROUTES = ("/query", "/rag/invoke", "/rag/batch", "/chat/stream", "/v1/chat/completions", "/api/chat", "/mcp")
FORMS = (
    "text/plain", "text/plain; charset=application/json", "application/x-www-form-urlencoded", "multipart/form-data",
    "multipart/form-data; boundary=application/json", "", "application/jsonx", "image/png",
)  # fmt: skip


@pytest.mark.parametrize("path", JSON_ROUTES)
@pytest.mark.parametrize("kind", FORMS)
def test_only_json_is_read_where_json_is_wanted(server: Server, path: str, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    refusal = server.http.post(path, content=ASKED, headers=headers)
    refused(refusal, 415, "wrong_content_type")
    assert "application/json" in refusal.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"])
def test_json_by_any_of_its_names_is_read(server: Server, kind: str) -> None:
    headers = {"content-type": kind, "accept": "application/json"}
    assert server.http.post("/query", content=ASKED, headers=headers).status_code == 200


def test_who_sends_no_body_needs_no_type(server: Server) -> None:
    run_id = server.ask().headers["x-run-id"]
    assert server.http.post(f"/runs/{run_id}/cancel").status_code == 200
    assert server.http.post("/api/chat/some-chat/stop").status_code == 204


def test_files_are_taken_at_their_route_alone_and_only_where_it_is_open(serve: Serve, tmp_path: Any) -> None:
    closed, opened = (
        serve(max_body_bytes=1_000),
        serve(max_body_bytes=1_000, uploads=True, data_dir=tmp_path, is_ready=False),
    )
    large = {"files": ("a.md", b"# A\n\n" + b"words " * 1_000, "text/markdown")}
    for path in (*JSON_ROUTES, "/documents"):
        refused(closed.http.post(path, files=large), 413, "body_too_large")
    for path in JSON_ROUTES:
        refused(opened.http.post(path, files=large), 413, "body_too_large")
    refused(opened.http.post("/documents", content=b"files=a", headers={"content-type": "text/plain"}), 415,
            "wrong_content_type")  # fmt: skip
    assert opened.http.post("/documents", files=large).status_code == 200


def test_a_body_of_very_many_values_is_refused_before_it_is_parsed(server: Server) -> None:
    body = b'{"inputs":[' + b"{}," * 1_200_000 + b"{}]}"
    for path in ("/rag/batch", "/query", "/v1/chat/completions", "/mcp"):
        refusal = server.http.post(path, content=body, headers={"content-type": "application/json"})
        refused(refusal, 413, "body_too_large")
        assert f"{MAX_JSON_VALUES:,}" in refusal.json()["error"]["message"]


def nested(depth: int, opening: bytes = b'{"a":', closing: bytes = b"}") -> bytes:
    return opening * depth + b"1" + closing * depth


@pytest.mark.parametrize("path", ["/query", "/rag/invoke", "/v1/chat/completions", "/api/chat", "/mcp"])
def test_json_that_is_nested_too_deep_is_refused(server: Server, path: str) -> None:
    for body in (nested(MAX_JSON_DEPTH + 1), nested(40_000), nested(40_000, b"[", b"]")):
        refused(
            server.http.post(path, content=body, headers={"content-type": "application/json"}), 413, "body_too_large"
        )


def test_json_that_never_closes_is_the_parsers_matter(server: Server) -> None:
    answer = server.http.post("/query", content=b"[" * 90_000, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize(
    "text", ["{" * 200_000, "a, b, c" * 50_000, '\\"[' * 60_000, "\\" * 99_999, '"' * 300_000, "[{]}" * 50_000]
)
def test_what_stands_in_a_text_is_no_structure(text: str) -> None:
    assert shape_problem(json.dumps({"question": text, "history": []}).encode()) is None
    assert shape_problem(json.dumps({"question": text, "rest": [[]] * (MAX_JSON_VALUES // 2)}).encode()) is not None


def test_shapes_are_measured_at_their_bounds() -> None:
    assert shape_problem(json.dumps([1] * (MAX_JSON_VALUES - 2)).encode()) is None
    assert shape_problem(json.dumps([1] * (MAX_JSON_VALUES + 1)).encode()) is not None
    assert shape_problem(nested(MAX_JSON_DEPTH)) is None
    assert shape_problem(nested(MAX_JSON_DEPTH + 1)) is not None
    assert shape_problem(json.dumps([{}] * MAX_JSON_VALUES).encode("utf-16")) is not None
    assert shape_problem(b"") is None


def test_lists_are_bounded_with_the_bound_told(server: Server) -> None:
    question = {"question": QUESTION}
    turn = {"role": "user", "content": "Who?"}
    said = {"type": "human", "content": "Who?"}
    part = {"role": "user", "parts": [{"type": "text", "text": "Who?"}]}
    too_long: list[tuple[str, dict[str, Any], int]] = [
        ("/rag/batch", {"inputs": [question] * (MAX_BATCH + 1)}, MAX_BATCH),
        ("/rag/structured/batch", {"inputs": [{}] * 20_000}, MAX_BATCH),
        ("/chat/invoke", {"input": {"messages": [said] * (MAX_BATCH_MESSAGES + 1)}}, MAX_BATCH_MESSAGES),
        ("/chat/batch", {"inputs": [{"messages": [said] * 20}] * 51}, MAX_BATCH_MESSAGES),
        ("/v1/chat/completions", {"model": "rag-fast", "messages": [turn] * (MAX_MESSAGES + 1)}, MAX_MESSAGES),
        ("/v1/chat/completions", {"model": "rag-fast", "messages": [{}] * 20_000}, MAX_MESSAGES),
        ("/api/chat", {"id": "a", "messages": [part] * (MAX_MESSAGES + 1)}, MAX_MESSAGES),
        ("/query", {**question, "history": [turn] * 101}, 100),
    ]
    for path, body, bound in too_long:
        refusal = server.http.post(path, json=body)
        assert refusal.status_code in {400, 422}, (path, refusal.text)
        assert str(bound) in refusal.text.replace(",", ""), (path, refusal.text)


def test_of_a_long_chat_the_latest_turns_are_read(server: Server) -> None:
    turns = [{"role": role, "content": f"words {number}"} for number in range(900) for role in ("user", "assistant")]
    messages = [*turns, {"role": "user", "content": QUESTION}]
    answer = server.http.post("/v1/chat/completions", json={"model": "rag-fast", "messages": messages})
    assert answer.status_code == 200


def test_a_packed_body_is_refused_by_its_name(server: Server) -> None:
    packed = gzip.compress(b'{"question": "How tall is it?"}')
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    for path in ("/query", "/v1/chat/completions"):
        refused = server.http.post(path, content=packed, headers=headers)
        assert refused.status_code == 415
        assert "without Content-Encoding; this came as gzip" in refused.text
