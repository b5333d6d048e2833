"""What may be set, and what is said when it is set wrongly."""

from pathlib import Path

import pytest

from rag_graph.errors import SettingsError
from rag_graph.settings import Settings, setting_names


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*setting_names(), "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_need_be_set() -> None:
    settings = Settings.load()
    assert not settings.chat.is_set
    assert settings.port == 8000


def test_each_model_has_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_CHAT_BASE_URL", "http://localhost:11434/v1/")
    monkeypatch.setenv("RAG_REASONING_MODEL", "thinker")
    monkeypatch.setenv("RAG_EMBEDDING_API_KEY", "secret")
    settings = Settings.load()
    assert settings.chat.base_url == "http://localhost:11434/v1"
    assert settings.reasoning.model == "thinker"
    assert settings.embedding.api_key.get_secret_value() == "secret"
    assert not settings.fallback.is_set


def test_a_dotenv_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RAG_PORT=9001\n")
    assert Settings.load().port == 9001


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("RAG_CHAT_API_KEY", "sk-very-secret")
    assert "very-secret" not in repr(Settings.load())


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RAG_PORT", "abc", "RAG_PORT: input should be a valid integer"),
        ("RAG_PORT", "70000", "RAG_PORT: input should be less than or equal to 65535"),
        ("RAG_THINKING", "loud", "RAG_THINKING: input should be 'full', 'summary' or 'off'"),
        ("RAG_CHAT_BASE_URL", "localhost", "RAG_CHAT_BASE_URL: must begin with http:// or https://"),
        ("RAG_CHAT_CONTEXT_TOKENS", "10", "RAG_CHAT_CONTEXT_TOKENS: input should be greater than or equal to 1000"),
        ("RAG_CHATT_MODEL", "x", "RAG_CHATT_MODEL is not a setting; did you mean RAG_CHAT_MODEL?"),
        ("RAG_ZZZ", "x", "RAG_ZZZ is not a setting"),
    ],
)
def test_a_bad_value_or_name_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert str(refused.value).startswith(told)


def test_settings_cannot_be_changed() -> None:
    settings = Settings.load()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]  # what is tested


def test_every_setting_is_described() -> None:
    assert all(description for description in setting_names().values())
