"""Commands that a running server answers."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from rag_graph.cli.remote import named_server, own_server
from rag_graph.client.announcement import CHALLENGE, PROOF, Announcement, prove, read
from rag_graph.errors import ServerUnreachable, Unauthorized
from rag_graph.settings import Settings
from tests.servers import ANSWER, QUESTION, Serve, serve, server, spawn, towers, until, upstream
from tests.terminals import Terminal, run
from tests.upstream import WITHIN_S, Upstream, refused_url

__all__ = ["serve", "server", "spawn", "towers", "upstream"]


def test_the_server_over_the_same_library_answers_ask_and_chat(scripted: dict[str, str], spawn: Serve) -> None:
    running = spawn()
    at = running.url.rstrip("/")
    with Terminal("ask", QUESTION, settings=scripted) as terminal:
        assert terminal.wait() == 0
    assert f"Answered by the server at {at}." in terminal.text
    assert "eiffel.md:3" in terminal.text
    with Terminal("chat", settings=scripted) as terminal:
        terminal.wait_for("\n>")
        terminal.type(f"{QUESTION}\n")
        terminal.wait_for("eiffel.md:3\n>")
        assert running.process
        running.process.kill()
        terminal.type(f"{QUESTION}\n")
        terminal.wait_for("cannot be reached")
        terminal.wait_for("\n>", times=3)
        terminal.type("/quit\n")
        assert terminal.wait() == 0
    assert f"Answered by the server at {at}." in terminal.text
    with Terminal("ask", "--server", "none", QUESTION, settings=scripted) as terminal:
        assert terminal.wait() == 0
    assert "Answered by the server" not in terminal.text
    assert "eiffel.md:3" in terminal.text


def test_a_command_that_a_server_answers_imports_neither_graph_nor_models(
    scripted: dict[str, str], spawn: Serve, towers: Path
) -> None:
    running = spawn()
    done = run("ask", QUESTION, settings={**scripted, "PYTHONPROFILEIMPORTTIME": "1"})
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, ANSWER)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "httpx" in imported
    assert not imported & {"langgraph", "langchain_core", "numpy", "onnxruntime", "faiss", "fastapi"}
    assert running.process
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(WITHIN_S)
    assert not (towers / "server.json").exists()


def test_ctrl_c_ends_the_run_in_the_server(scripted: dict[str, str], spawn: Serve, upstream: Upstream) -> None:
    held = upstream.say("The tower was built by many hands.", hold_after=4)
    running = spawn()
    with Terminal("ask", "--server", running.url, QUESTION, settings=scripted) as terminal:
        terminal.wait_for("The tower")
        until(held.reached.is_set)
        terminal.interrupt()
        assert terminal.wait() == 130
    assert upstream.chats[0].wait_closed()
    assert "What was written so far\nThe tower was built" in terminal.text
    assert "Traceback" not in terminal.text


def test_a_question_in_the_servers_line_is_told_its_place(
    scripted: dict[str, str], spawn: Serve, upstream: Upstream
) -> None:
    held = upstream.say("The tower was built by many hands.", hold_after=4)
    running = spawn(RAG_MAX_RUNS="1", RAG_MAX_QUEUED_S="600")
    with running.asking(), Terminal("ask", "--server", running.url, QUESTION, settings=scripted) as terminal:
        terminal.wait_for("Waiting in line: your question is next.")
        held.release()
        assert terminal.wait() == 0
    assert ANSWER.removesuffix(" [1].") in " ".join(terminal.text.split())


class Health(BaseHTTPRequestHandler):
    """Says that it is ready, and proves that it knows what its server was told."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]  # the test's list
        body = b'{"status": "ready"}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header(PROOF, prove(self.server.secret, self.headers[CHALLENGE]))  # type: ignore[attr-defined]
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, _: str, *args: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[HTTPServer]:
    """Something that listens; it knows no secret until it is told one."""
    with HTTPServer(("127.0.0.1", 0), Health) as listening:
        listening.asked, listening.secret = [], "guessed"  # type: ignore[attr-defined]
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def test_what_took_the_port_of_a_server_that_is_gone_is_asked_nothing(tmp_path: Path, listener: HTTPServer) -> None:
    settings = Settings.load(data_dir=tmp_path)
    url = f"http://127.0.0.1:{listener.server_address[1]}"
    with Announcement.of(url, has_keys=False, answering=settings.answering).standing(settings.server_file):
        assert own_server(settings) is None
    assert listener.asked == ["/health"]  # type: ignore[attr-defined]


def test_a_server_that_is_gone_is_passed_by(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path)
    with Announcement.of(refused_url(), has_keys=False, answering=settings.answering).standing(settings.server_file):
        assert own_server(settings) is None


def test_what_others_may_have_written_or_read_is_not_believed(tmp_path: Path) -> None:
    announcement = Announcement.of("http://127.0.0.1:1", has_keys=False, answering={})
    path = tmp_path / "server.json"
    with announcement.standing(path):
        assert (path.stat().st_mode & 0o777, read(path)) == (0o600, announcement)
        path.chmod(0o644)
        assert read(path) is None
        path.chmod(0o600)
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        assert read(path) is None
        path.unlink()
        os.mkfifo(path, 0o600)
        assert read(path) is None
        path.unlink()
        path.touch(0o600)
        path.write_text(json.dumps({"url": 1}))
        assert read(path) is None


@pytest.mark.parametrize(
    ("server_has", "command_has", "is_asked"),
    [
        ({}, {}, True),
        ({}, {"depth": "thorough"}, False),
        ({}, {"local_gguf": Path("model.gguf")}, False),
        ({"api_keys": SecretStr("secret")}, {}, False),
        ({"api_keys": SecretStr("secret")}, {"server_key": SecretStr("secret")}, True),
    ],
    ids=["the same settings", "another depth", "another model", "no key", "a key"],
)
def test_a_server_answers_only_as_the_command_would(
    server_has: dict[str, object],
    command_has: dict[str, object],
    *,
    is_asked: bool,
    listener: HTTPServer,
    tmp_path: Path,
) -> None:
    served, asking = Settings.load(data_dir=tmp_path, **server_has), Settings.load(data_dir=tmp_path, **command_has)
    url = f"http://127.0.0.1:{listener.server_address[1]}"
    announcement = Announcement.of(url, has_keys=bool(served.api_keys), answering=served.answering)
    listener.secret = announcement.secret  # type: ignore[attr-defined]
    with announcement.standing(asking.server_file):
        assert (own_server(asking) is not None) == is_asked


def test_a_server_that_is_named_and_cannot_be_asked_is_one_line(serve: Serve, upstream: Upstream) -> None:
    locked = serve(api_keys=SecretStr("secret"))
    with pytest.raises(Unauthorized, match="RAG_SERVER_KEY"):
        named_server(Settings.load(server_url=locked.url, server_key=SecretStr("wrong")))
    assert named_server(Settings.load(server_url=locked.url, server_key=SecretStr("secret"))).key == "secret"
    for wrong in (refused_url(), upstream.base_url, "no url", "http://[", "ftp://localhost", "http://localhost:99999"):
        with pytest.raises(ServerUnreachable, match="RAG_SERVER_URL"):
            named_server(Settings.load(server_url=wrong))
    done = run("ask", "--server", refused_url(), QUESTION, settings={})
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
