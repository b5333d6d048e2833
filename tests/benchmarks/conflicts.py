"""How surely two sources are told to say different things of one: pairs of sentences, ours and of others.

python -m tests.benchmarks.conflicts [--set others] [--show]

The rules were adjusted on our own pairs, so that what it prints of them is how they fare on what they were made for.
Those of others are sentences of manuals as they stood before and after a change, and of an encyclopaedia; each line
names its source, and the titles of versions and a few shortened sentences are all that we changed.
"""

# ruff: noqa: T201 - a benchmark prints
import argparse
import json
from collections import Counter
from pathlib import Path
from time import thread_time
from typing import Any

from rag_graph.claims.conflicts import conflicts
from rag_graph.events import NumberedPassage

OURS = Path(__file__).with_suffix(".jsonl")
OTHERS = OURS.with_stem("conflicts_of_others")


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print every pair that is told wrongly")
    parser.add_argument("--set", choices=("ours", "others"), default="ours")
    given = parser.parse_args()
    counts: Counter[tuple[str, bool, bool]] = Counter()
    began = thread_time()
    for pair in pairs(OTHERS if given.set == "others" else OURS):
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
