"""Measuring a server by its streams."""

from pathlib import Path

import pytest

from rag_graph.errors import InvalidRequest, ServerUnreachable, Unauthorized
from rag_graph.evaluation.load import measure, percentile
from rag_graph.evaluation.report import load_table, sparkline
from tests.servers import Serve, free_port
from tests.servers import serve as _serve
from tests.servers import towers as _towers
from tests.servers import upstream as _upstream
from tests.terminals import run
from tests.upstream import Upstream

serve, towers, upstream = _serve, _towers, _upstream
WORDS = tuple(f"word{number} " for number in range(20))
pytestmark = pytest.mark.anyio


async def test_first_tokens_gaps_and_throughput_are_measured(serve: Serve, upstream: Upstream) -> None:
    for _ in range(6):
        upstream.say(WORDS, pace_s=0.01)
    load = await measure(serve().url, streams=6, at_once=3)
    told = load.as_dict()
    assert (told["streams"], told["failed"]) == (6, 0)
    assert told["milliseconds"]["gap between tokens"]["p99"] > 0
    assert told["milliseconds"]["first token"]["p50"] <= told["milliseconds"]["whole answer"]["p50"]
    assert told["pieces_per_second"] > 0
    assert load_table(load).row_count == 4


async def test_failures_are_counted_apart(serve: Serve, upstream: Upstream) -> None:
    for _ in ("draft", "refinement"):
        upstream.fail(status=401)
    load = await measure(serve().url, streams=3, at_once=1)
    assert [stream.error for stream in load.streams] == ["run_failed", "", ""]
    assert load.as_dict()["failed"] == 1


async def test_a_key_that_does_not_open_the_server_is_told_so_before_anything_is_asked(serve: Serve) -> None:
    server = serve(api_keys="secret")
    for key in ("", "wrong", "schlüssel"):
        with pytest.raises(Unauthorized, match="key"):
            await measure(server.url, streams=1, at_once=1, key=key)
    load = await measure(server.url, streams=1, at_once=1, key="secret")
    assert load.whole


async def test_a_server_that_does_not_answer_is_told_so() -> None:
    with pytest.raises(ServerUnreachable, match="start the server"):
        await measure(f"http://127.0.0.1:{free_port()}", streams=1, at_once=1)


async def test_a_server_of_another_kind_is_told_so(upstream: Upstream) -> None:
    with pytest.raises(ServerUnreachable, match="no rag_graph"):
        await measure(upstream.base_url, streams=1, at_once=1)


async def test_a_server_without_documents_is_told_so(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable, match="rag-graph index"):
        await measure(serve(data_dir=tmp_path, is_ready=False).url, streams=1, at_once=1)


@pytest.mark.parametrize("url", ["", "localhost:8000", "http://", "ftp://localhost", "http://localhost:99999"])
async def test_what_is_no_address_is_told_so(url: str) -> None:
    with pytest.raises(InvalidRequest, match="no address"):
        await measure(url, streams=1, at_once=1)


def test_the_key_can_come_from_the_environment(serve: Serve) -> None:
    server = serve(api_keys="secret")
    refused = run("bench", server.url, "--streams", "1", settings={})
    assert (refused.returncode, refused.stdout) == (2, "")
    [line] = refused.stderr.splitlines()
    assert "BENCH_API_KEY" in line
    done = run("bench", server.url, "--streams", "1", settings={"BENCH_API_KEY": "secret"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 streams in" in done.stdout


def test_a_sparkline_shows_where_most_values_are() -> None:
    assert sparkline([1, 1, 1, 1, 2], bars=2) == "█▃"
    assert sparkline([3.0], bars=3) == "█  "
    assert percentile(range(1, 101), 50) == 51
