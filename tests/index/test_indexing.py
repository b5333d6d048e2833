import json
import os
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rag_graph.errors import IndexBusy, IndexMismatch, LibraryError
from rag_graph.index import EmbeddedIndex, Index, IndexProgress, IndexReport, index_paths
from rag_graph.index.indexing import forget
from rag_graph.index.loader import Limits
from rag_graph.index.postgres import PostgresIndex
from tests.index import hostile
from tests.index.hashing import HashEmbedder
from tests.index.loaders.lines import LineLoader


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A folder of documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("apples", "pears", "plums"):
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\nAll about {name}.\n")
    return folder


def other(index: Index, **changed: Any) -> Index:
    """The same index, opened anew with another embedder."""
    if isinstance(index, PostgresIndex):
        return PostgresIndex(index.url, HashEmbedder(**changed))
    assert isinstance(index, EmbeddedIndex)
    return EmbeddedIndex(index.directory, HashEmbedder(**changed))


def embedded(index: Index) -> list[str]:
    """What the index's embedder was asked to embed."""
    assert isinstance(index.embedder, HashEmbedder)
    return index.embedder.embedded


def outcome(report: IndexReport) -> tuple[int, int, int, int]:
    return report.added, report.replaced, report.removed, report.unchanged


def contents(index: Index) -> set[str]:
    with index.snapshot() as snapshot:
        found = snapshot.nearest(index.embedder.embed_queries(["about"]), limit=10_000)
        passages = snapshot.passages(found.ids.tolist())
        assert len(passages) == snapshot.size == index.counts()[1]
        matched = snapshot.matching([{"about": 1.0}], limit=10_000)
        assert set(matched.ids.tolist()) == set(found.ids.tolist())
    return {passage.content.rsplit("\n", 1)[-1] for passage in passages}


def test_only_what_changed_is_embedded_again(index: Index, documents: Path) -> None:
    assert outcome(index_paths(index, [documents])) == (3, 0, 0, 0)
    (documents / "pears.md").write_text("# Pears\n\nNew things about pears.\n")
    (documents / "plums.md").unlink()
    (documents / "sub").mkdir()
    (documents / "sub" / "figs.txt").write_text("Figs, about.")
    embedded(index).clear()
    assert outcome(index_paths(index, [documents])) == (1, 1, 1, 1)
    assert len(embedded(index)) == 2
    assert contents(index) == {"All about apples.", "New things about pears.", "Figs, about."}


def test_documents_from_elsewhere_stay(index: Index, documents: Path, tmp_path: Path) -> None:
    index_paths(index, [documents])
    elsewhere = tmp_path / "other" / "docs"
    elsewhere.mkdir(parents=True)
    (elsewhere / "apples.md").write_text("Something else about apples.")
    assert outcome(index_paths(index, [elsewhere])) == (1, 0, 0, 0)
    assert len(contents(index)) == 4


def test_uris_begin_with_the_named_folder_and_differ(index: Index, documents: Path, tmp_path: Path) -> None:
    index_paths(index, [documents])
    elsewhere = tmp_path / "other" / "docs"
    elsewhere.mkdir(parents=True)
    (elsewhere / "apples.md").write_text("Else.")
    index_paths(index, [elsewhere])
    with index.snapshot({"uri": "*apples.md"}) as snapshot:
        found = snapshot.nearest(index.embedder.embed(["apples"]), limit=10)
        uris = {passage.uri for passage in snapshot.passages(found.ids.tolist())}
    assert uris == {"docs/apples.md", "docs-2/apples.md"}


def test_lines_of_one_file_are_documents_of_their_own(index: Index, documents: Path) -> None:
    path = documents / "more.jsonl"
    lines = [{"_id": str(number), "text": f"Line {number} about."} for number in range(5)]
    path.write_text("\n".join(map(json.dumps, lines)))
    index_paths(index, [documents])
    lines[1]["text"] = "Changed, about."
    del lines[3]
    path.write_text("\n".join(map(json.dumps, [*lines, lines[0]])))
    report = index_paths(index, [documents])
    assert outcome(report) == (0, 1, 1, 6)
    assert [(failure.uri, failure.reason) for failure in report.failures] == [
        ("docs/more.jsonl#0", "another document of that file has the same id")
    ]


