"""Who is let in, and how much at once, at a real server."""

import base64
import hashlib
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from rag_graph.errors import SettingsError
from rag_graph.server.security import AccessKeys, parse_origins
from rag_graph.transcript import Transcript
from tests.servers import ANSWER, QUESTION, Serve, Server, events_of, refused, until
from tests.upstream import WITHIN_S, Upstream

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),  # LangServe does
]
KEY, OTHER = "first-key-of-this-server", "second-key-of-this-server"
JSON = {"content-type": "application/json"}
WORDS = tuple(f"word{number} " for number in range(40))
PATHS = (
    "/", "/config", "/static/main.js", "/docs", "/openapi.json", "/metrics", "/v1/models", "/runs/unknown",
    "/documents/unknown", "/rag/playground/", "/rag/input_schema", "/chat/playground/", "/mcp", "/nothing",
)  # fmt: skip


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"anybody:{key}".encode()).decode()}


@pytest.fixture
def guarded(serve: Serve) -> Server:
    hashed = hashlib.sha256(OTHER.encode()).hexdigest()
    return serve(api_keys=SecretStr(f"{KEY}, sha256:{hashed}"))


def test_every_route_but_health_asks_for_a_key(guarded: Server) -> None:
    assert guarded.http.get("/health").status_code == 200
    for path in PATHS:
        answer = guarded.http.get(path)
        refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/query", "/rag/stream", "/v1/chat/completions", "/mcp"):
        refused(guarded.http.post(path, content=b"{"), 401, "unauthorized")


@pytest.mark.parametrize("credentials", [bearer(KEY), bearer(OTHER), basic(KEY), basic(OTHER)])
def test_any_of_the_keys_lets_in(guarded: Server, credentials: dict[str, str]) -> None:
    assert guarded.http.get("/", headers=credentials).status_code == 200
    assert guarded.http.get("/v1/models", headers=credentials).status_code == 200


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Token {KEY}", "Basic !!!", f"Basic {KEY}",
     "Basic " + base64.b64encode(b"\xff:\xff").decode(), f"Bearer sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"],
)  # fmt: skip
def test_nothing_else_does(guarded: Server, value: str) -> None:
    refused(guarded.http.get("/v1/models", headers={"authorization": value}), 401, "unauthorized")


