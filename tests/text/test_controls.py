"""What comes from outside is shown inert."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_graph.text.controls import in_reading_order, inert, inert_json, inert_line

STEERING = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))]
REORDERING = ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"]


@pytest.mark.parametrize(
    "name", ["\x1b]0;mine\x07a.md", "a\x9b2Jb.md", "a\nfake: line.md", "exe.\u202egpj", "a\udce9b"]
)
def test_a_name_is_one_line_without_anything_that_acts(name: str) -> None:
    shown = inert_line(name)
    assert not set(shown) & {*STEERING, *REORDERING}
    shown.encode()


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_it_is_nothing_that_acts_is_left_and_it_can_be_written(text: str) -> None:
    assert not set(inert(text)) & ({*STEERING, *REORDERING} - {"\n", "\t"})
    inert(text).encode()
    inert_line(text).encode()
    assert not set(inert_line(text)) & {*STEERING, *REORDERING, "\u2028", "\u2029"}


@given(st.text())
def test_json_stays_the_same_data(text: str) -> None:
    written = inert_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text
    assert not set(written) & {*STEERING, *REORDERING}


@pytest.mark.parametrize(
    "text", ["plain", "naïve façade", "שלום, world", "مرحبا\u200f!", "two\nlines\tand a tab", "👩‍🚀"]
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text
    assert in_reading_order(text) == text