def test_one_bad_file_does_not_stop_the_rest_and_is_not_kept_as_it_was(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    (documents / "pears.md").write_bytes(bytes(100))
    report = index_paths(index, [documents])
    assert outcome(report) == (0, 0, 1, 2)
    assert [(failure.uri, failure.reason) for failure in report.failures] == [
        ("docs/pears.md", "it is binary, not text")
    ]
    assert contents(index) == {"All about apples.", "All about plums."}


def test_many_small_changes_leave_few_segments_and_nothing_dead(index: Index, documents: Path) -> None:
    for number in range(12):
        (documents / "apples.md").write_text(f"Edition {number} about apples.")
        index_paths(index, [documents])
    assert contents(index) == {"Edition 11 about apples.", "All about pears.", "All about plums."}
    index_paths(index, [documents])
    if isinstance(index, EmbeddedIndex):
        assert len(list((index.directory / "segments").iterdir())) <= 2


def test_all_documents_may_go(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    for path in documents.iterdir():
        path.unlink()
    assert outcome(index_paths(index, [documents])) == (0, 0, 3, 0)
    assert contents(index) == set()


def test_the_index_of_another_embedder_is_refused_until_rebuilt(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    with closing(other(index, name="other")) as renamed:
        with pytest.raises(IndexMismatch, match="rebuild"):
            index_paths(renamed, [documents])
        with pytest.raises(IndexMismatch, match="'hash'"):
            renamed.counts()
        assert renamed.files() == index.files()
        assert outcome(index_paths(renamed, [documents], rebuild=True)) == (3, 0, 0, 0)
        assert len(contents(renamed)) == 3
    with pytest.raises(IndexMismatch, match="'other'"):
        index.counts()


def test_a_second_run_at_the_same_time_is_told_so(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    with index.writer(), pytest.raises(IndexBusy, match="Another process"):
        index_paths(index, [documents])


def test_a_missing_path_is_an_error_that_changes_nothing(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    with pytest.raises(LibraryError):
        index_paths(index, [documents, documents / "nowhere"])
    assert len(contents(index)) == 3


def test_a_file_whose_name_is_not_utf8_is_reported_and_the_others_are_indexed(index: Index, documents: Path) -> None:
    try:
        (documents / os.fsdecode(b"caf\xe9")).mkdir()
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    for name in (b"caf\xe9/menu.md", b"na\xefve.md"):
        (documents / os.fsdecode(name)).write_text("About nothing.")
    for _ in range(2):
        report = index_paths(index, [documents])
        assert [(failure.uri, failure.reason) for failure in report.failures] == [
            ("docs/na?ve.md", "its path is not UTF-8; rename it"),
            ("docs/caf?/menu.md", "its path is not UTF-8; rename it"),
        ]
    assert len(contents(index)) == 3


def test_progress_ends_at_the_total(index: Index, documents: Path) -> None:
    seen: list[IndexProgress] = []
    index_paths(index, [documents], on_progress=seen.append)
    assert [item.bytes_done for item in seen] == sorted(item.bytes_done for item in seen)
    assert seen[-1].bytes_done == seen[-1].bytes_total == sum(p.stat().st_size for p in documents.iterdir())


def kill_in_the_middle(index: Index, documents: Path, *, commit_passages: int) -> None:
    """Index in another process, which dies when it has embedded 300 passages or a little more."""
    script = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from rag_graph.index import EmbeddedIndex, index_paths
        from rag_graph.index.postgres import PostgresIndex
        from tests.index.hashing import HashEmbedder

        class Killer(HashEmbedder):
            def embed(self, texts):
                if len(self.embedded) > 300:
                    os._exit(9)
                return super().embed(texts)

        kind, at, documents, commit_passages = sys.argv[1:]
        index = EmbeddedIndex(Path(at), Killer()) if kind == "folder" else PostgresIndex(at, Killer())
        index_paths(index, [Path(documents)], commit_passages=int(commit_passages))
    """)
    kept = ("database", index.url) if isinstance(index, PostgresIndex) else ("folder", str(documents.parent / "index"))
    killed = subprocess.run(
        [sys.executable, "-c", script, *kept, str(documents), str(commit_passages)],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == 9


def test_a_run_killed_before_its_first_commit_leaves_the_former_index(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    (documents / "apples.md").write_text("Changed about apples.")
    (documents / "pears.md").unlink()
    (documents / "zz.jsonl").write_text("\n".join(json.dumps({"text": f"about {n}"}) for n in range(1_000)))
    kill_in_the_middle(index, documents, commit_passages=10_000)
    assert contents(index) == {"All about apples.", "All about pears.", "All about plums."}
    assert outcome(index_paths(index, [documents])) == (1_000, 1, 1, 1)


def test_a_killed_run_goes_on_from_its_last_commit(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    (documents / "apples.md").write_text("Changed about apples.")
    (documents / "pears.md").unlink()
    (documents / "zz.jsonl").write_text("\n".join(json.dumps({"text": f"about {n}"}) for n in range(1_000)))
    kill_in_the_middle(index, documents, commit_passages=100)
    found = contents(index)
    assert {"Changed about apples.", "All about pears.", "All about plums."} < found
    lines = len(found) - 3
    assert 100 <= lines < 1_000
    embedded(index).clear()
    assert outcome(index_paths(index, [documents])) == (1_000 - lines, 0, 1, 2 + lines)
    assert len(embedded(index)) == 1_000 - lines
    assert contents(index) == {"Changed about apples.", "All about plums."} | {f"about {n}" for n in range(1_000)}


def test_a_search_meanwhile_finds_whole_documents_only(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    new = dict.fromkeys(("pears", "plums"), f"About {'pear' * 40}. " * 1200)
    for name, text in new.items():
        (documents / f"{name}.md").write_text(f"# {name.title()}\n\n{text}")
    sizes: list[dict[str, int]] = []

    def look(_: IndexProgress) -> None:
        with index.snapshot() as snapshot:
            found = snapshot.nearest(index.embedder.embed_queries(["about"]), limit=1_000)
            uris = [passage.uri for passage in snapshot.passages(found.ids.tolist())]
        sizes.append({uri: uris.count(uri) for uri in uris})

    def look_again() -> int:
        index_paths(index, [documents], on_progress=look, commit_passages=1)
        look(IndexProgress(0, 0, 0, 0, ""))
        return sizes[-1]["docs/pears.md"]

    whole = look_again()
    assert whole > 128
    assert all(size["docs/apples.md"] == 1 for size in sizes)
    assert {size[f"docs/{name}.md"] for size in sizes for name in new} == {1, whole}


def test_a_rebuild_is_not_seen_before_it_ends(index: Index, documents: Path) -> None:
    index_paths(index, [documents])
    seen: list[tuple[int, int]] = []
    index_paths(index, [documents], rebuild=True, commit_passages=1, on_progress=lambda _: seen.append(index.counts()))
    assert set(seen) == {(3, 3)}
    assert index.counts() == (3, 3)


def test_a_file_that_was_half_read_when_a_run_was_killed_is_read_again_though_it_is_as_before(
    index: Index, documents: Path
) -> None:
    path = documents / "zz.jsonl"
    former = "\n".join(json.dumps({"text": f"about {n}"}) for n in range(1_000))
    path.write_text(former)
    index_paths(index, [documents])
    path.write_text("\n".join(json.dumps({"text": f"about new {n}"}) for n in range(1_000)))
    kill_in_the_middle(index, documents, commit_passages=100)
    path.write_text(former)
    report = index_paths(index, [documents])
    assert report.replaced > 0
    assert contents(index) >= {f"about {n}" for n in range(1_000)}
    assert len(contents(index)) == 1_003


def failures(report: IndexReport) -> list[tuple[str, str]]:
    return [(failure.uri, failure.kind) for failure in report.failures]


def test_a_hostile_file_is_skipped_remembered_and_tried_again_under_other_limits(index: Index, documents: Path) -> None:
    hostile.unclosed_tags(documents / "bad.html")
    brief = Limits(seconds=1)
    report = index_paths(index, [documents], limits=brief)
    assert outcome(report) == (3, 0, 0, 0)
    assert failures(report) == [("docs/bad.html", "time limit")]
    with closing(other(index)) as opened_anew:
        again = index_paths(opened_anew, [documents], limits=brief)
        assert outcome(again) == (0, 0, 0, 3)
        assert again.failures == report.failures
        assert again.seconds < report.seconds  # it took the limit to find out, and nothing to remember
    (documents / "bad.html").write_text("<p>Good about it.</p>")
    assert outcome(index_paths(index, [documents], limits=brief)) == (1, 0, 0, 3)
    assert contents(index) >= {"Good about it.", "All about apples."}


def test_what_is_wrong_with_a_file_is_remembered_until_the_limits_or_the_file_change(
    index: Index, documents: Path
) -> None:
    (documents / "pears.md").write_bytes(bytes(100))
    assert failures(index_paths(index, [documents])) == [("docs/pears.md", "damaged")]
    [kept] = [file for file in index.files() if file.failure]
    assert (kept.uri, kept.failure) == ("docs/pears.md", "damaged: it is binary, not text")
    assert failures(index_paths(index, [documents])) == [("docs/pears.md", "damaged")]
    assert [file.hash for file in index.files() if file.failure] == [kept.hash]
    index_paths(index, [documents], limits=Limits(seconds=61))
    assert [file.hash for file in index.files() if file.failure] != [kept.hash]
    (documents / "pears.md").unlink()
    assert failures(index_paths(index, [documents])) == []
    assert not any(file.failure for file in index.files())


def test_each_file_ends_in_one_way_that_is_told(index: Index, documents: Path) -> None:
    (documents / "blank.txt").write_text(" \n")
    (documents / "broken.docx").write_bytes(b"PK")
    (documents / "table.zip").write_text("a,b")
    (documents / "other.zip").write_text("a,b")
    (documents / "core").write_text("all:")
    (documents / "old.txt").write_bytes("Größe: naïve façade.".encode("cp1252"))
    report = index_paths(index, [documents])
    assert outcome(report) == (4, 0, 0, 0)
    assert failures(report) == [("docs/blank.txt", "no text"), ("docs/broken.docx", "damaged")]
    assert report.passed_over == {"": 1, ".zip": 2}
    assert report.kinds == {".md": 3, ".txt": 1}
    assert [(note.uri, "cp1252" in note.text) for note in report.notes] == [("docs/old.txt", True)]
    assert not report.is_all_well


def test_files_of_unknown_kinds_alone_are_no_success_and_beside_others_no_failure(
    index: Index, documents: Path, tmp_path: Path
) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "a.zip").write_text("a,b")
    assert not index_paths(index, [tables]).is_all_well
    assert index_paths(index, [tables, documents]).is_all_well


def test_what_is_gone_can_be_forgotten_by_its_former_name(index: Index, documents: Path, tmp_path: Path) -> None:
    (documents / "old").mkdir()
    (documents / "old" / "figs.md").write_text("Figs, about.")
    (documents / "older.md").write_text("Older things, about.")
    index_paths(index, [documents])
    (documents / "old" / "figs.md").unlink()
    (documents / "old").rmdir()
    assert forget(index, [str(documents / "old"), str(tmp_path / "never")]) == 1
    assert "Figs, about." not in contents(index)
    assert len(contents(index)) == 4
    assert forget(index, [str(documents)]) == 4
    assert contents(index) == set()


def test_what_a_loader_of_ones_own_has_read_stays_until_it_reads_it_again(index: Index, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("strange.weird", "known.md"):
        (folder / name).write_text("One zebra.\nTwo zebras.\n")
    by = f"{LineLoader.__module__}:LineLoader"
    assert index_paths(index, [folder], read_by=by).added == 4
    again = index_paths(index, [folder])
    assert (again.unchanged, again.removed, again.failures) == (4, 0, ())
    (folder / "strange.weird").write_text("Three zebras.\nFour zebras.\n")
    changed = index_paths(index, [folder])
    assert (changed.unchanged, changed.removed) == (4, 0)
    [failure] = changed.failures
    assert f"--loader {by}" in failure.reason
    assert index_paths(index, [folder], read_by=by).replaced == 2
    (folder / "strange.weird").unlink()
    assert index_paths(index, [folder]).removed == 2
