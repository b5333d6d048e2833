"""What only the embedded index has: what it remembers, and files that it has to let go of."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import pytest

from rag_graph.documents import Passage
from rag_graph.errors import IndexDamaged, IndexMismatch
from rag_graph.index import EmbeddedIndex, index_paths
from tests.index.hashing import HashEmbedder

LINES: list[dict[str, object]] = [{"_id": name, "text": f"{name} grow here."} for name in ("Apples", "Pears", "Plums")]


class Counting(EmbeddedIndex):
    """Counts the passages that it reads from the disk."""

    count = 0

    def _read_passages(self, ids: Sequence[int]) -> list[Passage]:
        self.count += len(ids)
        return super()._read_passages(ids)


def test_a_passage_is_read_once_until_the_index_changes(tmp_path: Path) -> None:
    (tmp_path / "fruit.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    with closing(Counting(tmp_path / "index", HashEmbedder())) as index:
        index_paths(index, [tmp_path / "fruit.jsonl"])
        for ids in ([2, 1], [3, 1, 2, 9], [1, 3]):
            with index.snapshot() as snapshot:
                assert [passage.id for passage in snapshot.passages(ids)] == [number for number in ids if number != 9]
        assert index.count == len([2, 1, 3, 9])
        (tmp_path / "fruit.jsonl").write_text(json.dumps({**LINES[0], "text": "Apples are red."}))
        index_paths(index, [tmp_path / "fruit.jsonl"])
        with index.snapshot() as snapshot:
            assert [passage.content for passage in snapshot.passages([1, 2, 3, 4])] == ["Apples are red."]


def test_a_run_that_changes_nothing_leaves_what_was_read(tmp_path: Path) -> None:
    (tmp_path / "fruit.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    with closing(Counting(tmp_path / "index", HashEmbedder())) as index:
        for _ in range(2):
            index_paths(index, [tmp_path / "fruit.jsonl"])
            with index.snapshot() as snapshot:
                assert len(snapshot.passages([1, 2, 3])) == 3
        assert index.count == 3


def test_only_the_passages_read_last_are_kept(tmp_path: Path) -> None:
    lines = [{"_id": str(number), "text": f"Apple number {number}."} for number in range(1_500)]
    (tmp_path / "fruit.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with closing(Counting(tmp_path / "index", HashEmbedder())) as index:
        index_paths(index, [tmp_path / "fruit.jsonl"])
        for ids in (range(1, 1_501), range(1_400, 1_501), range(1, 11)):
            with index.snapshot() as snapshot:
                assert len(snapshot.passages(ids)) == len(ids)
        assert index.count == 1_500 + 10


def test_what_cannot_be_opened_leaves_no_connection_behind(tmp_path: Path) -> None:
    (tmp_path / "fruit.jsonl").write_text(json.dumps(LINES[0]))
    with closing(EmbeddedIndex(tmp_path / "index", HashEmbedder())) as index:
        index_paths(index, [tmp_path / "fruit.jsonl"])
    other = EmbeddedIndex(tmp_path / "index", HashEmbedder(name="other"))
    open_before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(IndexMismatch) as told:  # its traceback keeps alive what nobody closed
        other.counts()
    other.close()
    assert len(list(Path("/dev/fd").iterdir())) == open_before
    assert told.value.__traceback__ is not None


def test_parts_that_are_missing_are_told(tmp_path: Path) -> None:
    (tmp_path / "fruit.jsonl").write_text(json.dumps(LINES[0]))
    with closing(EmbeddedIndex(tmp_path / "index", HashEmbedder())) as index:
        index_paths(index, [tmp_path / "fruit.jsonl"])
    for path in (tmp_path / "index" / "segments").glob("*/*"):
        path.unlink()
    with (
        closing(EmbeddedIndex(tmp_path / "index", HashEmbedder())) as index,
        pytest.raises(IndexDamaged, match="rebuild"),
    ):
        index.counts()


def test_an_index_of_the_first_format_asks_to_be_rebuilt_and_can_be(tmp_path: Path) -> None:
    """`format-1.zip` holds three files in /tmp/old-index/docs; words were cut into other terms then."""
    with ZipFile(Path(__file__).with_name("format-1.zip")) as archive:
        archive.extractall(tmp_path / "index")
    documents = tmp_path / "docs"
    documents.mkdir()
    for name in ("apples", "figs"):
        (documents / f"{name}.md").write_text(f"# {name.title()}\n\nAbout {name}.\n")
    with closing(EmbeddedIndex(tmp_path / "index", HashEmbedder())) as index:
        with pytest.raises(IndexMismatch, match="--rebuild"):
            index.counts()
        with pytest.raises(IndexMismatch, match="--rebuild"):
            index_paths(index, [documents])
        assert index_paths(index, [documents], rebuild=True).added == 2
        with index.snapshot() as snapshot:
            found = snapshot.matching([{"about": 1.0}], limit=10)
            titles = {passage.title for passage in snapshot.passages(found.ids.tolist())}
    assert titles == {"Apples", "Figs"}


def test_the_log_of_a_run_takes_no_room_afterwards(tmp_path: Path) -> None:
    (tmp_path / "fruit.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    with closing(EmbeddedIndex(tmp_path / "index", HashEmbedder())) as index:
        index_paths(index, [tmp_path / "fruit.jsonl"])
        assert index.counts() == (3, 3)
        assert (tmp_path / "index" / "library.sqlite-wal").stat().st_size == 0
