"""Adding documents over HTTP, at a real server with a library of its own."""

import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from rag_graph.events import PassagesRetrieved
from rag_graph.index import EmbeddedIndex
from rag_graph.models.local.embedder import LocalEmbedder
from tests.index import hostile
from tests.servers import Serve, Server, copied, events_of, refused, until

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),  # LangServe does
]
LIGHTHOUSE = "# Ras Nungwi Light\n\nThe Ras Nungwi lighthouse was first lit in 1886 and is built of coral stone.\n"


@pytest.fixture
def own(towers: Path, tmp_path: Path) -> Path:
    return copied(towers, tmp_path / "data")


@pytest.fixture
def open_server(serve: Serve, own: Path) -> Server:
    return serve(data_dir=own, uploads=True, max_upload_bytes=10_000)


def send(server: Server, *files: tuple[str, str | bytes]) -> httpx.Response:
    return server.http.post("/documents", files=[("files", file) for file in files])


def fates(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(fate["name"], fate["outcome"]) for fate in answer.json()["files"]]


def readers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "loader_child" in " ".join(child.cmdline())]


def kept(own: Path) -> list[str]:
    """What is in the folder of uploads, hidden files too."""
    return sorted(path.name for path in (own / "uploads").rglob("*") if path.is_file())


def indexed(own: Path) -> dict[str, str]:
    with closing(sqlite3.connect(own / "index" / "library.sqlite")) as db:
        return dict(db.execute("SELECT uri, text FROM documents WHERE uri LIKE 'uploads/%'"))


def test_an_uploaded_document_is_found_by_the_next_question(open_server: Server) -> None:
    answer = open_server.http.post("/documents", files=[("files", ("light.md", LIGHTHOUSE))])
    fate = {"name": "light.md", "outcome": "added", "documents": 1, "passages": 1}
    fate |= dict.fromkeys(("reason", "note", "left_out"), "")
    assert answer.json() == {"documents": 1, "passages": 1, "skipped": [], "files": [fate]}
    events = events_of(open_server.ask("When was the Ras Nungwi lighthouse lit?"))
    found = next(event for event in events if isinstance(event, PassagesRetrieved)).passages[0]
    kept = open_server.http.get(f"/documents/{found.document}").json()
    assert kept["content"] == LIGHTHOUSE
    assert kept["content"][found.start : found.end] == found.content


def test_a_file_that_is_sent_again_replaces_the_first(open_server: Server) -> None:
    for text in (LIGHTHOUSE, LIGHTHOUSE.replace("1886", "1887")):
        answer = open_server.http.post("/documents", files=[("files", ("light.md", text))])
        assert answer.json()["documents"] == 1
    assert answer.json()["files"][0]["outcome"] == "replaced"
    assert open_server.http.get("/health").json()["documents"] == 3


def test_what_cannot_be_read_is_named_and_the_rest_is_added(open_server: Server) -> None:
    sent = [("files", ("broken.pdf", b"%PDF-1.7 no more")), ("files", ("light.md", LIGHTHOUSE.encode()))]
    answer = open_server.http.post("/documents", files=sent).json()
    assert answer["documents"] == 1
    assert [skipped["uri"] for skipped in answer["skipped"]] == ["uploads/broken.pdf"]


def test_no_name_leads_out_of_the_folder(open_server: Server, own: Path) -> None:
    before = {path.name for path in own.parent.rglob("*.md")}
    sent = [("files", ("../../../escaped.md", LIGHTHOUSE)), ("files", ("..\\.hidden.md", LIGHTHOUSE))]
    assert open_server.http.post("/documents", files=sent).status_code == 200
    kept = {path.relative_to(own).as_posix() for path in own.parent.rglob("*.md") if path.name not in before}
    assert kept == {"uploads/escaped.md", "uploads/hidden.md"}


