"""Every run in the Agent Protocol's words, read by the protocol's own types."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pytest
from langchain_protocol import Checkpoint, CustomData, LifecycleData, MessagesData
from langchain_protocol import Event as ProtocolEvent
from pydantic import TypeAdapter

from rag_graph.events import Event, RunFinished
from rag_graph.http.agent_protocol.encoding import ThreadEvents
from rag_graph.runs.log import Entry, Gap
from tests.http.encodings import agent_protocol_view
from tests.http.recorded import DRAFT, KEEPS, QUESTION, REFINED, REFINES, RESETS, RUNS, failed_at, taken_over_at

EVERYTHING = ("values", "messages", "lifecycle", "checkpoints", "custom")
EVENTS: TypeAdapter[Any] = TypeAdapter(ProtocolEvent)
DATA: dict[str, TypeAdapter[Any]] = {
    "messages": TypeAdapter(MessagesData),
    "lifecycle": TypeAdapter(LifecycleData),
    "checkpoints": TypeAdapter(Checkpoint),
    "custom": TypeAdapter(CustomData),
    "values": TypeAdapter(dict[str, Any]),
}


def read(frames: bytes) -> list[dict[str, Any]]:
    """The events of a stream; the id of each frame is its event's."""
    told = []
    for frame in frames.split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        event = orjson.loads(data.removeprefix(b"data: "))
        assert name.decode() == f"id: {event['event_id']}"
        told.append(event)
    return told


def told(items: Iterable[Event | Gap], view: ThreadEvents | None = None) -> list[dict[str, Any]]:
    view = view or agent_protocol_view(*EVERYTHING)
    entries = (item if isinstance(item, Gap) else Entry(seq, 0.0, item) for seq, item in enumerate(items, 1))
    return read(b"".join(map(view.encode, entries)))


def of_channel(events: Iterable[dict[str, Any]], channel: str) -> list[Any]:
    return [event["params"]["data"] for event in events if event["method"] == channel]


def shown(events: Sequence[dict[str, Any]]) -> list[str]:
    """What a front end shows of the one message, after each event of it."""
    texts: list[str] = []
    blocks: list[dict[str, Any]] = []
    for data in of_channel(events, "messages"):
        match data["event"]:
            case "message-start":
                blocks = []
            case "content-block-start":
                assert data["index"] == len(blocks)
                blocks.append(dict(data["content"]))
            case "content-block-delta":
                delta = data["delta"]
                if delta["type"] == "block-delta":
                    blocks[data["index"]] |= delta["fields"]
                else:
                    kind = delta["type"].removesuffix("-delta")
                    blocks[data["index"]][kind] += delta[kind]
            case "content-block-finish":
                blocks[data["index"]] |= {"extras": data["content"]["extras"]} if "extras" in data["content"] else {}
                assert blocks[data["index"]] == data["content"]
        texts.append("".join(block["text"] for block in blocks if block["type"] == "text"))
    return texts


@pytest.mark.parametrize("run", RUNS)
def test_every_event_is_one_of_the_protocols_and_their_numbers_grow(run: str) -> None:
    events = told(RUNS[run])
    for event in events:
        EVENTS.validate_python(event)
        DATA[event["method"]].validate_python(event["params"]["data"])
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers))
    lifecycle = of_channel(events, "lifecycle")
    assert [one["event"] for one in lifecycle][:1] == ["running"]
    assert events[-1]["params"]["data"] == lifecycle[-1]
    assert [data["name"] for data in of_channel(events, "custom")] == [event.type for event in RUNS[run]]


@pytest.mark.parametrize("run", RUNS)
def test_the_message_and_the_state_end_with_the_answer_that_stands(run: str) -> None:
    events = told(RUNS[run])
    terminal: Any = RUNS[run][-1]
    state = of_channel(events, "values")[-1]
    assert [message["id"] for message in state["messages"][:3]] == [
        "m1", "run-01JQZ5UZZZ0000000000000000", "m2"
    ]  # fmt: skip
    answers = ["".join(block["text"] for block in message["content"]) for message in state["messages"][3:]]
    assert answers == ([terminal.answer] if terminal.answer else [])
    assert state["answer"] == terminal.answer
    assert (shown(events) or [""])[-1] == terminal.answer
    started = [data["id"] for data in of_channel(events, "messages") if data["event"] == "message-start"]
    assert len(set(started)) <= 1


def test_a_refinement_is_written_in_the_place_of_the_draft_and_no_text_is_doubled() -> None:
    texts = shown(told(REFINES))
    assert all(DRAFT.startswith(text) or REFINED.startswith(text) for text in texts)
    assert DRAFT in texts
    assert texts[-1] == REFINED


def test_the_question_and_the_answer_carry_what_is_known_of_them() -> None:
    state = of_channel(told(REFINES), "values")
    assert state[0]["messages"][-1] == {"type": "human", "id": "m2", "content": QUESTION}
    [block] = state[-1]["messages"][-1]["content"]
    finished: Any = REFINES[-1]
    assert isinstance(finished, RunFinished)
    assert [annotation["cited_text"] for annotation in block["annotations"]] == [
        citation.quote for citation in finished.citations
    ]
    assert {"claims", "fates"} == set(block["extras"])
    finishes = [data for data in of_channel(told(REFINES), "messages") if data["event"] == "content-block-finish"]
    assert finishes[-1]["content"] == block


@pytest.mark.parametrize("cut", range(0, len(RESETS) + 1, 3))
def test_who_was_cut_off_goes_on_after_any_number(cut: int) -> None:
    events = told(RESETS)
    seen = told(RESETS[:cut])
    since = seen[-1]["seq"] if seen else -1
    assert seen + told(RESETS, agent_protocol_view(*EVERYTHING, since=since)) == events
    narrow = agent_protocol_view("messages", since=since)
    assert told(RESETS, narrow) == [event for event in events[len(seen) :] if event["method"] == "messages"]


@pytest.mark.parametrize("cut", range(1, len(KEEPS), 4))
def test_a_run_that_another_server_takes_over_goes_on_in_the_same_message(cut: int) -> None:
    events = told(taken_over_at(cut, KEEPS))
    assert [data["event"] for data in of_channel(events, "lifecycle")] == ["running", "completed"]
    assert shown(events)[-1] == DRAFT


@pytest.mark.parametrize("cut", range(1, len(REFINES), 7))
def test_a_run_that_fails_anywhere_leaves_what_was_written_and_says_why(cut: int) -> None:
    events = told(failed_at(cut, REFINES))
    last = of_channel(events, "lifecycle")[-1]
    assert (last["event"], bool(last["error"])) == ("failed", True)


def test_where_events_are_missing_the_answer_is_told_whole_at_the_end() -> None:
    missing = Gap(2, len(REFINES) - 6)
    events = told([*REFINES[:2], missing, *REFINES[-6:]])
    assert shown(events)[-1] == REFINED
    assert set(shown(events)) <= {"", REFINED}


def test_only_the_channels_that_were_asked_for_are_told() -> None:
    assert {event["method"] for event in told(REFINES, agent_protocol_view("lifecycle"))} == {"lifecycle"}
    named = told(REFINES, agent_protocol_view("custom:decided"))
    assert [event["params"]["data"]["payload"]["decision"] for event in named] == ["refine"]
    assert told(REFINES, agent_protocol_view("tools", "input", "tasks")) == []
