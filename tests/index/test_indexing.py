import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rag_graph.errors import IndexBusy, IndexMismatch, LibraryError
from rag_graph.index import IndexProgress, IndexReport, Place, index_paths
from rag_graph.index.embedded import EmbeddedPlace
from rag_graph.index.postgres import PostgresPlace
from tests.index.hashing import HashEmbedder

Shelf = tuple[Place, Path]


@pytest.fixture
def shelf(tmp_path: Path, place: Place) -> Shelf:
    """The place of a library, and a folder of documents."""
    documents = tmp_path / "docs"
    documents.mkdir()
    for name in ("apples", "pears", "plums"):
        (documents / f"{name}.md").write_text(f"# {name.title()}\n\nAll about {name}.\n")
    return place, documents


def index(shelf: Shelf, embedder: HashEmbedder | None = None) -> IndexReport:
    return index_paths(shelf[0], [shelf[1]], embedder=embedder or HashEmbedder())


def outcome(report: IndexReport) -> tuple[int, int, int, int]:
    return report.added, report.replaced, report.removed, report.unchanged


def contents(shelf: Shelf) -> set[str]:
    library = shelf[0].open(HashEmbedder())
    with library.view() as view:
        found = view.nearest(library.embedder.embed(["about"]), limit=100)
        passages = view.passages(found.ids.tolist())
        assert len(passages) == view.size == library.counts()[1]
        matched = view.matching([{"about": 1.0}], limit=100)
        assert set(matched.ids.tolist()) == set(found.ids.tolist())
    library.close()
    return {passage.content.rsplit("\n", 1)[-1] for passage in passages}


def test_only_what_changed_is_embedded_again(shelf: Shelf) -> None:
    assert outcome(index(shelf)) == (3, 0, 0, 0)
    (shelf[1] / "pears.md").write_text("# Pears\n\nNew things about pears.\n")
    (shelf[1] / "plums.md").unlink()
    (shelf[1] / "sub").mkdir()
    (shelf[1] / "sub" / "figs.txt").write_text("Figs, about.")
    embedder = HashEmbedder()
    assert outcome(index(shelf, embedder)) == (1, 1, 1, 1)
    assert len(embedder.embedded) == 2
    assert contents(shelf) == {"All about apples.", "New things about pears.", "Figs, about."}


def test_documents_from_elsewhere_stay(shelf: Shelf, tmp_path: Path) -> None:
    index(shelf)
    other = tmp_path / "other" / "docs"
    other.mkdir(parents=True)
    (other / "apples.md").write_text("Something else about apples.")
    assert outcome(index((shelf[0], other))) == (1, 0, 0, 0)
    assert len(contents(shelf)) == 4


def test_uris_begin_with_the_named_folder_and_differ(shelf: Shelf, tmp_path: Path) -> None:
    index(shelf)
    other = tmp_path / "other" / "docs"
    other.mkdir(parents=True)
    (other / "apples.md").write_text("Else.")
    index((shelf[0], other))
    library = shelf[0].open(HashEmbedder())
    with library.view({"uri": "*apples.md"}) as view:
        found = view.nearest(library.embedder.embed(["apples"]), limit=10)
        uris = {passage.uri for passage in view.passages(found.ids.tolist())}
    library.close()
    assert uris == {"docs/apples.md", "docs-2/apples.md"}


def test_lines_of_one_file_are_documents_of_their_own(shelf: Shelf) -> None:
    path = shelf[1] / "more.jsonl"
    lines = [{"_id": str(number), "text": f"Line {number} about."} for number in range(5)]
    path.write_text("\n".join(map(json.dumps, lines)))
    index(shelf)
    lines[1]["text"] = "Changed, about."
    del lines[3]
    path.write_text("\n".join(map(json.dumps, [*lines, lines[0]])))
    report = index(shelf)
    assert outcome(report) == (0, 1, 1, 6)
    assert [(failure.uri, failure.reason) for failure in report.failures] == [
        ("docs/more.jsonl#0", "another document of that file has the same id")
    ]


