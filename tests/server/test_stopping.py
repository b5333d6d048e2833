"""How a server stops: drained by a signal, or killed."""

import signal
import time

import httpx

from tests.servers import ANSWER, QUESTION, Serve, Server, await_ready, events_of, frames, refused, until
from tests.upstream import WITHIN_S, Upstream

WORDS = tuple(f"word{number} " for number in range(40))


def stop(server: Server) -> None:
    assert server.process
    server.process.send_signal(signal.SIGTERM)


def exit_code(server: Server) -> int:
    assert server.process
    return server.process.wait(WITHIN_S)


def health(server: Server) -> tuple[int, str]:
    answer = server.http.get("/health")
    return answer.status_code, answer.json()["status"]


def test_a_server_that_stops_lets_its_runs_end_and_refuses_new_ones(spawn: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = spawn(RAG_DRAIN_S="600")
    with server.asking(idempotency_key="k") as response:
        until(held.reached.is_set)
        stop(server)
        until(lambda: health(server) == (503, "draining"))
        refusal = server.ask("Another?")
        refused(refusal, 503, "draining")
        assert int(refusal.headers["retry-after"]) >= 1
        refused(server.http.post("/rag/invoke", json={"input": {"question": QUESTION}}), 503, "draining")
        with server.asking(idempotency_key="k") as again:
            assert again.headers["x-run-id"] == response.headers["x-run-id"]
            held.release()
            assert frames(again.read().decode()) == frames(response.read().decode())
        last = events_of(response)[-1]
    assert last.type == "run_finished"
    assert exit_code(server) == -signal.SIGTERM


def test_runs_that_do_not_end_in_time_are_told_so(spawn: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = spawn(RAG_DRAIN_S="1")
    with server.asking() as response:
        until(held.reached.is_set)
        stopped_at = time.monotonic()
        stop(server)
        last = frames(response.read().decode())[-1][1]
    assert (last.type, getattr(last, "by", "")) == ("run_cancelled", "shutdown")
    assert time.monotonic() - stopped_at >= 0.9
    assert upstream.chats[0].wait_closed()
    assert exit_code(server) == -signal.SIGTERM


def test_an_idle_server_stops_at_once(spawn: Serve) -> None:
    server = spawn(RAG_DRAIN_S="600")  # longer than the wait below
    stop(server)
    assert exit_code(server) == -signal.SIGTERM


def test_readers_that_do_not_read_do_not_keep_a_server_from_stopping(spawn: Serve, upstream: Upstream) -> None:
    upstream.say(["x" * 1_000] * 4_000)
    server = spawn(RAG_DRAIN_S="1")
    with server.asking():
        until(lambda: bool(upstream.chats))
        stop(server)
        exit_code(server)


def test_a_server_that_was_killed_says_that_its_runs_are_gone(spawn: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    server = spawn()
    with server.asking(idempotency_key="k") as response:
        run_id = response.headers["x-run-id"]
        until(held.reached.is_set)
        assert server.process
        server.process.kill()
        try:
            response.read()
        except httpx.TransportError as exc:
            cut = exc
    assert cut
    restarted = spawn(RAG_PORT=str(server.http.base_url.port))
    await_ready(restarted)
    refused(restarted.http.get(f"/runs/{run_id}/events"), 410, "run_expired")
    again = restarted.ask(idempotency_key="k")
    assert again.headers["x-run-id"] != run_id
    assert again.headers["idempotent-replayed"] == "false"
    assert ANSWER in events_of(again)[-1].model_dump_json()
