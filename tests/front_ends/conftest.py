import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from platformdirs import user_cache_path

from tests.needed import missing, program
from tests.servers import ANSWER, Server, _served, _settings, more_towers, serve, server, spawn, towers, upstream
from tests.upstream import Upstream

__all__ = ["more_towers", "serve", "server", "spawn", "towers", "upstream"]

HERE = Path(__file__).parent
INSTALL_TIMEOUT_S = 600
RUN_TIMEOUT_S = 120
REFINED = f"{ANSWER} The CN Tower in Toronto was completed in 1976 [3]."


@dataclass(frozen=True)
class Node:
    """Runs a script of this folder beside the installed packages; the script prints one JSON value."""

    folder: Path

    def run(self, script: str, *arguments: str) -> Any:
        copied = shutil.copy(HERE / script, self.folder / script)
        command = [self.folder / "node_modules/.bin/node", copied, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def node() -> Node:
    """Node and the packages of `package.json`, kept outside the checkout; only CI installs them."""
    packages = HERE / "package.json"
    digest = hashlib.sha256(packages.read_bytes()).hexdigest()[:16]
    folder = user_cache_path("rag-graph-tests") / digest
    installed = folder / "installed"
    if not installed.exists():
        if os.environ.get("CI") != "true":
            missing("needs npm packages, which only CI=true installs")
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "installing.lock"):  # tests run in several processes
            if not installed.exists():
                _install(packages, folder)
                installed.touch()
    return Node(folder)


def _install(packages: Path, folder: Path) -> None:
    npm = program("npm")
    shutil.copy(packages, folder)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode:
        missing(done.stderr)


@dataclass(frozen=True)
class Refining:
    """A server whose next run drafts `ANSWER` and refines it to `REFINED`."""

    server: Server
    upstream: Upstream

    @property
    def url(self) -> str:
        return self.server.url

    def script(self, *, pace_s: float = 0.0) -> None:
        self.upstream.say(ANSWER, thinking="Which tower is meant?", pace_s=pace_s)
        self.upstream.say("REFINE: the draft leaves out Toronto")
        self.upstream.say(REFINED)


@pytest.fixture(scope="session")
def refining_server(more_towers: Path) -> Iterator[Refining]:
    with Upstream(otherwise=ANSWER) as upstream, _served(_settings(upstream, data_dir=more_towers)) as served:
        yield Refining(served, upstream)


@pytest.fixture
def refining(refining_server: Refining) -> Refining:
    refining_server.script()
    return refining_server
