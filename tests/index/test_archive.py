"""A library in a file, out of each store and into each."""

import json
import signal
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rag_graph.errors import LibraryError
from rag_graph.index import EmbeddedIndex, Index, index_paths
from rag_graph.index.archive import export_library, import_library
from rag_graph.index.postgres import PostgresIndex
from tests.index.hashing import HashEmbedder
from tests.index.killing import Library, contents, run_killed
from tests.postgres import new_database

QUESTIONS = ("tower 7", "lamp power")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.md").write_text(f"# Tower {number}\n\nThe tower {number}\n+is of stone, {number} m.\n")
    rows = "\n".join(f"lamp of tower {number},{number * 9}" for number in range(300))
    (folder / "lamps.csv").write_text(f"lamp,power\n{rows}\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no more")
    return folder


@pytest.fixture
def archive(index: Index, files: Path, tmp_path: Path) -> Path:
    index_paths(index, [files])
    path = tmp_path / "library.zip"
    copied = export_library(index, path)
    assert (copied.documents, copied.passages) == index.counts()
    return path


def library_of(index: Index) -> Library:
    if isinstance(index, PostgresIndex):
        return Library("database", index.url)
    assert isinstance(index, EmbeddedIndex)
    return Library("folder", str(index.directory))


@pytest.mark.parametrize("into", ["embedded", "postgres"])
def test_what_was_written_is_found_in_either_store_and_nothing_is_embedded(
    index: Index, archive: Path, tmp_path: Path, into: str, request: pytest.FixtureRequest, files: Path
) -> None:
    embedder = HashEmbedder()
    other: Index = EmbeddedIndex(tmp_path / "other", embedder)
    if into == "postgres":
        other = PostgresIndex(new_database(request.getfixturevalue("postgres_url")), embedder)
    with closing(other):
        assert not import_library(other, archive).embedded
        assert embedder.embedded == []
        expected, found = contents(library_of(index), QUESTIONS), contents(library_of(other), QUESTIONS)
        assert (found.documents, found.passages) == (expected.documents, expected.passages)
        if isinstance(index, EmbeddedIndex) and isinstance(other, EmbeddedIndex):
            assert found.hits == expected.hits
        assert other.files() == index.files()
        again = index_paths(other, [files])
        assert (again.added, again.replaced, again.removed) == (0, 0, 0)


def test_another_model_embeds_it_anew(archive: Path, tmp_path: Path) -> None:
    embedder = HashEmbedder(name="other", dims=16)
    with closing(EmbeddedIndex(tmp_path / "other", embedder)) as other:
        assert import_library(other, archive).embedded
        assert len(embedder.embedded) >= other.counts()[1]


def test_a_library_that_holds_something_is_replaced_only_when_that_is_said(
    index: Index, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "else.md").write_text("Something else.")
    index_paths(index, [tmp_path / "else.md"])
    with pytest.raises(LibraryError, match="--replace"):
        import_library(index, archive)
    before = index.counts()
    import_library(index, archive, replace=True)
    assert index.counts()[0] == before[0] - 1


def rewritten(path: Path, to: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                new.writestr(name, content)
    return to


def _in_manifest(**changed: object) -> Callable[[str, bytes], bytes]:
    return lambda name, old: json.dumps(json.loads(old) | changed).encode() if name == "manifest.json" else old


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda name, old: old.replace(b"stone", b"straw") if name.startswith("documents") else old, "not as it was"),
        (lambda name, old: None if name.startswith("vectors") else old, "a part is missing"),
        (lambda name, old: None if name == "manifest.json" else old, "is no library"),
        (lambda name, old: b"[]" if name == "manifest.json" else old, "damaged"),
        (lambda name, old: b"\0" * (1 << 28) if name == "files.jsonl" else old, "far more than its size"),
        (_in_manifest(version=99), "newer version"),
        (_in_manifest(documents=1), "other documents"),
        (_in_manifest(dims=31), "damaged"),
        (_in_manifest(parts=10**9), "damaged"),
    ],
)
@pytest.mark.parametrize("index", ["embedded"], indirect=True)
def test_a_file_that_is_damaged_or_hostile_changes_nothing(
    index: Index, archive: Path, tmp_path: Path, change: Callable[[str, bytes], bytes | None], says: str
) -> None:
    before = contents(library_of(index), QUESTIONS)
    with pytest.raises(LibraryError, match=says):
        import_library(index, rewritten(archive, tmp_path / "changed.zip", change), replace=True)
    for cut in (0, 100, archive.stat().st_size // 2):
        (tmp_path / "cut.zip").write_bytes(archive.read_bytes()[:cut])
        with pytest.raises(LibraryError, match="cut off"):
            import_library(index, tmp_path / "cut.zip", replace=True)
    assert contents(library_of(index), QUESTIONS) == before


@pytest.mark.parametrize("index", ["embedded"], indirect=True)
def test_one_wrong_bit_is_noticed_wherever_it_changes_anything(index: Index, archive: Path, tmp_path: Path) -> None:
    before, whole = contents(library_of(index), QUESTIONS), archive.read_bytes()
    refused = 0
    for at in range(0, len(whole), len(whole) // 97):
        (tmp_path / "flipped.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            import_library(index, tmp_path / "flipped.zip", replace=True)
        except LibraryError:
            refused += 1
        else:  # such as the date of a part
            assert contents(library_of(index), QUESTIONS) == before
    assert refused > 90
    assert contents(library_of(index), QUESTIONS) == before


@pytest.mark.parametrize("moment", ["return:_stored:3", "call:EmbeddedWriter.finish:1", "call:Catalogue.commit:1"])
@pytest.mark.parametrize("index", ["embedded"], indirect=True)
def test_an_import_that_is_killed_leaves_the_former_library(
    index: Index, archive: Path, files: Path, moment: str
) -> None:
    for number in range(6):
        (files / f"{number}.md").unlink()
    index_paths(index, [files])
    before = contents(library_of(index), QUESTIONS)
    assert run_killed("import", library_of(index), archive, moment) == -signal.SIGKILL
    assert contents(library_of(index), QUESTIONS) == before
    import_library(index, archive, replace=True)
    assert len(contents(library_of(index), QUESTIONS).documents) == len(before.documents) + 6


def test_an_export_that_is_killed_leaves_the_former_file(archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    library = Library("folder", str(tmp_path / "kept"))
    with closing(library.open()) as index:
        import_library(index, archive)
    assert run_killed("export", library, archive, "return:_Writing._part:1") == -signal.SIGKILL
    assert archive.read_bytes() == before
