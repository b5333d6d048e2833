"""A dataset worked through: its own library, every question once, scores kept, so that a stopped run goes on."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Literal

from rag_graph.claims import RuleChecker
from rag_graph.documents import Document
from rag_graph.errors import LibraryError
from rag_graph.evaluation.abstention import Judged, abstention
from rag_graph.evaluation.claims import CLAIMS_FILE, Share, check_claims, claim_scores, load_claims
from rag_graph.evaluation.scores import (
    Dataset,
    Estimate,
    Question,
    RetrievalScore,
    citation_precision,
    estimate,
    evaluate_retrieval,
    load_dataset,
    score_answer,
    summarise,
)
from rag_graph.events import RunFailed
from rag_graph.index import EmbeddedIndex, IndexProgress, index_paths
from rag_graph.query import Mode, Query
from rag_graph.retrieval import DeepRetriever, FastRetriever
from rag_graph.settings import Settings
from rag_graph.transcript import Transcript
from rag_graph.wiring import choose_embedder, open_answerer
from rag_graph.writing.quoting import short_answer

Tier = Literal["fast", "deep"]
Part = Literal["fast", "deep", "answers"]

LEAST_F1 = 0.5
"""An answer is right when it holds a right one, or shares so much with one."""

_RETRIEVERS = {"fast": FastRetriever, "deep": DeepRetriever}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is measured on which dataset; answers are those of `mode`."""

    folder: Path
    distractors: tuple[Path, ...] = ()
    tiers: tuple[Tier, ...] = ("fast", "deep")
    answers: bool = False
    mode: Mode = "fast"
    limit: int | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        return (*self.tiers, "answers") if self.answers else self.tiers


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """How the answer to one question fared. `precision` is None when it cites nothing.

    So is `confidence`, which else is the highest score of its citations: an answer that cites nothing withholds one.
    """

    question: str
    f1: float
    exact: float
    contained: float
    precision: float | None
    refined: bool
    failed: bool
    ms: float
    answerable: bool
    right: bool
    confidence: float | None
    reviewed_needlessly: bool = False
    """Whether a model was asked about a draft that then stood."""
    corrected: int = 0
    withdrawn: int = 0
    """Sentences of a draft that the refinement did not let stand."""
    survived: float | None = None
    """The share of a draft's text that stands in its refinement."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was found out: means with intervals by part and name, over so many questions."""

    dataset: str
    questions: int
    passages: int
    not_indexed: int
    scores: Mapping[Part, Mapping[str, Estimate]]
    claims: Mapping[str, Share] = field(default_factory=dict)
    """How the claim check fares on the dataset's labelled claims; empty where it has none."""


async def run_evaluation(
    settings: Settings,
    evaluation: Evaluation,
    *,
    on_indexing: Callable[[IndexProgress], None] = lambda _: None,
    on_asked: Callable[[Part, int, int], None] = lambda _part, _done, _total: None,
) -> Results:
    """Index the dataset into a library of its own, ask its questions, and score what comes.

    Raises `LibraryError` for what is no dataset.
    """
    session = await asyncio.to_thread(_Session.open, settings, evaluation, on_indexing, on_asked)
    try:
        for tier in evaluation.tiers:
            await session.retrieve(tier)
    finally:
        session.index.close()
    if evaluation.answers:
        await session.answer()
    results = session.results()
    if labelled := await asyncio.to_thread(load_claims, evaluation.folder / CLAIMS_FILE):
        results = replace(results, claims=claim_scores(await check_claims(labelled, RuleChecker())))
    session.log.forget()
    return results


