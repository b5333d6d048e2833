"""How the library grows: `python -m tests.benchmarks.scale 10000 100000 1000000`, with `--postgres` in PostgreSQL.

The text is synthetic. Words are drawn by how often they occur in the shared corpora; each passage is about one of many
topics, takes a third of its words from that topic's own fifty, has a title of two made-up names (so that the vocabulary
grows with the collection, as it does in real text) and mentions the titles of two earlier passages. Vectors are made
too: the topic's direction and noise. A question is the start of a passage with the title of another; the embedded
embedder is called for each question, so that its time is in the figures. CPU is that of our process: where others use
the machine it says more than the clock; what PostgreSQL does itself is not in it.
"""

import argparse
import json
import os
import random
import resource
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rag_graph.index import EmbeddedIndex, Index, index_paths
from rag_graph.index.postgres import PostgresIndex
from rag_graph.models.embeddings import Vectors
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.retrieval import DEEP, FAST, HybridRetriever, Stages
from tests.postgres import running_postgres

DATA = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
TOPICS = 2_000
QUESTIONS = 100
_SYLLABLES = "ba ce di fo gu ha ki lo mu na pe ri so tu va we xi yo za bren clor dast fenn gril holm".split()  # noqa: SIM905


@dataclass
class SyntheticEmbedder:
    """A passage's vector is its topic's direction and noise; a question's is real, and costs what it costs."""

    name: str = "synthetic"
    dims: int = 384
    real: LocalEmbedder = field(default_factory=LocalEmbedder)
    directions: Vectors = field(
        default_factory=lambda: np.random.default_rng(0).standard_normal((TOPICS, 384), dtype=np.float32)
    )

    def embed(self, texts: Sequence[str]) -> Vectors:
        topics = [int(text.rsplit(" ", 1)[1].rstrip(".")) for text in texts]
        noise = np.random.default_rng(topics).standard_normal((len(texts), self.dims), dtype=np.float32)
        vectors = self.directions[topics] + noise
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self.real.embed_queries(texts)

    def embed_query(self, text: str) -> Vectors:
        return self.real.embed_query(text)


def passages(count: int) -> Iterator[dict[str, str]]:
    """The synthetic collection; its first passages are the same whatever its size."""
    rng = random.Random(0)  # noqa: S311 - the same text every time
    counts = Counter(word for line in (DATA / "distractors" / "corpus.jsonl").open() for word in _words(line))
    vocabulary, weights = list(counts), np.cumsum(list(counts.values())).tolist()
    own = [rng.choices(vocabulary, k=50) for _ in range(TOPICS)]
    titles: list[str] = []
    for number in range(count):
        topic = rng.randrange(TOPICS)
        title = f"{_name(rng)} {_name(rng)}"
        words = rng.choices(vocabulary, cum_weights=weights, k=40) + rng.choices(own[topic], k=20)
        rng.shuffle(words)
        mentions = rng.choices(titles, k=2) if titles else ["Nobody Else"] * 2
        titles.append(title)
        text = f"{title} {' '.join(words[:30])} {mentions[0]}. The {' '.join(words[30:])} of {mentions[1]} {topic}."
        yield {"_id": str(number), "title": title, "text": text}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    table = Table(
        "passages",
        "built, s",
        "a second",
        "peak MB",
        "disk MB",
        "opened, s",
        "fast p50/p95 (CPU), ms",
        "deep p50/p95 (CPU), ms",
        "one change, s",
    )
    for size in given.sizes:
        folder = Path(tempfile.mkdtemp())
        try:
            with running_postgres() if given.postgres else nullcontext() as url:
                table.add_row(*_measure(folder, size, url))
        finally:
            shutil.rmtree(folder)
        Console(width=170).print(table)


def _measure(folder: Path, size: int, url: str | None) -> list[str]:
    questions = _write(folder / "corpus.jsonl", size)
    embedder = SyntheticEmbedder()
    built = index_paths(_open(folder, embedder, url), [folder / "corpus.jsonl"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    disk = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file()) / 1e6
    started = time.perf_counter()
    index = _open(folder, embedder, url)
    index.counts()
    opened = time.perf_counter() - started
    tiers = [_times(index, stages, questions) for stages in (FAST, DEEP)]
    (folder / "one.jsonl").write_text(json.dumps({"_id": "new", "title": "New One", "text": "New One 7."}))
    change = index_paths(index, [folder / "one.jsonl"])
    index.close()
    taken = f"{disk:.0f}" if url is None else "-"
    figures = [f"{built.seconds:.0f}", f"{size / built.seconds:.0f}", f"{peak:.0f}", taken, f"{opened:.2f}"]
    return [f"{size:,}", *figures, *tiers, f"{change.seconds:.2f}"]


def _open(folder: Path, embedder: SyntheticEmbedder, url: str | None) -> Index:
    return EmbeddedIndex(folder / "index", embedder) if url is None else PostgresIndex(url, embedder)


def _write(path: Path, size: int) -> list[str]:
    asked: list[str] = []
    with path.open("w") as file:
        for number, passage in enumerate(passages(size)):
            file.write(json.dumps(passage) + "\n")
            if number % (size // QUESTIONS) == 0:
                asked.append(f"{' '.join(passage['text'].split()[5:17])} of {passage['title']}?")
    return asked


def _times(index: Index, stages: Stages, questions: Sequence[str]) -> str:
    retriever = HybridRetriever(index, stages)
    retriever.search(questions[0], top_k=10)
    times, used = [], []
    for question in questions:
        started, busy = time.perf_counter(), time.process_time()
        retriever.search(question, top_k=10)
        times.append((time.perf_counter() - started) * 1000)
        used.append((time.process_time() - busy) * 1000)
    return "{:.0f} / {:.0f} ({:.0f} / {:.0f})".format(*np.percentile(times, (50, 95)), *np.percentile(used, (50, 95)))


def _words(line: str) -> list[str]:
    return [word.strip(".,()\"'").lower() for word in json.loads(line)["text"].split()]


def _name(rng: random.Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=3)).capitalize()


if __name__ == "__main__":
    main()
