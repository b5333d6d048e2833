"""Filters that no store can compare with are the asker's fault, whatever the protocol."""

import json

import pytest

from rag_graph.query import MAX_FILTER_CHARS, MAX_FILTER_VALUES, MAX_FILTERS
from tests.servers import QUESTION, Server

FILTERS: dict[str, tuple[str, str]] = {
    "many values": (json.dumps({"uri": ["a"] * 40_000}), str(MAX_FILTER_VALUES)),
    "many values in all": (json.dumps({f"k{n}": list(range(10)) for n in range(30)}), str(MAX_FILTER_VALUES)),
    "many keys": (json.dumps({f"k{n}": 1 for n in range(3_000)}), str(MAX_FILTERS)),
    "a long text": (json.dumps({"uri": "x" * 1_001}), str(MAX_FILTER_CHARS)),
    "a long key": (json.dumps({"x" * 1_001: 1}), str(MAX_FILTER_CHARS)),
    "a large number": ('{"year": 9223372036854775808}', "64 bits"),
    "a larger number": (f'{{"year": {{"from": -1{"0" * 4_000}}}}}', "64 bits"),
    "not a number": ('{"year": NaN}', "finite"),
    "no end": ('{"year": {"to": 1e999}}', "finite"),
    "half a character": (r'{"lang": "\ud800"}', "NUL"),
    "half a character in a key": (r'{"\udfff": 1}', "NUL"),
    "NUL": (r'{"lang": ["\u0000"]}', "NUL"),
    "a list in a list": ('{"uri": [["a"]]}', "filters"),
    "an odd end": (r'{"uri": {"\ud800": 1}}', "NUL"),
    "null": ('{"uri": null}', "filters"),
}
PLACES = {
    "/query": '{"question": "Who?", "filters": %s}',
    "/rag/invoke": '{"input": {"question": "Who?", "filters": %s}}',
    "/rag/structured/batch": '{"inputs": [{"question": "Who?", "filters": %s}]}',
    "/v1/chat/completions": (
        '{"model": "rag-fast", "messages": [{"role": "user", "content": "Who?"}], "rag": {"filters": %s}}'
    ),
    "/api/chat": (
        '{"id": "a", "messages": [{"role": "user", "parts": [{"type": "text", "text": "Who?"}]}], "filters": %s}'
    ),
}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("name", FILTERS)
def test_hostile_filters_are_refused_with_what_is_allowed(server: Server, path: str, name: str) -> None:
    filters, words = FILTERS[name]
    refusal = server.http.post(path, content=PLACES[path] % filters, headers=JSON)
    assert refusal.status_code == (400 if path.startswith("/v1") else 422), refusal.text
    assert words in refusal.text
    assert len(refusal.text) < 2_000
    assert "rebuild" not in refusal.text


@pytest.mark.parametrize("tool", ["search", "ask"])
@pytest.mark.parametrize("name", ["many values", "many keys", "a large number", "NUL"])
def test_the_tools_of_mcp_refuse_them_too(server: Server, tool: str, name: str) -> None:
    filters, words = FILTERS[name]
    arguments = {"question": QUESTION, "filters": json.loads(filters)}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
    answer = server.http.post("/mcp", json=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    assert words in answer.text
    assert '"isError":true' in answer.text.replace(" ", "")


ODD: dict[str, tuple[str, str]] = {
    "a field": ("/query", r'{"question": "Who?", "\ud800": 1}'),
    "a long field": ("/query", '{"question": "Who?", "%s": 1}' % ("x" * 100_000)),
    "a setting": ("/rag/invoke", r'{"input": {"question": "Who?"}, "config": {"configurable": {"\ud800": 1}}}'),
    "a model": (
        "/v1/chat/completions", r'{"model": "\ud800", "messages": [{"role": "user", "content": "Who?"}]}',
    ),
    "a question": (
        "/v1/chat/completions", r'{"model": "rag-fast", "messages": [{"role": "user", "content": "\ud800"}]}',
    ),
    "a role": ("/api/chat", r'{"id": "a", "messages": [{"role": "\ud800", "parts": []}]}'),
    "a part": (
        "/api/chat", r'{"id": "a", "messages": [{"role": "user", "parts": [{"type": "text", "text": "\ud800"}]}]}',
    ),
    "a number without end": ("/query", '{"question": "Who?", "mode": %s}' % ("1" * 5_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_a_refusal_quotes_can_be_sent_and_is_short(server: Server, name: str) -> None:
    path, body = ODD[name]
    refusal = server.http.post(path, content=body, headers=JSON)
    assert 400 <= refusal.status_code < 500, refusal.text
    assert len(refusal.text) < 2_000


def test_an_id_with_a_nul_is_no_documents(server: Server) -> None:
    assert server.http.get("/documents/%00").status_code == 422
