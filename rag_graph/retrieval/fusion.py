"""Several rankings to one: standard scores add up, whatever scale each ranking has."""

from collections.abc import Iterable, Sequence

import numpy as np

from rag_graph.index.base import Ranking

_JUDGED_BY = 100
_FLOOR = np.float32(-2)


def fuse(weighted: Iterable[tuple[float, Ranking]], *, size: int) -> Ranking:
    """The weighted sum of standard scores, for every passage that is in any of the rankings."""
    parts = [(np.float32(weight), ranking) for weight, ranking in weighted if weight and len(ranking)]
    if not parts:
        return Ranking.empty()
    ids, places = np.unique(np.concatenate([ranking.ids for _, ranking in parts]), return_inverse=True)
    totals = np.zeros(len(ids), dtype=np.float32)
    begin = 0
    for weight, ranking in parts:
        scores, others = standardised(ranking, size=size)
        totals += weight * others
        totals[places[begin : begin + len(ranking)]] += weight * (scores - others)
        begin += len(ranking)
    return Ranking.of(ids, totals)


def standardised(ranking: Ranking, *, size: int) -> tuple["np.ndarray[tuple[int], np.dtype[np.float32]]", np.float32]:
    """Each passage's distance from the mean of the best hundred, in standard deviations; and what all others get.

    A ranking shorter than that was not cut off: the passages missing in it have a score of 0.
    """
    judged = np.zeros(min(_JUDGED_BY, max(size, len(ranking))), dtype=np.float32)
    judged[: len(ranking)] = ranking.scores[: len(judged)]
    mean, spread = judged.mean(), judged.std() or np.float32(1)
    others = -mean / spread if len(ranking) < len(judged) else _FLOOR
    return np.maximum((ranking.scores - mean) / spread, _FLOOR), max(_FLOOR, others)


def with_quotas(order: Sequence[int], keep: Sequence[int], quotas: Sequence[tuple[int, int]]) -> list[int]:
    """Move passages up until, for each quota (count, places), the first `count` of `keep` are in the first `places`."""
    result = list(order)
    for count, places in quotas:
        wanted = keep[:count]
        late = [number for number in wanted if number not in result[:places]]
        if not late:
            continue
        early = result[:places]
        for _ in range(len(early) + len(late) - places):
            early.remove(next(number for number in reversed(early) if number not in wanted))
        chosen = {*early, *late}
        result = [*early, *late, *(number for number in result if number not in chosen)]
    return result
