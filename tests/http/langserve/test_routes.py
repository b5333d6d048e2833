"""LangServe's endpoints over HTTP, and its client in another process."""

import json
import subprocess
import sys
from typing import Any

import pytest

from rag_graph.events import RunFinished
from rag_graph.http.langserve.encoding import SEPARATOR, PlainText
from tests.http.recorded import RUNS
from tests.servers import ANSWER, QUESTION, Serve, Server, until
from tests.upstream import WITHIN_S, Upstream

pytestmark = [
    # LangServe reads `model_fields` of instances and calls `astream_log`, in the server's thread of this process.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:langserve"),
    pytest.mark.filterwarnings("ignore:astream_log is deprecated"),
]
ASKED = {"question": QUESTION}
WORDS = tuple(f"word{number} " for number in range(30))
HUMAN = {"type": "human", "content": QUESTION}


def remote(job: str, server: Server) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "tests.http.langserve.remote", job, server.url, QUESTION]


def remotely(job: str, server: Server) -> Any:
    """What a LangChain program in another process got."""
    done = subprocess.run(remote(job, server), capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4_000:]
    return json.loads(done.stdout)


def test_a_langchain_program_uses_it_in_every_way(server: Server) -> None:
    got = remotely("use", server)

    for way in ("invoke", "ainvoke", "stream", "astream", "chat"):
        assert got[way] == ANSWER, way
    assert got["batch"] == got["abatch"] == [got["invoke"]] * 2
    assert got["chain"] == got["chain_stream"] == got["invoke"].upper()
    assert {"on_chain_start", "on_chain_stream", "on_chain_end", "on_custom_event"} <= set(got["events"])
    assert got["log"]
    assert got["structured"]["answer"] == got["summed"]["answer"] == ANSWER
    assert got["structured"]["citations"] == got["summed"]["citations"]
    assert got["structured"]["documents"] == got["summed"]["documents"]


