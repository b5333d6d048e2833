"""Whether each tier is as good as its best part, whatever the text: `python -m tests.benchmarks.retrieval_sets`.

The sets of `tests.benchmarks.public_sets` are made and indexed in the folder given by `--keep` (else anew, which takes
an hour). Every other question served to choose weights; the others are reported. Columns are nDCG@10 / recall@10 in per
cent over ten documents. Differences are in points of nDCG@10, with the interval that holds 95 % of resampled questions.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rag_graph.evaluation.scores import DEPTH, Question, RetrievalScore, document_name, estimate, load_dataset
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.models.local.multilingual import MultilingualEmbedder
from rag_graph.retrieval import DEEP, FAST, HybridRetriever, Stages
from tests.benchmarks.public_sets import SETS, Sources, write

_ONE_HOP = Stages(lexical_bridge=0, links=0, quotas=())
STAGES = {
    "BM25F": replace(_ONE_HOP, dense=0, lexical=1),
    "vectors": replace(_ONE_HOP, dense=1, lexical=0),
    "fused": _ONE_HOP,
    "fast": FAST,
    "deep": DEEP,
}
HALVES = {"develop": slice(0, None, 2), "report": slice(1, None, 2), "all": slice(None)}
_PASSAGES = 3 * DEPTH
"""Passages that are looked at for ten documents."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[[], *SETS], help="all, if none is named")
    parser.add_argument("--sources", type=Path, required=True, help="clones of the repositories; missing ones are made")
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--half", choices=list(HALVES), default="report")
    parser.add_argument("--multilingual", action="store_true", help="with the embedded model of many languages")
    given = parser.parse_args()
    embedder = MultilingualEmbedder() if given.multilingual else LocalEmbedder()
    folder = given.keep or Path(tempfile.mkdtemp())
    table = Table("set", "passages", "asked", *STAGES, "fast - best part", "deep - fast", "ms fast, deep")
    for name in given.sets or SETS:
        write(name, Sources(given.sources), folder / name)
        with closing(EmbeddedIndex(folder / name / embedder.name, embedder)) as index:
            index_paths(index, [folder / name / "corpus.jsonl"])
            table.add_row(name, *_measure(index, load_dataset(folder / name).questions[HALVES[given.half]]))
    Console(width=170).print(table)


def _measure(index: EmbeddedIndex, questions: Sequence[Question]) -> list[str]:
    scores = {
        stage: [score(HybridRetriever(index, its), asked) for asked in questions] for stage, its in STAGES.items()
    }
    ndcg = {stage: 100 * np.array([score.ndcg for score in its]) for stage, its in scores.items()}
    best = max(("BM25F", "vectors"), key=lambda stage: float(ndcg[stage].mean()))
    cells = [
        f"{ndcg[stage].mean():.1f} / {100 * np.mean([score.recall_at(DEPTH) for score in its]):.1f}"
        for stage, its in scores.items()
    ]
    differences = [_difference(ndcg["fast"] - ndcg[best]), _difference(ndcg["deep"] - ndcg["fast"])]
    times = ", ".join(f"{np.median([score.ms for score in scores[stage]]):.0f}" for stage in ("fast", "deep"))
    return [str(index.counts()[1]), str(len(questions)), *cells, *differences, times]


def score(retriever: HybridRetriever, question: Question) -> RetrievalScore:
    started = time.perf_counter()
    hits = retriever.search(question.text, top_k=_PASSAGES)
    ms = (time.perf_counter() - started) * 1000
    found = dict.fromkeys(document_name(hit.passage) for hit in hits)
    return RetrievalScore(question.id, tuple(found)[:DEPTH], tuple(sorted(question.evidence)), ms)


def _difference(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> str:
    its = estimate(values.tolist())
    return f"{its.mean:+.1f} ({its.low:+.1f} to {its.high:+.1f})"


if __name__ == "__main__":
    main()
