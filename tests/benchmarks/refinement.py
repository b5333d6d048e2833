"""How often a run refines its draft, whether that made the answer better or worse, and what it cost.

python -m tests.benchmarks.refinement CACHE [--set hotpotqa --set musique] [--mode fast|deep] [--limit 10] [--show]
python -m tests.benchmarks.refinement CACHE --set 2wiki --sources CLONES

The shared sets are looked for in SHARED_DATA; each is indexed once, with the distractors, into CACHE. 2WikiMultihopQA
is made from the repositories that publish it: three hundred questions, over their evidence and other paragraphs. The
models are those of the settings, so the embedded ones unless `RAG_CHAT_…` says otherwise.
"""

# ruff: noqa: T201 - a benchmark prints
import argparse
import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from time import perf_counter

from rag_graph.evaluation.scores import AnswerScore, Question, load_dataset, score_answer
from rag_graph.events import Event, StepFinished, StepStarted
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.query import Mode, Query
from rag_graph.settings import Settings
from rag_graph.transcript import Transcript, Written
from rag_graph.wiring import Answerer, choose_embedder, open_answerer
from rag_graph.writing.quoting import short_answer
from tests.benchmarks.public_sets import PublicSet, Sources, write_set
from tests.benchmarks.two_hops import read_set

DATA = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SETS = ("hotpotqa", "musique")
TWO_WIKI = "2wiki"
ASKED, PARAGRAPHS, SEED = 300, 1_700, 5
"""Of 2WikiMultihopQA, drawn once."""


