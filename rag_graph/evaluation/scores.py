"""How good retrieval and answers are on a dataset in BEIR layout: scores per question, means with intervals."""

import json
import re
import string
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path

import numpy as np

from rag_graph.documents import Passage
from rag_graph.errors import LibraryError
from rag_graph.retrieval.base import Retriever

DEPTH = 10
"""How many passages are looked at."""
_RECALL_AT = (2, 3, 5, 10)
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what is known of it: which documents hold the evidence, which answers are right."""

    id: str
    text: str
    evidence: frozenset[str]
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """`corpus.jsonl` (what to index), `queries.jsonl` and `qrels.tsv` of a folder."""

    name: str
    corpus: Path
    questions: tuple[Question, ...]
    unanswerable: tuple[Question, ...] = ()
    """Questions that the corpus is known not to answer."""


@dataclass(frozen=True, slots=True)
class RetrievalScore:
    """How one question fared: the documents found, best first, and in how many milliseconds."""

    question: str
    found: tuple[str, ...]
    evidence: tuple[str, ...]
    ms: float

    def recall_at(self, depth: int) -> float:
        return len(set(self.found[:depth]) & set(self.evidence)) / len(self.evidence)

    @property
    def ndcg(self) -> float:
        gain = sum(1 / log2(rank + 2) for rank, name in enumerate(self.found[:DEPTH]) if name in self.evidence)
        return gain / sum(1 / log2(rank + 2) for rank in range(min(DEPTH, len(self.evidence))))

    @property
    def reciprocal_rank(self) -> float:
        return next((1 / (rank + 1) for rank, name in enumerate(self.found) if name in self.evidence), 0.0)


@dataclass(frozen=True, slots=True)
class AnswerScore:
    """How close an answer is to the nearest right one: shared words, equality, and whether it contains it."""

    f1: float
    exact: float
    contained: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and the interval that holds 95 % of the means of resampled questions."""

    mean: float
    low: float
    high: float


def load_dataset(folder: Path) -> Dataset:
    """Read a dataset; questions without evidence are left out, but for those with `"answerable": false`."""
    try:
        # BEIR itself keeps a file for each split in a folder.
        split = folder / "qrels" / "test.tsv"
        evidence = _evidence(split if split.is_file() else folder / "qrels.tsv")
        lines = (folder / "queries.jsonl").read_text("utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.strip()]
        questions = [_question(entry, evidence) for entry in entries]
        unanswerable = [
            question for question, entry in zip(questions, entries, strict=True) if entry.get("answerable") is False
        ]
    except FileNotFoundError as exc:
        name = Path(exc.filename).name
        raise LibraryError(f"{str(folder)!r} has no {name}; a dataset has corpus, queries and qrels.") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise LibraryError(f"The dataset {str(folder)!r} is not in BEIR layout: {exc}.") from exc
    answered = tuple(q for q in questions if q.evidence and q not in unanswerable)
    return Dataset(folder.name, folder / "corpus.jsonl", answered, tuple(unanswerable))


async def evaluate_retrieval(
    retriever: Retriever, dataset: Dataset, *, skip: Collection[str] = ()
) -> AsyncIterator[RetrievalScore]:
    """Ask every question but those to `skip`; whoever keeps the scores can go on where a run was stopped."""
    for question in dataset.questions:
        if question.id in skip:
            continue
        started = time.perf_counter()
        hits = await retriever.retrieve(question.text, top_k=DEPTH)
        yield RetrievalScore(
            question=question.id,
            # Each document once, by its best passage: datasets judge documents.
            found=tuple(dict.fromkeys(document_name(hit.passage) for hit in hits)),
            evidence=tuple(sorted(question.evidence)),
            ms=(time.perf_counter() - started) * 1000,
        )


def document_name(passage: Passage) -> str:
    """What a dataset calls the document of a passage."""
    return str(passage.metadata.get("id", passage.document_id))


def summarise(scores: Sequence[RetrievalScore]) -> dict[str, Estimate]:
    """Means by name: `recall@5`, `ndcg@10`, `mrr`, `all_evidence@10`, `hit@3`, and `p50_ms`, `p95_ms`."""
    values = {f"recall@{depth}": [score.recall_at(depth) for score in scores] for depth in _RECALL_AT}
    values["ndcg@10"] = [score.ndcg for score in scores]
    values["mrr"] = [score.reciprocal_rank for score in scores]
    values["all_evidence@10"] = [float(score.recall_at(DEPTH) == 1) for score in scores]
    values["hit@3"] = [float(score.recall_at(3) > 0) for score in scores]
    times = [score.ms for score in scores]
    return {name: estimate(its) for name, its in values.items()} | {
        "p50_ms": estimate(times, percentile=50),
        "p95_ms": estimate(times, percentile=95),
    }


def estimate(values: Sequence[float], *, percentile: float | None = None) -> Estimate:
    """The mean (or a percentile) of values, with its bootstrap interval; the same values give the same interval."""
    sample = np.array(values, dtype=np.float64)
    if not len(sample):
        return Estimate(0.0, 0.0, 0.0)
    drawn = sample[np.random.default_rng(0).integers(len(sample), size=(_RESAMPLES, len(sample)))]
    if percentile is None:
        middle, means = sample.mean(), drawn.mean(axis=1)
    else:
        middle, means = np.percentile(sample, percentile), np.percentile(drawn, percentile, axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(middle), float(low), float(high))


def score_answer(answer: str, right: Sequence[str]) -> AnswerScore:
    """Compare an answer with the right ones, without case, articles and punctuation."""
    given = _plain(answer)
    said = f" {' '.join(given)} "
    each = []
    for gold in map(_plain, right):
        shared = sum((Counter(given) & Counter(gold)).values())
        f1 = 2 * shared / (len(given) + len(gold)) if shared else float(given == gold)
        is_held = bool(gold) and f" {' '.join(gold)} " in said
        each.append(AnswerScore(f1, float(given == gold), float(is_held)))
    return AnswerScore(
        f1=max((score.f1 for score in each), default=0.0),
        exact=max((score.exact for score in each), default=0.0),
        contained=max((score.contained for score in each), default=0.0),
    )


def citation_precision(cited: Sequence[str], evidence: Collection[str]) -> float | None:
    """The share of cited documents that hold evidence; None when nothing was cited."""
    return sum(name in evidence for name in cited) / len(cited) if cited else None


def _evidence(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in path.read_text("utf-8").splitlines()[1:]:
        if line.strip():
            query, document, score = line.split("\t")
            if float(score) > 0:
                found.setdefault(query, set()).add(document)
    return found


def _question(entry: dict[str, object], evidence: dict[str, set[str]]) -> Question:
    aliases = entry.get("aliases") or []
    answers = [entry.get("answer"), *(aliases if isinstance(aliases, list) else [])]
    return Question(
        id=str(entry["_id"]),
        text=str(entry["text"]),
        evidence=frozenset(evidence.get(str(entry["_id"]), ())),
        answers=tuple(answer for answer in answers if isinstance(answer, str) and answer),
    )


def _plain(text: str) -> list[str]:
    text = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(?:a|an|the)\b", " ", text).split()
