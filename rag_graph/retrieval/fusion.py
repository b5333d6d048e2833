"""Several rankings to one: standard scores add up, whatever scale each ranking has."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rag_graph.index.base import Ranking

_JUDGED_BY = 100
_FLOOR = -2.0


def standardised(ranking: Ranking, *, size: int) -> tuple[dict[int, float], float]:
    """Each passage's distance from the mean of the best hundred, in standard deviations; and what all others get.

    A ranking shorter than that was not cut off: the passages missing in it have a score of 0.
    """
    if not len(ranking):
        return {}, 0.0
    best = np.zeros(min(_JUDGED_BY, max(size, len(ranking))), dtype=np.float64)
    judged = ranking.scores[: len(best)]
    best[: len(judged)] = judged
    spread = float(best.std()) or 1.0
    scores = np.maximum((ranking.scores - best.mean()) / spread, _FLOOR)
    others = max(_FLOOR, -float(best.mean()) / spread) if len(ranking) < len(best) else _FLOOR
    return dict(zip(ranking.ids.tolist(), scores.tolist(), strict=True)), others


def fuse(weighted: Iterable[tuple[float, Ranking]], *, size: int) -> dict[int, float]:
    """The weighted sum of standard scores, for every passage that is in any of the rankings."""
    parts = [(weight, *standardised(ranking, size=size)) for weight, ranking in weighted if weight]
    found = dict.fromkeys(number for _, scores, _ in parts for number in scores)
    return {number: sum(weight * scores.get(number, others) for weight, scores, others in parts) for number in found}


def best_of(weighted: Iterable[tuple[float, Ranking]]) -> Ranking:
    """Each passage with the best of its weighted scores."""
    parts = [(ranking.ids, ranking.scores * np.float32(weight)) for weight, ranking in weighted]
    if not parts:
        return Ranking.empty()
    ids, scores = np.concatenate([ids for ids, _ in parts]), np.concatenate([scores for _, scores in parts])
    order = np.lexsort((ids, -scores))
    ids, scores = ids[order], scores[order]
    _, first = np.unique(ids, return_index=True)
    first.sort()
    return Ranking(ids=ids[first], scores=scores[first])


def ranked(scores: Mapping[int, float]) -> list[int]:
    """Best first; equals in the order of their ids, so that the same search gives the same answer."""
    return sorted(scores, key=lambda number: (-scores[number], number))


def with_quotas(order: Sequence[int], keep: Sequence[int], quotas: Sequence[tuple[int, int]]) -> list[int]:
    """Move passages up until, for each quota (count, places), the first `count` of `keep` are in the first `places`."""
    result = list(order)
    for count, places in quotas:
        wanted = keep[:count]
        late = [number for number in wanted if number not in result[:places]]
        if not late:
            continue
        result = [number for number in result if number not in late]
        early = result[:places]
        for _ in range(len(early) + len(late) - places):
            early.remove(next(number for number in reversed(early) if number not in wanted))
        rest = [number for number in result if number not in early]
        result = [*early, *late, *rest]
    return result
