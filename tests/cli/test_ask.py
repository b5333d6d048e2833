"""What `rag-graph ask` takes and gives besides an answer on the screen."""

import json
import subprocess
from pathlib import Path

import pytest

from rag_graph.events import EventAdapter
from rag_graph.result import RunResult
from tests.servers import ANSWER, QUESTION, towers, until, upstream
from tests.terminals import COMMAND, environment, run
from tests.upstream import WITHIN_S, Upstream

__all__ = ["towers", "upstream"]

MARKDOWN = f"""# {QUESTION}

{ANSWER}

## Sources

- [1] Eiffel Tower, `documents/eiffel.md:3`
"""


def test_a_question_by_a_pipe_is_answered_in_lines_and_kept_as_a_page(scripted: dict[str, str], tmp_path: Path) -> None:
    done = run("ask", "--jsonl", "--save", "answer.md", stdin=f"{QUESTION}\n", settings=scripted)
    assert (done.returncode, done.stderr) == (0, "")
    events = [EventAdapter.validate_json(line) for line in done.stdout.splitlines()]
    assert (events[0].type, events[-1].type) == ("run_started", "run_finished")
    assert (tmp_path / "answer.md").read_text() == MARKDOWN


def test_a_run_is_kept_as_a_document_or_in_lines(scripted: dict[str, str], tmp_path: Path) -> None:
    shown = run("ask", "--save", "run.json", QUESTION, settings=scripted)
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (0, ANSWER)
    result = RunResult.model_validate_json((tmp_path / "run.json").read_text())
    assert (result.status, result.answer) == ("finished", ANSWER)
    whole = run("ask", "--json", "--save", "run.jsonl", QUESTION, settings=scripted)
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert (lines[0]["type"], lines[-1]["type"]) == ("run_started", "run_finished")
    assert json.loads(whole.stdout)["answer"] == ANSWER


@pytest.mark.parametrize("name", ["answer.pdf", "answer", "nowhere/answer.md", "."])
def test_a_file_that_cannot_be_is_told_before_anything_is_asked(
    name: str, scripted: dict[str, str], upstream: Upstream
) -> None:
    done = run("ask", "--save", name, QUESTION, settings=scripted)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert f"--save {name}" in done.stderr
    assert not upstream.chats


def test_a_reader_that_has_enough_ends_the_command_in_silence(scripted: dict[str, str], upstream: Upstream) -> None:
    held = upstream.say(ANSWER, hold_after=1)
    arguments = [COMMAND, "ask", "--jsonl", QUESTION]
    with subprocess.Popen(
        arguments, env=environment(scripted), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert "run_started" in process.stdout.readline()
        until(held.reached.is_set)
        process.stdout.close()
        held.release()
        assert process.wait(WITHIN_S) == 141
        assert process.stderr.read() == ""
