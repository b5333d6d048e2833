"""How many quotes of PDFs are found on their pages again: the boxes that a page would mark must read as the quote does.

    python -m tests.benchmarks.boxes FOLDER [--quotes 20] [--files 300]

Reads PDFs under a folder, takes some sentences and rows of each at random, and asks for their boxes as the page does.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from rag_graph.documents import page_breaks
from rag_graph.errors import DocumentUnreadable
from rag_graph.events import NumberedPassage
from rag_graph.index.chunking import chunk
from rag_graph.index.indexing import where
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loading import LoadedDocument, hash_of
from rag_graph.text.sentences import sentence_spans

_AROUND = 200
_LEAST_CHARS = 4


def quotes(document: LoadedDocument) -> Iterator[tuple[int, int, int]]:
    """Each sentence and row of a document: its page, and where it stands in the text."""
    for piece in chunk(document.text, document.outline):
        known = where(document.places, document.text, piece)
        if not isinstance(page := known.get("page"), int):
            continue
        content = document.text[piece.start : piece.end]
        passage = NumberedPassage(
            number=1,
            document="",
            title="",
            uri="",
            start=piece.start,
            end=piece.end,
            score=1,
            content=content,
            page=page,
            page_breaks=page_breaks(known),
        )
        for start, end in sentence_spans(content):
            number = passage.page_at(start)
            if number and end - start >= _LEAST_CHARS:
                yield number, piece.start + start, piece.start + end


def measure(path: Path, loader: Loader, count: int, rng: random.Random) -> tuple[int, list[str]]:
    """How many quotes of a file were tried, and those that were not found again."""
    [document] = [found for found in loader.load(path) if isinstance(found, LoadedDocument)]
    tried = list(quotes(document))
    tried = rng.sample(tried, min(count, len(tried)))
    known = hash_of([path.read_bytes()])
    text = document.text
    missed = []
    for number, start, end in tried:
        quote = (text[max(0, start - _AROUND) : start], text[start:end], text[end : end + _AROUND])
        if not loader.look(path, known=known, number=number, quote=quote)["boxes"]:
            missed.append(f"p. {number}: {text[start:end]}")
    return len(tried), missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quotes", type=int, default=20, help="of each file (default: 20)")
    parser.add_argument("--files", type=int, default=300, help="at most, drawn at random (default: 300)")
    parser.add_argument("--missed", type=Path, help="write the quotes that were not found to this file, as JSON")
    asked = parser.parse_args()
    rng = random.Random(7)  # noqa: S311 - the same draw each time
    paths = sorted(asked.folder.rglob("*.pdf"))
    paths = sorted(rng.sample(paths, min(asked.files, len(paths))))
    loader = Loader(Limits())
    files = tried = 0
    missed: dict[str, list[str]] = {}
    refused: Counter[str] = Counter()
    for path in paths:
        try:
            count, gone = measure(path, loader, asked.quotes, rng)
        except DocumentUnreadable as exc:
            refused[exc.kind] += 1
            continue
        files, tried = files + bool(count), tried + count
        if gone:
            missed[str(path)] = gone
    loader.close()
    report: dict[str, Any] = {"files": files, "refused": dict(refused), "quotes": tried}
    say = Console(soft_wrap=True, highlight=False, markup=False).print
    found = tried - sum(map(len, missed.values()))
    say(report, f"found again: {found}, {100 * found / max(1, tried):.2f} %")
    for name, gone in sorted(missed.items(), key=lambda item: -len(item[1])):
        say(f"{len(gone):4} {name}")
    if asked.missed:
        asked.missed.write_text(json.dumps(missed, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