def test_tokens_arrive_as_they_are_made(serve: Serve, upstream: Upstream) -> None:
    held = upstream.say(WORDS, hold_after=5)
    with subprocess.Popen(remote("pieces", serve()), stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout
        seen = ""
        while WORDS[3] not in seen:
            seen += json.loads(reader.stdout.readline())
        assert held.reached.wait(WITHIN_S)
        assert upstream.chats[0].tokens_sent == 5
        held.release()
        seen += "".join(json.loads(line) for line in reader.stdout)
    assert seen.startswith("".join(WORDS).strip())


@pytest.mark.parametrize(
    ("path", "given"),
    [("/rag/stream", ASKED), ("/rag/structured/stream", ASKED), ("/chat/stream", {"messages": [HUMAN]})],
)
def test_leaving_a_stream_ends_the_call_of_the_model(
    serve: Serve, upstream: Upstream, path: str, given: dict[str, Any]
) -> None:
    held = upstream.say(WORDS, hold_after=3)
    server = serve()
    with server.http.stream("POST", path, json={"input": given}) as response:
        assert response.status_code == 200
        until(held.reached.is_set)
    assert upstream.chats[0].wait_closed()


@pytest.mark.parametrize(("path", "given"), [("/rag", ASKED), ("/chat", {"messages": [HUMAN]})])
def test_a_config_says_how_much_text_is_wanted(
    serve: Serve, upstream: Upstream, path: str, given: dict[str, Any]
) -> None:
    refined = "It was built by Gustave Eiffel's company [1]."
    server = serve()

    def text(**configurable: bool) -> str:
        upstream.fail(status=500)  # so that the refinement is what stands
        upstream.fail(status=500)
        upstream.say(refined)
        asked = {"input": given, "config": {"configurable": configurable}}
        return str(server.http.post(f"{path}/invoke", json=asked).json()["output"])

    assert text() == text(final=True) == refined
    assert text(sources=True) == f"{refined}\n\nSources\n[1] Eiffel Tower (documents/eiffel.md, line 3)\n"


def test_what_follows_the_last_separator_is_the_answer_that_stands() -> None:
    for name, events in RUNS.items():
        for final in (False, True):
            view = PlainText(final=final)
            said = "".join(map(view.add, events))
            if isinstance(events[-1], RunFinished):
                assert said.rpartition(SEPARATOR)[2] == events[-1].answer, name
                assert not final or SEPARATOR not in said


@pytest.mark.parametrize(("path", "option"), [("/rag/structured", "final"), ("/rag", "thread")])
def test_what_a_config_cannot_set_is_refused(server: Server, path: str, option: str) -> None:
    asked = {"input": ASKED, "config": {"configurable": {option: True}}}
    assert server.http.post(f"{path}/invoke", json=asked).status_code == 422


BAD_QUESTIONS: dict[str, Any] = {
    "nothing": {},
    "null": None,
    "a string": "q",
    "a list": ["q"],
    "an empty question": {"question": ""},
    "a number": {"question": 5},
    "an extra field": {"question": "q", "other": 1},
    "an unknown mode": {"question": "q", "mode": "slow"},
}
BAD_MESSAGES: dict[str, Any] = {
    "no messages": [],
    "a string": ["x"],
    "a number": 5,
    "null": None,
    "an object": {"a": 1},
    "an empty question": [{"type": "human", "content": ""}],
    "a picture": [{"type": "human", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
    "an answer at the end": [HUMAN, {"type": "ai", "content": "x"}],
    "a system message alone": [{"type": "system", "content": "x"}],
    "an unknown type": [{"type": "other", "content": "x"}],
    "no content": [{"type": "human", "content": None}],
    "too long a question": [{"type": "human", "content": "x" * 5_000}],
}
VERBS = ("invoke", "stream", "stream_log", "stream_events", "batch")


def refused(server: Server, path: str, given: Any) -> None:
    for verb in VERBS:
        body = {"inputs": [given]} if verb == "batch" else {"input": given}
        response = server.http.post(f"{path}/{verb}", json=body)
        assert response.status_code == 422, (verb, response.text)
        if verb in ("invoke", "batch"):
            assert response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/rag", "/rag/structured"])
@pytest.mark.parametrize("given", BAD_QUESTIONS.values(), ids=BAD_QUESTIONS)
def test_bad_questions_are_refused(server: Server, path: str, given: Any) -> None:
    refused(server, path, given)


@pytest.mark.parametrize("messages", BAD_MESSAGES.values(), ids=BAD_MESSAGES)
def test_bad_conversations_are_refused(server: Server, messages: Any) -> None:
    refused(server, "/chat", {"messages": messages})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"5", b"[" * 50_000], ids=range(6))
@pytest.mark.parametrize("path", ["/rag", "/rag/structured", "/chat"])
def test_bodies_that_are_no_objects_are_refused(server: Server, path: str, content: bytes) -> None:
    for verb in VERBS:
        response = server.http.post(f"{path}/{verb}", content=content, headers={"content-type": "application/json"})
        assert response.status_code == 422, (verb, response.text)


@pytest.mark.parametrize("inputs", [5, "q", None, {"a": 1}, [ASKED, {"question": ""}]])
def test_bad_batches_are_refused(server: Server, inputs: Any) -> None:
    assert server.http.post("/rag/batch", json={"inputs": inputs}).status_code == 422


def test_a_long_conversation_keeps_its_newest_turns(server: Server) -> None:
    response = server.http.post("/chat/invoke", json={"input": {"messages": [HUMAN] * 250}})
    assert response.status_code == 200
    assert response.json()["output"].startswith(ANSWER)


CALL = {"name": "search", "args": {}, "id": "1"}
CONVERSATIONS: dict[str, list[Any]] = {
    "pairs": [["human", "Hello."], ["ai", "Hello!"], ["human", QUESTION]],
    "an agent's calls and what its tools gave": [
        HUMAN,
        {"type": "ai", "content": "", "tool_calls": [CALL]},
        {"type": "tool", "content": "Found.", "tool_call_id": "1"},
    ],
}


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_may_come_as_langchains_programs_have_it(server: Server, messages: list[Any]) -> None:
    response = server.http.post("/chat/invoke", json={"input": {"messages": messages}})
    assert response.status_code == 200, response.text
    assert response.json()["output"].startswith(ANSWER)
