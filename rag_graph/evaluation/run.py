"""A dataset worked through: its own library, every question once, scores kept, so that a stopped run goes on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from rag_graph.errors import LibraryError
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
from rag_graph.index import IndexProgress, Library, index_paths
from rag_graph.parts import choose_embedder
from rag_graph.query import Mode, Query
from rag_graph.retrieval import DeepRetriever, FastRetriever
from rag_graph.settings import Settings
from rag_graph.transcript import Transcript
from rag_graph.wiring import Answerer, open_answerer
from rag_graph.writing.quoting import short_answer

Tier = Literal["fast", "deep"]
Part = Literal["fast", "deep", "answers"]

_RETRIEVERS = {"fast": FastRetriever, "deep": DeepRetriever}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured on which dataset; answers are those of `mode`."""

    folder: Path
    distractors: tuple[Path, ...] = ()
    tiers: tuple[Tier, ...] = ("fast", "deep")
    answers: bool = False
    mode: Mode = "fast"
    limit: int | None = None

    @property
    def parts(self) -> "tuple[Part, ...]":
        return (*self.tiers, "answers") if self.answers else self.tiers


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """How the answer to one question fared. `precision` is None when it cites nothing."""

    question: str
    f1: float
    exact: float
    contained: float
    precision: float | None
    refined: bool
    failed: bool
    ms: float


@dataclass(frozen=True, slots=True)
class Results:
    """What was found out: means with intervals by part and name, over so many questions."""

    dataset: str
    questions: int
    passages: int
    not_indexed: int
    scores: Mapping[Part, Mapping[str, Estimate]]


@dataclass(frozen=True, slots=True)
class Watching:
    """Who is told how far the work is."""

    indexing: Callable[[IndexProgress], None] = lambda _: None
    asked: Callable[[Part, int, int], None] = lambda _part, _done, _total: None


@dataclass(slots=True)
class _Ledger:
    """The scores so far, on disk as they come; gone when the work is done."""

    path: Path
    retrieval: dict[Tier, dict[str, RetrievalScore]] = field(default_factory=lambda: {"fast": {}, "deep": {}})
    answers: dict[str, AnswerRecord] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> "_Ledger":
        ledger = cls(path)
        for part, entry in _entries(path):
            if part == "answers":
                ledger.answers[entry["question"]] = AnswerRecord(**entry)
            else:
                score = RetrievalScore(**entry | {name: tuple(entry[name]) for name in ("found", "evidence")})
                ledger.retrieval[part][score.question] = score
        return ledger

    def keep(self, part: Part, score: RetrievalScore | AnswerRecord) -> None:
        if isinstance(score, AnswerRecord):
            self.answers[score.question] = score
        elif part != "answers":
            self.retrieval[part][score.question] = score
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"part": part, "score": asdict(score)}) + "\n")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


