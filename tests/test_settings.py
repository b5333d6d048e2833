"""What may be set, and what is said when it is set wrongly."""

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_graph.errors import SettingsError
from rag_graph.settings import PREFIX, Settings, _refuse_misspelt, setting_names, unknown_names

OPEN_WEBUI = (
    "RAG_ALLOWED_FILE_EXTENSIONS",
    "RAG_AZURE_OPENAI_API_KEY",
    "RAG_AZURE_OPENAI_API_VERSION",
    "RAG_AZURE_OPENAI_BASE_URL",
    "RAG_EMBEDDING_BATCH_SIZE",
    "RAG_EMBEDDING_CONCURRENT_REQUESTS",
    "RAG_EMBEDDING_CONTENT_PREFIX",
    "RAG_EMBEDDING_ENGINE",
    "RAG_EMBEDDING_MODEL",
    "RAG_EMBEDDING_MODEL_AUTO_UPDATE",
    "RAG_EMBEDDING_MODEL_TRUST_REMOTE_CODE",
    "RAG_EMBEDDING_OPENAI_BATCH_SIZE",
    "RAG_EMBEDDING_PREFIX_FIELD_NAME",
    "RAG_EMBEDDING_QUERY_PREFIX",
    "RAG_EMBEDDING_TIMEOUT",
    "RAG_EXTERNAL_RERANKER_API_KEY",
    "RAG_EXTERNAL_RERANKER_TIMEOUT",
    "RAG_EXTERNAL_RERANKER_URL",
    "RAG_FILE_CONTENT_SEARCH_MAX_CHARS",
    "RAG_FILE_MAX_COUNT",
    "RAG_FILE_MAX_SIZE",
    "RAG_FULL_CONTEXT",
    "RAG_HYBRID_BM25_WEIGHT",
    "RAG_OLLAMA_API_KEY",
    "RAG_OLLAMA_BASE_URL",
    "RAG_OPENAI_API_BASE_URL",
    "RAG_OPENAI_API_KEY",
    "RAG_RELEVANCE_THRESHOLD",
    "RAG_RERANKING_BATCH_SIZE",
    "RAG_RERANKING_ENGINE",
    "RAG_RERANKING_MODEL",
    "RAG_RERANKING_MODEL_AUTO_UPDATE",
    "RAG_RERANKING_MODEL_TRUST_REMOTE_CODE",
    "RAG_SYSTEM_CONTEXT",
    "RAG_TEMPLATE",
    "RAG_TEXT_SPLITTER",
    "RAG_TOKENIZER_MODEL",
    "RAG_TOP_K",
    "RAG_TOP_K_RERANKER",
)
"""The variables with our prefix that https://docs.openwebui.com/reference/env-configuration lists (August 2026)."""


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
        ("RAG_PROT", "x", "RAG_PROT is not a setting; did you mean RAG_PORT?"),
    ],
)
def test_a_bad_value_or_name_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("given", "share"),
    [
        ({}, 96),
        ({"api_keys": "one"}, 96),
        ({"api_keys": "one, one"}, 96),
        ({"api_keys": "one,two"}, 32),
        ({"api_keys": "one,two", "max_runs": 1}, 1),
        ({"api_keys": "one,two", "max_runs_per_caller": 50}, 50),
    ],
)
def test_one_of_several_callers_has_half_of_the_server(given: dict[str, Any], share: int) -> None:
    assert Settings(_env_file=None, **given).caller_share == share


def test_settings_cannot_be_changed() -> None:
    settings = Settings.load()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]  # what is tested


def test_every_setting_is_described() -> None:
    assert all(description for description in setting_names().values())


def test_the_variables_of_open_webui_are_let_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in OPEN_WEBUI:
        monkeypatch.setenv(name, "theirs")
    (tmp_path / ".env").write_text("".join(f"{name}=theirs\n" for name in OPEN_WEBUI))
    assert Settings.load().embedding.model == "theirs"
    assert unknown_names(OPEN_WEBUI) == [name for name in OPEN_WEBUI if name != "RAG_EMBEDDING_MODEL"]


@pytest.mark.parametrize("name", setting_names())
def test_one_slip_of_the_finger_is_refused(name: str) -> None:
    known = setting_names()
    for slip in slips(name.removeprefix(PREFIX)):
        if f"{PREFIX}{slip}" not in known:
            with pytest.raises(SettingsError, match="did you mean"):
                _refuse_misspelt([f"{PREFIX}{slip}"])


def slips(word: str) -> Iterator[str]:
    """The word with one letter too few, or wrong, or too many, or two in the wrong order; any letter stands for all."""
    for place in range(len(word) + 1):
        before, after = word[:place], word[place:]
        wrong = next(letter for letter in string.ascii_uppercase if letter not in word)
        yield f"{before}{wrong}{after}"
        yield f"{before}{after[:1] * 2}{after[1:]}"
        if after:
            yield f"{before}{after[1:]}"
            yield f"{before}{wrong}{after[1:]}"
        if len(after) > 1:
            yield f"{before}{after[1]}{after[0]}{after[2:]}"
