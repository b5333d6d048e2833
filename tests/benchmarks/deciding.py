"""Whether `decide` asks and refines when that helps, with an ideal reader: the draft is right where it can be.

python -m tests.benchmarks.deciding CACHE [--half dev|test]

The multi-hop sets are looked for in SHARED_DATA and indexed once, together, into CACHE; so is what the product's own
fast and deep searches find. An ideal reader says the right answer if a passage of the evidence among those it was given
holds it. If none does, it says that the sources do not say it, or tells what else they say and then that, or only tells
what else they say, which is hard to see. Deeper evidence helps where it alone lets the reader answer. Questions are
halved by their id.
"""

# ruff: noqa: T201 - a benchmark prints
import argparse
import asyncio
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import thread_time

from langchain_core.runnables import RunnableConfig

from rag_graph.claims import cite
from rag_graph.claims.ledger import state_claims
from rag_graph.evaluation.scores import Question, load_dataset, score_answer
from rag_graph.events import AnswerDelta, Citation, NumberedPassage, Unsupported
from rag_graph.graph.decision import Draft, Evidence, weigh
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.research import ResearchRequest, numbered
from rag_graph.research.search import WiderSearch
from rag_graph.retrieval.quotes import best_quotes
from rag_graph.settings import Settings
from rag_graph.text.sentences import sentences
from rag_graph.transcript import Written
from rag_graph.wiring import choose_embedder, default_parts

DATA = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SETS = ("hotpotqa", "musique")
STYLES = ("short", "prose with markers", "prose without markers", "verbatim")
LACKING = ("abstains", "tells and abstains", "only tells")


@dataclass(frozen=True)
class Case:
    """One question with what both searches found, and the documents that hold its evidence."""

    name: str
    question: Question
    fast: tuple[NumberedPassage, ...]
    documents: tuple[NumberedPassage, ...]
    titles: frozenset[str]

    def proof(self, passages: Sequence[NumberedPassage]) -> NumberedPassage | None:
        """The passage from which an ideal reader answers."""
        return next((one for one in passages if one.title in self.titles and self._sentence(one)), None)

    @property
    def helps(self) -> bool:
        return self.proof(self.fast) is None and self.proof(self.documents) is not None

    def draft(self, style: str, lacking: str) -> str:
        proof = self.proof(self.fast)
        gold = self.question.answers[0]
        if proof is None:
            if lacking == "abstains":
                return "The sources do not say this."
            quotes = best_quotes(self.question.text, self.fast)
            marked = "" if style == "prose without markers" else f" [{quotes[0].passage.number}]"
            told = f"{quotes[0].flat.rstrip('.')}{marked}."
            return told if lacking == "only tells" else f"{told} The sources do not say this."
        said = " ".join(self._sentence(proof).split()).rstrip(".")
        return {
            "short": f"{gold} [{proof.number}].",
            "prose with markers": f"The answer is {gold}. According to the sources, {said} [{proof.number}].",
            "prose without markers": f"The answer is {gold}. {said}.",
            "verbatim": f"{said} [{proof.number}].",
        }[style]

    def _sentence(self, passage: NumberedPassage) -> str:
        said = (passage.content[one.start : one.end] for one in sentences(passage.content))
        return next((words for words in said if score_answer(words, self.question.answers).contained), "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--half", choices=("dev", "test"))
    given = parser.parse_args()
    cases = asyncio.run(_cases(given.cache))
    half = [case for case in cases if not given.half or _half(case.question) == given.half]
    print("set        draft                    without an answer    helps     recall  needless  of right        ms")
    for name in SETS:
        for style in STYLES:
            for lacking in LACKING:
                _report(name, style, lacking, [case for case in half if case.name == name])


def _report(name: str, style: str, lacking: str, cases: Sequence[Case]) -> None:
    opened: list[tuple[bool, bool, bool]] = []
    """Whether the deeper evidence helps, whether the draft is right, and whether a model is asked."""
    times = []
    for case in cases:
        began = thread_time()
        weighed = weigh(case.question.text, *_evidence(case, case.draft(style, lacking)))
        times.append((thread_time() - began) * 1000)
        opened.append((case.helps, case.proof(case.fast) is not None, weighed.asks))
    helped = [asks for helps, _, asks in opened if helps]
    others = [asks for helps, _, asks in opened if not helps]
    answered = [asks for _, is_right, asks in opened if is_right]
    shares = "".join(f"{sum(each) / len(each) if each else 0:>10.2f}" for each in (helped, others, answered))
    print(f"{name:10} {style:24} {lacking:20} {len(helped):5} {shares}  {median(times):8.1f}")


def _evidence(case: Case, draft: str) -> tuple[Draft, Evidence]:
    written = Written()
    for event in cite(draft, case.fast, question=case.question.text):
        match event:
            case AnswerDelta():
                written.deltas.append(event.delta)
            case Citation():
                written.citations.append(event)
            case Unsupported():
                written.unsupported.append(event)
    written.claims = state_claims(written, 1)
    return Draft(written, case.fast), Evidence(case.documents, top=3)


def _half(question: Question) -> str:
    return "dev" if zlib.crc32(question.id.encode()) % 2 else "test"


async def _cases(cache: Path) -> list[Case]:
    kept = cache / "found.json"
    if not kept.exists():
        kept.write_text(json.dumps([entry async for entry in _search_all(cache)]))
    return list(_read(json.loads(kept.read_text())))


async def _search_all(cache: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202 - rows of JSON
    settings = Settings.load(data_dir=cache)
    if not settings.index_dir.exists():
        index = EmbeddedIndex(settings.index_dir, choose_embedder(settings))
        await asyncio.to_thread(index_paths, index, [DATA / name / "corpus.jsonl" for name in SETS])
    parts = default_parts(settings)

    async def emit(_: object) -> None: ...

    class Silent:
        name = outcome = ""

        def __init__(self) -> None:
            self.emit = emit

    for name in SETS:
        for question in load_dataset(DATA / name).questions:
            hits = await parts.fast.retrieve(question.text, top_k=3, filters={})
            from_fast = numbered(hits)
            request = ResearchRequest(question=question.text, filters={}, known=tuple(from_fast))
            documents = await WiderSearch(parts.deep).research(request, Silent(), RunnableConfig())  # type: ignore[arg-type]
            yield {
                "set": name,
                "id": question.id,
                "fast": [one.model_dump() for one in from_fast],
                "documents": [one.model_dump() for one in documents],
            }


def _read(rows: Sequence[dict[str, object]]) -> Iterator[Case]:
    questions = {(name, one.id): one for name in SETS for one in load_dataset(DATA / name).questions}
    titles = {name: _titles(DATA / name / "corpus.jsonl") for name in SETS}
    for row in rows:
        name = str(row["set"])
        question = questions[name, str(row["id"])]
        yield Case(
            name=name,
            question=question,
            fast=tuple(NumberedPassage.model_validate(one) for one in row["fast"]),  # type: ignore[attr-defined]
            documents=tuple(NumberedPassage.model_validate(one) for one in row["documents"]),  # type: ignore[attr-defined]
            titles=frozenset(titles[name][one] for one in question.evidence),
        )


def _titles(corpus: Path) -> dict[str, str]:
    entries = (json.loads(line) for line in corpus.read_text("utf-8").splitlines() if line.strip())
    return {str(entry["_id"]): str(entry["title"]) for entry in entries}


if __name__ == "__main__":
    main()
