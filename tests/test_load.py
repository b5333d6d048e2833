"""Measuring a server by its streams."""

import pytest

from rag_graph.errors import ServerUnreachable
from rag_graph.load import measure, percentile, picture, sparkline
from tests.servers import Serve, free_port
from tests.servers import serve as _serve
from tests.servers import towers as _towers
from tests.servers import upstream as _upstream
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
    assert picture(load).row_count == 4


async def test_failures_are_counted_apart(serve: Serve) -> None:
    load = await measure(serve(api_keys="secret").url, streams=2, at_once=2, key="wrong")
    assert [stream.error for stream in load.streams] == ["HTTP 401", "HTTP 401"]
    assert load.as_dict()["failed"] == 2


async def test_a_server_that_does_not_answer_is_told_so() -> None:
    with pytest.raises(ServerUnreachable, match="start the server"):
        await measure(f"http://127.0.0.1:{free_port()}", streams=1, at_once=1)


def test_a_sparkline_shows_where_most_values_are() -> None:
    assert sparkline([1, 1, 1, 1, 2], bars=2) == "█▃"
    assert sparkline([3.0], bars=3) == "█  "
    assert percentile(range(1, 101), 50) == 51