def in_pieces(size: int) -> Iterator[bytes]:
    head = b'--b\r\ncontent-disposition: form-data; name="files"; filename="big.md"\r\n\r\n'
    yield head
    for _ in range(size // 1_000):
        yield b"a" * 1_000
    yield b"\r\n--b--\r\n"


def test_more_than_the_limit_is_refused_however_it_is_sent(open_server: Server, own: Path) -> None:
    whole = open_server.http.post("/documents", files=[("files", ("big.md", "a" * 20_000))])
    refused(whole, 413, "body_too_large")
    form = {"content-type": "multipart/form-data; boundary=b"}
    pieces = open_server.http.post("/documents", content=in_pieces(20_000), headers=form)
    assert pieces.status_code == 413
    assert not (own / "uploads").exists()


def test_no_file_is_a_wrong_request(open_server: Server) -> None:
    refused(open_server.http.post("/documents", files={"other": ("a.md", "x")}), 422, "invalid_request")
    nameless = open_server.http.post("/documents", files=[("files", ("", b"x"))])
    refused(nameless, 422, "invalid_request")
    assert "no file: send it with a file name" in nameless.json()["error"]["message"]


def test_uploads_are_closed_unless_they_are_opened(server: Server) -> None:
    refused(server.http.post("/documents", files=[("files", ("light.md", LIGHTHOUSE))]), 403, "uploads_closed")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.exe", b"MZ", "files .exe cannot be read"),
        ("none", b"text", "files without a suffix cannot be read"),
        ("empty.txt", b"", "it is empty"),
        ("blank.txt", b" \n ", "there is no text in it"),
        ("a" * 252 + ".txt", b"text", "its name is longer than 255 bytes"),
        ("broken.docx", b"PK no more", "it is damaged"),
        ("scan.pdf", b"%PDF-1.7 no more", "it is damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_wrong_request_and_nothing_of_it_is_kept(
    open_server: Server, own: Path, name: str, content: bytes, says: str
) -> None:
    answer = send(open_server, (name, content))
    refused(answer, 422, "invalid_request")
    assert says in answer.json()["error"]["message"]
    assert kept(own) == []
    assert indexed(own) == {}


def test_an_answer_speaks_of_its_own_files_only(open_server: Server, own: Path) -> None:
    send(open_server, ("broken.pdf", b"%PDF-1.7 no more"))
    (own / "uploads" / "of-another.pdf").write_bytes(b"%PDF-1.7 no more")
    answer = send(open_server, ("light.md", LIGHTHOUSE), ("data.zip", "a,b"), ("light.md", "other"))
    assert fates(answer) == [("light.md", "added"), ("data.zip", "skipped"), ("light.md", "skipped")]
    assert [skipped["uri"] for skipped in answer.json()["skipped"]] == ["uploads/data.zip", "uploads/light.md"]
    assert indexed(own) == {"uploads/light.md": LIGHTHOUSE}
    assert fates(send(open_server, ("light.md", LIGHTHOUSE))) == [("light.md", "unchanged")]


def test_a_replacement_that_cannot_be_read_leaves_what_was_there(open_server: Server, own: Path) -> None:
    send(open_server, ("light.md", LIGHTHOUSE))
    refused(send(open_server, ("light.md", b"\0\1\2" * 100)), 422, "invalid_request")
    assert indexed(own) == {"uploads/light.md": LIGHTHOUSE}
    assert (own / "uploads" / "light.md").read_text() == LIGHTHOUSE
    assert kept(own) == ["light.md"]


def test_a_name_is_kept_and_told_without_what_acts_in_it(open_server: Server, own: Path) -> None:
    sent = {"plan (1) für Zoë.md": LIGHTHOUSE, "\u202etxt.md": "Two.", "a\x1b[2J.md": "Three."}
    for name, text in sent.items():
        assert send(open_server, (name, text)).status_code == 200
    assert sorted(indexed(own)) == ["uploads/_txt.md", "uploads/a_[2J.md", "uploads/plan (1) für Zoë.md"]


def test_many_uploads_at_once_are_all_taken_each_once(open_server: Server, own: Path) -> None:
    texts = {f"{number}.txt": f"The tower number {number} is {number} metres high." for number in range(12)}
    with ThreadPoolExecutor(len(texts)) as pool:
        answers = list(pool.map(lambda file: send(open_server, file), texts.items()))
    assert [fates(answer) for answer in answers] == [[(name, "added")] for name in texts]
    assert indexed(own) == {f"uploads/{name}": text for name, text in texts.items()}


def test_a_hostile_file_stops_itself_and_no_other_upload(serve: Serve, own: Path, tmp_path: Path) -> None:
    server = serve(data_dir=own, uploads=True, load_max_s=2)
    bad = hostile.unclosed_tags(tmp_path / "bad.html").read_bytes()
    with ThreadPoolExecutor() as pool:
        refusing = pool.submit(send, server, ("bad.html", bad))
        until(lambda: bool(readers()))
        assert fates(send(server, ("light.md", LIGHTHOUSE))) == [("light.md", "added")]
        answer = refusing.result()
    refused(answer, 422, "invalid_request")
    assert "time limit" in answer.json()["error"]["message"]
    assert kept(own) == ["light.md"]


def test_who_leaves_takes_the_reading_of_their_file_along(serve: Serve, own: Path, tmp_path: Path) -> None:
    server = serve(data_dir=own, uploads=True, load_max_s=600)
    bad = hostile.unclosed_tags(tmp_path / "bad.html").read_bytes()
    form = b'--b\r\ncontent-disposition: form-data; name="files"; filename="bad.html"\r\n\r\n' + bad + b"\r\n--b--\r\n"
    head = (
        "POST /documents HTTP/1.1\r\nhost: localhost\r\n"
        f"content-type: multipart/form-data; boundary=b\r\ncontent-length: {len(form)}"
    )
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port)) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode() + form)
        until(lambda: bool(readers()))
    until(lambda: not readers())
    until(lambda: kept(own) == [])
    assert fates(send(server, ("light.md", LIGHTHOUSE))) == [("light.md", "added")]


