from collections.abc import Sequence

import numpy as np
import pytest

from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.guide import GuideEmbedder, key_of, recorded
from tests.guide_vectors import texts_of_the_guide


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return texts_of_the_guide()


def test_the_recorded_vectors_are_those_of_the_guide_as_it_is(texts: Sequence[str]) -> None:
    assert recorded().keys() == {key_of(text) for text in texts}, "run: python -m tests.guide_vectors"


def test_a_recorded_vector_is_what_the_model_says_and_other_texts_are_embedded(texts: Sequence[str]) -> None:
    mixed = ["It rains.", texts[0], "It does not rain.", *texts[-3:]]
    looked_up, embedded = GuideEmbedder().embed(mixed), LocalEmbedder().embed(mixed)
    # Weights in whole numbers are multiplied otherwise on other processors: the vectors are close, and not the same.
    assert np.einsum("td,td->t", looked_up, embedded).min() > 0.98
    assert looked_up[0] @ looked_up[2] < 0.98


def test_the_guide_is_indexed_without_the_model(texts: Sequence[str]) -> None:
    embedder = GuideEmbedder()
    vectors = embedder.embed(texts)
    assert vectors.shape == (len(texts), embedder.dims)
    assert not embedder._loaded
