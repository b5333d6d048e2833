"""How the answers without a language model fare on questions that people look up, answerable and not.

    python -m tests.benchmarks.lookups DATA CACHE [--weights FILE.onnx] [--limit N] [--most DEV TEST] [--fit]

DATA holds `xquad.en.json` (github google-deepmind/xquad, CC BY-SA 4.0), `qed-dev.jsonlines` (github
google-research-datasets/QED, CC BY-SA 3.0; the second half: the first is trained on) and a folder `hotpotqa` in BEIR
layout, whose passages only fill the library. CACHE keeps the library and what was retrieved. Each question is asked
twice: over all passages, and with those of its article taken away, where no answer is right.
"""

# ruff: noqa: T201 - a benchmark prints
import argparse
import asyncio
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rag_graph.documents import Hit
from rag_graph.evaluation.scores import estimate
from rag_graph.events import NumberedPassage
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.embeddings import RememberingEmbedder
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.reader import MOST_WINDOWS, WEIGHTS, LocalReader
from rag_graph.research import numbered
from rag_graph.retrieval import FastRetriever
from rag_graph.writing.quoting import POSSIBLE, SURE, two_quotes
from rag_graph.writing.reading import Answer, confidence, read_answers
from tests.training.questions import QED, QED_TRAINED

TOP_K = 3
SEED = 5
RIDGE = 2e-3
NEWTON_STEPS = 30
FOLDS = 10
SHARES_SHOWN = (0.3, 0.4, 0.5)
SHARE_RIGHT, SHARE_REFUSED = 0.9, 0.1
"""What is aimed at: of sure answers right, of answerable questions refused."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """A question, its right answers, the article that holds them, and its half: dev (to choose by) or test."""

    id: str
    source: str
    text: str
    answers: tuple[str, ...]
    article: str
    half: str


def read_lookups(data: Path) -> tuple[list[dict[str, str]], list[LookUp]]:
    """The documents of the library, and the questions, halved by article."""
    documents, asked = [], []
    for article in json.loads((data / "xquad.en.json").read_text())["data"]:
        title = article["title"].replace("_", " ")
        for number, paragraph in enumerate(article["paragraphs"]):
            documents.append({"_id": f"xquad {title} {number}", "title": title, "text": paragraph["context"]})
            for question in paragraph["qas"]:
                answers = tuple(sorted({answer["text"] for answer in question["answers"]}))
                asked.append((question["id"], "xquad", question["question"], answers, title))
    for line in (data / QED).read_text().splitlines()[QED_TRAINED:]:
        read = json.loads(line)
        answers = tuple(
            sorted(
                {plain(part["string"]) for whole in read["original_nq_answers"] if len(whole) == 1 for part in whole}
            )
        )
        text = plain(read["paragraph_text"])
        if answers and len(text) >= 80:
            documents.append({"_id": f"nq {len(documents)}", "title": read["title_text"], "text": text})
            asked.append((str(read["example_id"]), "nq", read["question_text"], answers, read["title_text"]))
    documents.extend(json.loads(line) for line in (data / "hotpotqa/corpus.jsonl").read_text().splitlines())
    unique = {document["text"]: document for document in reversed(documents)}
    articles = sorted({article for *_, article in asked})
    random.Random(SEED).shuffle(articles)  # noqa: S311 - nothing is kept secret
    dev = set(articles[: len(articles) // 2])
    found = [LookUp(*given, half="dev" if given[-1] in dev else "test") for given in asked]
    random.Random(SEED).shuffle(found)  # noqa: S311 - so that any first part is of all sorts
    return list(unique.values()), found


def plain(text: str) -> str:
    """Text as it was before the Penn Treebank's tokenisation."""
    for pattern, by in (
        (r"\s+([,.;:!?%)\]])", r"\1"),
        (r"([(\[])\s+", r"\1"),
        (r"\s+('s|'re|'ve|n't|')(?=\s|$)", r"\1"),
        (r"`` ", '"'),
        (r" ''", '"'),
        (r" -- ", " – "),
        (r"(?<=\w) - (?=\w)", "-"),
        (r"\$ (?=\d)", "$"),
        (r"(\d) (st|nd|rd|th)\b", r"\1\2"),
        (r"\s+", " "),
    ):
        text = re.sub(pattern, by, text)
    return text.strip()


