from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk, BaseMessage

from rag_graph.models.pieces import Content, Restarted, Thinking
from rag_graph.models.thinking import ThinkingFilter


def read(messages: Iterable[BaseMessage]) -> tuple[str, str]:
    """What was thought and what was said, once all is read."""
    thought, said = "", ""
    reading = ThinkingFilter()
    parts = [part for message in messages for part in reading.read(message)]
    for part in [*parts, *reading.end()]:
        match part:
            case Thinking(delta):
                thought += delta
            case Content(delta):
                said += delta
            case Restarted():
                said = ""
    return thought, said


def read_text(*chunks: str) -> tuple[str, str]:
    return read(AIMessageChunk(content=chunk) for chunk in chunks)


REPLIES = [
    ("The plain answer.", "", "The plain answer."),
    ("<think>Hm. 1 < 2.</think>\n\nAnswer.", "Hm. 1 < 2.", "Answer."),
    ("\n <THINKING>\nHm.\n</thinking> Answer.", "Hm.\n", "Answer."),
    ("<think></think>Answer.", "", "Answer."),
    ("<think>a</think>\n<think>b</think>\nAnswer.", "ab", "Answer."),
    ("<think>It never ends </thin", "It never ends </thin", ""),
    ("Wrap it in <think> and </think> tags.", "", "Wrap it in <think> and </think> tags."),
    ("<thinker> is no tag", "", "<thinker> is no tag"),
    ("<", "", "<"),
    ("a\n  </thi", "", "a\n  </thi"),
    ("Let me see.\n</think>\n\nAnswer.", "Let me see.", "Answer."),
    ("</think>\nAnswer.", "", "Answer."),
    ("<think>a</think>b\n</think>\nc", "a", "b\n</think>\nc"),
    ("  two blanks first", "", "  two blanks first"),
]


@pytest.mark.parametrize(("text", "thought", "said"), REPLIES)
def test_tags_part_thinking_from_the_answer(text: str, thought: str, said: str) -> None:
    assert read_text(text) == (thought, said)


@pytest.mark.parametrize(("text", "thought", "said"), REPLIES)
def test_tags_may_be_cut_anywhere(text: str, thought: str, said: str) -> None:
    assert read_text(*text) == (thought, said)
    for cut in range(len(text)):
        assert read_text(text[:cut], text[cut:]) == (thought, said)


@settings(deadline=None)  # a busy machine is slow
@given(st.lists(st.sampled_from(["<think>", "</think>", "<thinking>", "</thinking>", "\n", " ", "a", "<", "</thi"])))
def test_any_cutting_reads_as_the_whole_does(pieces: list[str]) -> None:
    assert read_text(*pieces) == read_text(*"".join(pieces)) == read_text("".join(pieces))


def test_an_answer_is_held_back_for_no_longer_than_an_unfinished_tag() -> None:
    reading = ThinkingFilter()
    assert list(reading.read(AIMessageChunk(content="Yes, "))) == [Content("Yes, ")]
    assert list(reading.read(AIMessageChunk(content="a < b "))) == [Content("a < b ")]
    assert list(reading.read(AIMessageChunk(content="\n</th"))) == [Content("\n")]
    assert list(reading.read(AIMessageChunk(content="ree>"))) == [Content("</three>")]


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_beside_the_text_is_thinking(key: str) -> None:
    thoughts = [AIMessageChunk(content="", additional_kwargs={key: part}) for part in ("Hm, ", "yes.")]
    assert read([*thoughts, AIMessageChunk(content="\n\nAnswer.")]) == ("Hm, yes.", "Answer.")


@pytest.mark.parametrize(
    "block",
    [
        {"type": "reasoning", "reasoning": "Hm."},
        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm.", "index": 0}], "index": 0},
    ],
)
def test_reasoning_blocks_are_thinking(block: dict[str, object]) -> None:
    message = AIMessageChunk(content=[block, {"type": "text", "text": "Answer."}])
    assert read([message]) == ("Hm.", "Answer.")


def test_parts_of_a_summary_are_paragraphs() -> None:
    def chunk(part: int, text: str) -> AIMessageChunk:
        summary = [{"type": "summary_text", "text": text, "index": part}]
        return AIMessageChunk(content=[{"type": "reasoning", "summary": summary, "index": 0}])

    assert read([chunk(0, "First "), chunk(0, "this."), chunk(1, "Then that.")])[0] == "First this.\n\nThen that."
