"""The `rag-graph` command as people meet it: over pipes, by signals, and where something is wrong."""

import json
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from rag_graph.result import RunResult
from tests.servers import ANSWER, QUESTION
from tests.terminals import environment, one_line, one_line_of, run
from tests.upstream import WITHIN_S, Upstream, refused_url


def test_complaints_do_not_steer_the_terminal(tmp_path: Path) -> None:
    done = run("index", str(tmp_path / "\x1b[2J\u202e[bold]x"), settings={"RAG_DATA_DIR": str(tmp_path / "library")})
    assert done.returncode == 2
    assert not {"\x1b", "\u202e"} & set(one_line(done))
    assert "[bold]x" in done.stderr


def test_over_a_pipe_an_answer_and_its_sources_are_all_that_is_written(scripted: dict[str, str]) -> None:
    done = run("ask", QUESTION, settings=scripted)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{ANSWER}\n\nSources\n[1] Eiffel Tower  documents/eiffel.md:3\n"


def test_a_question_can_come_over_a_pipe(scripted: dict[str, str], upstream: Upstream) -> None:
    done = run("ask", "-", stdin=f"{QUESTION}\n", settings=scripted)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(ANSWER)
    assert f"Question: {QUESTION}" in str(upstream.chats[0].body)


def test_json_is_one_whole_result(scripted: dict[str, str]) -> None:
    done = run("ask", "--json", "--deep", QUESTION, settings=scripted)
    result = RunResult.model_validate_json(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (result.status, result.mode, result.answer) == ("finished", "deep", ANSWER)


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["ask", "   "], {}, "The question is not one"),
        (["ask", "-"], {}, "The question is not one"),
        (["ask", QUESTION], {}, "rag-graph index"),
        (["chat"], {}, "rag-graph index"),
        (["ask", QUESTION], {"RAG_CHAT_MODLE": "m"}, "did you mean RAG_CHAT_MODEL?"),
        (["ask", QUESTION], {"RAG_PORT": "many"}, "RAG_PORT"),
    ],
    ids=["empty question", "empty pipe", "no index", "no index to talk about", "misspelt setting", "bad value"],
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(
    arguments: list[str], variables: dict[str, str], says: str, tmp_path: Path
) -> None:
    done = run(*arguments, settings={"RAG_DATA_DIR": str(tmp_path / "empty"), **variables})
    assert done.returncode == 2
    assert says in one_line(done)


@pytest.mark.parametrize("imported", ["typer", "rag_graph.settings", "onnxruntime", "langsmith", "langgraph.types"])
@pytest.mark.parametrize("command", ["ask", "chat"])
def test_ctrl_c_while_a_command_imports_is_one_line(
    command: str, imported: str, scripted: dict[str, str], upstream: Upstream
) -> None:
    upstream.say(ANSWER, hold_after=1)
    variables = environment({**scripted, "PYTHONPROFILEIMPORTTIME": "1"})
    arguments = [sys.executable, "-m", "rag_graph", command, *([QUESTION] if command == "ask" else [])]
    with subprocess.Popen(
        arguments, env=variables, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        lines = iter(process.stderr)
        assert any(line.rstrip().endswith(f" {imported}") for line in lines)
        process.send_signal(signal.SIGINT)
        said = [line for line in lines if not line.startswith("import time:")]
        assert process.wait(WITHIN_S) == 130
    assert said == ["rag-graph: Stopped.\n"]


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        (["--help"], ["pydantic", "rag_graph.settings"]),
        (["--version"], ["pydantic", "rag_graph.settings"]),
        (["settings"], ["rag_graph.pipeline", "langchain_core", "fastapi", "numpy"]),
        (["ask", QUESTION], ["fastapi", "langserve", "prometheus_client", "rag_graph.evaluation"]),
    ],
    ids=lambda given: " ".join(given[:1]),
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], spared: list[str], tmp_path: Path) -> None:
    variables = environment({"RAG_DATA_DIR": str(tmp_path)})
    loaded = "import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))"
    code = f"{loaded}; from rag_graph.cli import main; main(*{arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    modules = set(done.stderr.splitlines()[-1].split())
    assert "rag_graph.cli" in modules
    assert not modules & set(spared)


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run("--version", settings={"RAG_DATA_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, f"rag-graph {version('rag-graph')}\n")


def test_names_of_other_programs_are_told_beside_the_settings(tmp_path: Path) -> None:
    done = run("settings", settings={"RAG_DATA_DIR": str(tmp_path), "RAG_TOP_K": "3"})
    assert "RAG_TOP_K is set here" in one_line_of(done.stderr)
    assert "RAG_PORT" in done.stdout


def test_a_model_that_cannot_be_reached_is_one_line_that_names_its_setting(towers: Path) -> None:
    unreachable = {"RAG_DATA_DIR": str(towers), "RAG_CHAT_BASE_URL": refused_url(), "RAG_CHAT_MODEL": "m"}
    done = run("ask", QUESTION, settings=unreachable)
    assert done.returncode == 1
    assert "RAG_CHAT_BASE_URL" in one_line(done)


def test_ask_answers_from_the_sample_without_a_model(tmp_path: Path) -> None:
    done = run("ask", "--sample", "When was FAISS released?", settings={"RAG_DATA_DIR": str(tmp_path)})
    assert done.returncode == 0
    assert re.match(r"2017 — read from \[\d\]:", done.stdout)
    assert "sample/history.md" in done.stdout


def test_where_nothing_can_be_kept_the_sample_is_asked_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = {"RAG_DATA_DIR": str(tmp_path / "file" / "data"), "TMPDIR": str(tmp_path)}
    done = run("ask", "--sample", "When was FAISS released?", settings=settings)
    assert done.returncode == 0
    assert "for this time only" in done.stderr
    assert re.match(r"2017 — read from \[\d\]:", done.stdout)
    assert not list(tmp_path.glob("rag-graph-*"))


def test_studio_writes_a_configuration_for_langgraphs_command_and_never_over_one(tmp_path: Path) -> None:
    assert run("studio", "--write", settings={}).returncode == 0
    written = tmp_path / "langgraph.json"
    assert json.loads(written.read_text())["graphs"] == {"rag_graph": "rag_graph.deploy.graph:graph"}
    written.write_text("mine")
    again = run("studio", "--write", settings={})
    assert (again.returncode, written.read_text()) == (2, "mine")
    assert "langgraph.json is there already" in one_line(again)
    nowhere = run("studio", "--write", "/proc", settings={})
    assert nowhere.returncode == 2
    assert "/proc/langgraph.json cannot be written" in one_line(nowhere)


@pytest.mark.skipif(find_spec("langgraph_cli") is not None, reason="LangGraph's command is installed")
def test_studio_says_what_it_needs() -> None:
    done = run("studio", settings={})
    assert done.returncode == 2
    assert "pip install 'langgraph-cli[inmem]'" in one_line(done)
