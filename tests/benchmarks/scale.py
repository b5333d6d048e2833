"""How the library grows: `python -m tests.benchmarks.scale CACHE 10000 100000 1000000 [--store postgres]`.

The text is that of `tests.benchmarks.grown_text`, and so are the questions: of two hops, real, embedded while they are
asked. Alone they come one after the other; in a burst 25 come at once, each to both tiers, through the queues that a
server has. A filter allows a topic or more, wherever the question's own is; its recall is that of the ten nearest
vectors against comparing all. CPU and memory are those of our process and of PostgreSQL's together. Each library is
built and searched in processes of their own. Read the ratios, which are to the first column.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from rag_graph.evaluation.scores import document_name
from rag_graph.index import EmbeddedIndex, Index, index_paths
from rag_graph.index.postgres import PostgresIndex
from rag_graph.models.embeddings import RememberingEmbedder
from rag_graph.retrieval import DEEP, FAST, HybridRetriever, Stages
from rag_graph.retrieval.queued import QueuedRetriever
from tests.benchmarks.grown_text import KINDS, GrownEmbedder, GrownText, questions
from tests.benchmarks.lexical import alone
from tests.postgres import running_postgres

if TYPE_CHECKING:
    from rag_graph.query import Filters

BURST = 25
BY = ("topic", "lot")
FILTERED = {"no filter": (0, 0), "1 %": (0, 1), "10 %": (0, 10), "50 %": (0, 50), "1 %, drawn": (1, 1)}
"""How many of the hundred topics a filter allows; or, drawn, of the hundred lots, which have no topic."""
NEAREST, POOL = 10, 200
MOST_COMPARED = 200_000
"""Above so many passages, all vectors are not held at once to compare with."""

Figures = dict[str, list[float]]
"""By what was measured, one number or more; those of `_DIVIDED` are compared with the first column's."""


@dataclass(frozen=True)
class Library:
    """One library of the table; `url` is where, in PostgreSQL, `folder` else."""

    text: GrownText
    folder: Path
    size: int
    every: int
    """Of the hundred questions, each so-manyth is asked."""
    url: str | None = None
    embedder: GrownEmbedder = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "embedder", GrownEmbedder(self.text))

    def open(self, *, remembering: bool = False) -> Index:
        embedder = RememberingEmbedder(self.embedder) if remembering else self.embedder
        return PostgresIndex(self.url, embedder) if self.url else EmbeddedIndex(self.folder / "index", embedder)

    @property
    def disk_mb(self) -> float:
        if self.url is None:
            return sum(path.stat().st_size for path in (self.folder / "index").rglob("*") if path.is_file()) / 1e6
        with psycopg.connect(self.url) as db:
            (size,) = db.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        return float(size) / 1e6

    def processes(self) -> list[psutil.Process]:
        """Ours and those of the database."""
        if self.url is None:
            return [psutil.Process()]
        with psycopg.connect(self.url) as db:
            postmaster = psutil.Process(db.info.backend_pid).parent()
        return [psutil.Process(), *([postmaster, *postmaster.children()] if postmaster else [])]

    @property
    def cpu_s(self) -> float:
        times = [process.cpu_times() for process in self.processes()]
        # What ended meanwhile is counted by the one that had started it.
        return sum(its.user + its.system + its.children_user + its.children_system for its in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path, help="the vectors of the real text are kept there")
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--store", choices=("embedded", "postgres"), action="append")
    parser.add_argument("--every", type=int, default=1, help="of the hundred questions, ask each so-manyth")
    parser.add_argument("--keep", type=Path, help="embedded libraries stay there, and are not built again")
    given = parser.parse_args()
    text = GrownText(given.cache)
    columns: dict[str, Figures] = {}
    for store in given.store or ["embedded"]:
        for size in given.sizes:
            with (
                _place(given.keep, size) as folder,
                running_postgres() if store == "postgres" else nullcontext() as url,
            ):
                library = (text, folder, size, given.every, url)
                figures = alone(build, *library) if url or not (folder / "index").exists() else {}
                columns[f"{store}, {size:,}"] = figures | alone(search, *library)
            Console(width=200).print(_table(columns))


@contextmanager
def _place(keep: Path | None, size: int) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        place = keep / str(size) if keep else Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        yield place


def build(*given: object) -> Figures:
    library = Library(*given)  # type: ignore[arg-type]
    corpus = library.folder / "corpus.jsonl"
    with corpus.open("w") as file:
        file.writelines(json.dumps(passage) + "\n" for passage in library.text.passages(library.size))
    index, used = library.open(), library.cpu_s
    report = index_paths(index, [corpus])
    used = library.cpu_s - used
    index.close()
    corpus.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "built, s": [report.seconds],
        "built, CPU s": [used],
        "peak of our process, MB": [peak],
        "disk, MB": [library.disk_mb],
    }