@dataclass(slots=True)
class _ScoreLog:
    """The scores so far, on disk as they come; gone when the work is done."""

    path: Path
    retrieval: dict[Tier, dict[str, RetrievalScore]] = field(default_factory=lambda: {"fast": {}, "deep": {}})
    answers: dict[str, AnswerRecord] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> "_ScoreLog":
        log = cls(path)
        for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
            try:
                kept = json.loads(line)
            except ValueError:
                continue  # a killed run left it unfinished: it is asked again
            part, entry = kept["part"], kept["score"]
            if part == "answers":
                log.answers[entry["question"]] = AnswerRecord(**entry)
            else:
                score = RetrievalScore(**entry | {name: tuple(entry[name]) for name in ("found", "evidence")})
                log.retrieval[part][score.question] = score
        return log

    def keep(self, part: Part, score: RetrievalScore | AnswerRecord) -> None:
        if isinstance(score, AnswerRecord):
            self.answers[score.question] = score
        elif part != "answers":
            self.retrieval[part][score.question] = score
        with self.path.open("a", encoding="utf-8") as file:
            # A line for each question as it is scored: a run over a
            # large dataset takes hours, and goes on where it was killed.
            file.write(json.dumps({"part": part, "score": asdict(score)}) + "\n")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Session:
    """One evaluation being carried out, in a library of its own."""

    evaluation: Evaluation
    settings: Settings
    dataset: Dataset
    index: EmbeddedIndex
    log: _ScoreLog
    not_indexed: int
    on_asked: Callable[[Part, int, int], None]

    @classmethod
    def open(
        cls,
        settings: Settings,
        evaluation: Evaluation,
        on_indexing: Callable[[IndexProgress], None],
        on_asked: Callable[[Part, int, int], None],
    ) -> "_Session":
        dataset = load_dataset(evaluation.folder)
        if not dataset.questions:
            raise LibraryError(f"The dataset {str(evaluation.folder)!r} has no question with evidence in qrels.tsv.")
        if evaluation.answers and not (dataset.unanswerable or any(asked.answers for asked in dataset.questions)):
            raise LibraryError(
                f"No question of {str(evaluation.folder)!r} has an `answer` in queries.jsonl, so that no answer can be"
                " scored; leave out --answers, or add them."
            )
        embedder = choose_embedder(settings)
        # Distractors are given as files, or as a folder in the layout of a dataset.
        others = ((path / "corpus.jsonl", path) for path in evaluation.distractors)
        corpora = [dataset.corpus, *(corpus if corpus.is_file() else path for corpus, path in others)]
        by = _digest(*map(str, map(Path.resolve, corpora)), embedder.name)
        home = settings.data_dir / "eval" / f"{dataset.name}-{by}"
        # Runs and library of its own, even where servers under the same settings share theirs.
        alone = {name: Settings.model_fields[name].default for name in ("redis_url", "postgres_url")}
        own = settings.model_copy(update={"data_dir": home, **alone})
        index = EmbeddedIndex(own.index_dir, embedder)
        report = index_paths(index, corpora, on_progress=on_indexing)
        return cls(
            evaluation,
            own,
            replace(
                dataset,
                questions=dataset.questions[: evaluation.limit],
                unanswerable=dataset.unanswerable[: evaluation.limit],
            ),
            index,
            _ScoreLog.open(home / f"scores-{_fingerprint(settings, evaluation, dataset, corpora)}.jsonl"),
            len(report.failures),
            on_asked,
        )

    async def retrieve(self, tier: Tier) -> None:
        retriever = _RETRIEVERS[tier](self.index)
        known, questions = self.log.retrieval[tier], self.dataset.questions
        await retriever.retrieve(questions[0].text, top_k=1)  # what is loaded at first is no question's time
        async for score in evaluate_retrieval(retriever, self.dataset, skip=set(known)):
            self.log.keep(tier, score)
            self._tell(tier, known, questions)

    async def answer(self) -> None:
        known = self.log.answers
        answered = [question for question in self.dataset.questions if question.answers]
        questions = [*answered, *self.dataset.unanswerable]
        async with open_answerer(self.settings) as answerer:
            if answerer.parts.models is not None:
                await answerer.parts.models.warm()
            for question in questions:
                if question.id in known:
                    continue
                began = perf_counter()
                transcript = Transcript()
                async with aclosing(answerer.ask(Query(question=question.text, mode=self.evaluation.mode))) as events:
                    async for event in events:
                        transcript.add(event)
                ms = (perf_counter() - began) * 1000
                cited = await asyncio.to_thread(_cited, answerer.document, transcript)
                self.log.keep("answers", _record(question, transcript, cited, ms))
                self._tell("answers", known, questions)

    def _tell(self, part: Part, known: Mapping[str, object], questions: Sequence[Question]) -> None:
        self.on_asked(part, sum(question.id in known for question in questions), len(questions))

    def results(self) -> Results:
        ids = [question.id for question in self.dataset.questions]
        scores: dict[Part, Mapping[str, Estimate]] = {
            tier: summarise([self.log.retrieval[tier][name] for name in ids]) for tier in self.evaluation.tiers
        }
        if self.evaluation.answers:
            asked = [*ids, *(question.id for question in self.dataset.unanswerable)]
            scores["answers"] = _summary([self.log.answers[name] for name in asked if name in self.log.answers])
        return Results(self.dataset.name, len(ids), self.index.counts()[1], self.not_indexed, scores)


