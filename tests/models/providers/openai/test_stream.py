from itertools import pairwise
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_graph.models.providers.openai.stream import ChunkReader, EventReader


def _text(content: str, **rest: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None, **rest}]}


def test_only_neighbours_of_nothing_but_text_are_joined() -> None:
    reasoning: dict[str, Any] = {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]}
    usage: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 1}}
    ending = _text("", finish_reason="stop")
    chunks = [_text("a"), _text("b"), reasoning, _text("c"), _text("d"), _text("e"), ending, usage]
    read = list(ChunkReader().read(("", orjson.dumps(chunk)) for chunk in chunks))
    assert [text for _, text in read] == ["ab", None, "cde", None, None]
    assert [chunk["choices"][0]["delta"]["content"] for chunk, text in read if text] == ["ab", "cde"]
    assert read[1][0]["choices"][0]["delta"]["reasoning_content"] == "Hm."
    assert read[3][0]["choices"][0]["finish_reason"] == "stop"
    assert read[4][0]["usage"] == {"prompt_tokens": 1}


EVENTS: list[object] = [{"a": 1}, {"line": "é\u2028\n"}, {"b": [2, 3]}]


@settings(deadline=None)  # a busy machine is slow
@given(st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 200), max_size=6))
def test_events_may_be_cut_anywhere(newline: str, cuts: list[int]) -> None:
    frames = [f": ping\nevent: x\ndata: {orjson.dumps(event).decode()}\n\n" for event in EVENTS]
    wire = "".join([*frames, "data: [DONE]\n\n", "data: {}\n\n"]).replace("\n", newline).encode()
    places = sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    sse = EventReader()
    read = [event for start, end in pairwise(places) for event in sse.feed(wire[start:end])]
    assert [(name, orjson.loads(data)) for name, data in read] == [("x", event) for event in EVENTS]
    assert sse.is_done


def test_one_event_may_span_several_data_lines() -> None:
    assert list(EventReader().feed(b'data: {"a":\ndata: 1}\n\n')) == [("", b'{"a":\n 1}')]


def test_data_that_begins_as_json_and_is_none_is_refused_after_what_came_before_it() -> None:
    reader = ChunkReader()
    read = reader.read([("", orjson.dumps(_text("a"))), ("", b"{broken"), ("", orjson.dumps(_text("b")))])
    assert [text for _, text in read] == ["a"]
    assert isinstance(reader.failure, ValueError)
