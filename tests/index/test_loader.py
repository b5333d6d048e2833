"""Files are read in a process of its own, so that one of them costs itself only."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loaders import load
from rag_graph.index.loading import Failure, LoadedDocument
from tests.index import hostile
from tests.servers import until

BRIEF = Limits(seconds=1, memory_mb=400)
CHILD = "loader_child"


@pytest.fixture
def loader() -> Iterator[Loader]:
    with closing(Loader(BRIEF)) as loader:
        yield loader


def texts(loader: Loader, path: Path) -> list[str]:
    return [found.text if isinstance(found, LoadedDocument) else found.reason for found in loader.load(path)]


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if any(CHILD in word for word in child.cmdline())]


def test_what_a_file_holds_comes_over_whole(loader: Loader, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\na: b\n---\n# One\n\n\U0001f469 naïve\r\n\n## Two\n\nend")
    lines = (
        b'{"_id": 1, "title": "T", "text": "x", "year": 1999, "share": 0.5, "open": true}\n{broken\n{"text": "\\ud800"}'
    )
    (tmp_path / "b.jsonl").write_bytes(lines)
    for name in ("a.md", "b.jsonl"):
        assert list(loader.load(tmp_path / name)) == list(load(tmp_path / name))
    assert [type(found) for found in loader.load(tmp_path / "b.jsonl")] == [LoadedDocument, Failure, LoadedDocument]


def test_one_process_reads_many_files(loader: Loader, tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"number {number}")
        assert texts(loader, path) == [f"number {number}"]
    assert len(children()) == 1
    loader.close()
    assert children() == []


def test_a_cell_that_says_it_is_very_wide_is_read_as_one(loader: Loader, tmp_path: Path) -> None:
    path = hostile.wide_cell(tmp_path / "a.docx")
    (tmp_path / "good.txt").write_text("good")
    with pytest.raises(DocumentUnreadable, match="no text"):
        list(loader.load(path))
    assert texts(loader, tmp_path / "good.txt") == ["good"]


@pytest.mark.parametrize(
    ("build", "name", "kind"),
    [
        (hostile.unclosed_tags, "a.html", "time limit"),
        (hostile.unclosed_comments, "a.html", "no text"),
        (hostile.large_relations, "a.docx", "too large"),
    ],
)
def test_a_hostile_file_costs_itself_only(
    loader: Loader, tmp_path: Path, build: Callable[[Path], Path], name: str, kind: str
) -> None:
    (tmp_path / "good.txt").write_text("good")
    with pytest.raises(DocumentUnreadable) as told:
        list(loader.load(build(tmp_path / name)))
    assert told.value.kind == kind
    assert texts(loader, tmp_path / "good.txt") == ["good"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")
def test_a_file_that_takes_too_much_memory_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    with closing(Loader(Limits(seconds=300, memory_mb=300))) as loader:
        with pytest.raises(DocumentUnreadable) as told:
            list(loader.load(hostile.many_paragraphs(tmp_path / "a.docx")))
        assert told.value.kind == "memory limit"
        assert "300 MB" in str(told.value)
        assert texts(loader, tmp_path / "good.txt") == ["good"]


def test_a_process_that_does_nothing_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    with closing(Loader(BRIEF)) as loader:
        assert texts(loader, tmp_path / "good.txt") == ["good"]
        [child] = children()
        child.suspend()
        with pytest.raises(DocumentUnreadable, match="time limit"):
            list(loader.load(tmp_path / "good.txt"))
        assert texts(loader, tmp_path / "good.txt") == ["good"]
        assert not child.is_running()


@pytest.mark.parametrize(("sign", "kind"), [(signal.SIGSEGV, "damaged"), (signal.SIGKILL, "memory limit")])
def test_how_a_process_died_tells_what_was_wrong(
    loader: Loader, tmp_path: Path, sign: signal.Signals, kind: str
) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "line"}\n' * 100_000)
    reading = loader.load(tmp_path / "a.jsonl")
    next(reading)
    [child] = children()
    child.send_signal(sign)
    with pytest.raises(DocumentUnreadable) as told:
        list(reading)
    assert told.value.kind == kind


def test_closing_stops_what_is_being_read(tmp_path: Path) -> None:
    loader = Loader(Limits(seconds=60))
    told: list[str] = []

    def read() -> None:
        try:
            list(loader.load(hostile.unclosed_tags(tmp_path / "a.html")))
        except DocumentUnreadable as exc:
            told.append(str(exc))

    thread = threading.Thread(target=read)
    thread.start()
    until(lambda: bool(children()))
    loader.close()
    thread.join()
    assert told == ["reading it was stopped"]
    assert children() == []


def test_a_reader_that_leaves_in_the_middle_leaves_no_answers_for_the_next(loader: Loader, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "line"}\n' * 1_000)
    (tmp_path / "b.txt").write_text("other")
    reading = loader.load(tmp_path / "a.jsonl")
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert texts(loader, tmp_path / "b.txt") == ["other"]
