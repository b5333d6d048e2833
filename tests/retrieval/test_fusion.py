import numpy as np
import pytest

from rag_graph.index import Ranking
from rag_graph.retrieval.fusion import fuse, with_quotas


def ranking(scores: dict[int, float]) -> Ranking:
    return Ranking.of(np.array([*scores], dtype=np.int64), np.array([*scores.values()], dtype=np.float32))


def test_scales_do_not_matter() -> None:
    small, large = ranking({1: 0.3, 2: 0.2, 3: 0.1}), ranking({3: 900, 2: 800, 1: 100})
    fused = fuse([(0.5, small), (0.5, large)], size=3)
    assert fused.ids.tolist()[0] == 2
    assert fused.scores.sum() == pytest.approx(0, abs=1e-5)


def test_what_only_one_ranking_has_takes_part_with_the_others_floor() -> None:
    fused = fuse([(0.5, ranking({1: 1.0})), (0.5, ranking({2: 1.0}))], size=1_000)
    assert fused.scores[0] == fused.scores[1]
    assert fused.ids.tolist() == [1, 2]


def test_nothing_found_is_nothing_fused() -> None:
    assert len(fuse([(1.0, Ranking.empty()), (0.0, ranking({1: 1.0}))], size=0)) == 0


def test_equal_scores_do_not_divide_by_zero() -> None:
    assert fuse([(1.0, ranking({1: 1.0, 2: 1.0}))], size=2).scores.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ((), [1, 2, 3, 4, 5, 6]),
        (((1, 1),), [6, 1, 2, 3, 4, 5]),
        (((2, 4),), [1, 2, 6, 5, 3, 4]),
        (((2, 3), (3, 4)), [1, 6, 5, 4, 2, 3]),
        (((2, 6),), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_quotas_bring_the_first_hop_up(quotas: tuple[tuple[int, int], ...], expected: list[int]) -> None:
    assert with_quotas([1, 2, 3, 4, 5, 6], [6, 5, 4], quotas) == expected
