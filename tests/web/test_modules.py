"""The page's pure modules, tried by node's own test runner."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from rag_graph.graph.nodes import NOTHING_FOUND
from rag_graph.writing.quoting import NO_ANSWER, NOT_READ
from tests.needed import program
from tests.upstream import WITHIN_S
from tests.web.bundle import BUNDLE, bundled

HERE = Path(__file__).parent
CONNECTIONS = 6
"""As many does a browser open to a server of HTTP/1.1; what is more waits there and back for another."""
VENDOR = HERE.parents[1] / "rag_graph" / "web" / "vendor"


@pytest.mark.parametrize("suite", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_the_modules_pass_their_own_tests(suite: str) -> None:
    run = subprocess.run(
        [program("node"), "--test", suite], cwd=HERE, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_vendored_files_are_those_that_were_published() -> None:
    lines = [line.split("  ") for line in (VENDOR / "SHA256SUMS").read_text().splitlines()]
    told = {name: digest for digest, name in lines}
    there = [path for path in VENDOR.rglob("*") if path.suffix in {".js", ".mjs", ".css", ".woff2"}]
    found = {path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in there}
    assert found == told


def test_the_bundle_is_what_its_modules_make(tmp_path: Path) -> None:
    is_current = BUNDLE.read_text() == bundled(tmp_path)
    assert is_current, "make it again: python -m tests.web.bundle"


def test_the_page_fetches_all_its_modules_at_once() -> None:
    web = VENDOR.parent
    page = (web / "index.html").read_text()
    begun = re.findall(r'<script type="module" src="static/([^"]+)"', page)
    wanted = list(begun)
    for name in wanted:
        imported = re.findall(r'\bfrom ?"\./([^"]+)"', (web / name).read_text())
        wanted += [one for one in imported if one not in wanted]
    told = re.findall(r'<link rel="modulepreload" href="static/([^"]+)"', page)
    assert sorted([*begun, *told]) == sorted(wanted)
    assert len(wanted) < CONNECTIONS


@pytest.mark.parametrize("words", [NOTHING_FOUND, NO_ANSWER, NOT_READ])
def test_the_page_knows_what_is_written_in_place_of_an_answer(words: str) -> None:
    withheld = re.search(r"WITHHELD = /(.+)/;", (VENDOR.parent / "notfound.js").read_text())
    assert withheld
    assert re.match(withheld[1], words)