@dataclass(frozen=True)
class Outcome:
    """One question: how good its draft and its answer are, and what was spent between the two."""

    question: Question
    transcript: Transcript
    draft: AnswerScore
    answer: AnswerScore
    draft_ms: float
    total_ms: float
    tokens_after_draft: int

    @property
    def refined(self) -> bool:
        return self.transcript.standing != 1

    @property
    def checked(self) -> bool:
        return bool(self.transcript.decision and self.transcript.decision.checked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--set", dest="sets", choices=(*SETS, TWO_WIKI), action="append")
    parser.add_argument("--mode", choices=("fast", "deep"), default="fast")
    parser.add_argument("--sources", type=Path, help="clones of the repositories of 2wiki; missing ones are made")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--show", action="store_true", help="print every answer that a refinement changed")
    given = parser.parse_args()
    everything: list[Outcome] = []
    for name in given.sets or SETS:
        if name == TWO_WIKI and not (given.cache / name / "qrels.tsv").is_file():
            _write_two_wiki(Sources(given.sources), given.cache / name)
        outcomes = asyncio.run(_run(name, given.cache / name, given.mode, given.limit))
        _report(name, outcomes)
        everything += outcomes
    _report("all", everything)
    if given.show:
        for outcome in everything:
            _show(outcome)


async def _run(name: str, cache: Path, mode: Mode, limit: int | None) -> list[Outcome]:
    settings = Settings.load(data_dir=cache)
    if not settings.index_dir.exists():
        paths = [_folder(name, cache) / "corpus.jsonl"]
        paths += [DATA / "distractors" / "corpus.jsonl"] if name in SETS else []
        print(f"indexing {name} …", flush=True)
        await asyncio.to_thread(index_paths, EmbeddedIndex(settings.index_dir, choose_embedder(settings)), paths)
    questions = load_dataset(_folder(name, cache)).questions[:limit]
    async with open_answerer(settings) as answerer:
        if answerer.parts.models:
            await answerer.parts.models.warm()
        return [outcome async for outcome in _ask_all(answerer, questions, mode)]


def _folder(name: str, cache: Path) -> Path:
    return DATA / name if name in SETS else cache


def _write_two_wiki(sources: Sources, folder: Path) -> None:
    """Three hundred questions with what answers them, over their evidence and as many other paragraphs as fit."""
    whole, draw = read_set(sources), random.Random(SEED)  # noqa: S311 - nothing is kept secret
    asked = draw.sample(whole.questions, ASKED)
    kept = {document for _, evidence in asked for document in evidence}
    kept |= set(draw.sample(sorted(whole.documents.keys() - kept), PARAGRAPHS - len(kept)))
    write_set(PublicSet({name: text for name, text in whole.documents.items() if name in kept}, asked), folder)
    published = json.loads(sources.text("weiyifan1023/SeRAG", "dataset/2wikimultihop/questions.json"))
    answers = {entry["question"]: entry["answer"] for entry in published}
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
    lines = (json.dumps({**row, "answer": answers[row["text"]]}, ensure_ascii=False) for row in rows)
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


async def _ask_all(answerer: Answerer, questions: Sequence[Question], mode: Mode) -> AsyncIterator[Outcome]:
    for question in questions:
        transcript, took = Transcript(), {"decide": 0.0}
        began = perf_counter()
        async with aclosing(answerer.ask(Query(question=question.text, mode=mode))) as events:
            async for event in events:
                transcript.add(event, at_ms=(perf_counter() - began) * 1000)
                _note(event, took)
        yield Outcome(
            question=question,
            transcript=transcript,
            draft=_score(transcript.answers[1], question),
            answer=_score(transcript.answers[transcript.standing], question),
            draft_ms=took.get("draft", 0.0),
            total_ms=(perf_counter() - began) * 1000,
            tokens_after_draft=sum(
                usage.input_tokens + usage.output_tokens for usage in transcript.usage if usage.step != "draft"
            ),
        )


def _note(event: Event, took: dict[str, float]) -> None:
    if isinstance(event, StepStarted | StepFinished):
        took[event.step] = event.at_ms


def _score(written: Written, question: Question) -> AnswerScore:
    """Contained in the whole answer; words in common with the short answer, where there is one."""
    whole = score_answer(written.content, question.answers)
    short = score_answer(short_answer(written.content), question.answers)
    return AnswerScore(f1=short.f1, exact=short.exact, contained=whole.contained)


def _report(name: str, outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        return
    refined = [outcome for outcome in outcomes if outcome.refined]
    print(f"\n{name}: {len(outcomes)} questions, {sum(o.checked for o in outcomes)} checked, {len(refined)} refined")
    for measure in ("contained", "f1"):
        before = [getattr(outcome.draft, measure) for outcome in outcomes]
        after = [getattr(outcome.answer, measure) for outcome in outcomes]
        better = sum(new > old for old, new in zip(before, after, strict=True))
        worse = sum(new < old for old, new in zip(before, after, strict=True))
        print(
            f"  {measure:<10} draft {100 * mean(before):5.1f}  answer {100 * mean(after):5.1f}"
            f"   better {better:3}  worse {worse:3}  neither {len(refined) - better - worse:3}"
        )
    print(f"  draft finished after {median(o.draft_ms for o in outcomes):6.0f} ms (median)")
    for kind, those in (("kept", [o for o in outcomes if not o.refined]), ("refined", refined)):
        if those:
            print(
                f"  {kind:<8} run took {median(o.total_ms for o in those):6.0f} ms (median),"
                f" {mean(o.tokens_after_draft for o in those):6.0f} tokens after the draft (mean)"
            )


def _show(outcome: Outcome) -> None:
    if not outcome.refined:
        return
    sign = outcome.answer.contained - outcome.draft.contained or outcome.answer.f1 - outcome.draft.f1
    decision = outcome.transcript.decision
    print(f"\n{'better' if sign > 0 else 'worse' if sign < 0 else 'same'}: {outcome.question.text}")
    print(f"  gold: {' | '.join(outcome.question.answers)}\n  why: {decision.reason if decision else ''}")
    print(f"  draft: {outcome.transcript.answers[1].content}\n  answer: {outcome.transcript.answer}")


if __name__ == "__main__":
    main()
