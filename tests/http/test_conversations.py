"""Conversations over HTTP, at a real server: what is kept, for whom, and what becomes of it when a server dies."""

import json
import re
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.servers import ANSWER, QUESTION, Serve, Server, await_ready, copied, events_of, free_port, refused, until
from tests.upstream import Upstream

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),  # LangServe does
]
WORDS = tuple(f"word{number} " for number in range(40))
HOSTILE = "<img src=x onerror=alert(1)> [x](javascript:alert) # *a* \u202egpj.exe\n\n## Heading `\x00`"


@pytest.fixture
def own(towers: Path, tmp_path: Path) -> Path:
    return copied(towers, tmp_path / "data")


@pytest.fixture
def keeping(serve: Serve, own: Path) -> Server:
    return serve(data_dir=own, max_conversations=2)


def ask(
    server: Server, conversation: str, key: str, question: str = QUESTION, *, follows: str = "", caller: str = "me"
) -> httpx.Response:
    return server.http.post(
        "/query",
        params={"conversation": conversation, "follows": follows},
        json={"question": question},
        headers={"idempotency-key": key, "x-caller": caller},
    )


def get(server: Server, path: str, *, caller: str = "me", **params: Any) -> Any:
    answer = server.http.get(path, params=params, headers={"x-caller": caller})
    assert answer.status_code == 200, answer.text
    return answer.json()


def statuses(server: Server, conversation: str) -> list[str]:
    return [turn["status"] for turn in get(server, f"/conversations/{conversation}")["asked"]]


def test_a_conversation_is_kept_by_the_server_with_its_answers_and_branches(keeping: Server) -> None:
    events = events_of(ask(keeping, "c-1", "t1"))
    ask(keeping, "c-1", "t2", "And Tokyo Tower?", follows="t1")
    ask(keeping, "c-1", "t3", "And the tower of Tokyo?", follows="t1")
    until(lambda: statuses(keeping, "c-1") == ["finished"] * 3)
    told = get(keeping, "/conversations/c-1")
    assert told["title"] == QUESTION
    assert [(turn["id"], turn["follows"]) for turn in told["asked"]] == [("t1", ""), ("t2", "t1"), ("t3", "t1")]
    first = told["asked"][0]
    whole = keeping.http.get(
        f"/runs/{first['run_id']}/events", headers={"x-caller": "me", "accept": "application/json"}
    )
    assert first["result"] == whole.json()
    assert first["result"]["answer"] == events[-1].answer == ANSWER  # type: ignore[union-attr]
    assert first["result"]["citations"][0]["quote"]
    assert get(keeping, "/conversations")["conversations"][0]["turns"] == 3


def test_the_same_key_is_the_same_turn_and_an_unknown_place_is_refused(keeping: Server) -> None:
    assert ask(keeping, "c-1", "t1").headers["x-run-id"] == ask(keeping, "c-1", "t1").headers["x-run-id"]
    assert len(get(keeping, "/conversations/c-1")["asked"]) == 1
    refused(ask(keeping, "c-1", "t2", follows="nothing"), 404, "conversation_not_found")
    refused(ask(keeping, "no/name", "t2"), 422, "invalid_request")
    refused(ask(keeping, "c-1", "t2", follows="a b"), 422, "invalid_request")
    odd = ask(keeping, "c-1", "an odd key: $%&", follows="t1")
    assert odd.status_code == 200
    assert len(get(keeping, "/conversations/c-1")["asked"][1]["id"]) == 32
    assert keeping.http.post("/query", params={"conversation": "c-2"}, json={"question": QUESTION}).status_code == 200


def test_callers_see_and_change_only_their_own(keeping: Server) -> None:
    ask(keeping, "c-1", "t1")
    ask(keeping, "c-1", "t1", "Something else?", caller="you")
    assert get(keeping, "/conversations/c-1", caller="you")["title"] == "Something else?"
    for method, path, body in (
        ("GET", "/conversations/c-1", None),
        ("GET", "/conversations/c-1/export?form=json", None),
        ("PATCH", "/conversations/c-1", {"title": "Mine"}),
        ("DELETE", "/conversations/c-1", None),
        ("POST", "/conversations/c-1/share", None),
        ("DELETE", "/conversations/c-1/share", None),
        ("GET", "/shared/c-1", None),
    ):
        answer = keeping.http.request(method, path, json=body, headers={"x-caller": "third"})
        refused(answer, 404, "conversation_not_found")
    assert get(keeping, "/conversations", caller="third")["conversations"] == []
    assert keeping.http.delete("/conversations/c-1", headers={"x-caller": "you"}).json()["deleted"]
    assert get(keeping, "/conversations", caller="you")["total"] == 0
    assert get(keeping, "/conversations")["total"] == 1


