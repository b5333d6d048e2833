"""What people say of answers, at a real server, and as a dataset."""

from pathlib import Path

import pytest

from rag_graph.database import SqliteDatabase
from rag_graph.errors import LibraryError
from rag_graph.evaluation.feedback import export_feedback
from rag_graph.evaluation.scores import load_dataset
from rag_graph.index import EmbeddedIndex
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.runs.feedback import FeedbackStore, SentenceFeedback
from tests.servers import QUESTION, Serve, Server, copied, refused
from tests.upstream import Upstream

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),  # LangServe does
]
ABSENT = "Which bird nests in the belfry?"
DISLIKED = "How tall is it?"


@pytest.fixture
def own(towers: Path, tmp_path: Path) -> Path:
    return copied(towers, tmp_path / "data")


def answered(server: Server, question: str = QUESTION, **headers: str) -> str:
    answer = server.ask(question, accept="application/json", **headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["run_id"])


def judge(server: Server, run_id: str, verdict: str | None, reason: str = "", **headers: str) -> int:
    body = {"verdict": verdict, "reason": reason}
    return server.http.post(f"/runs/{run_id}/feedback", json=body, headers=headers).status_code


def kept(own: Path) -> list[tuple[str, str, str]]:
    return [(one.question, one.verdict, one.reason) for one in FeedbackStore(SqliteDatabase(own / "feedback.db")).all()]


def test_the_last_word_on_an_answer_is_kept_and_can_be_taken_back(serve: Serve, own: Path) -> None:
    server = serve(data_dir=own)
    run_id = answered(server)
    assert judge(server, run_id, None) == 204
    assert kept(own) == []
    assert judge(server, run_id, "up") == 204
    assert judge(server, run_id, "down", "It names the wrong year.\x00") == 204
    assert kept(own) == [(QUESTION, "down", "It names the wrong year.")]
    assert (own / "feedback.db").stat().st_mode & 0o777 == 0o600
    assert judge(server, run_id, None) == 204
    assert kept(own) == []
    claim = (
        server.http.get(f"/runs/{run_id}/events").text.split('"type":"claim"')[1].split('"claim":"')[1].split('"')[0]
    )
    for name, status in ((claim, 204), ("c999", 422)):
        said = {"verdict": "down", "reason": "No.", "claim": name}
        assert server.http.post(f"/runs/{run_id}/feedback", json=said).status_code == status
    [told] = FeedbackStore(SqliteDatabase(own / "feedback.db")).sentences()
    assert (told.claim, told.verdict, told.reason, told.question) == (claim, "down", "No.", QUESTION)
    assert told.sentence.startswith("The Eiffel Tower was built by")
    server.http.post(f"/runs/{run_id}/feedback", json={"verdict": None, "claim": claim})
    assert FeedbackStore(SqliteDatabase(own / "feedback.db")).sentences() == []


def test_what_is_no_verdict_on_an_answer_of_ones_own_is_refused(serve: Serve, own: Path) -> None:
    server = serve(data_dir=own, api_keys="one,two")
    run_id = answered(server, authorization="Bearer one")
    assert judge(server, run_id, "up", authorization="Bearer two") == 404
    assert judge(server, run_id, "good", authorization="Bearer one") == 422
    assert judge(server, run_id, "up", "x" * 2_001, authorization="Bearer one") == 422
    assert kept(own) == []


def test_a_run_that_still_answers_is_not_judged(serve: Serve, own: Path, upstream: Upstream) -> None:
    server = serve(data_dir=own)
    held = upstream.say("The tower was", hold_after=1)
    with server.asking() as response:
        run_id = response.headers["x-run-id"]
        refused(server.http.post(f"/runs/{run_id}/feedback", json={"verdict": "up"}), 422, "invalid_request")
        held.release()


def test_feedback_becomes_a_dataset_that_eval_reads(
    serve: Serve, own: Path, upstream: Upstream, tmp_path: Path
) -> None:
    server = serve(data_dir=own)
    liked = answered(server)
    upstream.say("The sources do not say.")
    absent = answered(server, ABSENT)
    disliked = answered(server, DISLIKED)
    for run_id, verdict in ((liked, "up"), (absent, "up"), (disliked, "down")):
        assert judge(server, run_id, verdict) == 204
    index = EmbeddedIndex(own / "index", LocalEmbedder())
    store = FeedbackStore(SqliteDatabase(own / "feedback.db"))
    of_one = SentenceFeedback(disliked, "", "c1", 1.0, "down", "No.", DISLIKED, "It is small.")
    assert export_feedback(store.all(), index, tmp_path / "judged", sentences=[of_one]) == 3
    assert "It is small." in (tmp_path / "judged" / "sentences.jsonl").read_text("utf-8")
    dataset = load_dataset(tmp_path / "judged")
    assert [question.text for question in dataset.questions] == [QUESTION]
    [evidence] = dataset.questions[0].evidence
    assert evidence in dataset.corpus.read_text("utf-8")
    assert [question.text for question in dataset.unanswerable] == [ABSENT]
    assert DISLIKED in (tmp_path / "judged" / "queries.jsonl").read_text("utf-8")
    index.close()


def test_without_feedback_there_is_nothing_to_export(own: Path, tmp_path: Path) -> None:
    index = EmbeddedIndex(own / "index", LocalEmbedder())
    with pytest.raises(LibraryError, match="Nobody has judged"):
        export_feedback(FeedbackStore(SqliteDatabase(own / "feedback.db")).all(), index, tmp_path / "judged")
    assert not (tmp_path / "judged").exists()
    index.close()
