"""The `rag-graph library` commands and `remove`."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

from tests.terminals import COMMAND, environment, one_line, one_line_of, run
from tests.upstream import WITHIN_S


def test_a_folder_that_is_gone_can_be_removed_from_the_library(tmp_path: Path) -> None:
    settings = {"RAG_DATA_DIR": str(tmp_path / "library")}
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "tower.md").write_text("The tower is tall.")
    assert run("index", str(folder), settings=settings).returncode == 0
    (folder / "tower.md").unlink()
    folder.rmdir()
    done = run("index", str(folder), settings=settings)
    assert (done.returncode, "rag-graph remove PATH" in one_line(done)) == (2, True)
    done = run("remove", str(folder), settings=settings)
    assert (done.returncode, one_line(done)) == (0, "1 document removed.")
    done = run("remove", str(folder), settings=settings)
    assert (done.returncode, "no document" in one_line(done)) == (2, True)


def test_the_library_is_listed_brought_up_to_date_and_asked_in_part(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
    (folder / "broken.pdf").write_bytes(b"no pdf")
    settings = {"RAG_DATA_DIR": str(tmp_path / "data")}
    assert "nothing has been indexed" in one_line(run("library", settings=settings)).lower()
    run("index", str(folder), settings=settings)
    listed = run("library", settings=settings).stdout
    assert "Zebras" in listed
    assert "not indexed: notes/broken.pdf" in listed
    [entry] = map(json.loads, run("library", "--json", settings=settings).stdout.splitlines())
    assert (entry["uri"], entry["kind"], entry["passages"]) == ("notes/zebra.md", "md", 1)
    status = json.loads(run("library", "status", "--json", settings=settings).stdout)
    assert (status["documents"], status["unread"], status["roots"]) == (1, 1, [str(folder)])
    (folder / "broken.pdf").unlink()
    (folder / "horse.md").write_text("# Horses\n\nHorses have manes.\n")
    done = run("library", "sync", settings=settings)
    assert (done.returncode, done.stderr[:16]) == (0, "1 document added")
    asked = run("ask", "--filter", "uri=notes/zebra*", "What do horses have?", settings=settings)
    assert "manes" not in asked.stdout
    assert "there are: document, line, title, uri" in one_line(run("ask", "--filter", "a=b", "x", settings=settings))
    assert "NAME=VALUE" in one_line(run("ask", "--filter", "a", "x", settings=settings))
    assert run("remove", entry["id"], settings=settings).stderr == "1 document removed.\n"
    folder.rename(tmp_path / "elsewhere")
    done = run("library", "sync", settings=settings)
    assert (done.returncode, f"Not there: {folder}" in one_line_of(done.stderr)) == (1, True)
    assert "Horses" in run("library", settings=settings).stdout


def test_the_library_is_kept_up_to_date_while_files_change(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
    settings = {"RAG_DATA_DIR": str(tmp_path / "data")}
    run("index", str(folder), settings=settings)
    command = [COMMAND, "library", "watch"]
    with subprocess.Popen(command, env=environment(settings), stderr=subprocess.PIPE, text=True) as watching:
        try:
            told = iter(watching.stderr or ())
            assert any("Watching" in line for line in told)
            (folder / "horse.md").write_text("# Horses\n\nHorses have manes.\n")
            assert any("1 document added" in line for line in told)
            shutil.rmtree(folder)
            assert any("Not there" in line for line in told)
            folder.mkdir()
            (folder / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
            assert any("1 removed, 1 unchanged" in line for line in told)
            watching.send_signal(signal.SIGINT)
            assert watching.wait(WITHIN_S) == 130
        finally:
            watching.kill()
    shutil.rmtree(folder)
    nothing = run("library", "watch", settings=settings)
    assert (nothing.returncode, "None of the indexed folders is there" in one_line(nothing)) == (2, True)
