"""Indexing that is killed: a process that SIGKILL ends at a named moment, and what a library holds, to compare.

A moment is `EVENT:NAME:COUNT`: where a function of ours is entered (`call`) or left (`return`) for the so-manyth time,
such as `call:seal:2`, the second time that the files of a segment are about to be brought to the disk.
"""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rag_graph.index import EmbeddedIndex, Index, index_paths
from rag_graph.index.archive import export_library, import_library
from rag_graph.index.postgres import PostgresIndex
from rag_graph.models.embeddings import Embedder
from rag_graph.models.local.embedder import LocalEmbedder
from tests.index.hashing import HashEmbedder

ROOT = Path(__file__).parents[2]
EMBEDDERS: dict[str, type[Embedder]] = {"hash": HashEmbedder, "local": LocalEmbedder}
SCORE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Library:
    """Where a library is: in a `folder` or a `database`, by its path or URL; and by which embedder."""

    kept_in: str
    at: str
    embedder: str = "hash"

    def open(self) -> Index:
        embedder = EMBEDDERS[self.embedder]()
        return EmbeddedIndex(Path(self.at), embedder) if self.kept_in == "folder" else PostgresIndex(self.at, embedder)


@dataclass(frozen=True, slots=True)
class Contents:
    """All that can be asked of a library: the ids that it gives are its own, so nothing here has them."""

    documents: dict[str, tuple[Any, ...]]
    passages: frozenset[tuple[Any, ...]]
    hits: tuple[tuple[tuple[str, int, float], ...], ...]


def contents(library: Library, questions: Sequence[str]) -> Contents:
    with closing(library.open()) as index:
        if not index.files():
            return Contents({}, frozenset(), ())
        documents: dict[str, tuple[Any, ...]] = {}
        after = ""
        while page := index.documents(after=after, limit=500):
            for entry in page:
                document = index.document(entry.id)
                assert document is not None
                documents[entry.id] = (
                    document.uri,
                    document.title,
                    document.text,
                    repr(sorted(document.metadata.items())),
                )
            after = page[-1].uri
        with index.snapshot() as snapshot:
            everything = snapshot.nearest(index.embedder.embed_queries(["a"]), limit=snapshot.size).ids.tolist()
            passages = [
                one for at in range(0, len(everything), 500) for one in snapshot.passages(everything[at : at + 500])
            ]
            assert len(passages) == snapshot.size == index.counts()[1]
            places = {one.id: (one.uri, one.start) for one in passages}
            rankings = [snapshot.nearest(index.embedder.embed_queries([text]), limit=20) for text in questions]
            rankings += [snapshot.matching([dict.fromkeys(text.lower().split(), 1.0)], limit=20) for text in questions]
        hits = tuple(
            tuple(
                sorted(
                    (
                        (*places[number], round(score, SCORE_DIGITS))
                        for number, score in zip(found.ids.tolist(), found.scores.tolist(), strict=True)
                    ),
                    key=lambda hit: (-hit[2], hit[:2]),
                )
            )
            for found in rankings
        )
        kept = frozenset(
            (one.uri, one.start, one.end, one.content, one.heading, repr(sorted(one.metadata.items())))
            for one in passages
        )
    return Contents(documents, kept, hits)


def start(library: Library, folder: Path, *, commit_passages: int, moment: str = "") -> "subprocess.Popen[str]":
    """Index a folder in a process of its own, which says on stdout what it has used if it comes to its end."""
    told = (library.kept_in, library.at, library.embedder, str(folder), str(commit_passages), moment)
    command = [sys.executable, "-m", "tests.index.killing", *told]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def run_killed(what: str, library: Library, path: Path, moment: str) -> int:
    """Index a path, or `export` to or `import` from it, in a process that is killed at that moment; what it left by."""
    told = (library.kept_in, library.at, library.embedder, str(path), what, moment)
    return subprocess.run([sys.executable, "-m", "tests.index.killing", *told], cwd=ROOT, check=False).returncode


def kill_at(moment: str) -> None:
    """Have this process killed then, whichever of its threads comes there."""
    event, name, count = moment.split(":")
    left = [int(count)]

    def watch(frame: FrameType, happened: str, _: Any) -> None:
        if happened == event and frame.f_code.co_qualname == name:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)
    sys.setprofile(watch)


def main() -> None:
    kept_in, at, embedder, folder, what, moment = sys.argv[1:]
    with closing(Library(kept_in, at, embedder).open()) as index:
        if moment:
            kill_at(moment)
        if what == "export":
            export_library(index, Path(folder))
        if what == "import":
            import_library(index, Path(folder), replace=True)
        if not what.isdecimal():
            return
        report = index_paths(index, [Path(folder)], commit_passages=int(what))
        sys.setprofile(None)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
    print(report.passages, report.seconds, cpu_s, *(one.ru_maxrss >> 10 for one in used))  # noqa: T201 - for whoever started it
    for failure in report.failures:
        print(failure.kind, failure.uri, failure.reason, sep="\t")  # noqa: T201


if __name__ == "__main__":
    main()
