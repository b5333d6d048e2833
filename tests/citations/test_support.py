import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _labelled() -> ModuleType:
    path = Path(__file__).with_name("labelled.py")
    spec = importlib.util.spec_from_file_location("labelled", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["labelled"] = module
    spec.loader.exec_module(module)
    return module


labelled = _labelled()
NEVER_CITED = {"negation", "swapped number", "changed unit", "opposite"}


@pytest.mark.parametrize("split", ["tuning", "held_out"])
@pytest.mark.parametrize("marked", [True, False])
def test_the_check_keeps_its_floors_on_labelled_claims(split: str, *, marked: bool) -> None:
    score = labelled.score(list(labelled.judge(split, marked=marked)))
    assert score.precision >= 0.95
    assert score.recall >= 0.6


@pytest.mark.parametrize("split", ["tuning", "held_out"])
@pytest.mark.parametrize("marked", [True, False])
def test_a_swapped_number_a_changed_unit_or_a_negation_is_never_cited(split: str, *, marked: bool) -> None:
    cited = [
        verdict.claim.words
        for verdict in labelled.judge(split, marked=marked)
        if verdict.claim.kind in NEVER_CITED and verdict.claim.support is None and verdict.quote
    ]
    assert cited == []