def test_it_is_listed_searched_renamed_and_the_oldest_makes_room(keeping: Server) -> None:
    for number in range(3):
        ask(keeping, f"c-{number}", f"t{number}", f"Question {number} of Eiffel?")
        until(lambda: statuses(keeping, f"c-{number}") == ["finished"])  # noqa: B023 - called before the next
    listed = get(keeping, "/conversations", limit=1)
    assert (listed["total"], listed["most"]) == (2, 2)
    assert [one["id"] for one in listed["conversations"]] == ["c-2"]
    following = get(keeping, "/conversations", limit=1, after=listed["next"])
    assert ([one["id"] for one in following["conversations"]], following["next"]) == (["c-1"], None)
    assert [one["id"] for one in get(keeping, "/conversations", q="question 1")["conversations"]] == ["c-1"]
    assert len(get(keeping, "/conversations", q="GUSTAVE")["conversations"]) == 2
    refused(keeping.http.get("/conversations", params={"after": "x"}), 422, "invalid_request")
    refused(keeping.http.get("/conversations", params={"q": "x" * 201}), 422, "invalid_request")
    mine = {"x-caller": "me"}
    for title in ("", " \n ", "\u202e", 5, None):
        refused(keeping.http.patch("/conversations/c-1", json={"title": title}, headers=mine), 422, "invalid_request")
    assert (
        keeping.http.patch("/conversations/c-1", json={"title": " Towers "}, headers=mine).json()["title"] == "Towers"
    )


def test_hostile_words_stay_words_in_titles_and_exports(keeping: Server) -> None:
    ask(keeping, "c-1", "t1", HOSTILE)
    until(lambda: statuses(keeping, "c-1") == ["finished"])
    title = get(keeping, "/conversations/c-1")["title"]
    assert not {"\n", "\u202e", "\x00"} & set(title)
    answer = keeping.http.get("/conversations/c-1/export", params={"form": "markdown"}, headers={"x-caller": "me"})
    assert answer.headers["content-disposition"] == 'attachment; filename="conversation-c-1.md"'
    assert answer.headers["content-type"].startswith("text/markdown")
    lines = answer.text.splitlines()
    assert [line for line in lines if line.startswith("#")] == [lines[0], lines[2]]
    assert lines[0].startswith("# \\<img src=x onerror=alert\\(1\\)\\> \\[x\\]\\(javascript:alert\\) \\# \\*a\\*")
    assert ANSWER in answer.text
    assert re.search(
        r"- \\\[\d\\\] Eiffel Tower \(documents/eiffel.md, line 3\): “The Eiffel Tower was built", answer.text
    )
    whole = get(keeping, "/conversations/c-1/export", form="json")
    assert whole["asked"][0]["question"] == HOSTILE
    refused(keeping.http.get("/conversations/c-1/export?form=pdf", headers={"x-caller": "me"}), 422, "invalid_request")


def test_a_shared_one_is_read_under_an_address_nobody_guesses_until_that_is_taken_back(keeping: Server) -> None:
    ask(keeping, "c-1", "t1")
    until(lambda: statuses(keeping, "c-1") == ["finished"])
    mine = {"x-caller": "me"}
    share = keeping.http.post("/conversations/c-1/share", headers=mine).json()["share"]
    seen = get(keeping, f"/shared/{share}", caller="you")
    assert [turn["result"]["answer"] for turn in seen["asked"]] == [ANSWER]
    assert set(seen) == {"title", "created_at", "updated_at", "asked"}
    assert seen["asked"][0]["run_id"] == ""
    refused(keeping.http.get("/conversations/c-1", headers={"x-caller": "you"}), 404, "conversation_not_found")
    refused(keeping.http.delete(f"/shared/{share}"), 405, "method_not_allowed")
    assert keeping.http.delete("/conversations/c-1/share", headers=mine).json() == {"share": ""}
    refused(keeping.http.get(f"/shared/{share}"), 404, "conversation_not_found")


def test_with_keys_each_key_has_its_own_and_a_share_needs_one_too(serve: Serve, own: Path) -> None:
    server = serve(data_dir=own, api_keys=SecretStr("first-key, second-key"))
    first, second = ({"authorization": f"Bearer {key}"} for key in ("first-key", "second-key"))
    asked = {"idempotency-key": "t1", **first}
    server.http.post("/query?conversation=c-1", json={"question": QUESTION}, headers=asked)
    refused(server.http.get("/conversations"), 401, "unauthorized")
    assert server.http.get("/conversations", headers=second).json()["total"] == 0
    share = server.http.post("/conversations/c-1/share", headers=first).json()["share"]
    refused(server.http.get(f"/shared/{share}"), 401, "unauthorized")
    assert server.http.get(f"/shared/{share}", headers=second).status_code == 200
    elsewhere = {**first, "origin": "https://elsewhere.example"}
    refused(server.http.delete("/conversations/c-1", headers=elsewhere), 403, "cross_site")
    kept = b"".join(path.read_bytes() for path in own.glob("conversations.db*"))
    assert kept
    assert b"first-key" not in kept


