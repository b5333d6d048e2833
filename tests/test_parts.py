"""Which models the settings choose."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from rag_graph.index.embedded import EmbeddedPlace
from rag_graph.index.postgres import PostgresPlace
from rag_graph.models.embeddings import LangChainEmbedder
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.parts import (
    OPENAI_CHAT_MODEL,
    OPENAI_EMBEDDING_MODEL,
    WAITING_SEARCHES,
    choose_embedder,
    choose_place,
    open_voices,
    searches_at_once,
)
from rag_graph.settings import ChatSettings, ModelSettings, ReasoningSettings, Settings
from rag_graph.writing.prompted import PromptedWriter
from rag_graph.writing.quoting import QuotingWriter
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio
KEY = SecretStr("sk-test")


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **{"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", **given})  # type: ignore[arg-type]  # as the environment gives them


async def test_without_settings_the_embedded_models_work() -> None:
    embedder = choose_embedder(settings())
    voices = await open_voices(settings(), embedder)
    assert isinstance(embedder, LocalEmbedder)
    assert isinstance(voices.drafter, QuotingWriter)
    await voices.aclose()


async def test_more_searches_run_at_once_where_another_machine_embeds() -> None:
    here, elsewhere = choose_embedder(settings()), choose_embedder(settings(OPENAI_API_KEY="sk-test"))
    assert searches_at_once(here) == os.cpu_count()
    assert searches_at_once(elsewhere) == WAITING_SEARCHES


async def test_an_openai_key_alone_brings_openai_for_chat_and_embeddings() -> None:
    given = settings(OPENAI_API_KEY="sk-test")
    embedder = choose_embedder(given)
    voices = await open_voices(given, embedder)
    assert isinstance(embedder, LangChainEmbedder)
    assert embedder.name == OPENAI_EMBEDDING_MODEL
    assert isinstance(voices.drafter, PromptedWriter)
    assert voices.chat_name == voices.reasoning_name == OPENAI_CHAT_MODEL
    await voices.aclose()


async def test_a_chat_endpoint_alone_keeps_the_embedded_embedder_and_asks_which_model_it_has() -> None:
    with Upstream() as upstream:
        given = settings(chat=ChatSettings(base_url=upstream.base_url), OPENAI_API_KEY="sk-test")
        voices = await open_voices(given, choose_embedder(given))
        assert isinstance(choose_embedder(given), LocalEmbedder)
        assert voices.chat_name != OPENAI_CHAT_MODEL
        await voices.aclose()


async def test_the_reasoning_model_takes_what_it_lacks_from_the_chat_model() -> None:
    given = settings(
        chat=ChatSettings(base_url="http://127.0.0.1:9/v1", model="small", api_key=KEY),
        reasoning=ReasoningSettings(model="thinker"),
    )
    voices = await open_voices(given, choose_embedder(given))
    assert (voices.chat_name, voices.reasoning_name) == ("small", "thinker")
    assert {model.openai_api_base for model in voices.models} == {"http://127.0.0.1:9/v1"}
    await voices.aclose()


def test_an_embedding_model_can_be_set_by_itself() -> None:
    embedder = choose_embedder(settings(embedding=ModelSettings(base_url="http://127.0.0.1:9/v1", model="vectors")))
    assert isinstance(embedder, LangChainEmbedder)
    assert embedder.name == "vectors"


async def test_the_library_is_kept_in_postgresql_when_its_url_is_set(tmp_path: Path) -> None:
    assert choose_place(settings(data_dir=tmp_path)) == EmbeddedPlace(tmp_path / "index")
    place = choose_place(settings(postgres_url="postgresql://me:secret@localhost/library"))
    assert isinstance(place, PostgresPlace)
    assert "secret" not in repr(place)
