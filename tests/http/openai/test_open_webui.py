"""What Open WebUI reads of `/v1`: by the rules of its middleware and its page, as version 0.12.4 ships them."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from rag_graph.events import (
    AnswerDelta,
    AnswerFinished,
    AnswerStarted,
    Citation,
    Decided,
    Event,
    NumberedPassage,
    PassagesRetrieved,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    Stage,
    Timings,
    Unsupported,
    Version,
)
from rag_graph.http.openai.open_webui import INSTRUCTION_CHARS, TITLE_CHARS, task_reply
from rag_graph.http.openai.request import Draft, Presentation, Sources
from tests.http.encodings import openai_view, responses_view

DRAFT = "It is tall [3]. It is red [2, 5]."
REFINED = "It is tall [3]. It is grey [2][6]."


def task(output: str, talk: str = "USER: Who built the tower?\nASSISTANT: Eiffel.") -> str:
    """A request as Open WebUI words it."""
    return (
        f"### Task:\nGenerate something.\n### Output:\nJSON format: {output}\n"
        f"### Chat History:\n<chat_history>\n{talk}\n</chat_history>"
    )


def test_a_title_is_the_question() -> None:
    reply = task_reply(task('{ "title": "your concise title here" }'))
    assert json.loads(reply or "") == {"title": "Who built the tower?"}


def test_a_long_question_is_cut_between_words() -> None:
    reply = task_reply(task('{ "title": "x" }', "USER: " + "many words " * 20))
    title = json.loads(reply or "")["title"]
    assert len(title) <= TITLE_CHARS
    assert title.endswith("words…")


@pytest.mark.parametrize(
    ("output", "key"),
    [
        ('{ "tags": ["tag1", "tag2"] }', "tags"),
        ('{ "follow_ups": ["Question 1?"] }', "follow_ups"),
        ('{\n  "queries": ["query1"]\n}', "queries"),
    ],
)
def test_other_tasks_get_an_empty_list(output: str, key: str) -> None:
    assert json.loads(task_reply(task(output)) or "") == {key: []}


def test_a_line_that_is_being_typed_is_not_continued() -> None:
    rules = '`{ "text": "<your_completion>" }`.\n### Examples:\n<text>The sun</text>\nOutput:\n{ "text": "sets." }'
    assert task_reply(task(rules) + "\n<type>General</type>\n<text>Who bui</text>") == '{"text": ""}'


@pytest.mark.parametrize(
    "prompt",
    [
        "Who built the tower?",
        '### Task:\nRespond to the user query using the provided context.\n<context>{"title": 1}</context>',
        'What does { "title": "x" } mean in <chat_history>?',
    ],
)
def test_questions_are_no_tasks(prompt: str) -> None:
    assert task_reply(prompt) is None


def test_a_task_is_told_from_a_question_by_its_beginning_alone() -> None:
    assert task_reply("x" * INSTRUCTION_CHARS + task('{ "title": "x" }')) is None
    assert task_reply(task('{ "title": "x" }', "USER: Who?\n" + "ASSISTANT: He.\n" * 100_000)) == '{"title": "Who?"}'


@pytest.mark.parametrize(
    "piece",
    ["<chat_history>", "</chat_history>", "\n", "USER:", "USER: \n", "{ ", "{", " ", "### Task:", '{"title"', "\\"],
)
def test_hostile_prompts_of_the_largest_size_are_answered(piece: str) -> None:
    """With the patterns that were here, a fiftieth of this was a quarter of a minute; all of it would be days."""
    whole = piece * (4_000_000 // len(piece))
    for prompt in (whole, f"### Task:{whole}", task('{ "title": "x" }', whole), task("{" + whole, "USER: Who?")):
        task_reply(prompt)


def passage(number: int) -> NumberedPassage:
    """Two are of one document, as often; their numbers are not in the order in which they are found."""
    document = f"d{number // 2}"
    return NumberedPassage(
        number=number,
        document=document,
        title=document,
        uri=f"https://example.org/{document}.html",
        start=number * 100,
        end=number * 100 + 50,
        score=0.5,
        content=f"Passage {number}.",
    )


def found(stage: Stage, *numbers: int) -> Event:
    return PassagesRetrieved(stage=stage, passages=tuple(map(passage, numbers)))


def cited(version: Version, marker: int, start: int, end: int) -> Citation:
    source = passage(marker)
    return Citation(
        version=version,
        marker=marker,
        start=start,
        end=end,
        document=source.document,
        title=source.title,
        uri=source.uri,
        source_start=source.start,
        source_end=source.start + 7,
        quote="Passage",
        attributed_by="model",
        score=0.8,
    )


DRAFTED: Sequence[Event] = (
    RunStarted(run_id="r", question="How tall?", mode="deep"),
    found("fast", 5, 3, 2, 1),
    AnswerStarted(version=1),
    *(AnswerDelta(version=1, delta=char) for char in DRAFT.replace("[2, 5]", "[2][5]")),
    cited(1, 3, 0, 15),
    Unsupported(version=1, start=16, end=33, marker=5, reason="Not there."),
    AnswerFinished(version=1),
    found("deep", 6, 1, 2, 4, 5, 3),
)
REFINEMENT: Sequence[Event] = (
    *DRAFTED,
    Decided(decision="refine", checked=True, reason="Another colour ([4] “grey”).", new_passages=(4, 6)),
    AnswerStarted(version=2),
    *(AnswerDelta(version=2, delta=char) for char in REFINED),
    cited(2, 6, 16, 34),
    cited(2, 3, 0, 15),
    AnswerFinished(version=2),
    RunFinished(
        answer=REFINED, citations=(cited(2, 6, 16, 34), cited(2, 3, 0, 15)), version=2, timings=Timings(total_ms=1)
    ),
)
ENDS: dict[str, Sequence[Event]] = {
    "refines": REFINEMENT,
    "spends its budget": (*DRAFTED, RunCancelled(by="budget", answer=DRAFT)),
    "fails": (*DRAFTED, RunFailed(code="internal", message="It broke.", retryable=False)),
}


class Reader:
    """Its content, and its sources in the order in which they first come; `[n]` opens the n-th of these."""

    def __init__(self, chunks: Iterable[dict[str, Any]]) -> None:
        self.content = ""
        self.addresses: list[str] = []
        for chunk in chunks:
            self._take(chunk)

    def _take(self, chunk: dict[str, Any]) -> None:
        event = chunk.get("event", {})
        if event.get("type") == "source":
            source = event["data"]
            assert len(source["document"]) == len(source["metadata"])
            for about in source["metadata"]:
                self._open(about["source"])
        if chunk.get("type") == "response.output_text.delta":
            self.content += chunk["delta"]
        if chunk.get("type") == "response.output_item.done" and chunk["item"]["type"] == "message":
            for part in chunk["item"]["content"]:
                self._annotate(part["annotations"])
        for choice in chunk.get("choices", ())[:1]:
            self.content += choice["delta"].get("content", "")
            self._annotate(choice["delta"].get("annotations", ()))

    def _annotate(self, annotations: Iterable[dict[str, Any]]) -> None:
        for annotation in annotations:
            about = annotation.get("url_citation", annotation)
            assert about["title"]
            self._open(about["url"])

    def _open(self, address: str) -> None:
        assert address
        if address not in self.addresses:
            self.addresses.append(address)

    def opens(self) -> dict[int, str]:
        """What each marker of the content opens."""
        listed = re.findall(r"\[(\d+(?:,\s*\d+)*)\]", self.content)
        numbers = {int(number) for markers in listed for number in markers.split(",")}
        return {number: self.addresses[number - 1] for number in numbers}


def places(*numbers: int) -> dict[int, str]:
    return {number: f"{passage(number).uri}#{number}00-{number}50" for number in numbers}


@pytest.mark.parametrize("draft", ["content", "reasoning", "none"])
@pytest.mark.parametrize("sources", ["annotations", "markdown", "events"])
def test_every_number_that_is_shown_opens_its_own_passage(draft: Draft, sources: Sources) -> None:
    view = openai_view(Presentation(draft=draft, sources=sources))
    reader = Reader(chunk for event in REFINEMENT for chunk in view.add(event))
    assert reader.opens() == (places(2, 3, 4, 5, 6) if draft == "content" else places(2, 3, 6))
    assert reader.content.count(REFINED) == 1


@pytest.mark.parametrize("sources", ["annotations", "events"])
@pytest.mark.parametrize("end", list(ENDS))
def test_the_numbers_of_an_answer_that_was_cut_off_open_their_passages_too(end: str, sources: Sources) -> None:
    view = openai_view(Presentation(draft="content", sources=sources))
    reader = Reader(chunk for event in ENDS[end] for chunk in view.add(event))
    assert places(2, 3, 5).items() <= reader.opens().items()


@pytest.mark.parametrize("end", list(ENDS))
def test_the_numbers_of_a_response_open_their_passages_too(end: str) -> None:
    view = responses_view("content")
    chunks = [chunk for event in ENDS[end] for chunk in view.add(event)]
    assert places(2, 3, 5).items() <= Reader(chunks).opens().items()
    for chunk in chunks:
        if chunk["type"] == "response.output_text.annotation.added":
            about, at = chunk["annotation"], chunk["annotation_index"]
            done = next(
                c for c in chunks if c["type"] == "response.content_part.done" and c["item_id"] == chunk["item_id"]
            )
            assert done["part"]["annotations"][at] == about


def test_what_nothing_cites_is_annotated_with_no_words() -> None:
    view = openai_view(Presentation(draft="none"))
    chunks = [chunk for event in REFINEMENT for chunk in view.add(event)]
    (annotations,) = [c["choices"][0]["delta"]["annotations"] for c in chunks if "annotations" in str(c)]
    told = [one["url_citation"] for one in annotations]
    assert [one["marker"] for one in told] == [1, 2, 3, 4, 5, 6]
    words = {one["marker"]: REFINED[one["start_index"] : one["end_index"]] for one in told}
    assert {marker for marker, said in words.items() if said} == {3, 6}
    assert all(bool(one["content"]) == bool(words[one["marker"]]) for one in told)
