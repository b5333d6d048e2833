"""What one connection may send, how long it may take and how many there may be, at a real server."""

import logging
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

from rag_graph.server.connections import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_PIPELINED,
    MAX_TARGET_BYTES,
    RESERVED_DESCRIPTORS,
    most_connections,
)
from tests.servers import QUESTION, Serve, Server, refused, until
from tests.upstream import WITHIN_S, Upstream

GET = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
WORDS = tuple(f"word{number} " for number in range(40))
PIECE = b"x" * 65_536


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    address = (server.http.base_url.host, server.http.base_url.port or 80)
    with socket.create_connection(address, timeout=WITHIN_S) as opened:
        yield opened


def everything(connection: socket.socket) -> bytes:
    """What the server says until it closes the connection."""
    said = b""
    try:
        while piece := connection.recv(65_536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def sent_until_cut(connection: socket.socket, *, most: int) -> int:
    """How many bytes the server takes before it ends the connection."""
    sent = 0
    try:
        while sent < most:
            sent += connection.send(PIECE)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


@pytest.mark.parametrize(
    "before",
    [GET + b"x-endless: ", b"GET /", GET + b"x-", CHUNKED + b"2\r\n{}\r\n0\r\nx-trailer: ", CHUNKED + b"2;extension="],
    ids=["a value", "a target", "a name", "a trailer", "a chunk's extension"],
)  # fmt: skip
def test_what_never_ends_is_cut_before_it_fills_the_memory(server: Server, before: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(before)
        # What the kernel holds on both sides counts as sent.
        assert sent_until_cut(connection, most=1_000_000_000) < 50_000_000
    assert server.http.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (GET + b"x-long: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (GET + b"a: b\r\n" * MAX_HEADERS + b"\r\n", 431),
        (b"GET /" + b"y" * MAX_TARGET_BYTES + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nhost localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
    ids=["a long header", "many headers", "a long URL", "a header without a colon", "TLS"],
)
def test_a_head_that_is_too_large_or_none_is_refused_in_our_words(
    server: Server, request_head: bytes, status: int
) -> None:
    with connected(server) as connection:
        connection.sendall(request_head)
        said = everything(connection)
    assert said.startswith(b"HTTP/1.1 %d " % status), said
    assert b"connection: close\r\n" in said
    assert b'{"error":{"code":' in said


def test_what_a_browser_and_its_proxies_send_is_no_large_head(server: Server) -> None:
    headers = {f"x-proxy-{number}": "y" * 200 for number in range(60)} | {"cookie": "c" * 8_000}
    assert server.http.get("/health/live", headers=headers).status_code == 200
    assert server.http.get("/health/live", params={"q": "y" * 8_000}).status_code == 200


def test_trailers_of_a_body_in_chunks_are_nobodys_headers(serve: Serve) -> None:
    server = serve()
    body = b'{"question": "Who?"}'
    with connected(server) as connection:
        connection.sendall(
            POST + b"accept: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        connection.sendall(b"%x\r\n%s\r\n0\r\nhost: evil.example\r\nhost: again.example\r\n\r\n" % (len(body), body))
        assert everything(connection).startswith(b"HTTP/1.1 200 ")


def test_requests_that_wait_for_the_first_ones_answer_are_few(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve()
    body = b'{"question": "Who built the Eiffel Tower?"}'
    with connected(server) as connection:
        connection.sendall(POST + b"content-length: %d\r\n\r\n" % len(body) + body)
        until(held.reached.is_set)
        connection.sendall((GET + b"\r\n") * (MAX_PIPELINED + 2))
        said = everything(connection)
        held.release()
    assert b"run_finished" not in said
    assert b"HTTP/1.1" not in said[1:]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (GET, b"HTTP/1.1 408 "),
        (GET + b"\r\n" + GET, b"HTTP/1.1 200 "),
        (POST + b"content-length: 100\r\n\r\n{", b"HTTP/1.1 408 "),
        (POST + b"transfer-encoding: chunked\r\n\r\n5\r\n{", b"HTTP/1.1 408 "),
    ],
    ids=["silent", "half a head", "half a second head", "half a body", "half a chunk"],
)
def test_a_request_that_does_not_come_whole_is_given_up(
    serve: Serve, caplog: pytest.LogCaptureFixture, sent: bytes, answer: bytes
) -> None:
    server = serve(read_timeout_s=0.2)
    with caplog.at_level(logging.WARNING), ExitStack() as stack:
        connections = [stack.enter_context(connected(server)) for _ in range(20)]
        for connection in connections:
            connection.sendall(sent)
        assert server.http.get("/health").status_code == 200
        for connection in connections:
            said = everything(connection)
            assert said.startswith(answer)
            assert bool(said) == bool(answer)
    assert any("a connection was cut" in message for message in caplog.messages)


def test_a_flood_of_slow_connections_is_told_of_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(read_timeout_s=0.2)
    with caplog.at_level(logging.WARNING), ExitStack() as stack:
        connections = [stack.enter_context(connected(server)) for _ in range(50)]
        for connection in connections:
            assert everything(connection) == b""
    assert sum("cut" in message for message in caplog.messages) < 10


def test_who_reads_an_answer_may_be_silent_for_longer(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = serve(read_timeout_s=0.1, heartbeat_s=0.2)
    with server.asking() as response:
        seen = ""
        for piece in response.iter_text():
            seen += piece
            if seen.count(": keep-alive") >= 3:
                held.release()
    assert "event: run_finished" in seen


@pytest.mark.parametrize("sent", [b"", GET, CHUNKED + b"5\r\n{"], ids=["silent", "half a head", "half a body"])
def test_connections_without_a_whole_request_make_way_for_those_with_one(serve: Serve, sent: bytes) -> None:
    server = serve(max_connections=5)
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(server)) for _ in range(30)]
        for connection in silent:
            with suppress(OSError):  # the first have made way already
                connection.sendall(sent)
        # By a connection of its own, the last in line: one that was kept open and idle makes way as the others do.
        with httpx.Client(base_url=server.url, timeout=WITHIN_S) as fresh:
            assert fresh.get("/health").status_code == 200
            assert fresh.post("/query", json={"question": QUESTION}).status_code == 200
        for connection in silent[:20]:
            assert everything(connection) == b""


def test_when_all_connections_are_in_use_health_is_still_told(serve: Serve, upstream: Upstream) -> None:
    server = serve(max_connections=3)
    held = [upstream.say(WORDS, hold_after=5) for _ in range(3)]
    server.http.headers["connection"] = "close"
    with ExitStack() as stack:
        answers = [stack.enter_context(server.asking(accept="text/event-stream")) for _ in held]
        for script in held:
            until(script.reached.is_set)
        refusal = server.ask()
        refused(refusal, 503, "service_unavailable")
        assert refusal.headers["retry-after"]
        assert server.http.get("/health").status_code == 200
        for script in held:
            script.release()
        for answer in answers:
            assert "run_finished" in "".join(answer.iter_text())
    until(lambda: server.ask().status_code == 200)


def test_connections_leave_descriptors_for_the_rest() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        possible = 256 - RESERVED_DESCRIPTORS
        assert [most_connections(wanted) for wanted in (None, 10, 10_000)] == [possible, 10, possible]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
