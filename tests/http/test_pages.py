"""Pages of PDF documents over HTTP, at a real server: of files that were indexed, are there and unchanged."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from rag_graph.events import PassagesRetrieved
from tests.index.pdfs import pdf, words
from tests.servers import Serve, Server, copied, events_of, refused

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),  # LangServe does
]
LIT = "The Ras Nungwi lighthouse was first lit in 1886."


@pytest.fixture
def own(towers: Path, tmp_path: Path) -> Path:
    return copied(towers, tmp_path / "data")


@pytest.fixture
def open_server(serve: Serve, own: Path) -> Server:
    return serve(data_dir=own, uploads=True)


def sent(server: Server, tmp_path: Path) -> str:
    """A PDF whose second page says when the lighthouse was lit, uploaded; its id."""
    content = pdf(tmp_path / "light.pdf", words(50, 700, "A short history."), words(50, 400, LIT)).read_bytes()
    answer = server.http.post("/documents", files=[("files", ("light.pdf", content))])
    assert answer.status_code == 200, answer.text
    [listed] = server.http.get("/documents", params={"matching": "light.pdf"}).json()["documents"]
    return str(listed["id"])


def test_a_quote_is_found_on_its_page_and_the_page_is_a_picture(open_server: Server, tmp_path: Path) -> None:
    document = sent(open_server, tmp_path)
    text = open_server.http.get(f"/documents/{document}").json()["content"]
    start = text.index(LIT)
    span = {"start": start, "end": start + len(LIT)}
    told = open_server.http.get(f"/documents/{document}/pages/2", params=span)
    assert told.headers["cache-control"].startswith("private")
    [box] = told.json()["boxes"]
    assert told.json() == {"page": 2, "pages": 2, "width": 600, "height": 800, "boxes": [box]}
    assert (round(box["left"] * 600), round((1 - box["top"] - box["height"]) * 800, -1)) == (50, 400)
    picture = open_server.http.get(f"/documents/{document}/pages/2.png")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert picture.content.startswith(b"\x89PNG")
    assert picture.headers["cache-control"].startswith("private")
    assert open_server.http.get(f"/documents/{document}/pages/1", params=span).json()["boxes"] == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("pages/3.png", 404, "page_not_found"),
        ("pages/3?start=0&end=4", 404, "page_not_found"),
        ("pages/0.png", 422, "invalid_request"),
        ("pages/-1.png", 422, "invalid_request"),
        ("pages/x.png", 422, "invalid_request"),
        ("pages/99999999999.png", 422, "invalid_request"),
        ("pages/1", 422, "invalid_request"),
        ("pages/1?start=4&end=4", 422, "invalid_request"),
        ("pages/1?start=0&end=4000", 422, "invalid_request"),
        ("pages/1?start=-1&end=4", 422, "invalid_request"),
    ],
)
def test_a_page_or_a_quote_that_there_is_not_is_refused(
    open_server: Server, tmp_path: Path, path: str, status: int, code: str
) -> None:
    document = sent(open_server, tmp_path)
    refused(open_server.http.get(f"/documents/{document}/{path}"), status, code)


def replace_by_other(path: Path) -> None:
    pdf(path, words(50, 700, "Another file."))


def replace_by_link(path: Path) -> None:
    other = pdf(path.with_name("other.pdf"), words(50, 700, "Another file."))
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Path.unlink, "the file is gone"),
        (replace_by_other, "the file has changed since it was indexed"),
        (replace_by_link, "the file has changed since it was indexed"),
    ],
)
def test_only_the_file_that_was_indexed_is_shown(
    open_server: Server, own: Path, tmp_path: Path, change: Callable[[Path], None], says: str
) -> None:
    document = sent(open_server, tmp_path)
    assert open_server.http.get(f"/documents/{document}/pages/1.png").status_code == 200
    original = open_server.http.get(f"/documents/{document}/original")
    assert original.content == (own / "uploads" / "light.pdf").read_bytes()
    assert original.headers["content-disposition"] == "attachment; filename*=UTF-8''light.pdf"
    assert original.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert original.headers["content-type"] == "application/octet-stream"
    change(own / "uploads" / "light.pdf")
    for path in ("pages/1.png", "pages/1?start=0&end=4"):
        answer = open_server.http.get(f"/documents/{document}/{path}")
        refused(answer, 404, "page_not_found")
        assert answer.json()["error"]["message"] == f"This page cannot be shown: {says}."
        assert str(own) not in answer.text
    answer = open_server.http.get(f"/documents/{document}/original")
    refused(answer, 404, "document_not_found")
    assert str(own) not in answer.text
    assert open_server.http.get(f"/documents/{document}").status_code == 200
    assert open_server.http.delete(f"/documents/{document}").status_code == 200
    refused(open_server.http.get(f"/documents/{document}/pages/1.png"), 404, "document_not_found")


def test_what_is_no_pdf_has_no_pages(server: Server) -> None:
    [first, *_] = server.http.get("/documents").json()["documents"]
    answer = server.http.get(f"/documents/{first['id']}/pages/1.png")
    refused(answer, 404, "page_not_found")
    assert "Only the pages of PDF files" in answer.json()["error"]["message"]


def test_pages_are_for_those_who_may_read_the_documents(serve: Serve, own: Path, tmp_path: Path) -> None:
    document = sent(serve(data_dir=own, uploads=True), tmp_path)
    closed = serve(data_dir=own, api_keys=SecretStr("secret-key-of-ada"))
    for path in ("pages/1.png", "pages/1?start=0&end=4", "original"):
        refused(closed.http.get(f"/documents/{document}/{path}"), 401, "unauthorized")
        key = {"authorization": "Bearer secret-key-of-ada"}
        assert closed.http.get(f"/documents/{document}/{path}", headers=key).status_code == 200


def test_a_citation_names_the_page_on_which_its_words_are_marked(open_server: Server, tmp_path: Path) -> None:
    document = sent(open_server, tmp_path)
    events = events_of(open_server.ask("When was the Ras Nungwi lighthouse first lit?"))
    found = next(event for event in events if isinstance(event, PassagesRetrieved)).passages[0]
    assert found.document == document
    start = found.content.index(LIT)
    at = found.start + start
    span = {"start": at, "end": at + len(LIT)}
    told = open_server.http.get(f"/documents/{document}/pages/{found.page_at(start)}", params=span).json()
    assert len(told["boxes"]) == 1
