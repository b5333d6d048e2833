"""A dataset worked through, with the embedded embedder and a scripted model."""

import io
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rag_graph.cli import UNUSABLE, cli
from rag_graph.evaluation.report import scores_table
from rag_graph.evaluation.run import Evaluation, Part, Results, run_evaluation
from rag_graph.evaluation.scores import Estimate
from rag_graph.settings import Settings
from tests.upstream import Upstream

DATA = Path(__file__).parent
EVALUATION = Evaluation(DATA / "capitals", distractors=(DATA / "cake.jsonl",))


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """The command, run in this process, quietens its logs; the tests after it are to hear theirs."""
    logger = logging.getLogger("rag_graph")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(otherwise="It was called Christiania for a time [1].") as upstream:
        yield upstream


@pytest.fixture
def settings(tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RAG_DATA_DIR", str(tmp_path))
    for part in ("CHAT", "EMBEDDING"):
        monkeypatch.setenv(f"RAG_{part}_BASE_URL", upstream.base_url)
        monkeypatch.setenv(f"RAG_{part}_MODEL", "scripted")
    return Settings.load()


class Interrupted(Exception):
    """Somebody pressed Ctrl-C."""


class Impatient:
    """Stops the work after so many questions, and remembers which parts were asked."""

    def __init__(self, after: int = 1_000) -> None:
        self.seen: list[tuple[Part, int, int]] = []
        self._after = after

    def __call__(self, part: Part, done: int, total: int) -> None:
        self.seen.append((part, done, total))
        if len(self.seen) >= self._after:
            raise Interrupted


@pytest.mark.anyio
async def test_both_tiers_are_scored_on_a_library_of_their_own(settings: Settings) -> None:
    results = await run_evaluation(settings, EVALUATION)
    assert (results.questions, results.passages, results.not_indexed) == (2, 6, 0)
    assert results.scores["fast"]["recall@10"].mean == results.scores["deep"]["all_evidence@10"].mean == 1.0
    assert not settings.index_dir.exists()


@pytest.mark.anyio
async def test_answers_are_scored_against_the_right_ones_and_the_evidence(settings: Settings) -> None:
    results = await run_evaluation(settings, Evaluation(DATA / "capitals", tiers=(), answers=True))
    answers = results.scores["answers"]
    assert answers["contained"].mean == 0.5
    assert answers["failed"].mean == 0.0
    assert 0 < answers["f1"].mean < 0.5
    assert answers["citation_precision"].mean > 0


@pytest.mark.anyio
async def test_where_all_drafts_stand_no_share_of_them_is_said_to_survive(
    settings: Settings, upstream: Upstream
) -> None:
    for _ in range(2):
        upstream.say("KEEP: nothing changes", when="Do they change the answer")
    results = await run_evaluation(settings, Evaluation(DATA / "capitals", tiers=(), answers=True))
    assert results.scores["answers"]["refined"].mean == 0.0
    assert "draft_survived" not in results.scores["answers"]


@pytest.mark.anyio
async def test_what_nothing_answers_is_asked_too_and_withholding_it_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_DATA_DIR", str(tmp_path / "data"))
    folder = Path(shutil.copytree(DATA / "capitals", tmp_path / "capitals"))
    with (folder / "queries.jsonl").open("a") as queries:
        queries.write('{"_id": "q3", "text": "Who composed the opera Fidelio?", "answerable": false}\n')
    results = await run_evaluation(Settings.load(), Evaluation(folder, tiers=(), answers=True))
    answers = results.scores["answers"]
    assert results.questions == 2
    assert answers["unanswerable_refused"].mean == 1.0
    assert "risk@20" in answers


@pytest.mark.anyio
async def test_a_stopped_run_goes_on_where_it_was_and_a_finished_one_begins_anew(settings: Settings) -> None:
    with pytest.raises(Interrupted):
        await run_evaluation(settings, EVALUATION, on_asked=Impatient(after=3))
    resumed, again = Impatient(), Impatient()
    results = await run_evaluation(settings, EVALUATION, on_asked=resumed)
    await run_evaluation(settings, EVALUATION, on_asked=again)
    assert resumed.seen == [("deep", 2, 2)]
    assert [seen[0] for seen in again.seen] == ["fast", "fast", "deep", "deep"]
    assert results.scores["fast"]["recall@10"].mean == 1.0


@pytest.mark.anyio
async def test_a_line_cut_short_by_a_kill_is_asked_again(settings: Settings) -> None:
    with pytest.raises(Interrupted):
        await run_evaluation(settings, EVALUATION, on_asked=Impatient(after=1))
    (state,) = settings.data_dir.rglob("scores-*.jsonl")
    state.write_text(state.read_text()[:-20])
    resumed = Impatient()
    await run_evaluation(settings, EVALUATION, on_asked=resumed)
    assert len(resumed.seen) == 4


@pytest.mark.usefixtures("settings")
def test_the_command_writes_json_or_a_table() -> None:
    command = ["eval", str(DATA / "capitals"), "--limit", "1"]
    written = json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)
    assert written["questions"] == 1
    assert written["fast"]["recall@10"] == written["deep"]["recall@10"] == 1.0
    assert written["intervals"]["fast"]["recall@10"] == [1.0, 1.0]
    shown = CliRunner().invoke(cli, [*command, "--tier", "deep"]).stdout
    assert "all_evidence@10" in shown
    assert "fast" not in shown


@pytest.mark.usefixtures("settings")
def test_answers_that_nothing_can_be_held_against_are_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "Bern lies on the Aare."}')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "Where does Bern lie?"}')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    outcome = CliRunner().invoke(cli, ["eval", str(tmp_path), "--answers"])
    assert outcome.exit_code == UNUSABLE
    assert "has an `answer`" in outcome.stderr.replace("\n", " ")


def test_sentences_are_counted_and_shares_told_in_per_cent() -> None:
    answers = {"corrected": Estimate(1.5, 1.0, 2.0), "refined": Estimate(0.5, 0.0, 1.0)}
    shown = io.StringIO()
    Console(file=shown, width=100).print(scores_table(Results("set", 2, 6, 0, {"answers": answers})))
    lines = shown.getvalue().splitlines()
    assert any("corrected" in line and "1.5 (1.0 - 2.0)" in line for line in lines)
    assert any("refined" in line and "50.0 (0.0 - 100.0)" in line for line in lines)


@pytest.mark.usefixtures("settings")
def test_a_folder_that_is_no_dataset_is_one_line_and_exit_2(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(cli, ["eval", str(tmp_path)])
    assert outcome.exit_code == UNUSABLE
    assert "has no qrels.tsv" in outcome.stderr.replace("\n", "")
    assert len(outcome.stderr.splitlines()) == 1
