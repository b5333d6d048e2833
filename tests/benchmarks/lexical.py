"""Our own lexical index beside FTS5 and tantivy: `python -m tests.benchmarks.lexical 10000 100000 1000000 [--quality]`.

Every engine is asked what a deep search asks of its store: its question, OR-ed over title and content; thirty bridges
at once, each passage with the best of its scores; in how many passages some seventy phrases stand with all their words,
and, where the engine keeps positions, word after word. "our terms" is an engine fed with the product's terms, so that
it differs from ours in index and scoring only; without it the engine folds and stems by itself.

The text is that of `tests.benchmarks.grown_text`. Engines are built and asked in turn, in processes of their own. Read
the ratios: they are to ours, in the same run. Searches are timed by the CPU's clock, which other work on the machine
spoils least. Peaks are what came on top of the imports, pages of mapped files among it. `--quality` takes the shared
sets with distractors. tantivy is left out where it is not installed: pip install 'rag-graph[bench]'.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from rag_graph.evaluation.scores import DEPTH, Estimate, estimate, load_dataset
from rag_graph.index.chunking import chunk
from rag_graph.text.terms import words
from tests.benchmarks.grown_text import GrownText
from tests.benchmarks.lexical_engines import Phrase, Query, Text, engines
from tests.benchmarks.retrieval import DATA, SETS

QUESTIONS = 100
POOL = 200
"""As many as the product takes from each ranking."""
SEEDS = 5
"""Passages that a deep search reads for its second hop."""
BUDGET_S, MIN_CALLS = 20.0, 5
"""What is slow is asked less often."""
WIDTH = 180

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What one search asks."""

    question: Query
    bridges: list[Query]
    phrases: list[Phrase]


