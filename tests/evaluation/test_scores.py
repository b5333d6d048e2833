from pathlib import Path

import pytest

from rag_graph.errors import LibraryError
from rag_graph.evaluation.scores import (
    RetrievalScore,
    citation_precision,
    estimate,
    evaluate_retrieval,
    load_dataset,
    score_answer,
    summarise,
)
from tests.fakes import FixedRetriever

QUERIES = """{"_id": "q1", "text": "Which?", "answer": "Oslo", "aliases": ["Christiania"]}
{"_id": "q2", "text": "Without evidence?"}
"""
QRELS = "query-id\tcorpus-id\tscore\nq1\tdoc1\t1\nq1\tdoc9\t1\nq1\tdoc2\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "queries.jsonl").write_text(QUERIES)
    (tmp_path / "qrels.tsv").write_text(QRELS)
    return tmp_path


def score(found: str, evidence: str = "ab") -> RetrievalScore:
    return RetrievalScore("q", tuple(found), tuple(evidence), ms=1.0)


def test_a_dataset_has_its_questions_with_evidence_and_answers(folder: Path) -> None:
    (question,) = load_dataset(folder).questions
    assert question.evidence == {"doc1", "doc9"}
    assert question.answers == ("Oslo", "Christiania")


def test_questions_that_nothing_answers_are_kept_apart(folder: Path) -> None:
    with (folder / "queries.jsonl").open("a") as queries:
        queries.write('{"_id": "q3", "text": "Where is Atlantis?", "answerable": false}\n')
    dataset = load_dataset(folder)
    assert [question.id for question in dataset.questions] == ["q1"]
    assert [question.id for question in dataset.unanswerable] == ["q3"]


def test_judgements_may_be_those_of_the_test_split(folder: Path) -> None:
    (folder / "qrels").mkdir()
    (folder / "qrels.tsv").rename(folder / "qrels" / "test.tsv")
    assert len(load_dataset(folder).questions) == 1


@pytest.mark.parametrize("broken", ["{", '{"text": "no id"}', "[]"])
def test_a_folder_that_is_no_dataset_is_refused(folder: Path, broken: str) -> None:
    (folder / "queries.jsonl").write_text(broken)
    with pytest.raises(LibraryError, match="BEIR"):
        load_dataset(folder)
    (folder / "queries.jsonl").unlink()
    with pytest.raises(LibraryError, match="queries"):
        load_dataset(folder)


@pytest.mark.anyio
async def test_questions_that_were_asked_are_skipped(folder: Path) -> None:
    retriever = FixedRetriever(["one", "two"])
    dataset = load_dataset(folder)
    scores = [score async for score in evaluate_retrieval(retriever, dataset)]
    assert [item.question for item in scores] == ["q1"]
    assert scores[0].recall_at(10) == 0.5
    assert [score async for score in evaluate_retrieval(retriever, dataset, skip={"q1"})] == []


def test_metrics_are_what_their_names_say() -> None:
    means = {name: its.mean for name, its in summarise([score("axb"), score("xyz")]).items()}
    assert means["recall@2"] == 0.25
    assert means["recall@3"] == means["all_evidence@10"] == means["hit@3"] == means["mrr"] == 0.5
    assert means["ndcg@10"] == pytest.approx((1 + 0.5) / (1 + 0.63093) / 2, abs=1e-4)
    assert score("ab").ndcg == 1.0
    assert score("xa").reciprocal_rank == 0.5


def test_an_estimate_is_the_same_each_time_and_holds_its_mean() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    first = estimate(values)
    assert first == estimate(values)
    assert first.low < first.mean < first.high
    assert estimate([]).mean == 0.0


@pytest.mark.parametrize(
    ("answer", "f1", "exact", "contained"),
    [
        ("The Oslo!", 1.0, 1.0, 1.0),
        ("It was Oslo.", 0.5, 0.0, 1.0),
        ("Osloer", 0.0, 0.0, 0.0),
        ("christiania", 1.0, 1.0, 1.0),
        ("", 0.0, 0.0, 0.0),
    ],
)
def test_answers_are_compared_without_case_articles_and_punctuation(
    answer: str, f1: float, exact: float, contained: float
) -> None:
    found = score_answer(answer, ["Oslo", "Christiania"])
    assert (found.f1, found.exact, found.contained) == (f1, exact, contained)


def test_citation_precision_is_the_share_that_holds_evidence() -> None:
    assert citation_precision(["a", "b"], {"a"}) == 0.5
    assert citation_precision([], {"a"}) is None
