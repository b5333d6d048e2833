"""The `rag-graph` command as people meet it: over pipes, at a terminal, by signals."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import httpx
import psutil
import pytest

from rag_graph.result import RunResult
from tests.gguf import small_gguf
from tests.index.sites import serving_site
from tests.servers import ANSWER, QUESTION, free_port, more_towers, towers, until, upstream
from tests.terminals import COMMAND, Terminal, environment, run
from tests.upstream import WITHIN_S, Script, Upstream, refused_url, tokens

__all__ = ["more_towers", "towers", "upstream"]

REVIEWED = "Do they change the answer"
COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-8]|4[0-8]|9[0-7])[;m]")


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line that the command wrote, on stderr."""
    assert done.stdout == ""
    return one_line_of(done.stderr)


def one_line_of(written: str) -> str:
    [line] = written.splitlines()
    return line


def test_index_reports_what_it_did_and_fails_for_a_file_it_cannot_read(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "tower.md").write_text("# A tower\n\nThe tower is tall.\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    done = run("index", str(folder), settings={"RAG_DATA_DIR": str(tmp_path / "library")})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "1 documents added" in done.stderr
    assert "not indexed: documents/broken.pdf: " in done.stderr
    assert "Not indexed: 1 (damaged 1)." in done.stderr


def test_index_tells_which_kinds_it_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in ("a.zip", "b.zip", "c.exe"):
        (folder / name).write_text("a,b")
    done = run("index", str(folder), settings={"RAG_DATA_DIR": str(tmp_path / "library")})
    assert done.returncode == 1
    assert "Passed over: 3 of kinds that cannot be read: .exe (1), .zip (2)." in done.stderr
    assert "There was no file that can be read." in done.stderr
    (folder / "tower.md").write_text("The tower is tall.")
    assert run("index", str(folder), settings={"RAG_DATA_DIR": str(tmp_path / "library")}).returncode == 0


def test_a_folder_that_is_gone_can_be_removed_from_the_library(tmp_path: Path) -> None:
    settings = {"RAG_DATA_DIR": str(tmp_path / "library")}
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "tower.md").write_text("The tower is tall.")
    assert run("index", str(folder), settings=settings).returncode == 0
    (folder / "tower.md").unlink()
    folder.rmdir()
    done = run("index", str(folder), settings=settings)
    assert (done.returncode, "rag-graph remove PATH" in one_line(done)) == (2, True)
    done = run("remove", str(folder), settings=settings)
    assert (done.returncode, one_line(done)) == (0, "1 documents removed.")
    done = run("remove", str(folder), settings=settings)
    assert (done.returncode, "no document" in one_line(done)) == (2, True)


def test_names_of_files_do_not_steer_the_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "\x1b]0;taken over\x07[link=evil]x.pdf").write_text("no PDF")
    (folder / "exe.\u202egpj.html").write_text("")
    (folder / "two\nlines.txt").write_text("")
    (folder / "a.\x9b2J").write_text("x")
    with Terminal("index", str(folder), settings={"RAG_DATA_DIR": str(tmp_path / "library")}) as terminal:
        assert terminal.wait() == 1
    assert b"\x1b]" not in terminal.received
    assert not any(odd.encode() in terminal.received for odd in ("\u202e", "\x9b", "\x07"))
    assert "[link=evil]x.pdf: it is damaged" in " ".join(terminal.text.split())
    assert "two lines.txt: it is empty" in " ".join(terminal.text.split())


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


@pytest.mark.parametrize("command", [["ask", QUESTION], ["chat"]], ids=["ask", "chat"])
def test_a_terminal_is_told_what_loads_and_ctrl_c_ends_that(command: list[str], towers: Path) -> None:
    with Terminal(*command, settings={"RAG_DATA_DIR": str(towers)}) as terminal:
        terminal.wait_for("Loading the models and the library")
        terminal.interrupt()
        assert terminal.wait() == 130
    assert terminal.text.strip() == "rag-graph: Stopped."


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