def test_a_browser_that_opens_a_page_asks_its_user(guarded: Server) -> None:
    answer = guarded.http.get("/", headers={"accept": "text/html,application/xhtml+xml"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_run_belongs_to_the_key_that_started_it(guarded: Server) -> None:
    started = guarded.ask(**bearer(KEY))
    assert ANSWER in events_of(started)[-1].model_dump_json()
    path = f"/runs/{started.headers['x-run-id']}"
    assert guarded.http.get(path, headers=basic(KEY)).status_code == 200
    refused(guarded.http.get(path, headers=bearer(OTHER)), 404, "unknown_run")


def test_keys_are_kept_only_as_hashes() -> None:
    assert KEY not in repr(vars(AccessKeys.parse(KEY)))
    assert not AccessKeys.parse(" , ")
    assert AccessKeys.parse(KEY).caller("") is None


REBOUND = "rebound.example"
EVERY_ROUTE = (*PATHS, "/health", "/health/live", "/config", "/query", "/rag/invoke", "/v1/chat/completions")


def test_no_route_answers_under_a_name_that_is_not_the_servers(server: Server, guarded: Server) -> None:
    for asked in (server, guarded):
        for path in EVERY_ROUTE:
            for method in ("GET", "POST", "OPTIONS"):
                refusal = asked.http.request(method, path, headers={"host": f"{REBOUND}:8000"})
                refused(refusal, 421, "host_not_allowed")
                assert "RAG_ALLOWED_HOSTS" in refusal.json()["error"]["message"]


def test_names_that_are_listed_are_the_servers(serve: Serve) -> None:
    server = serve(allowed_hosts="rag.example, *.internal")
    for host in ("rag.example", "rag.example:8443", "a.internal", "10.0.0.7:8000", "localhost:9", "[::1]:8000"):
        assert server.http.get("/config", headers={"host": host}).status_code == 200
    refused(server.http.get("/config", headers={"host": REBOUND}), 421, "host_not_allowed")


def test_a_server_for_others_with_keys_is_asked_under_any_name(serve: Serve) -> None:
    server = serve(host="0.0.0.0", api_keys=SecretStr(KEY))
    assert server.http.get("/health", headers={"host": "rag-graph.default.svc"}).status_code == 200
    assert server.http.get("/config", headers={"host": REBOUND, **bearer(KEY)}).status_code == 200
    refused(server.http.get("/config", headers={"host": REBOUND}), 401, "unauthorized")


@pytest.mark.parametrize(
    ("heads", "status"),
    [
        (b"GET /health/live HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /health/live HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nhost: rebound.example\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nhost: localhost, rebound.example\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nhost: rebound.example\r\nx-forwarded-host: localhost\r\n\r\n", b"421"),
    ],
    ids=["none, as old clients", "none", "two", "two in one", "another that is forwarded"],
)
def test_there_is_one_host_and_it_is_the_clients(server: Server, heads: bytes, status: bytes) -> None:
    address = (server.http.base_url.host, server.http.base_url.port or 80)
    with socket.create_connection(address, timeout=WITHIN_S) as connection:
        connection.sendall(heads)
        assert connection.recv(1_000).split(b" ", 2)[1] == status


@pytest.mark.parametrize("path", ["/query", "/rag/invoke", "/v1/chat/completions", "/api/chat", "/mcp", "/documents"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "http://localhost:1"},
        {"origin": "null"},
    ],
    ids=["cross-site", "same-site", "without an origin", "an old browser", "another port", "an origin that is hidden"],
)
def test_a_page_of_another_site_cannot_ask(server: Server, path: str, headers: dict[str, str]) -> None:
    refused(server.http.post(path, json={"question": QUESTION}, headers=headers), 403, "cross_site")


@pytest.mark.parametrize("site", [{"sec-fetch-site": "same-origin"}, {}, {"sec-fetch-site": "none"}])
def test_the_servers_own_page_can_ask(server: Server, site: dict[str, str]) -> None:
    headers = {"origin": server.url.rstrip("/"), "accept": "application/json", **site}
    assert server.http.post("/query", json={"question": QUESTION}, headers=headers).status_code == 200
    assert server.http.get("/config", headers=headers).status_code == 200


def test_a_link_from_another_site_opens_the_page_and_its_scripts_read_nothing(server: Server) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert server.http.get("/", headers=link).status_code == 200
    refused(server.http.get("/config", headers={"origin": "https://elsewhere.example"}), 403, "cross_site")


def test_what_is_denied_is_told_to_the_operator_without_its_secrets(
    guarded: Server, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a-secret-that-nobody-should-log"
    with caplog.at_level(logging.WARNING, logger="rag_graph"):
        guarded.http.get(f"/config?key={secret}", headers=bearer(secret))
        guarded.http.get("/a%0Ab%1B[31m%E2%80%AE", headers=basic(secret))
        guarded.http.post("/query", headers={"host": REBOUND, "cookie": secret}, content=secret)
        guarded.http.post("/query", headers={"origin": f"https://{secret}.example"}, json={"question": secret})
        guarded.http.post("/query", headers={"content-type": "text/plain", **bearer(KEY)}, content=secret)
    told = [message for message in caplog.messages if message.startswith("denied ")]
    rules = [message.split()[1] for message in told]
    assert rules == ["rule=key", "rule=key", "rule=host", "rule=origin", "rule=body"]
    assert "status=401 method=GET path=/config client=127.0.0.1" in told[0]
    assert r"path=/a\nb\x1b[31m\u202e client" in told[1]
    assert secret not in caplog.text
    assert KEY not in caplog.text


def test_no_page_may_read_answers_unless_its_origin_is_allowed(server: Server, serve: Serve) -> None:
    page = "https://app.example.org"
    asked = {"origin": page, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    assert "access-control-allow-origin" not in server.http.options("/query", headers=asked).headers

    allowing = serve(allowed_origins=f"{page}/", api_keys=SecretStr(KEY))
    preflight = allowing.http.options("/query", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, page)
    for method in ("PATCH", "DELETE"):
        asked_before = asked | {"access-control-request-method": method}
        assert allowing.http.options("/conversations/one", headers=asked_before).status_code == 200
    fetched = {"origin": page, "sec-fetch-site": "cross-site"}
    refusal = allowing.http.post("/query", json={"question": QUESTION}, headers=fetched)
    assert (refusal.status_code, refusal.headers["access-control-allow-origin"]) == (401, page)
    answer = allowing.http.post("/query", json={"question": QUESTION}, headers=fetched | bearer(KEY))
    assert answer.status_code == 200
    assert "x-run-id" in answer.headers["access-control-expose-headers"]


def test_an_origin_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="RAG_ALLOWED_ORIGINS"):
        parse_origins("example.org")


@pytest.mark.parametrize("path", ["/query", "/rag/invoke", "/v1/chat/completions", "/mcp"])
def test_a_large_body_is_refused_before_it_is_parsed(serve: Serve, path: str) -> None:
    server = serve(max_body_bytes=1_000)
    refused(server.http.post(path, content=b" " * 1_001, headers=JSON), 413, "body_too_large")
    refused(server.http.post(path, content=pieces(2_000), headers=JSON), 413, "body_too_large")
    answer = server.http.post("/query", content=pieces(100, b'{"question": "Who?"}'), headers=JSON)
    assert answer.status_code == 200


def pieces(spaces: int, last: bytes = b"{}") -> Iterator[bytes]:
    yield from [b" " * 100] * (spaces // 100)
    yield last


def test_runs_of_langserve_count_as_others_do(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve(max_runs=1, max_queued=0)
    with server.http.stream("POST", "/rag/stream", json={"input": {"question": QUESTION}}) as response:
        until(held.reached.is_set)
        refusal = server.ask()
        refused(refusal, 429, "too_many_runs")
        assert int(refusal.headers["retry-after"]) >= 1
        refused(server.http.post("/rag/invoke", json={"input": {"question": QUESTION}}), 429, "too_many_runs")
        held.release()
        response.read()
    until(lambda: server.ask().status_code == 200)  # LangServe lets go of its slot after its last byte


def test_who_comes_when_all_is_taken_waits_for_a_place(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve(max_runs=1, max_queued=1, max_queued_s=600)
    with server.asking() as first:
        until(held.reached.is_set)
        answers: list[Any] = []
        second = threading.Thread(target=lambda: answers.append(server.ask()))
        second.start()
        until(lambda: "rag_runs_waiting 1.0" in server.http.get("/metrics").text)
        held.release()
        first.read()
    second.join(WITHIN_S)
    assert events_of(answers[0])[-1].type == "run_finished"


def test_a_batch_is_answered_one_question_after_the_other(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve(max_runs=1)
    answers: list[Any] = []
    batch = {"inputs": [{"question": QUESTION}] * 3, "config": {"max_concurrency": 3}}
    asking = threading.Thread(target=lambda: answers.append(server.http.post("/rag/batch", json=batch)))
    asking.start()
    until(held.reached.is_set)
    assert len(upstream.chats) == 1
    held.release()
    asking.join(WITHIN_S)
    assert len(answers[0].json()["output"]) == 3


@pytest.mark.parametrize("name", ["rag_graph_sink", "model", "callbacks"])
def test_langserve_clients_cannot_steer_the_graph(server: Server, name: str) -> None:
    body = {"input": {"question": QUESTION}, "config": {"configurable": {name: "x"}}}
    refused(server.http.post("/rag/invoke", json=body), 422, "invalid_request")


def test_what_a_graph_around_a_remote_runnable_passes_on_is_ignored(server: Server) -> None:
    config = {"configurable": {"thread_id": "theirs", "__pregel_x": 1}, "tags": ["a"], "recursion_limit": 1}
    answer = server.http.post("/rag/invoke", json={"input": {"question": QUESTION}, "config": config})
    assert answer.status_code == 200


def test_a_run_stops_at_its_budget_of_time_with_what_it_has(serve: Serve, upstream: Upstream) -> None:
    upstream.say(WORDS, hold_after=5)
    server = serve(max_run_s=1)
    events = events_of(server.ask())
    last = events[-1]
    assert (last.type, getattr(last, "by", "")) == ("run_cancelled", "budget")
    assert getattr(last, "answer", "") == Transcript.of(events[:-1]).answer
    assert upstream.chats[0].wait_closed()


def test_a_run_stops_at_its_budget_of_tokens_while_the_model_still_writes(serve: Serve, upstream: Upstream) -> None:
    upstream.say(["long " * 100] * 100, pace_s=0.01)
    server = serve(max_run_tokens=1_000)
    last = events_of(server.ask())[-1]
    assert (last.type, getattr(last, "by", "")) == ("run_cancelled", "budget")
    assert 3_900 <= len(getattr(last, "answer", "")) < 50_000


def test_a_reader_that_stops_reading_is_cut_and_its_run_goes_on(serve: Serve, upstream: Upstream) -> None:
    upstream.say(ANSWER, thinking=["So many words. " * 1_000] * 600)
    server = serve(write_timeout_s=2, max_run_tokens=10_000_000)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.settimeout(WITHIN_S)
        reader.connect((server.http.base_url.host, server.http.base_url.port))
        body = b'{"question": "Who built the Eiffel Tower?"}'
        head = (
            "POST /query HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        reader.sendall(head.encode() + body)
        run_id = _run_id(reader.recv(2_000))
        until(lambda: server.status(run_id) == "finished")
        until(lambda: "rag_readers 0.0" in server.http.get("/metrics").text)
        assert _rest(reader) < 8_000_000
    whole = server.http.get(f"/runs/{run_id}/events", headers={"accept": "application/json"})
    assert whole.json()["answer"] == ANSWER


def _run_id(head: bytes) -> str:
    return head.lower().partition(b"x-run-id: ")[2][:26].decode().upper()


def _rest(reader: socket.socket) -> int:
    """How many bytes are still there, up to the end of the connection, which the server has cut."""
    count = 0
    try:
        while chunk := reader.recv(65_536):
            count += len(chunk)
    except ConnectionResetError:
        pass
    return count