def test_one_bad_file_does_not_stop_the_rest_and_is_not_kept_as_it_was(shelf: Shelf) -> None:
    index(shelf)
    (shelf[1] / "pears.md").write_bytes(bytes(100))
    report = index(shelf)
    assert outcome(report) == (0, 0, 1, 2)
    assert [(failure.uri, failure.reason) for failure in report.failures] == [
        ("docs/pears.md", "it is binary, not text")
    ]
    assert contents(shelf) == {"All about apples.", "All about plums."}


def test_many_small_changes_leave_few_segments_and_nothing_dead(shelf: Shelf) -> None:
    for number in range(12):
        (shelf[1] / "apples.md").write_text(f"Edition {number} about apples.")
        index(shelf)
    assert contents(shelf) == {"Edition 11 about apples.", "All about pears.", "All about plums."}
    index(shelf)
    if isinstance(shelf[0], EmbeddedPlace):
        assert len(list((shelf[0].directory / "segments").iterdir())) <= 2


def test_all_documents_may_go(shelf: Shelf) -> None:
    index(shelf)
    for path in shelf[1].iterdir():
        path.unlink()
    assert outcome(index(shelf)) == (0, 0, 3, 0)
    assert contents(shelf) == set()


def test_the_library_of_another_embedder_is_refused_until_rebuilt(shelf: Shelf) -> None:
    index(shelf)
    with pytest.raises(IndexMismatch, match="rebuild"):
        index(shelf, HashEmbedder(name="other"))
    report = index_paths(shelf[0], [shelf[1]], embedder=HashEmbedder(name="other"), rebuild=True)
    assert outcome(report) == (3, 0, 0, 0)
    with pytest.raises(IndexMismatch, match="'other'"):
        shelf[0].open(HashEmbedder())


def test_a_second_run_at_the_same_time_is_told_so(shelf: Shelf) -> None:
    index(shelf)
    with shelf[0].grow(HashEmbedder()), pytest.raises(IndexBusy, match="Another process"):
        index(shelf)


def test_a_missing_path_is_an_error_that_changes_nothing(shelf: Shelf) -> None:
    index(shelf)
    with pytest.raises(LibraryError):
        index_paths(shelf[0], [shelf[1], shelf[1] / "nowhere"], embedder=HashEmbedder())
    assert len(contents(shelf)) == 3


def test_progress_ends_at_the_total(shelf: Shelf) -> None:
    seen: list[IndexProgress] = []
    index_paths(shelf[0], [shelf[1]], embedder=HashEmbedder(), on_progress=seen.append)
    assert [item.bytes_done for item in seen] == sorted(item.bytes_done for item in seen)
    assert seen[-1].bytes_done == seen[-1].bytes_total == sum(p.stat().st_size for p in shelf[1].iterdir())


def test_a_killed_run_leaves_the_former_index_readable_and_complete(shelf: Shelf, tmp_path: Path) -> None:
    index(shelf)
    script = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from rag_graph.index import index_paths
        from rag_graph.index.postgres import PostgresPlace
        from tests.index.hashing import HashEmbedder

        class Killer(HashEmbedder):
            def embed(self, texts):
                if len(self.embedded) > 300:
                    os._exit(9)
                return super().embed(texts)

        place = Path(sys.argv[2]) if sys.argv[1] == "folder" else PostgresPlace(sys.argv[2])
        index_paths(place, [Path(sys.argv[3])], embedder=Killer())
    """)
    (shelf[1] / "apples.md").write_text("Changed about apples.")
    (shelf[1] / "pears.md").unlink()
    (shelf[1] / "zz.jsonl").write_text("\n".join(json.dumps({"text": f"about {n}"}) for n in range(1_000)))
    kept = ("database", shelf[0].url) if isinstance(shelf[0], PostgresPlace) else ("folder", str(tmp_path / "library"))
    killed = subprocess.run(
        [sys.executable, "-c", script, *kept, str(shelf[1])], cwd=Path(__file__).parents[2], check=False
    )
    assert killed.returncode == 9
    assert contents(shelf) == {"All about apples.", "All about pears.", "All about plums."}
    assert outcome(index(shelf)) == (1_000, 1, 1, 1)
