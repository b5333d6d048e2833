"""The engines that are compared do the same work."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.benchmarks.lexical_engines import Engine, Text, engines

TEXTS = [
    Text(0, "Eiffel Tower", "The tower was built by Gustave Eiffel's company and opened in 1889."),
    Text(1, "Tokyo Tower", "It opened in 1958; the towers of Tokyo are painted white and orange."),
    Text(2, "Gustave Eiffel", "An engineer of bridges. His company built the tower of Paris."),
]


@pytest.fixture(params=engines())
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    make = engines()[request.param]
    make(tmp_path).build(TEXTS)
    opened = make(tmp_path)
    opened.open()
    with closing(opened):
        yield opened


def test_every_engine_counts_the_passages_that_hold_all_words_of_a_phrase(engine: Engine) -> None:
    phrases = [["tower"], ["Gustave", "Eiffel"], ["Eiffel", "bridges"], ["company", "Tokyo"], ["nowhere"]]
    assert engine.holding(phrases) == [3, 2, 1, 0, 0]


def test_every_engine_finds_the_best_of_several_queries(engine: Engine) -> None:
    assert engine.best([{"bridges": 1.0, "engineer": 1.0}], limit=10) == [2]
    assert set(engine.best([{"1889": 1.0}, {"orange": 0.5, "white": 0.5}], limit=10)) == {0, 1}


def test_engines_with_positions_tell_a_phrase_from_its_words(engine: Engine) -> None:
    assert engine.adjacent([["Eiffel", "Gustave"], ["Gustave", "Eiffel"]]) in (None, [0, 2])