def is_right(given: str, answers: Sequence[str]) -> bool:
    """Whether an answer holds a right one, is most of one, or shares half its words with one."""
    said = _norm(given)
    for answer in answers:
        gold = _norm(answer)
        shared = sum(min(said.count(word), gold.count(word)) for word in set(said))
        f1 = 2 * shared / (len(said) + len(gold)) if said and gold else 0.0
        inside = bool(said) and f" {' '.join(said)} " in f" {' '.join(gold)} "
        if f" {' '.join(gold)} " in f" {' '.join(said)} " or f1 >= 0.5 or (inside and f1 >= 0.4):
            return True
    return False


def _norm(text: str) -> list[str]:
    return re.sub(r"\b(?:a|an|the)\b", " ", re.sub(r"[^\w\s]|_", " ", text.lower())).split()


def retrieve(data: Path, cache: Path, limit: int) -> list[dict[str, Any]]:
    """What the product's first search finds for each question, with and without its article; kept in the cache."""
    kept = cache / f"retrieved-{limit}.json"
    if kept.exists():
        found: list[dict[str, Any]] = json.loads(kept.read_text())
        return found
    cache.mkdir(parents=True, exist_ok=True)
    documents, asked = read_lookups(data)
    corpus = cache / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(document) + "\n" for document in documents))
    index = EmbeddedIndex(cache / "index", RememberingEmbedder(LocalEmbedder()))
    index_paths(index, [corpus])
    retriever = FastRetriever(index)
    chosen = [item for half in ("dev", "test") for item in [it for it in asked if it.half == half][:limit]]

    async def search() -> list[dict[str, Any]]:
        found = []
        for item in chosen:
            hits = await retriever.retrieve(item.text, top_k=40)
            without = [hit for hit in hits if hit.passage.title != item.article and not _holds(hit, item.answers)]
            found.append(
                asdict(item)
                | {
                    "with": [passage.model_dump() for passage in numbered(hits[:TOP_K])],
                    "without": [passage.model_dump() for passage in numbered(without[:TOP_K])],
                }
            )
        return found

    found = asyncio.run(search())
    index.close()
    kept.write_text(json.dumps(found))
    return found


def _holds(hit: Hit, answers: Sequence[str]) -> bool:
    said = f" {' '.join(_norm(hit.passage.content))} "
    return any(f" {' '.join(_norm(answer))} " in said for answer in answers)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the likeliest answers to a question: its signs, how sure it may be at most, and whether it is right."""

    signs: tuple[float, ...]
    most: float
    confidence: float
    right: bool
    given: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one question over one set of passages."""

    half: str
    source: str
    text: str
    golds: tuple[str, ...]
    answerable: bool
    held: bool
    """Whether a passage that was found holds a right answer."""
    candidates: tuple[Candidate, ...]
    """The surest first."""
    quotes: tuple[bool, ...]
    """Whether each of the two quotes holds a right answer."""
    cpu_ms: float

    @property
    def confidence(self) -> float:
        return self.candidates[0].confidence if self.candidates else 0.0

    @property
    def right(self) -> bool:
        return bool(self.candidates) and self.candidates[0].right

    @property
    def quoted(self) -> bool:
        return any(self.quotes)

    @property
    def shown(self) -> bool:
        """Whether what the product shows holds a right answer: of a sure one its sentence alone."""
        return any(self.quotes[:1] if self.confidence >= SURE else self.quotes)

    def weighed(self, weights: Sequence[float]) -> "Outcome":
        """The same with other weights of the signs."""
        anew = [replace(one, confidence=confidence(one.signs, one.most, weights)) for one in self.candidates]
        return replace(self, candidates=tuple(sorted(anew, key=lambda one: -one.confidence)))


