"""What `rag-graph index` says of files, folders and pages."""

import json
from pathlib import Path

from tests.index.sites import serving_site
from tests.terminals import Terminal, one_line, run


def test_index_reports_what_it_did_and_fails_for_a_file_it_cannot_read(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "tower.md").write_text("# A tower\n\nThe tower is tall.\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    done = run("index", str(folder), settings={"RAG_DATA_DIR": str(tmp_path / "library")})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "1 document added" in done.stderr
    assert "not indexed: documents/broken.pdf: " in done.stderr
    assert "Not indexed: 1 (damaged 1)." in done.stderr


def test_index_tells_which_kinds_it_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in ("a.zip", "b.zip", "c.exe"):
        (folder / name).write_text("a,b")
    done = run("index", str(folder), settings={"RAG_DATA_DIR": str(tmp_path / "library")})
    assert done.returncode == 1
    assert "Passed over: 3 of kinds that cannot be read: .exe (1), .zip (2)." in done.stderr
    assert "There was no file that can be read." in done.stderr
    (folder / "tower.md").write_text("The tower is tall.")
    assert run("index", str(folder), settings={"RAG_DATA_DIR": str(tmp_path / "library")}).returncode == 0


def test_an_address_that_is_not_of_the_web_is_one_line(tmp_path: Path) -> None:
    done = run("index", "ftp://example.org/notes.md", settings={"RAG_DATA_DIR": str(tmp_path / "library")})
    assert done.returncode == 2
    assert "ftp://example.org/notes.md: only addresses of http:// and https:// are read" in one_line(done)


def test_names_of_files_do_not_steer_the_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "\x1b]0;taken over\x07[link=evil]x.pdf").write_text("no PDF")
    (folder / "exe.\u202egpj.html").write_text("")
    (folder / "two\nlines.txt").write_text("")
    (folder / "a.\x9b2J").write_text("x")
    with Terminal("index", str(folder), settings={"RAG_DATA_DIR": str(tmp_path / "library")}) as terminal:
        assert terminal.wait() == 1
    assert b"\x1b]" not in terminal.received
    assert not any(odd.encode() in terminal.received for odd in ("\u202e", "\x9b", "\x07"))
    assert "[link=evil]x.pdf: it is damaged" in " ".join(terminal.text.split())
    assert "two lines.txt: it is empty" in " ".join(terminal.text.split())


def test_a_page_of_the_web_is_read_when_that_is_allowed_and_the_library_moves_in_one_file(tmp_path: Path) -> None:
    home, other = ({"RAG_DATA_DIR": str(tmp_path / name)} for name in ("data", "other"))
    with serving_site() as site:
        site.html("/zebra", "Zebras have stripes.")
        url = f"{site.url}/zebra"
        refused = run("index", url, settings=home)
        assert (refused.returncode, "no public address; --allow-private" in refused.stderr) == (1, True)
        assert site.asked == []
        done = run("index", url, "--allow-private", settings=home)
        assert (done.returncode, done.stderr[:16]) == (0, "1 document added"), done.stderr
        site.html("/zebra", "Zebras have black stripes.")
        done = run("library", "sync", "--allow-private", settings=home)
        assert "0 documents added, 1 replaced" in done.stderr
    archive = str(tmp_path / "library.zip")
    assert run("library", "export", archive, settings=home).stderr == "1 document, 1 passage written.\n"
    assert run("library", "import", archive, settings=other).stderr == "1 document, 1 passage taken in.\n"
    assert "--replace" in one_line(run("library", "import", archive, settings=other))
    [entry] = map(json.loads, run("library", "--json", settings=other).stdout.splitlines())
    assert entry["uri"] == url
    assert run("remove", url, settings=home).stderr == "1 document removed.\n"
