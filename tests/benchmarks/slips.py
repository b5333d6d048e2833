"""What slips of the hand cost a search: `python -m tests.benchmarks.slips SET --sources CLONES`.

The questions of one of `tests.benchmarks.public_sets`, each with one slip of each kind in its longest word: nDCG@10 in
per cent by words, by vectors and of the fast tier, as in `tests.benchmarks.retrieval_sets`.
"""

import argparse
import random
import re
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rag_graph.evaluation.scores import Question, load_dataset
from rag_graph.index import EmbeddedIndex, index_paths
from rag_graph.models.local.embedder import LocalEmbedder
from rag_graph.retrieval import HybridRetriever
from tests.benchmarks.public_sets import SETS, Sources, write
from tests.benchmarks.retrieval_sets import STAGES, score

TIERS = ("BM25F", "vectors", "fast")
_LEAST_CHARS = 5
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=list(SETS))
    parser.add_argument("--sources", type=Path, required=True, help="clones of the repositories; missing ones are made")
    parser.add_argument("--keep", type=Path, default=None)
    given = parser.parse_args()
    folder, table = (
        (given.keep or Path(tempfile.mkdtemp())) / given.set,
        Table("slip", "asked", *TIERS, title=given.set),
    )
    write(given.set, Sources(given.sources), folder)
    with closing(EmbeddedIndex(folder / "index", LocalEmbedder())) as index:
        index_paths(index, [folder / "corpus.jsonl"])
        asked = [question for question in load_dataset(folder).questions if _longest(question.text)]
        for name, slip in SLIPS.items():
            rng = random.Random(0)  # noqa: S311 - the same slips every time
            slipped = [_with(question, slip, rng) for question in asked]
            table.add_row(name, str(len(asked)), *(_ndcg(index, tier, slipped) for tier in TIERS))
    Console(width=120).print(table)


def _ndcg(index: EmbeddedIndex, tier: str, questions: list[Question]) -> str:
    retriever = HybridRetriever(index, STAGES[tier])
    return f"{100 * np.mean([score(retriever, question).ndcg for question in questions]):.1f}"


def _longest(text: str) -> str:
    """The longest word of small letters, which is seldom a small word; none where all are short."""
    found = re.findall(r"\b[a-z]+\b", text)
    return max((word for word in found if len(word) >= _LEAST_CHARS), key=len, default="")


def _with(question: Question, slip: Callable[[str, random.Random], str], rng: random.Random) -> Question:
    word = _longest(question.text)
    return replace(question, text=question.text.replace(word, slip(word, rng), 1))


def _missing(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def _doubled(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + word[at] + word[at:]


def _neighbour(word: str, rng: random.Random) -> str:
    return _at(word, rng.randrange(1, len(word)), rng)


def _swapped(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _at(word: str, at: int, rng: random.Random) -> str:
    """With the key beside the right one."""
    row = next(row for row in _ROWS if word[at] in row)
    near = [place for place in (row.index(word[at]) - 1, row.index(word[at]) + 1) if 0 <= place < len(row)]
    return word[:at] + row[rng.choice(near)] + word[at + 1 :]


def _split(word: str, rng: random.Random) -> str:
    at = rng.randrange(2, len(word) - 1)
    return f"{word[:at]} {word[at:]}"


SLIPS: dict[str, Callable[[str, random.Random], str]] = {
    "none": lambda word, _: word,
    "a letter missing": _missing,
    "a letter doubled": _doubled,
    "the key beside": _neighbour,
    "two letters swapped": _swapped,
    "the first letter": lambda word, rng: _at(word, 0, rng),
    "two slips": lambda word, rng: _missing(_swapped(word, rng), rng),
    "split in two": _split,
    "capitals": lambda word, _: word.upper(),
}


if __name__ == "__main__":
    main()