def test_a_port_that_is_taken_is_one_line(scripted: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, settings={**scripted, "RAG_LOG_LEVEL": "warning"})
    assert done.returncode != 0
    assert port in one_line(done)


def test_a_model_that_cannot_be_reached_is_one_line_that_names_its_setting(towers: Path) -> None:
    unreachable = {"RAG_DATA_DIR": str(towers), "RAG_CHAT_BASE_URL": refused_url(), "RAG_CHAT_MODEL": "m"}
    done = run("ask", QUESTION, settings=unreachable)
    assert done.returncode == 1
    assert "RAG_CHAT_BASE_URL" in one_line(done)


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


def test_ask_answers_from_the_sample_without_a_model(tmp_path: Path) -> None:
    done = run("ask", "--sample", "When was LangGraph released?", settings={"RAG_DATA_DIR": str(tmp_path)})
    assert done.returncode == 0
    assert re.match(r"January 2024 — read from \[\d\]:", done.stdout)
    assert "sample/history.md" in done.stdout


def test_where_nothing_can_be_kept_the_sample_is_asked_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = {"RAG_DATA_DIR": str(tmp_path / "file" / "data"), "TMPDIR": str(tmp_path)}
    done = run("ask", "--sample", "When was LangGraph released?", settings=settings)
    assert done.returncode == 0
    assert "for this time only" in done.stderr
    assert re.match(r"January 2024 — read from \[\d\]:", done.stdout)
    assert not list(tmp_path.glob("rag-graph-*"))


def test_ctrl_c_takes_a_model_of_ones_own_along(towers: Path) -> None:
    settings = {"RAG_DATA_DIR": str(towers), "RAG_LOCAL_GGUF": str(small_gguf())}
    with Terminal("ask", QUESTION, settings=settings) as terminal:
        until(lambda: bool(children(terminal.process.pid)))
        model = children(terminal.process.pid)
        terminal.interrupt()
        assert terminal.wait() in {0, 130}
    gone(model)
    assert "Traceback" not in terminal.text


def test_serve_answers_from_the_sample_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving("--sample", RAG_DATA_DIR=str(tmp_path)) as (server, http):
        assert http.get("/health").json()["documents"] > 0
        answer = http.post("/query", json={"question": "What is a run?"}, headers={"accept": "application/json"})
        result = RunResult.model_validate(answer.json())
        assert (result.status, bool(result.citations)) == ("finished", True)
        assert not children(server.pid)
        server.terminate()
        assert server.wait(WITHIN_S) == -signal.SIGTERM


def test_the_model_of_a_killed_server_leaves_by_itself(towers: Path) -> None:
    with serving(RAG_DATA_DIR=str(towers), RAG_LOCAL_GGUF=str(small_gguf())) as (server, _):
        until(lambda: bool(children(server.pid)))
        model = children(server.pid)
        server.kill()
    gone(model)


@contextmanager
def serving(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """`rag-graph serve` on a free port, ready."""
    port = free_port()
    command = [COMMAND, "serve", "--port", str(port), *arguments]
    server = subprocess.Popen(command, env=environment({"RAG_LOG_LEVEL": "warning", **variables}))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN_S) as http:
            until(lambda: is_ready(http))
            yield server, http
    finally:
        server.kill()
        server.wait()


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/health").is_success
    except httpx.TransportError:
        return False


def children(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "models/local/child.py" in " ".join(child.cmdline())]


def gone(processes: list[psutil.Process]) -> None:
    """They end by themselves."""
    assert psutil.wait_procs(processes, timeout=WITHIN_S)[1] == []


