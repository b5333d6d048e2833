"""Wherever SIGKILL ends an indexing run, the library stays whole, and the next run makes of it what one run would."""

import json
import signal
from pathlib import Path
from typing import Any

import psycopg

from rag_graph.index import EmbeddedIndex, Index, index_paths
from rag_graph.index.postgres import PostgresIndex
from tests.index.killing import Contents, Library, contents, start
from tests.servers import until

QUESTIONS = ("tower 7 height", "stone", "lamp of tower 12")
COMMIT_PASSAGES = 60
MOMENTS = {
    EmbeddedIndex: (
        "call:HashEmbedder.embed:2",  # before the first commit
        "return:_Run.sync_file:10",  # between files
        "call:seal:1",  # a segment that is not on the disk yet
        "call:Catalogue.replace_segments:1",  # one that nothing knows of yet
        "call:Catalogue.commit:2",
        "return:Catalogue.commit:1",
        "call:merge_segments:1",  # at the end of a run
        "return:Catalogue.truncate_log:1",
    ),
    PostgresIndex: (
        "call:HashEmbedder.embed:2",
        "return:_Run.sync_file:10",
        "return:PostgresWriter._write_segment:1",
        "return:PostgresWriter.commit:1",
        "call:PostgresWriter._merge:1",
        "return:merge_postings:1",
    ),
}


def write_edition(folder: Path, word: str) -> None:
    """Files of several kinds and lengths, and one that cannot be read."""
    folder.mkdir(exist_ok=True)
    for number in range(40):
        told = f"The {word} number {number} is {number * 3} metres high and built of stone. "
        (folder / f"{number:02}.md").write_text(f"# Tower {number}\n\n{told * (1 + number % 7 * 20)}\n")
    rows = "\n".join(f"lamp of {word} {number},{number * 9}" for number in range(200))
    (folder / "lamps.csv").write_text(f"lamp,power\n{rows}\n")
    (folder / "more.jsonl").write_text("\n".join(json.dumps({"text": f"Mason {n} of {word}."}) for n in range(150)))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no more")


def library_of(index: Index) -> Library:
    if isinstance(index, PostgresIndex):
        return Library("database", index.url)
    assert isinstance(index, EmbeddedIndex)
    return Library("folder", str(index.directory))


def is_whole(found: Contents, former: Contents, new: Contents) -> bool:
    """Whether each document is as it was or as it is to be, with all its passages and no other."""
    expected: set[tuple[Any, ...]] = set()
    for number, document in found.documents.items():
        edition = next((one for one in (new, former) if one.documents.get(number) == document), None)
        if edition is None:
            return False
        expected |= {passage for passage in edition.passages if passage[0] == document[0]}
    return found.passages == expected


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(index: Index, tmp_path: Path) -> None:
    files, library = tmp_path / "files", library_of(index)
    write_edition(files, "mill")
    index_paths(index, [files])
    former = contents(library, QUESTIONS)
    write_edition(files, "tower")
    uninterrupted = EmbeddedIndex(tmp_path / "whole", index.embedder)
    index_paths(uninterrupted, [files])
    new = contents(library_of(uninterrupted), QUESTIONS)
    uninterrupted.close()
    kept: dict[str, tuple[Any, ...]] = {}
    for moment in MOMENTS[type(index)]:
        killed = start(library, files, commit_passages=COMMIT_PASSAGES, moment=moment)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL, moment
        if isinstance(index, PostgresIndex):  # which lets go of the lock when it sees that the process is gone
            until(lambda: not is_locked(library.at))
        found = contents(library, QUESTIONS)
        assert kept.items() <= found.documents.items(), f"{moment}: what was committed is lost"
        assert is_whole(found, former, new), moment
        kept = dict(found.documents.items() & new.documents.items())
    index_paths(index, [files], commit_passages=COMMIT_PASSAGES)
    found = contents(library, QUESTIONS)
    assert (found.documents, found.passages) == (new.documents, new.passages)
    if isinstance(index, EmbeddedIndex):  # PostgreSQL keeps vectors at half the precision
        assert found.hits == new.hits
    assert [file.uri for file in index.files() if file.failure] == ["files/broken.pdf"]


def is_locked(url: str) -> bool:
    with psycopg.connect(url) as db:
        held = db.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return held.fetchone() is not None