def _record(question: Question, transcript: Transcript, cited: Sequence[str], ms: float) -> AnswerRecord:
    whole = score_answer(transcript.answer, question.answers)
    short = score_answer(short_answer(transcript.answer), question.answers)
    decision, fates = transcript.decision, transcript.answers[transcript.standing].fates
    return AnswerRecord(
        question=question.id,
        f1=short.f1,
        exact=short.exact,
        contained=whole.contained,
        precision=citation_precision(cited, question.evidence),
        refined=transcript.standing != 1,
        failed=isinstance(transcript.terminal, RunFailed),
        ms=ms,
        answerable=bool(question.answers),
        right=bool(short.contained or short.f1 >= LEAST_F1),
        confidence=max((citation.score for citation in transcript.citations), default=None),
        reviewed_needlessly=bool(decision and decision.checked and decision.decision == "keep"),
        corrected=sum(fate.fate == "corrected" for fate in fates),
        withdrawn=sum(fate.fate == "withdrawn" for fate in fates),
        survived=_survived(transcript),
    )


def _survived(transcript: Transcript) -> float | None:
    lengths = {told.claim: told.end - told.start for told in transcript.answers[1].claims}
    if transcript.standing == 1 or not lengths:
        return None
    fates = transcript.answers[transcript.standing].fates
    kept = sum(lengths.get(fate.claim, 0) for fate in fates if fate.fate in ("kept", "confirmed"))
    return kept / sum(lengths.values())


def _cited(find: Callable[[str], Document | None], transcript: Transcript) -> list[str]:
    """What the dataset calls the documents that the answer cites."""
    documents = map(find, dict.fromkeys(citation.document for citation in transcript.citations))
    return [str(document.metadata.get("id", document.id)) for document in documents if document]


def _summary(asked: Sequence[AnswerRecord]) -> dict[str, Estimate]:
    """Means over what can be answered; where some cannot, also what withholding answers was worth over all."""
    records = [record for record in asked if record.answerable]
    judged = [Judged(record.answerable, record.right, record.confidence) for record in asked]
    columns = {
        "f1": [record.f1 for record in records],
        "exact": [record.exact for record in records],
        "contained": [record.contained for record in records],
        "citation_precision": [record.precision for record in records if record.precision is not None],
        "cites": [float(record.precision is not None) for record in records],
        "refined": [float(record.refined) for record in records],
        "reviewed_needlessly": [float(record.reviewed_needlessly) for record in records],
        "corrected": [float(record.corrected) for record in records],
        "withdrawn": [float(record.withdrawn) for record in records],
        "draft_survived": [record.survived for record in records if record.survived is not None],
        "failed": [float(record.failed) for record in records],
    }
    times = [record.ms for record in records]
    # What nothing was measured of is left out: where no draft was refined, none of any draft "survived 0 %".
    return {name: estimate(values) for name, values in columns.items() if values} | {
        **({"p50_ms": estimate(times, percentile=50), "p95_ms": estimate(times, percentile=95)} if times else {}),
        **(abstention(judged) if len(records) < len(asked) else {}),
    }


def _fingerprint(settings: Settings, evaluation: Evaluation, dataset: Dataset, corpora: Sequence[Path]) -> str:
    """What the scores depend on: by it, those of another state of things are not taken for these."""
    files = [
        file
        for path in corpora
        for file in (sorted(inner for inner in path.rglob("*") if inner.is_file()) if path.is_dir() else [path])
    ]
    # By size and time, since hashing a large corpus at each start would take longer than asking it.
    states = [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    models = [settings.chat.model_dump_json(), settings.reasoning.model_dump_json(), str(settings.local_gguf)]
    asked = (*dataset.questions, *dataset.unanswerable)
    questions = [f"{question.id} {question.text} {sorted(question.evidence)}" for question in asked]
    return _digest(version("rag-graph"), settings.depth, evaluation.mode, *states, *models, *questions)


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()
