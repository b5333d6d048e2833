"""Environments beside this one, with other versions of some packages, so that one table compares both.

An SDK's generations cannot be installed side by side, and each server of the benchmarks is a process anyway.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from site import getsitepackages
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

PACKAGES = (
    "openai", "langchain-core", "langgraph", "langserve", "haystack-ai", "hayhooks", "llama-index-core",
    "llama-index-llms-openai-like", "fastapi", "uvicorn", "uvloop",
)  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """A Python with its packages; `asked` names what was installed over those of this process."""

    python: str
    asked: str = ""

    @cached_property
    def versions(self) -> dict[str, str]:
        """Of Python and the packages that matter here, those that are installed."""
        command = [self.python, "-m", "tests.benchmarks.environments"]
        found: dict[str, str] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        return found

    def missing(self, needs: tuple[str, ...]) -> list[str]:
        """Those of the requirements that this environment does not meet."""
        return [need for need in needs if not self._meets(Requirement(need))]

    def _meets(self, need: Requirement) -> bool:
        return need.name in self.versions and self.versions[need.name] in need.specifier


HERE = Environment(sys.executable)


@contextmanager
def environment_with(requirement: str) -> Iterator[Environment]:
    """What is installed here and other packages over it, as `openai[aiohttp]==2.*`, until the end of the block."""
    with TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        found = subprocess.run(
            [python, "-c", "import site; print(site.getsitepackages()[0])"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        # A `.pth` line that adds a folder leaves out that folder's own `.pth` files: editable installs are such.
        below = "".join(f"import site; site.addsitedir({path!r})\n" for path in getsitepackages())
        (Path(found.stdout.strip()) / "below.pth").write_text(below)
        subprocess.run([python, "-m", "pip", "install", "-q", requirement], stdout=sys.stderr, check=True)
        yield Environment(str(python), requirement)


def _versions() -> dict[str, str]:
    found = {"python": python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_versions()))