@dataclass(frozen=True)
class Built:
    """What it took to build one engine's index."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    disk_mb: float


@dataclass(frozen=True)
class Answered:
    """CPU milliseconds (p50, p95) of what one engine was asked; None of what it cannot."""

    question: tuple[float, float]
    bridges: tuple[float, float]
    holding: tuple[float, float]
    adjacent: tuple[float, float] | None
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*")
    parser.add_argument("--quality", action="store_true", help="recall on the shared sets")
    parser.add_argument("--only", nargs="+", choices=list(engines()), default=list(engines()), help="besides ours")
    given = parser.parse_args()
    console = Console(width=WIDTH)
    if "tantivy" not in engines():
        sys.stderr.write("tantivy is not installed: pip install 'rag-graph[bench]'\n")
    names = [name for name in engines() if name == "ours" or name in given.only]
    for size in given.sizes:
        console.print(speed(size, names))
    for name in SETS if given.quality else ():
        console.print(quality(name, names))


def speed(size: int, names: Sequence[str]) -> Table:
    table = Table(
        "engine",
        "built, s",
        "CPU, s",
        "peak MB",
        "disk MB",
        "question p50/p95, ms",
        "30 bridges",
        "counts of 74 phrases",
        "word after word",
        "peak MB asked",
        title=f"{size:,} passages (in brackets: times ours)",
    )
    folder = Path(tempfile.mkdtemp())
    try:
        alone(write, folder / "corpus.jsonl", size)
        ours: tuple[Built, Answered] | None = None
        for name in names:
            (folder / "index").mkdir()
            its = alone(build, name, folder), alone(ask, name, folder)
            shutil.rmtree(folder / "index")
            ours = ours or its
            table.add_row(name, *_cells(*its, *ours))
    finally:
        shutil.rmtree(folder)
    return table


def quality(name: str, names: Sequence[str]) -> Table:
    """Recall of BM25 alone, as `tests.benchmarks.retrieval` counts it."""
    table = Table("engine", f"recall@{DEPTH}", "less ours", title=f"{name} with distractors")
    found = {engine: alone(recalls, engine, name) for engine in names}
    for engine, its in found.items():
        less_ours = [mine - ours for mine, ours in zip(its, found["ours"], strict=True)]
        table.add_row(engine, _percent(estimate(its)), _percent(estimate(less_ours)) if engine != "ours" else "")
    return table


def alone(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in a fresh process, so that its peak is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def write(path: Path, size: int) -> None:
    """The passages to index, and every so many of them to ask from."""
    with path.open("w") as corpus, path.with_name("samples.jsonl").open("w") as samples:
        text = GrownText(path.parent)
        for number in range(size):
            title, its = text.text(number)
            corpus.write(line := json.dumps({"_id": str(number), "title": title, "text": its}) + "\n")
            if number % (size // QUESTIONS) == 0:
                samples.write(line)


def build(name: str, folder: Path) -> Built:
    engine = engines()[name](folder / "index")
    before_mb, began, cpu_began = _peak_mb(), time.perf_counter(), time.process_time()
    engine.build(_corpus(folder / "corpus.jsonl"))
    return Built(
        wall_s=time.perf_counter() - began,
        cpu_s=time.process_time() - cpu_began,
        peak_mb=_peak_mb() - before_mb,
        disk_mb=sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file()) / 1e6,
    )


def ask(name: str, folder: Path) -> Answered:
    engine = engines()[name](folder / "index")
    before_mb = _peak_mb()
    engine.open()
    samples = list(map(json.loads, (folder / "samples.jsonl").open()))
    asked = [search(samples, place) for place in range(len(samples))]
    keeps_positions = engine.adjacent(asked[0].phrases) is not None
    answered = Answered(
        question=_times(lambda its: engine.best([its.question], limit=POOL), asked),
        bridges=_times(lambda its: engine.best(its.bridges, limit=POOL), asked),
        holding=_times(lambda its: engine.holding(its.phrases), asked),
        adjacent=_times(lambda its: engine.adjacent(its.phrases), asked) if keeps_positions else None,
        peak_mb=_peak_mb() - before_mb,
    )
    engine.close()
    return answered


def search(samples: Sequence[dict[str, str]], place: int) -> Asked:
    """What a deep search asks, in the proportions counted on the shared sets.

    Those are 24 bridges, at most 30, of nine terms; 75 phrases, of which 16 are the question's words, half are single
    terms, a fifth pairs, and the others longer.
    """
    own, *_ = seeds = [samples[(place + step) % len(samples)] for step in range(SEEDS)]
    asked = [match[0] for match in words(f"{' '.join(own['text'].split()[5:17])} of {own['title']}")]
    bridges: list[Query] = []
    phrases: list[Phrase] = [[word] for word in dict.fromkeys(asked)]
    for step, seed in enumerate(seeds):
        its = [match[0] for match in words(seed["text"])]
        names = [pair for pair in pairwise(its) if pair[0].istitle() and pair[1].istitle()][:3]
        singles = [word for word in its if len(word) > 6][:4]
        residual = [word for word in asked if word not in its][:7] or asked[::2]
        entities = [*names, *((word,) for word in singles)][:6]
        bridges += [dict.fromkeys((*residual, *entity), 0.9**step) for entity in entities]
        phrases += [*map(list, names), *([word] for word in singles), *(its[at : at + 3] for at in (5, 10, 15))]
        phrases += [its[at : at + 4] for at in (20, 25)]
    return Asked(Counter(asked), bridges, phrases)


def recalls(engine_name: str, name: str) -> list[float]:
    """Of each question of a set, the share of its evidence among the documents of the first ten passages."""
    folder = Path(tempfile.mkdtemp())
    engine = engines()[engine_name](folder)
    documents: list[str] = []

    def texts() -> Iterator[Text]:
        for path in (DATA / name / "corpus.jsonl", DATA / "distractors" / "corpus.jsonl"):
            for entry in map(json.loads, path.open()):
                for piece in chunk(entry["text"]):
                    documents.append(entry["_id"])
                    yield Text(len(documents) - 1, entry["title"], entry["text"][piece.start : piece.end])

    try:
        engine.build(texts())
        engine.open()
        found = []
        for question in load_dataset(DATA / name).questions:
            best = engine.best([Counter(match[0] for match in words(question.text))], limit=DEPTH)
            held = question.evidence & {documents[number] for number in best}
            found.append(len(held) / len(question.evidence))
        engine.close()
    finally:
        shutil.rmtree(folder)
    return found


def _corpus(path: Path) -> Iterator[Text]:
    for entry in map(json.loads, path.open()):
        yield Text(int(entry["_id"]), entry["title"], entry["text"])


def _times(call: Callable[[Asked], object], asked: Sequence[Asked]) -> tuple[float, float]:
    """p50 and p95 in ms of CPU time, after one call to warm up: every engine searches in the caller's thread."""
    call(asked[-1])
    times: list[float] = []
    for its in asked:
        began = time.process_time()
        call(its)
        times.append((time.process_time() - began) * 1000)
        if sum(times) > BUDGET_S * 1000 and len(times) >= MIN_CALLS:
            break
    p50, p95 = np.percentile(times, (50, 95))
    return float(p50), float(p95)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cells(built: Built, answered: Answered, ours_built: Built, ours: Answered) -> list[str]:
    def beside(value: float, its_ours: float) -> str:
        return f"{value:.1f} ({_ratio(value, its_ours)})"

    def times(value: tuple[float, float], its_ours: tuple[float, float]) -> str:
        return f"{value[0]:.1f} / {value[1]:.1f} ({_ratio(value[0], its_ours[0])})"

    return [
        beside(built.wall_s, ours_built.wall_s),
        beside(built.cpu_s, ours_built.cpu_s),
        f"{built.peak_mb:.0f}",
        beside(built.disk_mb, ours_built.disk_mb),
        times(answered.question, ours.question),
        times(answered.bridges, ours.bridges),
        times(answered.holding, ours.holding),
        times(answered.adjacent, ours.holding) if answered.adjacent else "cannot",
        f"{answered.peak_mb:.0f}",
    ]


def _ratio(value: float, its_ours: float) -> str:
    ratio = value / its_ours
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _percent(value: Estimate) -> str:
    return f"{value.mean * 100:.0f} ({value.low * 100:.0f} to {value.high * 100:.0f})"


if __name__ == "__main__":
    main()
