"""Indexing that is killed by SIGKILL again and again: `python -m tests.benchmarks.kills FOLDER --kills 20`.

The folder is indexed once without a disturbance, which gives the time, the memory and what was skipped. Then again into
a library of its own, by processes that are killed: at moments inside embedding, committing and merging, and after so
many seconds. After each, all that was committed before must still be there; in the end the library must hold what the
first one does, and find it. Where a run comes to its end before all kills are done, the next library begins.
"""

import argparse
import itertools
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rag_graph.index.indexing import COMMIT_PASSAGES
from tests.index.killing import Contents, Library, contents, start

QUESTIONS = ("how do I install it", "default port", "table of results", "what does the function return", "licence")
EMBEDDERS = {"local": "LocalEmbedder", "hash": "HashEmbedder"}
MOMENTS = (
    "call:{embedder}.embed:40",
    "return:_Run.sync_file:30",
    "call:seal:1",
    "call:Catalogue.replace_segments:1",
    "call:Catalogue.commit:1",
    "return:Catalogue.commit:1",
    "call:_Run._read_file:60",
    "return:EmbeddedWriter._write:1",
)


@dataclass(frozen=True, slots=True)
class Use:
    """What a process that came to its end has used, and why it skipped files."""

    passages: int
    seconds: float
    cpu_s: float
    memory_mb: tuple[int, int]
    skipped: Counter[str]

    @classmethod
    def of(cls, said: str) -> "Use":
        first, *failures = said.splitlines()
        passages, seconds, cpu_s, own_mb, readers_mb = first.split()
        skipped = Counter(line.split("\t")[0] for line in failures)
        return cls(int(passages), float(seconds), float(cpu_s), (int(own_mb), int(readers_mb)), skipped)


def index_whole(library: Library, folder: Path, commit_passages: int) -> Use:
    process = start(library, folder, commit_passages=commit_passages)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"indexing ended with {process.returncode}")
    return Use.of(said)


def index_killed(library: Library, folder: Path, commit_passages: int, *, moment: str, after_s: float) -> bool:
    """Whether it was killed before it came to its end."""
    process = start(library, folder, commit_passages=commit_passages, moment=moment)
    try:
        process.communicate(timeout=None if moment else after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode == -signal.SIGKILL


def lost(before: Contents, after: Contents) -> int:
    return len(before.documents.items() - after.documents.items()) + len(before.passages - after.passages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--commit-passages", type=int, default=COMMIT_PASSAGES)
    parser.add_argument("--embedder", choices=tuple(EMBEDDERS), default="local")
    asked = parser.parse_args()
    chance = random.Random(0)  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as home:
        whole = Library("folder", f"{home}/whole", asked.embedder)
        use = index_whole(whole, asked.folder, asked.commit_passages)
        expected = contents(whole, QUESTIONS)
        print(  # noqa: T201
            f"{len(expected.documents)} documents, {use.passages} passages in {use.seconds:.0f} s "
            f"({use.passages / use.seconds:.1f}/s, {use.passages / use.cpu_s:.1f} per CPU-second); "
            f"{use.memory_mb[0]} MB, readers {use.memory_mb[1]} MB; skipped: {dict(use.skipped)}",
            flush=True,
        )
        moments = itertools.cycle((*MOMENTS, *[""] * len(MOMENTS)))
        began, kills, rounds = time.monotonic(), 0, 0
        while kills < asked.kills:
            rounds += 1
            library, kept = Library("folder", f"{home}/killed-{rounds}", asked.embedder), Contents({}, frozenset(), ())
            killed = True
            while killed and kills < asked.kills:
                after_s = chance.uniform(2, max(3.0, use.seconds / 4))
                moment = next(moments).format(embedder=EMBEDDERS[asked.embedder])
                killed = index_killed(library, asked.folder, asked.commit_passages, moment=moment, after_s=after_s)
                kills += killed
                found = contents(library, QUESTIONS)
                print(  # noqa: T201
                    f"{kills}: {moment or f'after {after_s:.1f} s'}: {'killed' if killed else 'came to its end'}; "
                    f"{len(found.documents)} documents, {len(found.passages)} passages; {lost(kept, found)} lost",
                    flush=True,
                )
                kept = found
            index_whole(library, asked.folder, asked.commit_passages)
            print(f"library {rounds}:", *compared(contents(library, QUESTIONS), expected), flush=True)  # noqa: T201
        print(f"{kills} kills in {time.monotonic() - began:.0f} s")  # noqa: T201


def compared(found: Contents, expected: Contents) -> list[str]:
    pairs = list(zip(found.hits, expected.hits, strict=True))
    same = sum([hit[:2] for hit in one] == [hit[:2] for hit in other] for one, other in pairs)
    told = (("documents", found.documents == expected.documents), ("passages", found.passages == expected.passages))
    return [
        *(f"{what} {'equal' if is_equal else 'DIFFER'}," for what, is_equal in told),
        f"{same} of {len(pairs)} searches equal",
    ]


if __name__ == "__main__":
    main()
