"""A machine's clock that is set while we run."""

import subprocess
import sys

SET_BACK = """
import time
real = time.time
from rag_graph.clock import steady_time
before = steady_time()
time.time = lambda: real() - 3600
assert 0 <= steady_time() - before < 600
assert abs(steady_time() - real()) < 600
"""


def test_a_clock_that_is_set_back_moves_nothing() -> None:
    subprocess.run([sys.executable, "-c", SET_BACK], check=True)