def test_an_answer_is_kept_though_its_reader_leaves(serve: Serve, own: Path, upstream: Upstream) -> None:
    server = serve(data_dir=own, run_grace_s=0)
    held = upstream.say(WORDS, hold_after=5)
    asking = {"params": {"conversation": "c-1"}, "json": {"question": QUESTION}, "headers": {"x-caller": "me"}}
    with server.http.stream("POST", "/query", **asking) as response:  # type: ignore[arg-type]
        next(response.iter_bytes())
        run_id = response.headers["x-run-id"]
    told = get(server, "/conversations/c-1")["asked"]
    assert [(turn["run_id"], turn["status"], turn["result"]) for turn in told] == [(run_id, "running", None)]
    held.release()
    until(lambda: statuses(server, "c-1") == ["finished"])
    assert "word39" in get(server, "/conversations/c-1")["asked"][0]["result"]["answer"]


def test_the_responses_api_goes_on_with_the_same_conversation(serve: Serve, own: Path, upstream: Upstream) -> None:
    server = serve(data_dir=own)
    ask(server, "c-1", "t1", "Who built the tower in Paris?")
    until(lambda: statuses(server, "c-1") == ["finished"])
    body = {"model": "rag-fast", "input": "And when?", "conversation": "c-1"}
    mine = {"x-caller": "me", "idempotency-key": "t2"}
    told = server.http.post("/v1/responses", json=body, headers=mine).json()
    assert (told["status"], told["background"]) == ("completed", False)
    assert "Who built the tower in Paris?" in str(upstream.chats[-1].body)
    again = server.http.post("/v1/responses", json=body, headers=mine).json()
    assert again["id"] == told["id"]
    until(lambda: statuses(server, "c-1") == ["finished"] * 2)
    turns = get(server, "/conversations/c-1")["asked"]
    assert [(turn["id"], turn["follows"], turn["question"]) for turn in turns][1] == ("t2", "t1", "And when?")
    others = server.http.post("/v1/responses", json=body, headers={"x-caller": "you"}).json()
    assert others["previous_response_id"] is None


def test_deleting_one_stops_what_is_being_answered(serve: Serve, own: Path, upstream: Upstream) -> None:
    server = serve(data_dir=own)
    held = upstream.say(WORDS, hold_after=5)
    asking = threading.Thread(target=ask, args=(server, "c-1", "t1"))
    asking.start()
    until(held.reached.is_set)
    assert server.http.delete("/conversations/c-1", headers={"x-caller": "me"}).status_code == 200
    asking.join()
    assert upstream.chats[0].wait_closed()
    refused(server.http.get("/conversations/c-1", headers={"x-caller": "me"}), 404, "conversation_not_found")


def test_what_a_killed_server_was_answering_is_answered_by_the_next(
    spawn: Serve, own: Path, upstream: Upstream
) -> None:
    settings = {"RAG_DATA_DIR": str(own), "RAG_PORT": str(free_port())}
    server = spawn(**settings)
    assert server.process
    ask(server, "c-1", "t0", "And which is older?")
    until(lambda: statuses_of(server, "c-1") == ["finished"])
    held = upstream.say(WORDS, hold_after=5)
    asked = {"params": {"conversation": "c-1", "follows": "t0"}, "headers": {"idempotency-key": "t1"}}
    with server.http.stream("POST", "/query", json={"question": QUESTION}, **asked) as response:  # type: ignore[arg-type]
        until(held.reached.is_set)
        server.process.send_signal(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            response.read()
    server.process.wait()
    held.release()
    after = spawn(**settings)
    await_ready(after)
    assert statuses_of(after, "c-1") == ["finished", "lost"]
    again = after.http.post("/query", json={"question": QUESTION}, **asked)  # type: ignore[arg-type]
    assert events_of(again)[-1].type == "run_finished"
    until(lambda: statuses_of(after, "c-1") == ["finished", "finished"])
    assert [turn["id"] for turn in after.http.get("/conversations/c-1").json()["asked"]] == ["t0", "t1"]


def statuses_of(server: Server, conversation: str) -> list[str]:
    return [turn["status"] for turn in server.http.get(f"/conversations/{conversation}").json()["asked"]]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "0.0.0.0", "conversations": True}, True),
        ({"host": "0.0.0.0", "api_keys": SecretStr("key")}, True),
        ({"conversations": False}, False),
    ],
)
def test_nothing_is_kept_where_all_who_ask_would_be_one_caller(
    serve: Serve, own: Path, settings: dict[str, Any], kept: bool
) -> None:
    server = serve(data_dir=own, **settings)
    key = {"authorization": "Bearer key"}
    assert server.http.get("/config", headers=key).json()["conversations"] is kept
    assert server.http.post("/query?conversation=c-1", json={"question": QUESTION}, headers=key).status_code == 200
    if not kept:
        refused(server.http.get("/conversations"), 404, "conversation_not_found")
        assert not (own / "conversations.db").exists()


def test_where_nothing_can_be_written_questions_are_answered_all_the_same(serve: Serve, own: Path) -> None:
    (own / "conversations.db").mkdir()
    server = serve(data_dir=own)
    assert server.http.get("/config").json()["conversations"] is False
    assert events_of(ask(server, "c-1", "t1"))[-1].type == "run_finished"
    refused(server.http.get("/conversations"), 503, "database_unavailable")
    assert json.loads(server.http.get("/openapi.json").text)["paths"]["/shared/{share}"]
