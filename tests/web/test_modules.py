"""The page's pure modules, tried by node's own test runner."""

import subprocess
from pathlib import Path

import pytest

from tests.needed import program
from tests.upstream import WITHIN_S

HERE = Path(__file__).parent


@pytest.mark.parametrize("suite", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_the_modules_pass_their_own_tests(suite: str) -> None:
    run = subprocess.run(
        [program("node"), "--test", suite], cwd=HERE, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
