import random
from math import log1p
from pathlib import Path

import numpy as np
import pytest

from rag_graph.index.lexical import (
    BODY_B,
    K1,
    TITLE_B,
    TITLE_WEIGHT,
    Averages,
    LexicalScorer,
    Postings,
    PostingsBuilder,
    idf,
    merge_postings,
)
from rag_graph.text.terms import key

Text = tuple[list[str], list[str]]


def texts(count: int) -> list[Text]:
    rng = random.Random(0)  # noqa: S311 - the same text every time
    words = [f"w{rank}" for rank in range(200)]
    weights = [1 / (rank + 1) for rank in range(200)]
    return [(rng.choices(words, k=2), rng.choices(words, weights, k=rng.randint(1, 30))) for _ in range(count)]


def postings_of(items: list[Text]) -> Postings:
    builder = PostingsBuilder()
    for title, body in items:
        builder.add(title, body)
    return builder.build()


def bm25f(items: list[Text], query: dict[str, float]) -> list[float]:
    """The formula, word by word."""
    title_mean = sum(len(title) for title, _ in items) / len(items)
    body_mean = sum(len(body) for _, body in items) / len(items)
    totals = []
    for title, body in items:
        total = 0.0
        for word, weight in query.items():
            count = TITLE_WEIGHT * title.count(word) / (1 - TITLE_B + TITLE_B * len(title) / title_mean)
            count += body.count(word) / (1 - BODY_B + BODY_B * len(body) / body_mean)
            total += weight * count / (K1 + count)
        totals.append(total)
    return totals


def search(postings: Postings, *queries: dict[str, float], **options: int) -> dict[int, float]:
    scorer = LexicalScorer(postings, Averages.of([postings]), **options)
    keyed = [{key(word): weight for word, weight in query.items()} for query in queries]
    ordinals, scores = scorer.search(keyed, limit=10, allowed=None)
    return dict(zip(ordinals.tolist(), scores.tolist(), strict=True))


@pytest.mark.parametrize("options", [{}, {"exhaustive_below": 0}])
def test_scores_are_the_formulas(options: dict[str, int]) -> None:
    items = texts(500)
    queries: list[dict[str, float]] = [{"w0": 0.1, "w150": 3.0, "w90": 2.0}, {"w120": 4.0, "nowhere": 9.0}]
    expected = np.max([bm25f(items, query) for query in queries], axis=0)
    found = search(postings_of(items), *queries, **options)
    best = sorted(range(len(items)), key=lambda ordinal: (-expected[ordinal], ordinal))[:10]
    assert list(found) == best
    assert list(found.values()) == pytest.approx([expected[ordinal] for ordinal in best], rel=1e-5)


def test_merged_postings_are_those_of_the_passages_that_live(tmp_path: Path) -> None:
    items = texts(300)
    alive = np.array([number % 7 > 0 for number in range(300)])
    parts = [(postings_of(items[:200]), alive[:200]), (postings_of(items[200:]), alive[200:])]
    merge_postings(parts, tmp_path)
    merged = Postings.open(tmp_path)
    whole = postings_of([item for item, lives in zip(items, alive, strict=True) if lives])
    for name in ("terms", "starts", "ordinals", "title_counts", "body_counts", "title_lengths", "body_lengths"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))


def test_merging_what_is_all_dead_leaves_nothing(tmp_path: Path) -> None:
    merge_postings([(postings_of(texts(3)), np.zeros(3, dtype=np.bool_))], tmp_path)
    assert Postings.open(tmp_path).size == 0
    assert search(Postings.open(tmp_path), {"w1": 1.0}) == {}


def test_a_rarer_word_says_more() -> None:
    assert idf(1, 100) == pytest.approx(log1p(99.5 / 1.5))
    assert idf(1, 100) > idf(50, 100) > idf(100, 100) > 0