def test_while_another_process_indexes_an_upload_waits(open_server: Server, own: Path) -> None:
    with ThreadPoolExecutor() as pool, closing(EmbeddedIndex(own / "index", LocalEmbedder())) as index:
        with index.writer():
            waiting = pool.submit(send, open_server, ("light.md", LIGHTHOUSE))
            until(lambda: kept(own) != [])
            assert not waiting.done()
        assert fates(waiting.result()) == [("light.md", "added")]


def test_what_is_kept_of_uploads_is_their_owners_alone(open_server: Server, own: Path) -> None:
    send(open_server, ("light.md", LIGHTHOUSE))
    assert (own / "uploads").stat().st_mode & 0o777 == 0o700
    assert (own / "uploads" / "light.md").stat().st_mode & 0o777 == 0o600


def test_the_library_is_listed_and_a_document_taken_out_with_its_file(open_server: Server, own: Path) -> None:
    before = open_server.http.get("/documents").json()
    assert before["total"] == len(before["documents"])
    send(open_server, ("light.md", LIGHTHOUSE))
    [listed] = open_server.http.get("/documents", params={"matching": "nungwi"}).json()["documents"]
    assert (listed["uri"], listed["title"], listed["passages"]) == ("uploads/light.md", "Ras Nungwi Light", 1)
    pages = open_server.http.get("/documents", params={"limit": 1}).json()
    rest = open_server.http.get("/documents", params={"after": pages["next"]}).json()["documents"]
    assert len(pages["documents"]) + len(rest) == before["total"] + 1
    assert open_server.http.delete(f"/documents/{listed['id']}").json() == {"removed": 1}
    assert kept(own) == []
    assert open_server.http.get("/documents").json() == before
    refused(open_server.http.delete(f"/documents/{listed['id']}"), 404, "document_not_found")
    events = events_of(open_server.ask("When was the Ras Nungwi lighthouse lit?"))
    found = [event.passages for event in events if isinstance(event, PassagesRetrieved)]
    assert all(passage.uri != "uploads/light.md" for passages in found for passage in passages)


def test_who_may_not_upload_may_not_remove(server: Server) -> None:
    [first, *_] = server.http.get("/documents").json()["documents"]
    refused(server.http.delete(f"/documents/{first['id']}"), 403, "uploads_closed")
    assert server.http.get(f"/documents/{first['id']}").status_code == 200


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 501}, {"matching": "x" * 201}, {"after": "\0"}])
def test_a_list_that_cannot_be_given_is_refused(server: Server, asked: dict[str, str | int]) -> None:
    refused(server.http.get("/documents", params=asked), 422, "invalid_request")


@pytest.mark.parametrize("path", ["/query", "/v1/chat/completions", "/v1/responses", "/api/chat"])
def test_a_filter_by_an_unknown_name_is_refused_with_those_that_there_are(server: Server, path: str) -> None:
    filters = {"colour": "red"}
    bodies = {
        "/query": {"question": "Who?", "filters": filters},
        "/v1/chat/completions": {
            "model": "rag-fast",
            "messages": [{"role": "user", "content": "Who?"}],
            "rag": {"filters": filters},
        },
        "/v1/responses": {"model": "rag-fast", "input": "Who?", "rag": {"filters": filters}},
        "/api/chat": {
            "id": "a",
            "messages": [{"role": "user", "parts": [{"type": "text", "text": "Who?"}]}],
            "filters": filters,
        },
    }
    refusal = server.http.post(path, json=bodies[path])
    assert refusal.status_code == (400 if path.startswith("/v1") else 422), refusal.text
    assert "no document has 'colour'; there are: document, line, title, uri" in refusal.text


def test_an_empty_library_says_so_and_takes_the_guide_that_comes_along(serve: Serve, tmp_path: Path) -> None:
    server = serve(is_ready=False, data_dir=tmp_path / "new", uploads=True)
    nothing = {"documents": 0, "passages": 0, "kinds": {}, "newest": [], "questions": []}
    assert server.http.get("/library").json() == nothing
    added = server.http.post("/library/guide", timeout=None).json()  # a slow machine embeds it for minutes
    held = server.http.get("/library").json()
    assert held["documents"] == added["documents"] == held["kinds"]["md"]
    assert held["passages"] == added["passages"]
    assert len(held["newest"]) == len(held["questions"]) == 3
    refused(server.http.post("/library/guide"), 422, "invalid_request")
    assert server.http.get("/library").json() == held


def test_a_library_offers_questions_of_its_own_titles_and_headings(open_server: Server) -> None:
    text = "# The light\n\n## Who lit it? {#who}\n\nAbdul lit the lamp first.\n"
    assert send(open_server, ("light.md", text)).status_code == 200
    held = open_server.http.get("/library").json()
    assert "Who lit it?" in held["questions"]
    assert {"id", "title", "uri"} == set(held["newest"][0])
    assert all(question.endswith("?") for question in held["questions"])


def test_the_guide_is_added_only_where_documents_may_be(serve: Serve, tmp_path: Path) -> None:
    server = serve(is_ready=False, data_dir=tmp_path / "new")
    refused(server.http.post("/library/guide"), 403, "uploads_closed")
