from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr

from rag_graph.errors import ModelGarbled, ModelRefused, ModelUnavailable
from rag_graph.models.embeddings import LangChainEmbedder, RememberingEmbedder, known_share, knows, unit
from rag_graph.models.local.embedder import LocalEmbedder
from tests.upstream import Upstream, refused_url


class Scripted(Embeddings):
    def __init__(self, *rows: list[float]) -> None:
        self.rows = list(rows)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.rows[: len(texts)]

    def embed_query(self, text: str) -> list[float]:  # noqa: ARG002 - the script answers whatever is asked
        return self.rows.pop(0)


def test_vectors_are_normalised() -> None:
    embedder = LangChainEmbedder(Scripted([3.0, 4.0], [0.0, 0.0]), "scripted")
    assert np.allclose(embedder.embed(["a", "b"]), np.array([[0.6, 0.8], [0, 0]]))


def test_an_embedder_that_cannot_say_is_taken_to_read_everything() -> None:
    assert known_share(LangChainEmbedder(Scripted(), "scripted"), "何か") == 1.0
    assert known_share(RememberingEmbedder(LangChainEmbedder(Scripted(), "scripted")), "何か") == 1.0
    assert knows(RememberingEmbedder(LangChainEmbedder(Scripted(), "scripted")), "compresion")


def test_what_an_embedder_can_read_is_known_through_the_one_that_remembers() -> None:
    assert known_share(RememberingEmbedder(LocalEmbedder()), "这座塔有多高？") < 0.1
    assert not knows(RememberingEmbedder(LocalEmbedder()), "compresion")


def test_dims_are_those_of_the_first_vector() -> None:
    assert LangChainEmbedder(Scripted([1.0, 0.0, 0.0]), "scripted").dims == 3


def test_no_texts_give_no_rows() -> None:
    assert LangChainEmbedder(Scripted([1.0, 0.0]), "scripted").embed([]).shape == (0, 2)


@pytest.mark.parametrize("rows", [[[1.0, 0.0]], [[1.0], [1.0, 0.0]], [[float("nan")], [1.0]]])
def test_anything_but_one_finite_vector_per_text_is_refused(rows: list[list[float]]) -> None:
    with pytest.raises(ModelGarbled, match="RAG_EMBEDDING_MODEL"):
        LangChainEmbedder(Scripted(*rows), "scripted").embed(["a", "b"])


def test_a_vector_of_another_length_than_before_is_refused() -> None:
    embedder = LangChainEmbedder(Scripted([1.0, 0.0], [1.0]), "scripted")
    embedder.embed_query("a")
    with pytest.raises(ModelGarbled, match="another length"):
        embedder.embed_query("b")


def test_a_query_is_embedded_once_and_nobody_can_spoil_its_vector() -> None:
    embedder = RememberingEmbedder(LangChainEmbedder(Scripted([1.0, 0.0], [0.0, 1.0]), "scripted"))
    first = embedder.embed_query("a")
    first[0] = 2.0
    assert np.allclose(embedder.embed_queries(["b", "a", "b"]), [[0, 1], [1, 0], [0, 1]])


def test_only_the_last_queries_are_remembered() -> None:
    embedder = RememberingEmbedder(LangChainEmbedder(Scripted([1.0], [1.0], [1.0], [-1.0]), "scripted"), queries=2)
    for text in ("a", "b", "c"):
        embedder.embed_query(text)
    assert np.allclose(embedder.embed_query("a"), [-1.0])


def test_unit_leaves_zeros_alone() -> None:
    assert np.allclose(unit([[0.0, 0.0], [0.0, 2.0]]), np.array([[0, 0], [0, 1]]))


@pytest.fixture
def up() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def _over(base_url: str, key: str = "key") -> LangChainEmbedder:
    embeddings = OpenAIEmbeddings(
        openai_api_base=base_url,
        openai_api_key=SecretStr(key),
        model="scripted",
        check_embedding_ctx_length=False,
        max_retries=0,
    )
    return LangChainEmbedder(embeddings, "scripted")


def test_an_openai_compatible_service_embeds(up: Upstream) -> None:
    embedder = _over(up.base_url)
    vectors = embedder.embed(["the tower", "the river"])
    assert vectors.shape == (2, embedder.dims)
    assert np.allclose(vectors[0], embedder.embed_query("the tower"), atol=1e-5)


def test_many_questions_are_one_call_where_that_says_the_same(up: Upstream) -> None:
    embedder = _over(up.base_url)
    together = replace(embedder, symmetric=True).embed_queries(["the tower", "the river"])
    assert len(up.requests) == 1
    assert np.allclose(together, embedder.embed_queries(["the tower", "the river"]), atol=1e-5)
    assert len(up.requests) == 3


def test_a_wrong_key_names_the_settings(up: Upstream) -> None:
    up.api_key = "right"
    with pytest.raises(ModelRefused, match="RAG_EMBEDDING_API_KEY"):
        _over(up.base_url, "wrong").embed_query("a")


def test_a_service_that_is_not_there_names_the_setting() -> None:
    with pytest.raises(ModelUnavailable, match="RAG_EMBEDDING_BASE_URL"):
        _over(refused_url()).embed(["a"])
