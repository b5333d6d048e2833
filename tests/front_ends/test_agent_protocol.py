"""What a front end shows that follows a thread by LangGraph's JavaScript SDK, as `useStream` does."""

from typing import Any

from tests.front_ends.conftest import REFINED, Node, Refining
from tests.servers import ANSWER, QUESTION

PACE_S = 0.02


def words(shown: list[dict[str, Any]]) -> list[str]:
    return [message["words"] for message in shown]


def assert_never_doubled(states: list[list[str]]) -> None:
    for state in states:
        assert len(state) in (0, 1, 2)
        assert all(ANSWER.startswith(text) or REFINED.startswith(text) for text in state[1:])


def test_the_draft_streams_and_the_refinement_takes_its_place_with_citations(node: Node, refining: Refining) -> None:
    found = node.run("agent_protocol.mjs", refining.url, "plain")
    assert found["error"] == ""
    assert words(found["shown"]) == [QUESTION, REFINED]
    assert len(found["shown"][1]["cited"]) == 2
    first = [state for state in found["states"] if len(state) <= 2]
    assert_never_doubled(first)
    assert [QUESTION, REFINED] in first
    # The next question of the thread is added to it, and after a reload all of it is there.
    assert words(found["second"])[:3] == [QUESTION, REFINED, "And which tower is in Toronto?"]
    assert len(found["second"]) == 4
    assert found["reloaded"] == found["second"]


def test_a_front_end_that_is_cut_off_goes_on_and_shows_each_word_once(node: Node, refining: Refining) -> None:
    found = node.run("agent_protocol.mjs", refining.url, "cut")
    assert found["reconnects"]
    assert found["error"] == ""
    assert words(found["shown"]) == [QUESTION, REFINED]
    assert_never_doubled(found["states"])


def test_a_tab_that_is_opened_again_shows_the_answer_that_went_on_meanwhile(
    node: Node, refining_server: Refining
) -> None:
    refining_server.script(pace_s=PACE_S)
    left = node.run("agent_protocol.mjs", refining_server.url, "leave")
    joined = node.run("agent_protocol.mjs", refining_server.url, "join", left["threadId"])
    assert words(joined["shown"]) == [QUESTION, REFINED]


def test_a_front_end_stops_its_run(node: Node, refining_server: Refining) -> None:
    held = refining_server.upstream.say(ANSWER, hold_after=3)
    found = node.run("agent_protocol.mjs", refining_server.url, "stop")
    assert found["next"] == []
    run = refining_server.server.http.get(f"/conversations/{found['threadId']}").json()["asked"][0]
    assert run["status"] == "cancelled"
    held.release()


def test_a_threads_stream_gives_messages_state_and_our_events_by_their_names(node: Node, refining: Refining) -> None:
    found = node.run("agent_protocol.mjs", refining.url, "thread")
    assert [message["text"] for message in found["messages"]] == [ANSWER, REFINED]
    assert len({message["id"] for message in found["messages"]}) == 1
    assert found["answer"] == REFINED
    assert found["decision"]["decision"] == "refine"
