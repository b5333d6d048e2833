from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rag_graph.runs.log import Bounds, RunLog
from rag_graph.runs.memory import MemoryRunLog


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


OpenLog = Callable[[Bounds], RunLog]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_log() -> OpenLog:
    return MemoryRunLog


@pytest.fixture
def run_log(open_log: OpenLog) -> RunLog:
    return open_log(Bounds())