def test_the_library_is_listed_brought_up_to_date_and_asked_in_part(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
    (folder / "broken.pdf").write_bytes(b"no pdf")
    settings = {"RAG_DATA_DIR": str(tmp_path / "data")}
    assert "nothing has been indexed" in one_line(run("library", settings=settings)).lower()
    run("index", str(folder), settings=settings)
    listed = run("library", settings=settings).stdout
    assert "Zebras" in listed
    assert "not indexed: notes/broken.pdf" in listed
    [entry] = map(json.loads, run("library", "--json", settings=settings).stdout.splitlines())
    assert (entry["uri"], entry["kind"], entry["passages"]) == ("notes/zebra.md", "md", 1)
    status = json.loads(run("library", "status", "--json", settings=settings).stdout)
    assert (status["documents"], status["unread"], status["roots"]) == (1, 1, [str(folder)])
    (folder / "broken.pdf").unlink()
    (folder / "horse.md").write_text("# Horses\n\nHorses have manes.\n")
    done = run("library", "sync", settings=settings)
    assert (done.returncode, done.stderr[:17]) == (0, "1 documents added")
    asked = run("ask", "--filter", "uri=notes/zebra*", "What do horses have?", settings=settings)
    assert "manes" not in asked.stdout
    assert "there are: document, line, title, uri" in one_line(run("ask", "--filter", "a=b", "x", settings=settings))
    assert "NAME=VALUE" in one_line(run("ask", "--filter", "a", "x", settings=settings))
    assert run("remove", entry["id"], settings=settings).stderr == "1 documents removed.\n"
    folder.rename(tmp_path / "elsewhere")
    done = run("library", "sync", settings=settings)
    assert (done.returncode, f"Not there: {folder}" in one_line_of(done.stderr)) == (1, True)
    assert "Horses" in run("library", settings=settings).stdout


def test_a_page_of_the_web_is_read_when_that_is_allowed_and_the_library_moves_in_one_file(tmp_path: Path) -> None:
    home, other = ({"RAG_DATA_DIR": str(tmp_path / name)} for name in ("data", "other"))
    with serving_site() as site:
        site.html("/zebra", "Zebras have stripes.")
        url = f"{site.url}/zebra"
        refused = run("index", url, settings=home)
        assert (refused.returncode, "no public address; --allow-private" in refused.stderr) == (1, True)
        assert site.asked == []
        done = run("index", url, "--allow-private", settings=home)
        assert (done.returncode, done.stderr[:17]) == (0, "1 documents added"), done.stderr
        site.html("/zebra", "Zebras have black stripes.")
        done = run("library", "sync", "--allow-private", settings=home)
        assert "0 documents added, 1 replaced" in done.stderr
    archive = str(tmp_path / "library.zip")
    assert run("library", "export", archive, settings=home).stderr == "1 documents, 1 passages written.\n"
    assert run("library", "import", archive, settings=other).stderr == "1 documents, 1 passages taken in.\n"
    assert "--replace" in one_line(run("library", "import", archive, settings=other))
    [entry] = map(json.loads, run("library", "--json", settings=other).stdout.splitlines())
    assert entry["uri"] == url
    assert run("remove", url, settings=home).stderr == "1 documents removed.\n"


def test_the_library_is_kept_up_to_date_while_files_change(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
    settings = {"RAG_DATA_DIR": str(tmp_path / "data")}
    run("index", str(folder), settings=settings)
    command = [COMMAND, "library", "watch"]
    with subprocess.Popen(command, env=environment(settings), stderr=subprocess.PIPE, text=True) as watching:
        try:
            told = iter(watching.stderr or ())
            assert any("Watching" in line for line in told)
            (folder / "horse.md").write_text("# Horses\n\nHorses have manes.\n")
            assert any("1 documents added" in line for line in told)
            shutil.rmtree(folder)
            assert any("Not there" in line for line in told)
            folder.mkdir()
            (folder / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
            assert any("1 removed, 1 unchanged" in line for line in told)
            watching.send_signal(signal.SIGINT)
            assert watching.wait(WITHIN_S) == 130
        finally:
            watching.kill()
    shutil.rmtree(folder)
    nothing = run("library", "watch", settings=settings)
    assert (nothing.returncode, "None of the indexed folders is there" in one_line(nothing)) == (2, True)


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
