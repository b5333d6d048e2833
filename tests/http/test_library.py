"""Adding documents over HTTP, at a real server with a library of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_graph.events import PassagesRetrieved
from tests.servers import Serve, Server, events_of, refused

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),  # LangServe does
]
LIGHTHOUSE = "# Ras Nungwi Light\n\nThe Ras Nungwi lighthouse was first lit in 1886 and is built of coral stone.\n"


@pytest.fixture
def own(towers: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(towers, tmp_path / "data"))


@pytest.fixture
def open_server(serve: Serve, own: Path) -> Server:
    return serve(data_dir=own, uploads=True, max_upload_bytes=10_000)


def test_an_uploaded_document_is_found_by_the_next_question(open_server: Server) -> None:
    answer = open_server.http.post("/documents", files=[("files", ("light.md", LIGHTHOUSE))])
    assert answer.json() == {"documents": 1, "passages": 1, "skipped": []}
    events = events_of(open_server.ask("When was the Ras Nungwi lighthouse lit?"))
    found = next(event for event in events if isinstance(event, PassagesRetrieved)).passages[0]
    kept = open_server.http.get(f"/documents/{found.document}").json()
    assert kept["content"] == LIGHTHOUSE
    assert kept["content"][found.start : found.end] == found.content


def test_a_file_that_is_sent_again_replaces_the_first(open_server: Server) -> None:
    for text in (LIGHTHOUSE, LIGHTHOUSE.replace("1886", "1887")):
        answer = open_server.http.post("/documents", files=[("files", ("light.md", text))])
        assert answer.json()["documents"] == 1
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


def test_uploads_are_closed_unless_they_are_opened(server: Server) -> None:
    answer = server.http.post("/documents", files=[("files", ("light.md", LIGHTHOUSE))])
    assert answer.status_code in {404, 405}
