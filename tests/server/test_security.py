"""Who is let in, and how much at once, at a real server."""

import base64
import hashlib
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


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200)])
def test_a_page_of_another_site_cannot_ask(server: Server, site: str, status: int) -> None:
    headers = {"sec-fetch-site": site, "origin": "https://elsewhere.example", "accept": "application/json"}
    assert server.http.post("/query", json={"question": QUESTION}, headers=headers).status_code == status


def test_no_page_may_read_answers_unless_its_origin_is_allowed(server: Server, serve: Serve) -> None:
    page = "https://app.example.org"
    asked = {"origin": page, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    assert "access-control-allow-origin" not in server.http.options("/query", headers=asked).headers

    allowing = serve(allowed_origins=f"{page}/", api_keys=SecretStr(KEY))
    preflight = allowing.http.options("/query", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, page)
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
    refused(server.http.post(path, content=b" " * 1_001), 413, "body_too_large")
    refused(server.http.post(path, content=pieces(2_000)), 413, "body_too_large")
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
    assert server.ask().status_code == 200


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
            f"POST /query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
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
