from pathlib import Path

import pytest

from tests.servers import towers, upstream
from tests.upstream import Upstream

__all__ = ["towers", "upstream"]


@pytest.fixture(autouse=True)
def _away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the one who develops is read, and no index of theirs is touched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def scripted(upstream: Upstream, towers: Path) -> dict[str, str]:
    """Settings for a library of two towers and a model that says what it is told to."""
    return {
        "RAG_DATA_DIR": str(towers),
        "RAG_CHAT_BASE_URL": upstream.base_url,
        "RAG_CHAT_API_KEY": "key",
        "RAG_CHAT_MODEL": "scripted",
    }
