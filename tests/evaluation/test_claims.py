"""The claim check measured on claims with labels."""

import json
from pathlib import Path

import pytest

from rag_graph.claims import RuleChecker
from rag_graph.errors import LibraryError
from rag_graph.evaluation.claims import Share, check_claims, claim_scores, load_claims

PUMP = "The pump P-300 delivers 40 litres per minute. It runs on 230 volts from the mains. It weighs 12 kilograms."
CLAIMS = [
    {"claim": "The pump P-300 delivers 40 litres per minute [1].", "passages": [PUMP], "label": "supported"},
    {"claim": "A minute of the P-300 brings about 40 litres out of it [1].", "passages": [PUMP], "label": "supported"},
    {"claim": "The pump P-300 delivers 90 litres per minute [1].", "passages": [PUMP], "label": "contradicted"},
    {"claim": "Ducks are fond of the mains, as everybody says [1].", "passages": [PUMP], "label": "unsupported"},
]


@pytest.fixture
def claims_file(tmp_path: Path) -> Path:
    path = tmp_path / "claims.jsonl"
    path.write_text("".join(f"{json.dumps(claim)}\n" for claim in CLAIMS))
    return path


@pytest.mark.anyio
async def test_claims_are_counted_by_what_the_check_says_of_them(claims_file: Path) -> None:
    scores = claim_scores(await check_claims(load_claims(claims_file), RuleChecker()))
    assert scores["supported"] == Share(2, 4)
    assert scores["quoted_precision"] == Share(1, 1)
    assert scores["quoted_recall"] == Share(1, 2)
    assert scores["cited_precision"].value == 1.0
    assert scores["supported_flagged"] == Share(0, 2)
    assert scores["flag_precision"] == Share(1, 1)
    assert scores["contradictions_cited"] == Share(0, 1)


def test_an_interval_holds_the_share_and_is_wider_for_fewer() -> None:
    few, many = Share(9, 10).interval, Share(900, 1000).interval
    assert few[0] < many[0] < 0.9 < many[1] < few[1] <= 1.0
    assert Share(0, 0).interval == (0.0, 1.0)


def test_a_dataset_without_labelled_claims_has_none(tmp_path: Path) -> None:
    assert load_claims(tmp_path / "claims.jsonl") == []


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"claim": "a"}', '{"claim": "a", "passages": "b", "label": "supported"}',
             '{"claim": "a", "passages": ["b"], "label": "true"}'],
)  # fmt: skip
def test_a_line_that_is_no_labelled_claim_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "claims.jsonl"
    path.write_text(f"{json.dumps(CLAIMS[0])}\n{line}\n")
    with pytest.raises(LibraryError, match="Line 2 of"):
        load_claims(path)
