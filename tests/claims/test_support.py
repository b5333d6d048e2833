import pytest

from rag_graph.claims import cite
from tests.claims import labelled
from tests.claims.labelled import Split

NEVER_CITED = {"negation", "swapped number", "changed unit", "opposite"}
TUNING: tuple[Split, ...] = ("tuning",)
UNTUNED: tuple[Split, ...] = ("held_out", "fresh")


def judge(splits: tuple[Split, ...], *, marked: bool) -> list[labelled.Verdict]:
    return [verdict for split in splits for verdict in labelled.judge(split, marked=marked)]


@pytest.mark.parametrize("splits", [TUNING, UNTUNED])
@pytest.mark.parametrize("marked", [True, False])
def test_the_check_keeps_its_floors_on_labelled_claims(splits: tuple[Split, ...], *, marked: bool) -> None:
    score = labelled.score(judge(splits, marked=marked))
    assert score.precision >= 0.95
    assert score.recall >= 0.6


@pytest.mark.parametrize("marked", [True, False])
def test_a_swapped_number_a_changed_unit_or_a_negation_is_never_cited(*, marked: bool) -> None:
    cited = [
        verdict.claim.words
        for verdict in judge(TUNING + UNTUNED, marked=marked)
        if verdict.claim.kind in NEVER_CITED and verdict.claim.support is None and verdict.quote
    ]
    assert cited == []


def test_a_very_long_claim_is_not_judged_clause_by_clause() -> None:
    claim = " ".join(f"word{number}" for number in range(500))
    passage = labelled.number_passage(1, "Words", f"{claim}.")
    assert [fact.type for fact in cite(f"{claim}.", [passage], question="")] == ["answer_delta"]
