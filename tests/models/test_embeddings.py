import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from rag_graph.errors import ModelGarbled
from rag_graph.models.embeddings import LangChainEmbedder, unit


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


def test_unit_leaves_zeros_alone() -> None:
    assert np.allclose(unit([[0.0, 0.0], [0.0, 2.0]]), np.array([[0, 0], [0, 1]]))