def search(*given: object) -> Figures:
    library = Library(*given)  # type: ignore[arg-type]
    asked = questions()[:: library.every]
    embedding = _asked_alone(library, asked, library.embedder.embed_query)
    began = time.perf_counter()
    index = library.open()
    index.counts()
    figures = {"opened, s": [time.perf_counter() - began]}
    figures |= {f"embedding alone, {name}": its for name, its in embedding.items()}
    for tier, stages in (("fast", FAST), ("deep", DEEP)):
        its = HybridRetriever(index, stages)
        its.search("warm up", top_k=10)
        measured = _asked_alone(library, asked, lambda question, its=its: its.search(question, top_k=10))  # type: ignore[misc]
        figures |= {f"{tier} alone, {name}": values for name, values in measured.items()}
    figures |= asyncio.run(_bursts(library, asked))
    figures["memory, MB: own, with mapped files"] = _memory(library)
    figures |= _filtered(library, index, asked)
    figures |= _change(library, index)
    index.close()
    return figures


def _asked_alone(library: Library, asked: Sequence[str], answer: Callable[[str], object]) -> Figures:
    times, used = [], library.cpu_s
    for question in asked:
        began = time.perf_counter()
        answer(question)
        times.append((time.perf_counter() - began) * 1000)
    return {"ms p50, p95": _percentiles(times), "CPU ms": [(library.cpu_s - used) * 1000 / len(asked)]}


async def _bursts(library: Library, asked: Sequence[str]) -> Figures:
    """Both tiers are asked at once, as a run does."""
    cores = os.cpu_count() or 1
    waits: dict[Stages, list[float]] = {FAST: [], DEEP: []}
    index = library.open(remembering=True)
    queues = {
        FAST: QueuedRetriever(HybridRetriever(index, FAST), threads=cores),
        DEEP: QueuedRetriever(HybridRetriever(index, DEEP), threads=max(1, cores - 1)),
    }

    async def ask(stages: Stages, question: str) -> None:
        began = time.perf_counter()
        await queues[stages].retrieve(question, top_k=10)
        waits[stages].append((time.perf_counter() - began) * 1000)

    used = library.cpu_s
    for start in range(0, len(asked), BURST):
        await asyncio.gather(*(ask(stages, question) for question in asked[start : start + BURST] for stages in queues))
    used = library.cpu_s - used
    for queue in queues.values():
        queue.close()
    index.close()
    return {
        "fast of 25 at once, ms p50, p95": _percentiles(waits[FAST]),
        "deep of 25 at once, ms p50, p95": _percentiles(waits[DEEP]),
        "25 at once, CPU ms a question": [used * 1000 / len(asked)],
    }


def _memory(library: Library) -> list[float]:
    """What processes share, such as PostgreSQL's buffers, is counted once."""
    infos = [process.memory_full_info() for process in library.processes()]
    mapped_too = sum(info.pss for info in infos)
    if library.url is None:
        return [infos[0].uss / 1e6, mapped_too / 1e6]
    return [infos[0].pss / 1e6, mapped_too / 1e6]


def _filtered(library: Library, index: Index, asked: Sequence[str]) -> Figures:
    figures: Figures = {}
    if library.size > MOST_COMPARED:
        return figures
    numbers = range(library.size)
    vectors, kinds = np.array([*map(library.text.vector, numbers)]), np.array([*map(library.text.kinds, numbers)])
    embedded = library.embedder.embed_queries(asked)
    for name, (column, count) in FILTERED.items():
        wanted = [f"{BY[column]} {kind}" for kind in random.Random(0).sample(range(KINDS), count)]  # noqa: S311
        allowed = np.flatnonzero(np.isin(kinds[:, column], wanted)) if count else np.arange(library.size)
        filters: Filters | None = {BY[column]: [*wanted]} if count else None
        with index.snapshot(filters):
            pass  # what a filter allows is remembered from here on
        recalls, times = [], []
        for vector in embedded:
            exact = allowed[np.argsort(-(vectors[allowed] @ vector))[:NEAREST]]
            began = time.perf_counter()
            with index.snapshot(filters) as view:
                near = view.nearest(vector[None], limit=POOL)
                times.append((time.perf_counter() - began) * 1000)
                found = {int(document_name(passage)) for passage in view.passages(near.ids[:NEAREST].tolist())}
            recalls.append(len(found & set(exact.tolist())) / len(exact))
        figures[f"vectors, {name}: recall %, ms p50, p95"] = [100 * float(np.mean(recalls)), *_percentiles(times)]
    return figures


def _change(library: Library, index: Index) -> Figures:
    """One document more, then the same one, changed."""
    taken, used = [], library.cpu_s
    path = library.folder / "one.jsonl"
    for number in (library.size, library.size + 1, library.size + 2):
        title, text = library.text.text(number)
        path.write_text(json.dumps({"_id": "new", "title": title, "text": text}))
        taken.append(index_paths(index, [path]).seconds)
    return {"one change, s": [float(np.median(taken))], "one change, CPU s": [(library.cpu_s - used) / len(taken)]}


def _percentiles(times: Sequence[float]) -> list[float]:
    return [float(value) for value in np.percentile(times, (50, 95))]


def _table(columns: dict[str, Figures]) -> Table:
    table = Table("", *columns)
    first = next(iter(columns.values()))
    for name in dict.fromkeys(name for figures in columns.values() for name in figures):
        cells = []
        for figures in columns.values():
            values = figures.get(name, [])
            shown = " / ".join(f"{value:.3g}" if value < 100 else f"{value:,.0f}" for value in values)
            base = first.get(name, [0.0])[0]
            cells.append(f"{shown} (x{values[0] / base:.2f})" if values and base and figures is not first else shown)
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    main()