async def examine(settings: Settings, plan: Plan, *, watching: Watching | None = None) -> Results:
    """Index the dataset into a library of its own, ask its questions, and score what comes.

    Raises `LibraryError` for what is no dataset.
    """
    watching = watching or Watching()
    dataset = await asyncio.to_thread(_load, plan)
    desk = await asyncio.to_thread(_prepare, settings, plan, dataset, watching)
    try:
        for tier in plan.tiers:
            await _retrieve(desk, tier, watching)
    finally:
        desk.library.close()
    if plan.answers:
        await _answer(desk, plan.mode, watching)
    results = _results(desk, plan)
    desk.ledger.forget()
    return results


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the work is done with."""

    settings: Settings
    dataset: Dataset
    library: Library
    ledger: _Ledger
    not_indexed: int


def _load(plan: Plan) -> Dataset:
    dataset = load_dataset(plan.folder)
    if not dataset.questions:
        raise LibraryError(f"The dataset {str(plan.folder)!r} has no question with evidence in qrels.tsv.")
    return dataset


def _prepare(settings: Settings, plan: Plan, dataset: Dataset, watching: Watching) -> _Desk:
    embedder = choose_embedder(settings)
    corpora = [dataset.corpus, *map(_corpus, plan.distractors)]
    home = (
        settings.data_dir / "eval" / f"{dataset.name}-{_digest(*map(str, map(Path.resolve, corpora)), embedder.name)}"
    )
    own = settings.model_copy(update={"data_dir": home, **_ALONE})
    report = index_paths(own.index_dir, corpora, embedder=embedder, on_progress=watching.indexing)
    ledger = _Ledger.open(home / f"scores-{_fingerprint(settings, plan, dataset, corpora)}.jsonl")
    asked = Dataset(dataset.name, dataset.corpus, dataset.questions[: plan.limit])
    return _Desk(own, asked, Library.open(own.index_dir, embedder), ledger, len(report.failures))


_ALONE = {name: Settings.model_fields[name].default for name in ("redis_url", "postgres_url")}
"""What keeps the work apart from servers that run under the same settings."""


async def _retrieve(desk: _Desk, tier: Tier, watching: Watching) -> None:
    retriever = _RETRIEVERS[tier](desk.library)
    known, questions = desk.ledger.retrieval[tier], desk.dataset.questions
    await retriever.retrieve(questions[0].text, top_k=1)
    async for score in evaluate_retrieval(retriever, desk.dataset, skip=set(known)):
        desk.ledger.keep(tier, score)
        watching.asked(tier, _done(known, questions), len(questions))


async def _answer(desk: _Desk, mode: Mode, watching: Watching) -> None:
    known = desk.ledger.answers
    questions = [question for question in desk.dataset.questions if question.answers]
    async with open_answerer(desk.settings) as answerer:
        await answerer.voices.warm()
        async for record in _answers(answerer, [q for q in questions if q.id not in known], mode):
            desk.ledger.keep("answers", record)
            watching.asked("answers", _done(known, questions), len(questions))


async def _answers(answerer: Answerer, questions: Sequence[Question], mode: Mode) -> AsyncIterator[AnswerRecord]:
    for question in questions:
        began = perf_counter()
        transcript = Transcript()
        async with aclosing(answerer.ask(Query(question=question.text, mode=mode))) as events:
            async for event in events:
                transcript.add(event)
        ms = (perf_counter() - began) * 1000
        cited = await asyncio.to_thread(_cited, answerer, transcript)
        yield _record(question, transcript, cited, ms)


def _record(question: Question, transcript: Transcript, cited: Sequence[str], ms: float) -> AnswerRecord:
    whole = score_answer(transcript.answer, question.answers)
    short = score_answer(short_answer(transcript.answer), question.answers)
    return AnswerRecord(
        question=question.id,
        f1=short.f1,
        exact=short.exact,
        contained=whole.contained,
        precision=citation_precision(cited, question.evidence),
        refined=transcript.standing != 1,
        failed=isinstance(transcript.terminal, RunFailed),
        ms=ms,
    )


def _cited(answerer: Answerer, transcript: Transcript) -> list[str]:
    """What the dataset calls the documents that the answer cites."""
    documents = map(answerer.library.document, dict.fromkeys(citation.document for citation in transcript.citations))
    return [str(document.metadata.get("id", document.id)) for document in documents if document]


def _results(desk: _Desk, plan: Plan) -> Results:
    ids, ledger = [question.id for question in desk.dataset.questions], desk.ledger
    scores: dict[Part, Mapping[str, Estimate]] = {
        tier: summarise([ledger.retrieval[tier][name] for name in ids]) for tier in plan.tiers
    }
    if plan.answers:
        scores["answers"] = _summary([ledger.answers[name] for name in ids if name in ledger.answers])
    return Results(desk.dataset.name, len(ids), desk.library.size, desk.not_indexed, scores)


def _summary(records: Sequence[AnswerRecord]) -> dict[str, Estimate]:
    columns = {
        "f1": [record.f1 for record in records],
        "exact": [record.exact for record in records],
        "contained": [record.contained for record in records],
        "citation_precision": [record.precision for record in records if record.precision is not None],
        "cites": [float(record.precision is not None) for record in records],
        "refined": [float(record.refined) for record in records],
        "failed": [float(record.failed) for record in records],
    }
    times = [record.ms for record in records]
    return {name: estimate(values) for name, values in columns.items()} | {
        "p50_ms": estimate(times, percentile=50),
        "p95_ms": estimate(times, percentile=95),
    }


def _done(known: Mapping[str, object], questions: Sequence[Question]) -> int:
    return sum(question.id in known for question in questions)


def _corpus(path: Path) -> Path:
    """Distractors are given as files, or as a folder in the layout of a dataset."""
    return path / "corpus.jsonl" if (path / "corpus.jsonl").is_file() else path


def _fingerprint(settings: Settings, plan: Plan, dataset: Dataset, corpora: Sequence[Path]) -> str:
    """What the scores depend on: by it, those of another state of things are not taken for these."""
    files = [file for path in corpora for file in _files(path)]
    states = [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    models = [settings.chat.model_dump_json(), settings.reasoning.model_dump_json(), str(settings.local_gguf)]
    questions = [f"{question.id} {question.text} {sorted(question.evidence)}" for question in dataset.questions]
    return _digest(version("rag-graph"), settings.depth, plan.mode, *states, *models, *questions)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()


def _entries(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """What the ledger holds; a line that a killed run left unfinished is as good as not written."""
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        yield entry["part"], entry["score"]
