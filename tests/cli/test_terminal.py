"""Answers and conversations at a terminal."""

import re
from pathlib import Path

import pytest

from tests.servers import ANSWER, QUESTION, more_towers, until
from tests.terminals import Terminal, run
from tests.upstream import Script, Upstream, tokens

__all__ = ["more_towers"]

REVIEWED = "Do they change the answer"
COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-8]|4[0-8]|9[0-7])[;m]")


@pytest.mark.parametrize("command", [["ask", QUESTION], ["chat"]], ids=["ask", "chat"])
def test_a_terminal_is_told_what_loads_and_ctrl_c_ends_that(command: list[str], towers: Path) -> None:
    with Terminal(*command, settings={"RAG_DATA_DIR": str(towers)}) as terminal:
        terminal.wait_for("Loading the models and the library")
        terminal.interrupt()
        assert terminal.wait() == 130
    assert terminal.text.strip() == "rag-graph: Stopped."


def test_a_long_answer_leaves_no_doubled_text_on_a_small_terminal(
    scripted: dict[str, str], upstream: Upstream, more_towers: Path
) -> None:
    parts = [f"Part {number:02}" for number in range(1, 21)]
    upstream.say("REFINE: more is known", when=REVIEWED)
    upstream.otherwise = Script(
        content=tokens("\n\n".join(f"## {part}\n\n{ANSWER}" for part in parts)), thinking=tokens("Let me think. " * 100)
    )
    with Terminal("ask", QUESTION, settings={**scripted, "RAG_DATA_DIR": str(more_towers)}) as terminal:
        assert terminal.wait() == 0
    assert terminal.text.count("Refined: more is known") == 1
    assert [terminal.text.count(part) for part in parts] == [1] * len(parts)
    assert "Let me think." not in terminal.text
    assert "[1] Eiffel Tower  documents/eiffel.md:3" in terminal.text


def test_thinking_and_the_draft_are_seen_while_they_come(scripted: dict[str, str], upstream: Upstream) -> None:
    held = upstream.say(ANSWER, thinking="Which tower is meant?", hold_after=4)
    with Terminal("ask", QUESTION, settings=scripted) as terminal:
        terminal.wait_for("Which tower is meant?")
        until(held.reached.is_set)
        held.release()
        terminal.wait_for("Sources")
        assert terminal.wait() == 0
    assert b"\x1b[2;3m" in terminal.received


def test_a_narrow_terminal_without_colour_can_be_read(scripted: dict[str, str]) -> None:
    with Terminal("ask", QUESTION, columns=40, settings={**scripted, "NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0
    assert " ".join(terminal.text.split()).count(ANSWER) == 1
    assert not COLOUR.search(terminal.received)


def test_text_that_would_steer_the_terminal_is_disarmed(scripted: dict[str, str], upstream: Upstream) -> None:
    upstream.otherwise = Script(content=("It is \x1b]0;taken over\x07 tall [1].",))
    with Terminal("ask", QUESTION, settings=scripted) as terminal:
        assert terminal.wait() == 0
    assert b"\x1b]0;" not in terminal.received
    assert "\x1b" not in run("ask", QUESTION, settings=scripted).stdout


def test_ctrl_c_stops_the_run_and_says_so(scripted: dict[str, str], upstream: Upstream) -> None:
    held = upstream.say("The tower was built by many hands.", hold_after=4)
    with Terminal("ask", QUESTION, settings=scripted) as terminal:
        terminal.wait_for("The tower")
        until(held.reached.is_set)
        terminal.interrupt()
        assert terminal.wait() == 130
    assert upstream.chats[0].wait_closed()
    assert "What was written so far\nThe tower was built" in terminal.text
    assert "rag-graph: Stopped." in terminal.text
    assert "Traceback" not in terminal.text


def test_a_conversation_is_answered_in_its_own_light(scripted: dict[str, str], upstream: Upstream) -> None:
    upstream.say("When did the Eiffel Tower open?", when="Last question: When did it open?")
    with Terminal("chat", settings=scripted) as terminal:
        terminal.wait_for("\n>")
        terminal.type(f"\n{QUESTION}\n")
        terminal.wait_for("eiffel.md:3\n>")
        terminal.type("When did it open?\n")
        terminal.wait_for("eiffel.md:3\n>", times=2)
        terminal.type("/deep\n")
        terminal.wait_for("\ndeep>")
        terminal.type("/nonsense\n/quit\n")
        assert terminal.wait() == 0
    assert "There is no /nonsense." in terminal.text
    assert any("Question: When did the Eiffel Tower open?" in str(chat.body) for chat in upstream.chats)


def test_ctrl_c_ends_an_answer_and_ctrl_d_the_conversation(scripted: dict[str, str], upstream: Upstream) -> None:
    held = upstream.say("The tower was built by many hands.", hold_after=4)
    with Terminal("chat", settings=scripted) as terminal:
        terminal.wait_for("\n>")
        terminal.type(f"{QUESTION}\n")
        until(held.reached.is_set)
        terminal.wait_for("The tower was")
        terminal.interrupt()
        terminal.wait_for("Stopped.\n>")
        assert upstream.chats[0].wait_closed()
        terminal.type(f"{QUESTION}\n")
        terminal.wait_for("eiffel.md:3\n>")
        terminal.type("\x04")
        assert terminal.wait() == 0
    assert "Traceback" not in terminal.text
    assert "Last question" not in str(upstream.chats[-1].body)


def test_a_conversation_can_come_over_a_pipe(scripted: dict[str, str]) -> None:
    done = run("chat", stdin=f"{QUESTION}\n\n/quit\nnever asked\n", settings=scripted)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{ANSWER}\n\nSources\n[1] Eiffel Tower  documents/eiffel.md:3\n"
