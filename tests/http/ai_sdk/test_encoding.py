from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from rag_graph.errors import InvalidRequest
from rag_graph.events import Event
from rag_graph.http.ai_sdk.encoding import MessageParts
from rag_graph.http.ai_sdk.request import ChatPost, query_of
from rag_graph.query import Turn
from tests.http.recorded import (
    DRAFT,
    FAILS,
    KEEPS,
    QUESTION,
    REFINED,
    REFINES,
    RESETS,
    RUNS,
    STOPS,
    failed_at,
    taken_over_at,
)

FIELDS = {
    "start": {"messageId", "messageMetadata"},
    "start-step": set(),
    "finish-step": set(),
    "finish": {"messageMetadata"},
    "abort": set(),
    "error": {"errorText"},
    "text-start": {"id"},
    "text-delta": {"id", "delta"},
    "text-end": {"id"},
    "reasoning-start": {"id"},
    "reasoning-delta": {"id", "delta"},
    "reasoning-end": {"id"},
    "source-url": {"sourceId", "url", "title"},
    "source-document": {"sourceId", "mediaType", "title", "filename"},
}
"""What the first version 5 knows of each part; it refuses any other field."""


class Message:
    """The message as the SDK builds it, with its refusals as assertions."""

    def __init__(self, parts: Iterable[dict[str, Any]]) -> None:
        self.texts: list[str] = []
        self.data: dict[tuple[str, str], Any] = {}
        self.last = ""
        self._open: dict[str, list[str]] = {}
        self._ids: set[str] = set()
        for part in parts:
            self._take(part)
        assert not self._open

    @property
    def standing(self) -> str:
        return self.texts[int(self.data["data-answer", "answer"]["part"])]

    def _take(self, part: dict[str, Any]) -> None:
        kind = self.last = part["type"]
        if kind.startswith("data-"):
            assert part.keys() <= {"type", "id", "data", "transient"}
            self.data[kind, part["id"]] = part["data"]
            return
        assert part.keys() - {"type"} <= FIELDS[kind]
        match kind.rsplit("-", 1):
            case [_, "start"] if "id" in part:
                assert part["id"] not in self._ids
                self._ids.add(part["id"])
                self._open[part["id"]] = []
            case [_, "delta"]:
                self._open[part["id"]].append(part["delta"])
            case ["text", "end"]:
                self.texts.append("".join(self._open.pop(part["id"])))
            case ["reasoning", "end"]:
                self._open.pop(part["id"])


def parts_of(events: Iterable[Event]) -> list[dict[str, Any]]:
    view = MessageParts()
    return [part for event in events for part in view.add(event)]


def post(messages: Sequence[dict[str, Any]], **given: Any) -> ChatPost:
    return ChatPost.model_validate({"id": "c", "messages": messages, "trigger": "submit-message", **given})


def says(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": "m", "role": role, "parts": list(parts)}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content, "state": "done"}


@pytest.mark.parametrize("run", RUNS)
def test_every_part_is_known_to_the_strictest_version(run: str) -> None:
    parts = parts_of(RUNS[run])
    Message(parts)
    assert [part["type"] for part in parts[:2]] == ["start", "start-step"]


def test_draft_and_refinement_are_parts_of_their_own_and_one_stands() -> None:
    message = Message(parts_of(REFINES))
    assert message.texts == [DRAFT, REFINED]
    assert message.standing == REFINED
    assert Message(parts_of(KEEPS)).standing == DRAFT
    assert message.data["data-answer", "answer"]["reason"] == "The date was missing."


def test_text_that_starts_again_is_a_new_part() -> None:
    message = Message(parts_of(RESETS))
    assert message.texts == [DRAFT, "Eiffel’s company made", REFINED]
    assert message.standing == REFINED


def test_citations_name_the_part_they_point_into() -> None:
    message = Message(parts_of(RESETS))
    cited = [data for (kind, _), data in message.data.items() if kind == "data-citation"]
    last = cited[-1]
    assert message.texts[last["part"]][last["start"] : last["end"]] == "It opened in 1889 [2]."
    assert last["quote"] == "Opened in 1889. 🗼"


def test_sources_are_addresses_or_documents_each_once() -> None:
    sources = [part for part in parts_of(RESETS) if part["type"].startswith("source-")]
    assert [(one["type"], one["sourceId"]) for one in sources] == [("source-url", "d1"), ("source-document", "d2")]


def test_a_failure_is_an_error_part_and_a_stop_an_abort() -> None:
    assert {"type": "error", "errorText": "The model cannot be reached."} in parts_of(FAILS)
    assert parts_of(STOPS)[-1] == {"type": "abort"}


@pytest.mark.parametrize("cut", range(1, len(RESETS)))
def test_a_run_that_fails_at_any_point_leaves_nothing_open(cut: int) -> None:
    assert Message(parts_of(failed_at(cut, RESETS))).last == "finish"


@pytest.mark.parametrize("cut", range(1, len(REFINES)))
def test_a_run_taken_over_at_any_point_stands_whole(cut: int) -> None:
    parts = parts_of(taken_over_at(cut, REFINES))
    assert Message(parts).standing == REFINED
    assert sum(part["type"] == "start" for part in parts) == 1


@pytest.mark.parametrize("cut", range(1, len(REFINES) - 4))
def test_where_events_are_missing_the_answer_is_a_part_at_the_end(cut: int) -> None:
    view = MessageParts()
    parts = [part for event in REFINES[:cut] for part in view.add(event)]
    parts += view.tear()
    parts += [part for event in REFINES[cut + 3 :] for part in view.add(event)]
    assert Message(parts).standing == REFINED


def test_the_history_holds_of_each_answer_the_part_that_stood() -> None:
    answer = {"type": "data-answer", "id": "answer", "data": {"part": 1, "status": "final"}}
    query = query_of(
        post(
            [
                says("system", text("Be brief.")),
                says("user", text("Hello")),
                says("assistant", {"type": "step-start"}, text("Draft"), answer, text("Better"), {"type": "reasoning"}),
                says("user", text(QUESTION)),
            ],
            mode="deep",
        )
    )
    assert query.history == [Turn(role="user", content="Hello"), Turn(role="assistant", content="Better")]
    assert (query.question, query.mode) == (QUESTION, "deep")


@pytest.mark.parametrize(
    "message",
    [
        says("assistant", text("x")),
        says("user"),
        says("user", text("What is this?"), {"type": "file", "mediaType": "image/png", "url": "data:"}),
    ],
)
def test_a_question_that_is_none_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        query_of(post([message]))


@pytest.mark.parametrize("place", [7, -1, None, "1"])
def test_an_answer_whose_standing_part_is_not_told_counts_whole(place: object) -> None:
    answer = {"type": "data-answer", "data": {"part": place}}
    query = query_of(post([says("assistant", text("a"), answer, text("b")), says("user", text(QUESTION))]))
    assert query.history[0].content == "a\nb"


def test_a_message_of_version_4_is_its_content() -> None:
    post = ChatPost.model_validate({"id": "c", "messages": [{"role": "user", "content": "How tall?"}]})
    assert query_of(post).question == "How tall?"