def read_all(found: Sequence[dict[str, Any]], reader: LocalReader) -> Iterator[Outcome]:
    embedder = RememberingEmbedder(LocalEmbedder())
    embedder.embed_query("warm")
    reader.load()
    for item in found:
        for place in ("with", "without"):
            passages = [NumberedPassage(**passage) for passage in item[place]]
            if not passages:
                continue
            began = time.thread_time()
            answers = read_answers(item["text"], passages, reader, embedder)
            quotes = two_quotes(item["text"], passages, answers)
            cpu_ms = (time.thread_time() - began) * 1000
            golds = tuple(item["answers"]) if place == "with" else ()
            yield Outcome(
                item["half"],
                item["source"],
                item["text"],
                golds,
                place == "with",
                any(is_right_part(passage.content, golds) for passage in passages),
                tuple(_candidate(answer, golds) for answer in answers),
                tuple(is_right_part(quote.quote, golds) for quote in quotes),
                cpu_ms,
            )


def _candidate(answer: Answer, golds: Sequence[str]) -> Candidate:
    sentence = answer.passage.content[answer.sentence.start : answer.sentence.end]
    return Candidate(
        answer.signs.values,
        answer.most,
        answer.confidence,
        is_right(answer.text, golds),
        answer.text,
        sentence,
    )


def is_right_part(text: str, golds: Sequence[str]) -> bool:
    said = f" {' '.join(_norm(text))} "
    return any(f" {' '.join(_norm(gold))} " in said for gold in golds)


def fit(outcomes: Sequence[Outcome], ridge: float = RIDGE) -> list[float]:
    """Logistic regression of "the answer is right" on its signs, by Newton's method."""
    candidates = [candidate for outcome in outcomes for candidate in outcome.candidates]
    signs = np.array([candidate.signs for candidate in candidates])
    right = np.array([candidate.right for candidate in candidates], dtype=float)
    weights = np.zeros(signs.shape[1])
    for _ in range(NEWTON_STEPS):
        said = 1 / (1 + np.exp(-signs @ weights))
        slope = signs.T @ (said - right) / len(right) + ridge * np.r_[0, weights[1:]]
        bend = (signs * (said * (1 - said))[:, None]).T @ signs / len(right) + ridge * np.eye(len(weights))
        weights -= np.linalg.solve(bend, slope)
    return [round(float(weight), 2) for weight in weights]


def least_sure(outcomes: Sequence[Outcome], share: float = SHARE_RIGHT) -> float:
    """The lowest confidence from which on so many answers are right; infinite where there is none."""
    shown = sorted((outcome for outcome in outcomes if outcome.answerable), key=lambda outcome: -outcome.confidence)
    right = np.cumsum([outcome.right for outcome in shown]) / np.arange(1, len(shown) + 1)
    enough = np.flatnonzero(right >= share)
    return shown[int(enough[-1])].confidence if len(enough) else float("inf")


def least_possible(outcomes: Sequence[Outcome], share: float = SHARE_REFUSED) -> float:
    """The confidence below which that share of the answerable questions is."""
    return float(np.quantile([outcome.confidence for outcome in outcomes if outcome.answerable], share))


def crossed(outcomes: Sequence[Outcome], folds: int = FOLDS) -> list[Outcome]:
    """Each weighed by what was fitted on the others: what the half that is chosen on tells of weights chosen on it."""
    texts = sorted({outcome.text for outcome in outcomes})
    random.Random(SEED).shuffle(texts)  # noqa: S311 - nothing is kept secret
    fold = {text: number % folds for number, text in enumerate(texts)}
    weights = [fit([one for one in outcomes if fold[one.text] != number]) for number in range(folds)]
    return [outcome.weighed(weights[fold[outcome.text]]) for outcome in outcomes]


