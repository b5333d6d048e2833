"""What happens to the files of an index, and what is said of it."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rag_graph.errors import IndexDamaged, IndexNotFound, LibraryError
from rag_graph.index import EmbeddedIndex, index_paths
from tests.index.hashing import HashEmbedder

LINES = [{"_id": str(number), "title": f"Tower {number}", "text": f"About tower {number}."} for number in range(200)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 0x10
    path.write_bytes(content)


def flip_first(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 0x10
    path.write_bytes(content)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def scribble(path: Path) -> None:
    path.write_bytes(b"\xa5" * path.stat().st_size)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [cut, empty, flip, flip_first, grow, scribble, become_a_folder, Path.unlink]
FILES = [
    "library.sqlite",
    *(
        f"segments/*/{name}"
        for name in (
            "ids.npy",
            "title_keys.npy",
            "title_ordinals.npy",
            "owners.npy",
            "vectors.faiss",
            "terms.npy",
            "starts.npy",
            "ordinals.npy",
            "title_counts.npy",
            "body_counts.npy",
            "title_lengths.npy",
            "body_lengths.npy",
        )
    ),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with documents and their index."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "towers.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as index:
        index_paths(index, [folder / "towers.jsonl"])
    return folder


def search(index: EmbeddedIndex) -> list[str]:
    with index.snapshot() as snapshot:
        found = snapshot.matching([{"tower": 1.0, "17": 5.0}], limit=3)
        return [passage.content for passage in snapshot.passages(found.ids.tolist())]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_a_rebuild_mends_it(
    whole: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    [path] = (folder / "index").glob(name)
    damage(path)
    with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as index:
        with pytest.raises(IndexDamaged, match=re.escape(path.relative_to(folder / "index").as_posix())) as told:
            search(index)
        assert "rag-graph index --rebuild" in str(told.value)
        assert str(tmp_path) not in str(told.value)
        index_paths(index, [folder / "towers.jsonl"], rebuild=True)
        assert search(index)[0] == "About tower 17."


def test_an_index_that_is_open_goes_on_from_the_rebuilt_one(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as reader:
        assert search(reader)[0] == "About tower 17."
        flip_first(folder / "index" / "library.sqlite")
        (folder / "towers.jsonl").write_text(json.dumps({"_id": "x", "text": "A new tower 17."}))
        with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as writer:
            index_paths(writer, [folder / "towers.jsonl"], rebuild=True)
        assert search(reader) == ["A new tower 17."]


def test_damage_is_not_indexed_over(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    flip(folder / "index" / "library.sqlite")
    (folder / "more.txt").write_text("More about towers.")
    with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as index, pytest.raises(IndexDamaged):
        index_paths(index, [folder / "more.txt"])


def test_an_index_without_checksums_is_read(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    (folder / "index" / "library.sum").unlink()
    with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as index:
        assert search(index)[0] == "About tower 17."


def test_a_folder_where_a_first_run_was_killed_at_once_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "library.sqlite").touch()
    (tmp_path / "a.txt").write_text("About a tower.")
    with closing(EmbeddedIndex(tmp_path / "index", HashEmbedder())) as index:
        with pytest.raises(IndexNotFound):
            index.counts()
        assert index_paths(index, [tmp_path / "a.txt"]).added == 1


def test_nobody_but_the_owner_may_read_an_index(whole: Path) -> None:
    folders = [whole / "index", *(path for path in (whole / "index").rglob("*") if path.is_dir())]
    files = [path for path in (whole / "index").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert len(files) >= len(FILES)


def test_what_older_versions_left_open_is_closed_by_the_next_run(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    for path in [folder / "index", *(folder / "index").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as index:
        index_paths(index, [folder / "towers.jsonl"])
    test_nobody_but_the_owner_may_read_an_index(folder)


WITH_LITTLE_ROOM = textwrap.dedent("""
    import resource, sys
    from pathlib import Path
    from rag_graph.errors import StorageFull
    from rag_graph.index import EmbeddedIndex, index_paths
    from tests.index.hashing import HashEmbedder

    folder, room = Path(sys.argv[1]), int(sys.argv[2])
    index = EmbeddedIndex(folder / "index", HashEmbedder())
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        index_paths(index, [folder], commit_passages=100)
    except StorageFull as exc:
        print(exc)
        sys.exit(3)
""")


@pytest.mark.parametrize("room", [1_000, 20_000, 60_000, 150_000])
def test_where_room_runs_out_that_is_said_and_the_index_stands(whole: Path, tmp_path: Path, room: int) -> None:
    """A file may not grow beyond the limit, as if the disk were full there: at another file with each limit."""
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    more = [{"_id": f"n{number}", "text": f"More about tower {number}, at length. " * 5} for number in range(1_000)]
    (folder / "more.jsonl").write_text("\n".join(map(json.dumps, more)))
    done = subprocess.run(
        [sys.executable, "-c", WITH_LITTLE_ROOM, str(folder), str(room)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "no room left" in done.stdout
    assert str(tmp_path) not in done.stdout
    with closing(EmbeddedIndex(folder / "index", HashEmbedder())) as index:
        assert search(index)[0].startswith("About tower 17.")
        index_paths(index, [folder])
        assert index.counts()[0] == 2 * len(LINES) + len(more)  # those of the folder that was copied are there too
        assert search(index)[0].startswith("About tower 17.")


def test_a_folder_that_cannot_be_made_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "a.txt").write_text("About a tower.")
    with closing(EmbeddedIndex(tmp_path / "file" / "index", HashEmbedder())) as index:
        with pytest.raises(LibraryError, match="cannot be written") as told:
            index_paths(index, [tmp_path / "a.txt"])
        assert str(tmp_path) not in str(told.value)
