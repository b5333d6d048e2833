"""Spoilt requests to every route that takes one, at a real server."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import strategies as st

from tests.fuzz.mutation import spoilt_bytes, spoilt_json

QUESTION = "Who built the Eiffel Tower?"
ASK = {
    "question": QUESTION,
    "mode": "fast",
    "history": [{"role": "user", "content": "Hello."}],
    "filters": {"a": ["b"]},
}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
LANGCHAIN = [{"type": "human", "content": QUESTION}]
PARTS = [{"type": "text", "text": QUESTION}]
CALL = {"name": "search", "arguments": {"query": QUESTION}}

BODIES: Mapping[str, tuple[Any, ...]] = {
    "/query": (ASK,),
    "/v1/chat/completions": (
        {"model": "rag_graph", "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}},
        {"model": "rag_graph", "messages": [{"role": "user", "content": PARTS}], "max_tokens": 5, "stop": ["x"]},
        {"model": "rag_graph", "messages": [{"role": "user", "content": f"### Task:\nName it.\n{QUESTION}"}]},
    ),
    "/api/chat": (
        {"id": "chat", "messages": [{"id": "m", "role": "user", "parts": PARTS}], "trigger": "submit-message"},
    ),
    "/threads": ({"thread_id": "t"},),
    "/threads/t/commands": (
        {"id": 1, "method": "run.start", "params": {"input": {"messages": LANGCHAIN, "mode": "fast"}, "config": {}}},
        {"id": 2, "method": "state.get", "params": {"namespace": []}},
    ),
    "/rag/invoke": ({"input": ASK, "config": {"tags": ["x"], "metadata": {}}, "kwargs": {}},),
    "/rag/batch": ({"inputs": [ASK, ASK], "config": {}},),
    "/rag/stream": ({"input": ASK},),
    "/rag/stream_log": ({"input": ASK, "include_names": ["x"], "diff": True},),
    "/rag/stream_events": ({"input": ASK, "version": "v2"},),
    "/rag/structured/invoke": ({"input": ASK},),
    "/rag/structured/stream": ({"input": ASK},),
    "/chat/invoke": ({"input": {"messages": LANGCHAIN}},),
    "/chat/stream": ({"input": {"messages": LANGCHAIN}},),
    "/mcp": (
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": CALL},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
    ),
}
PATHS = (
    "/runs/{}",
    "/runs/{}/events",
    "/threads/{}/state",
    "/documents/{}",
    "/v1/models/{}",
    "/api/chat/{}/stream",
    "/static/{}",
    "/{}",
)
HEADERS: Mapping[str, tuple[str, ...]] = {
    "content-type": ("application/json", "application/json; charset=latin-1", "text/plain", "", "multipart/form-data"),
    "accept": ("*/*", "text/event-stream", "application/json", "text/html", "x/y;q=z"),
    "last-event-id": ("", "0", "-1", "01ARZ3NDEKTSV4RRFFQ69G5FAV:9", "x:y", "9" * 300),
    "idempotency-key": ("", "a", "x" * 300, "é"),
    "x-run-id": ("", "x"),
}

Request = tuple[str, str, bytes, dict[str, str]]
"""Method, path, body and headers."""


@st.composite
def requests(draw: st.DrawFn) -> Request:
    headers = {"content-type": "application/json"}
    for name, values in HEADERS.items():
        if draw(st.integers(0, 5)) == 0:
            headers[name] = draw(st.sampled_from(values))
    if draw(st.integers(0, 7)) == 0:
        name = draw(
            st.one_of(st.text(min_size=1, max_size=40), st.sampled_from(("..%2f..%2fetc", "%00", "%ff", "a" * 3000)))
        )
        method = draw(st.sampled_from(("GET", "POST", "DELETE", "HEAD")))
        return method, draw(st.sampled_from(PATHS)).format(name if "%" in name else quote(name)), b"", headers
    path = draw(st.sampled_from(sorted(BODIES)))
    body = draw(
        st.one_of(spoilt_json(BODIES[path]), spoilt_json(BODIES[path]).flatmap(lambda valid: spoilt_bytes([valid])))
    )
    return "POST", path, body, headers


def send(http: httpx.Client, request: Request) -> None:
    """Ask it; whatever was asked, the server answers with what is wrong, and goes on serving."""
    method, path, body, headers = request
    encoded = {name.encode(): value.encode() for name, value in headers.items()}
    with http.stream(method, httpx.URL(path), content=body, headers=encoded) as answer:
        answer.read()
    assert answer.status_code < 500 or answer.status_code == 503, f"{answer.status_code}: {answer.text[:300]}"
    assert "Traceback" not in answer.text
    assert "/site-packages/" not in answer.text
    assert http.get("/health").status_code == 200
