"""Whether the library in PostgreSQL finds what the embedded one finds: `python -m tests.benchmarks.stores DATASET`.

Both are built of the shared set and the distractors, searched by both tiers, and shown side by side.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rag_graph.evaluation.scores import evaluate_retrieval, load_dataset, summarise
from rag_graph.index import EmbeddedIndex, Index, index_paths
from rag_graph.index.postgres import PostgresIndex
from rag_graph.models.embeddings import Vectors
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.retrieval import DEEP, FAST, HybridRetriever
from tests.postgres import running_postgres

DATA = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
COLUMNS = ("recall@3", "recall@5", "recall@10", "all_evidence@10", "ndcg@10", "mrr")


@dataclass
class RememberingEmbedder:
    """Embeds each passage once, so that the second store is built of the first one's vectors."""

    real: LocalEmbedder = field(default_factory=LocalEmbedder)
    known: dict[str, Vectors] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.real.name

    @property
    def dims(self) -> int:
        return self.real.dims

    def embed(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in texts if text not in self.known]
        if new:
            self.known.update(zip(new, self.real.embed(new), strict=True))
        return np.stack([self.known[text] for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self.real.embed_queries(texts)

    def embed_query(self, text: str) -> Vectors:
        return self.real.embed_query(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", choices=("hotpotqa", "musique"))
    given = parser.parse_args()
    embedder = RememberingEmbedder()
    table = Table("store", "tier", *COLUMNS, "ms p50", "p95", "built, s", title=given.dataset)
    with tempfile.TemporaryDirectory() as folder, running_postgres() as url:
        for name, index in (
            ("embedded", EmbeddedIndex(Path(folder) / "index", embedder)),
            ("PostgreSQL", PostgresIndex(url, embedder)),
        ):
            started = time.perf_counter()
            paths = [DATA / given.dataset / "corpus.jsonl", DATA / "distractors" / "corpus.jsonl"]
            index_paths(index, paths)
            built = time.perf_counter() - started
            for tier, cells in _searched(index, given.dataset):
                table.add_row(name, tier, *cells, f"{built:.0f}")
    Console(width=140).print(table)


def _searched(index: Index, name: str) -> Iterator[tuple[str, list[str]]]:
    for tier, stages in (("fast", FAST), ("deep", DEEP)):
        yield tier, asyncio.run(_scored(HybridRetriever(index, stages), name))
    index.close()


async def _scored(retriever: HybridRetriever, name: str) -> list[str]:
    dataset = load_dataset(DATA / name)
    await retriever.retrieve("warm up", top_k=3)
    means = summarise([score async for score in evaluate_retrieval(retriever, dataset)])
    return [f"{means[column].mean * 100:.1f}" for column in COLUMNS] + [
        f"{means[column].mean:.1f}" for column in ("p50_ms", "p95_ms")
    ]


if __name__ == "__main__":
    main()