def report(outcomes: Sequence[Outcome]) -> None:
    answerable = [outcome for outcome in outcomes if outcome.answerable]
    unanswerable = [outcome for outcome in outcomes if not outcome.answerable]
    held = [outcome for outcome in answerable if outcome.held]
    print(f"{len(answerable)} answerable, {len(unanswerable)} not; passage among the top {TOP_K}: {len(held)}")
    for name, values in {
        "right": [outcome.right for outcome in answerable],
        "two quotes hold it, where found": [outcome.quoted for outcome in held],
        "the quotes that are shown hold it": [outcome.shown for outcome in held],
    }.items():
        show(name, values)
    print(f"CPU ms: median {np.median([outcome.cpu_ms for outcome in outcomes]):.0f}")
    print("confidence >  answerable shown: share, right | unanswerable shown | answerable refused below")
    for least in sorted({POSSIBLE, SURE, *np.arange(0.1, 1, 0.1).round(1).tolist()}):
        shown = [outcome for outcome in answerable if outcome.confidence >= least]
        wrong = [outcome for outcome in unanswerable if outcome.confidence >= least]
        right = estimate([float(outcome.right) for outcome in shown])
        print(
            f"  {least:.2f}  {len(shown) / len(answerable):.3f}  {right.mean:.3f} [{right.low:.3f} {right.high:.3f}]"
            f" | {len(wrong) / max(1, len(unanswerable)):.3f} | {1 - len(shown) / len(answerable):.3f}"
        )

    ranked = sorted(answerable, key=lambda outcome: -outcome.confidence)
    for share in SHARES_SHOWN:
        show(f"right of the surest {share:.0%}", [outcome.right for outcome in ranked[: round(share * len(ranked))]])


def show(name: str, values: Sequence[bool]) -> None:
    found = estimate([float(value) for value in values])
    print(f"{name}: {found.mean:.3f} [{found.low:.3f} {found.high:.3f}] n={len(values)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--limit", type=int, default=300, help="questions of each half")
    parser.add_argument(
        "--most",
        type=int,
        nargs=2,
        metavar=("DEV", "TEST"),
        help="of the questions of each half, read the first ones only",
    )
    parser.add_argument("--fit", action="store_true", help="fit the weights of the signs on dev, and print them")
    parser.add_argument("--errors", type=int, default=0, help="print so many confident errors of dev")
    parser.add_argument("--windows", type=int, default=MOST_WINDOWS, help="windows read of each question's passages")
    given = parser.parse_args()
    found = retrieve(given.data, given.cache, given.limit)
    if given.most:
        halves = {half: [item for item in found if item["half"] == half] for half in ("dev", "test")}
        found = [item for half, most in zip(halves.values(), given.most, strict=True) for item in half[:most]]
    outcomes = list(read_all(found, LocalReader(given.weights, sha256="", most_windows=given.windows)))
    by_half: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_half[outcome.half].append(outcome)
    (given.cache / f"outcomes-{given.weights.stem}.json").write_text(
        json.dumps([asdict(outcome) for outcome in outcomes])
    )
    if given.fit:
        weights = fit(by_half["dev"])
        chosen = crossed(by_half["dev"])
        print("WEIGHTS:", tuple(weights))
        print(f"on dev, crosswise: SURE {least_sure(chosen):.3f}, POSSIBLE {least_possible(chosen):.3f}")
        by_half = {"dev": chosen, "test": [outcome.weighed(weights) for outcome in by_half["test"]]}
    for half in filter(by_half.get, ("dev", "test")):
        for source in ("xquad", "nq", ""):
            print(f"\n== {half} {source}")
            report([outcome for outcome in by_half[half] if source in outcome.source])
    for outcome in sorted(by_half["dev"], key=lambda it: -it.confidence):
        if given.errors and outcome.candidates and not outcome.right:
            given.errors -= 1
            given_most = outcome.candidates[0]
            print(f"{outcome.confidence:.2f} {outcome.source} {outcome.text!r} -> {given_most.given!r}")
            print(f"    right: {outcome.golds or 'no answer'}; quoted: {given_most.sentence!r}")


if __name__ == "__main__":
    main()
