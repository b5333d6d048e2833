"""Which models the settings choose."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from rag_graph.errors import SettingsError
from rag_graph.index import EmbeddedIndex
from rag_graph.index.postgres import PostgresIndex
from rag_graph.models.embeddings import LangChainEmbedder
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.providers.openai import ReasoningChatOpenAI
from rag_graph.models.roles import OPENAI_CHAT_MODEL, OPENAI_EMBEDDING_MODEL
from rag_graph.settings import ChatSettings, ModelSettings, ReasoningSettings, Settings
from rag_graph.wiring import (
    WAITING_SEARCHES,
    choose_embedder,
    choose_index,
    default_parts,
    open_models,
    searches_at_once,
)
from rag_graph.writing.prompted import PromptedWriter
from rag_graph.writing.quoting import QuotingWriter

pytestmark = pytest.mark.anyio
KEY = SecretStr("sk-test")


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **{"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", **given})  # type: ignore[arg-type]  # as the environment gives them


async def test_without_settings_the_embedded_models_work() -> None:
    parts = default_parts(settings())
    assert isinstance(choose_embedder(settings()), LocalEmbedder)
    assert isinstance(parts.drafter, QuotingWriter)
    assert parts.models is None


async def test_a_gguf_file_is_a_chat_model_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.touch()
    parts = default_parts(settings(local_gguf=path))
    assert isinstance(parts.drafter, PromptedWriter)
    assert parts.models is not None
    assert parts.models.chat_name == "embedded"
    await parts.models.aclose()


def test_a_gguf_file_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"RAG_LOCAL_GGUF.*none\.gguf"):
        default_parts(settings(local_gguf=tmp_path / "none.gguf"))


async def test_more_searches_run_at_once_where_another_machine_embeds() -> None:
    here, elsewhere = choose_embedder(settings()), choose_embedder(settings(OPENAI_API_KEY="sk-test"))
    assert searches_at_once(here) == os.cpu_count()
    assert searches_at_once(elsewhere) == WAITING_SEARCHES


async def test_an_openai_key_alone_brings_openai_for_chat_and_embeddings() -> None:
    given = settings(OPENAI_API_KEY="sk-test")
    embedder = choose_embedder(given)
    models = open_models(given)
    assert models is not None
    assert isinstance(embedder, LangChainEmbedder)
    assert embedder.name == OPENAI_EMBEDDING_MODEL
    assert isinstance(default_parts(given).drafter, PromptedWriter)
    assert models.chat_name == models.reasoning_name == OPENAI_CHAT_MODEL
    await models.aclose()


@pytest.mark.parametrize("chat", [{"base_url": "http://127.0.0.1:9/v1"}, {"model": "anthropic:claude-sonnet-5"}])
def test_documents_are_not_sent_to_openai_when_the_chat_model_is_elsewhere(chat: dict[str, str]) -> None:
    given = settings(chat=ChatSettings(**chat), OPENAI_API_KEY="sk-test")
    assert isinstance(choose_embedder(given), LocalEmbedder)


async def test_a_reasoning_model_of_its_own_refines_in_the_deep_mode() -> None:
    given = settings(
        chat=ChatSettings(base_url="http://127.0.0.1:9/v1", model="small", api_key=KEY),
        reasoning=ReasoningSettings(model="thinker"),
    )
    parts = default_parts(given)
    assert parts.models is not None
    assert parts.refiner("fast") is parts.drafter
    thinker = parts.refiner("deep")
    assert isinstance(thinker, PromptedWriter)
    assert thinker.model is parts.models.reasoning
    await parts.models.aclose()


def test_an_embedding_model_can_be_set_by_itself() -> None:
    embedder = choose_embedder(settings(embedding=ModelSettings(base_url="http://127.0.0.1:9/v1", model="vectors")))
    assert isinstance(embedder, LangChainEmbedder)
    assert embedder.name == "vectors"


async def test_the_index_is_kept_in_postgresql_when_its_url_is_set(tmp_path: Path) -> None:
    embedded = choose_index(settings(data_dir=tmp_path), LocalEmbedder())
    assert isinstance(embedded, EmbeddedIndex)
    assert embedded.directory == tmp_path / "index"
    index = choose_index(settings(postgres_url="postgresql://me:secret@localhost/library"), LocalEmbedder())
    assert isinstance(index, PostgresIndex)
    assert "secret" not in repr(index)


@pytest.mark.parametrize(
    ("chat", "name", "asked"),
    [
        ({"base_url": "http://127.0.0.1:9/v1", "model": "small"}, "anthropic:large", "anthropic:large"),
        ({"model": "openai:small"}, "large", "large"),
        ({"model": "anthropic:claude-small"}, "claude-large", "claude-large"),
        ({"model": "gpt-small"}, "anthropic:claude-large", "claude-large"),
    ],
)
async def test_further_models_are_asked_where_the_chat_model_is_unless_they_name_a_provider(
    chat: dict[str, str], name: str, asked: str
) -> None:
    given = settings(chat=ChatSettings(**chat, api_key=KEY, models=f"{name}, {name},"), OPENAI_API_KEY="sk-openai")
    models = open_models(given)
    assert models is not None
    assert {offered: model.name for offered, model in models.choices.items()} == {name: asked}
    is_openai = isinstance(models.choices[name].model, ReasoningChatOpenAI)
    assert is_openai == ("claude" not in asked)
    await models.aclose()


def test_further_models_without_a_chat_model_name_the_setting() -> None:
    with pytest.raises(SettingsError, match="RAG_CHAT_MODELS"):
        open_models(Settings.load(chat={"models": "large"}))
