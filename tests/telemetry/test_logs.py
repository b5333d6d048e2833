"""Lines of the log: what they tell of comes from outside."""

import json
import logging
import sys

import pytest

from rag_graph.telemetry.logs import JsonLines, TextLines

HOSTILE = "a.md\n2026-01-01 INFO rag_graph: all is well \x1b[2J \u202e \x9b"


def record(*, fails: bool = False) -> logging.LogRecord:
    found = None
    if fails:
        try:
            int(HOSTILE)
        except ValueError:
            found = sys.exc_info()
    return logging.LogRecord("rag_graph", logging.WARNING, "", 1, "not read: %s", (HOSTILE,), found)


def test_a_name_with_a_line_break_makes_no_second_line() -> None:
    line = TextLines("%(levelname)s %(message)s").format(record())
    assert line == "WARNING not read: a.md 2026-01-01 INFO rag_graph: all is well \ufffd[2J  \ufffd"


def test_an_exception_keeps_its_lines_and_nothing_that_acts() -> None:
    lines = TextLines("%(message)s").format(record(fails=True))
    assert len(lines.splitlines()) > 3
    assert not {"\x1b", "\u202e", "\x9b"} & set(lines)


@pytest.mark.parametrize("fails", [False, True])
def test_as_json_it_is_one_line_with_the_same_data(*, fails: bool) -> None:
    line = JsonLines().format(record(fails=fails))
    assert "\n" not in line
    assert not {"\x1b", "\u202e", "\x9b"} & set(line)
    assert json.loads(line)["message"] == f"not read: {HOSTILE}"
