"""How surely two sources are told to say different things of one: pairs of sentences, ours and of others.

python -m tests.benchmarks.conflicts [--pairs FILE.jsonl | --corpus corpus.jsonl] [--show]

Our own pairs lie beside this file. The rules were adjusted on most of them, so that what is printed is how they fare on
what they were made for. Pairs out of texts of others are read from a file in the same form. With a corpus in BEIR's
form, of pages that each are about another thing, its sentences are paired that share most words and no number: none of
these is a conflict.
"""

# ruff: noqa: T201 - a benchmark prints
import argparse
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from time import thread_time
from typing import Any

from rag_graph.claims.conflicts import conflicts
from rag_graph.events import NumberedPassage

OURS = Path(__file__).with_suffix(".jsonl")


def pairs(path: Path = OURS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def is_told(pair: dict[str, Any]) -> bool:
    passages = [
        NumberedPassage(
            number=number,
            document=f"d{number}",
            title=one["title"],
            uri=f"d{number}.md",
            start=0,
            end=len(one["content"]),
            score=1,
            content=one["content"],
        )
        for number, one in enumerate(pair["passages"], 1)
    ]
    return any(True for _ in conflicts(pair["question"], passages))


def alike(corpus: Path, *, most: int = 1_500) -> Iterator[dict[str, Any]]:
    """Sentences with numbers on two pages, in nearly the same words; each asked for in its own words."""
    records = (json.loads(line) for line in corpus.read_text("utf-8").splitlines())
    pages = [(record["title"], record["text"]) for record in records]
    told = [
        (title, content, sentence, frozenset(re.findall(r"[a-z]{3,}", sentence.lower())))
        for title, content in pages
        for sentence in re.split(r"(?<=[.])\s+(?=[A-Z])", content)
        if 30 < len(sentence) < 170 and re.search(r"\d", sentence)
    ]
    where: defaultdict[str, list[int]] = defaultdict(list)
    for at, (_, _, _, words) in enumerate(told):
        for word in sorted(words, key=lambda word: (-len(word), word))[:3]:
            where[word].append(at)
    found = sorted(
        {
            (one, other)
            for places in where.values()
            if len(places) <= 120  # the pairs of a frequent word are found by another one
            for one, other in combinations(places, 2)
            if told[one][0] != told[other][0]
            and told[one][2] != told[other][2]
            and len(told[one][3] & told[other][3]) > 0.72 * max(len(told[one][3]), len(told[other][3]), 4)
        }
    )
    for one, other in random.Random(5).sample(found, min(most, len(found))):  # noqa: S311 - not for secrets
        passages = [{"title": told[at][0], "content": told[at][1]} for at in (one, other)]
        yield {"question": told[one][2], "passages": passages, "conflict": False, "kind": "alike"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print every pair that is told wrongly")
    parser.add_argument("--pairs", type=Path, default=OURS)
    parser.add_argument("--corpus", type=Path)
    given = parser.parse_args()
    counts: Counter[tuple[str, bool, bool]] = Counter()
    began = thread_time()
    for pair in alike(given.corpus) if given.corpus else pairs(given.pairs):
        told = is_told(pair)
        counts[pair["kind"], pair["conflict"], told] += 1
        if given.show and told != pair["conflict"]:
            print("told" if told else "missed", pair["kind"], *(one["content"] for one in pair["passages"]), sep=" | ")
    right = sum(count for (_, is_one, told), count in counts.items() if told and is_one)
    wrong = sum(count for (_, is_one, told), count in counts.items() if told and not is_one)
    of = sum(count for (_, is_one, _), count in counts.items() if is_one)
    took_ms = (thread_time() - began) * 1000 / counts.total()
    print(f"{counts.total()} pairs, {of} conflicts: {right} told, {wrong} told wrongly; {took_ms:.1f} ms a pair")
    for (kind, is_one, told), count in sorted(counts.items()):
        print(f"  {kind:9} {'conflict' if is_one else 'none':9} {'told' if told else 'not told':9} {count:3}")


if __name__ == "__main__":
    main()
