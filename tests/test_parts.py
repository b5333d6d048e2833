"""Which models the settings choose."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from rag_graph.index.embedded import EmbeddedPlace
from rag_graph.index.postgres import PostgresPlace
from rag_graph.models.embeddings import LangChainEmbedder
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.roles import OPENAI_CHAT_MODEL, OPENAI_EMBEDDING_MODEL
from rag_graph.parts import (
    WAITING_SEARCHES,
    choose_embedder,
    choose_place,
    choose_writers,
    open_models,
    searches_at_once,
)
from rag_graph.settings import ChatSettings, ModelSettings, ReasoningSettings, Settings
from rag_graph.writing.evidence import EvidenceWriter
from rag_graph.writing.prompted import PromptedWriter

pytestmark = pytest.mark.anyio
KEY = SecretStr("sk-test")


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **{"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", **given})  # type: ignore[arg-type]  # as the environment gives them


async def test_without_settings_the_embedded_models_work() -> None:
    embedder = choose_embedder(settings())
    models = open_models(settings())
    writers = choose_writers(settings(), models, embedder)
    assert isinstance(embedder, LocalEmbedder)
    assert isinstance(writers.drafter, EvidenceWriter)
    assert models.chat_name == "embedded"
    await models.aclose()


async def test_more_searches_run_at_once_where_another_machine_embeds() -> None:
    here, elsewhere = choose_embedder(settings()), choose_embedder(settings(OPENAI_API_KEY="sk-test"))
    assert searches_at_once(here) == os.cpu_count()
    assert searches_at_once(elsewhere) == WAITING_SEARCHES


async def test_an_openai_key_alone_brings_openai_for_chat_and_embeddings() -> None:
    given = settings(OPENAI_API_KEY="sk-test")
    embedder = choose_embedder(given)
    models = open_models(given)
    assert isinstance(embedder, LangChainEmbedder)
    assert embedder.name == OPENAI_EMBEDDING_MODEL
    assert isinstance(choose_writers(given, models, embedder).drafter, PromptedWriter)
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
    models = open_models(given)
    writers = choose_writers(given, models, choose_embedder(given))
    assert writers.refiners["fast"] is writers.drafter
    assert writers.refiners["deep"] == PromptedWriter(models.reasoning, 16_000)
    await models.aclose()


def test_an_embedding_model_can_be_set_by_itself() -> None:
    embedder = choose_embedder(settings(embedding=ModelSettings(base_url="http://127.0.0.1:9/v1", model="vectors")))
    assert isinstance(embedder, LangChainEmbedder)
    assert embedder.name == "vectors"


async def test_the_library_is_kept_in_postgresql_when_its_url_is_set(tmp_path: Path) -> None:
    assert choose_place(settings(data_dir=tmp_path)) == EmbeddedPlace(tmp_path / "index")
    place = choose_place(settings(postgres_url="postgresql://me:secret@localhost/library"))
    assert isinstance(place, PostgresPlace)
    assert "secret" not in repr(place)
