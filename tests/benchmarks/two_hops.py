"""Two hops as HippoRAG 2 measures them, on 2WikiMultihopQA: `python -m tests.benchmarks.two_hops --sources CLONES`.

All 6,119 paragraphs of its thousand questions. These are read from a copy that tells the evidence as triples, and not
by its paragraphs: here a paragraph is evidence if its title is the subject of one. Questions with a subject that is no
title are left out, for paragraphs are not always titled as triples call their subject.
"""

import argparse
import asyncio
import json
import re
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rag_graph.evaluation.scores import evaluate_retrieval, load_dataset, summarise
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.retrieval import DEEP, FAST, HybridRetriever, Stages
from tests.benchmarks.public_sets import PublicSet, Sources, write_set

COLUMNS = ("recall@2", "recall@5", "recall@10", "all_evidence@10", "ndcg@10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=Path, required=True, help="clones of the repositories; missing ones are made")
    parser.add_argument("--keep", type=Path, default=None)
    given = parser.parse_args()
    folder, console = given.keep or Path(tempfile.mkdtemp()), Console(width=140)
    if not (folder / "qrels.tsv").is_file():
        write_set(read_set(Sources(given.sources)), folder)
    with closing(EmbeddedIndex(folder / "index", LocalEmbedder())) as index:
        report = index_paths(index, [folder / "corpus.jsonl"])
        console.print(f"{report.passages} passages indexed in {report.seconds:.0f} s")
        table = Table("tier", "asked", *COLUMNS, "ms p50", "p95")
        for name, stages in {"fast": FAST, "deep": DEEP}.items():
            table.add_row(name, *asyncio.run(_measured(index, stages, folder)))
            console.print(table)


async def _measured(index: EmbeddedIndex, stages: Stages, folder: Path) -> list[str]:
    scores = [score async for score in evaluate_retrieval(HybridRetriever(index, stages), load_dataset(folder))]
    means = summarise(scores)
    cells = [
        f"{100 * its.mean:.1f} ({100 * its.low:.1f}-{100 * its.high:.1f})" for its in map(means.__getitem__, COLUMNS)
    ]
    return [str(len(scores)), *cells, *(f"{means[name].mean:.0f}" for name in ("p50_ms", "p95_ms"))]


def read_set(sources: Sources) -> PublicSet:
    corpus = json.loads(sources.text("OSU-NLP-Group/HippoRAG", "reproduce/dataset/2wikimultihopqa_corpus.json"))
    asked = json.loads(sources.text("weiyifan1023/SeRAG", "dataset/2wikimultihop/questions.json"))
    titles: dict[str, list[str]] = {}
    for entry in corpus:
        for name in {entry["title"], _name(entry["title"])}:
            titles.setdefault(name, []).append(entry["title"])
    questions = []
    for entry in asked:
        evidence = {_titled(subject, titles) for subject, _relation, _object in entry["evidence"]}
        if "" not in evidence:
            questions.append((entry["question"], frozenset(evidence)))
    return PublicSet({entry["title"]: (entry["title"], entry["text"]) for entry in corpus}, questions)


def _titled(subject: str, titles: Mapping[str, list[str]]) -> str:
    """The title by which a subject goes; nothing where there is none, or several."""
    found = titles.get(subject) or titles.get(_name(subject)) or []
    return subject if subject in found else found[0] if len(found) == 1 else ""


def _name(title: str) -> str:
    """A title without what tells it from its namesakes, as in "Interview (film)"."""
    return re.sub(r"\s*\([^()]*\)\s*$", "", title).strip(' "').casefold()


if __name__ == "__main__":
    main()
