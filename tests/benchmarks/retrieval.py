"""What each stage of retrieval is worth, on the shared sets with distractors: `python -m tests.benchmarks.retrieval`.

The libraries are kept in the folder given by `--keep` (else made anew), so that a second run takes a minute.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rag_graph.evaluation.scores import Estimate, RetrievalScore, evaluate_retrieval, load_dataset, summarise
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.retrieval import DEEP, FAST, HybridRetriever, Stages

DATA = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SETS = ("hotpotqa", "musique")
COLUMNS = ("recall@2", "recall@3", "recall@5", "recall@10", "all_evidence@10", "hit@3", "ndcg@10", "mrr")

_ONE_HOP = Stages(lexical_bridge=0, links=0, quotas=())
STAGES = {
    "vectors": replace(_ONE_HOP, dense=1, lexical=0),
    "BM25F": replace(_ONE_HOP, dense=0, lexical=1),
    "both, fused": _ONE_HOP,
    "+ lexical bridge": replace(FAST, links=0),
    "fast: + links": FAST,
    "fast without vectors": replace(FAST, dense=0, lexical=1),
    "deep without vectors' bridge": replace(DEEP, dense_bridge=0),
    "deep without quotas": replace(DEEP, quotas=()),
    "deep": DEEP,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, default=None)
    folder = parser.parse_args().keep or Path(tempfile.mkdtemp())
    console = Console(width=140)
    for name in SETS:
        index = _index(folder / name, name, console)
        console.print(_table(name, index))
        index.close()


def _index(folder: Path, name: str, console: Console) -> EmbeddedIndex:
    index = EmbeddedIndex(folder, LocalEmbedder())
    paths = [DATA / name / "corpus.jsonl", DATA / "distractors" / "corpus.jsonl"]
    report = index_paths(index, paths)
    rate = report.passages / report.seconds
    console.print(f"{name}: {report.passages} passages indexed in {report.seconds:.0f} s, {rate:.0f} a second")
    return index


def _table(name: str, index: EmbeddedIndex) -> Table:
    table = Table("stage", *COLUMNS, "ms p50", "p95", "CPU ms", title=f"{name}, {index.counts()[1]} passages")
    for stage, stages in STAGES.items():
        scores, cpu_ms = asyncio.run(_ask(HybridRetriever(index, stages), name))
        means = summarise(scores)
        times = [f"{means[column].mean:.1f}" for column in ("p50_ms", "p95_ms")]
        table.add_row(stage, *(_cell(means[column]) for column in COLUMNS), *times, f"{cpu_ms:.1f}")
    return table


async def _ask(retriever: HybridRetriever, name: str) -> tuple[Sequence[RetrievalScore], float]:
    dataset = load_dataset(DATA / name)
    await retriever.retrieve("warm up", top_k=3)
    started = time.process_time()
    scores = [score async for score in evaluate_retrieval(retriever, dataset)]
    return scores, (time.process_time() - started) * 1000 / len(scores)


def _cell(value: Estimate) -> str:
    return f"{value.mean * 100:.0f} ({value.low * 100:.0f}-{value.high * 100:.0f})"


if __name__ == "__main__":
    main()
