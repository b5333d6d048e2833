from pathlib import Path

import numpy as np
import pytest

from rag_graph.index.embedded.vectors import FLAT_UP_TO, VectorBuilder, VectorIndex
from rag_graph.models.embeddings import Vectors

DIMS = 8


def unit_vectors(count: int) -> Vectors:
    vectors = np.random.default_rng(0).standard_normal((count, DIMS), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def build(folder: Path, vectors: Vectors, *, bytes_up_to: int = 200_000) -> VectorIndex:
    builder = VectorBuilder(folder / "part", DIMS, bytes_up_to=bytes_up_to)
    for block in np.array_split(vectors, 3):
        builder.add(block)
    builder.build(folder / "index")
    assert not (folder / "part").exists()
    return VectorIndex(folder / "index")


@pytest.mark.parametrize("count", [1, 1_000, FLAT_UP_TO + 1])
def test_a_vector_is_closest_to_itself(tmp_path: Path, count: int) -> None:
    vectors = unit_vectors(count)
    asked = vectors[[0, count // 2]]
    found = list(build(tmp_path, vectors).search(asked, limit=3, allowed=None))
    assert [int(ordinals[0]) for ordinals, _ in found] == [0, count // 2]
    assert all(scores[0] == pytest.approx(1, abs=0.02) for _, scores in found)


@pytest.mark.parametrize("count", [1_000, FLAT_UP_TO + 1])
def test_only_allowed_vectors_are_found(tmp_path: Path, count: int) -> None:
    vectors = unit_vectors(count)
    allowed = np.zeros(count, dtype=np.bool_)
    allowed[[3, count - 1]] = True
    ((ordinals, _),) = build(tmp_path, vectors).search(vectors[:1], limit=10, allowed=allowed)
    assert sorted(ordinals.tolist()) == [3, count - 1]


@pytest.mark.parametrize("count", [1_000, FLAT_UP_TO + 1])
def test_the_living_vectors_can_be_had_back(tmp_path: Path, count: int) -> None:
    vectors = unit_vectors(count)
    alive = np.arange(count) % 3 > 0
    back = np.concatenate(list(build(tmp_path, vectors).blocks(alive)))
    np.testing.assert_allclose(back, vectors[alive], atol=0.02)


def test_an_index_of_nothing_finds_nothing(tmp_path: Path) -> None:
    assert list(build(tmp_path, unit_vectors(0)).search(unit_vectors(1), limit=3, allowed=None)) == []


def test_cells_are_searched_under_a_filter_too(tmp_path: Path) -> None:
    vectors = unit_vectors(FLAT_UP_TO + 1)
    index = build(tmp_path, vectors, bytes_up_to=FLAT_UP_TO)
    allowed = np.zeros(len(vectors), dtype=np.bool_)
    allowed[[3, 17_000]] = True
    ((near, _),) = index.search(vectors[5:6], limit=5, allowed=None)
    ((only, _),) = index.search(vectors[5:6], limit=5, allowed=allowed)
    assert near[0] == 5
    assert sorted(only.tolist()) == [3, 17_000]
    np.testing.assert_allclose(next(index.blocks(allowed)), vectors[[3]], atol=0.05)
