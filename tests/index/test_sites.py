"""Pages of the web in the library, from a real server on this machine."""

import gzip
import ipaddress
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rag_graph.index import EmbeddedIndex, Index, IndexReport
from rag_graph.index.loader import Limits
from rag_graph.index.sites import Sites
from rag_graph.index.web import Bounds, NotFetched, Web, is_public, resolve
from tests.index.hashing import HashEmbedder
from tests.index.pdfs import pdf, words
from tests.index.sites import Page, Site, serving_site


@pytest.fixture
def site() -> Iterator[Site]:
    with serving_site() as running:
        yield running


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with closing(EmbeddedIndex(tmp_path / "index", HashEmbedder())) as opened:
        yield opened


def visit(index: Index, folder: Path, *urls: str, allow_private: bool = True, **bounds: float) -> IndexReport:
    at_once = Bounds(**{"delay_s": 0, **bounds})  # type: ignore[arg-type]
    return Sites(folder, bounds=at_once, limits=Limits(), allow_private=allow_private).index(index, urls)


def texts(index: Index) -> dict[str, str]:
    found = {}
    for entry in index.documents():
        document = index.document(entry.id)
        assert document is not None
        found[document.uri] = document.text
    return found


def outcome(report: IndexReport) -> tuple[int, int, int, int]:
    return report.added, report.replaced, report.removed, report.unchanged


def test_a_page_is_found_under_its_address_and_asked_for_cheaply_again(
    index: Index, site: Site, tmp_path: Path
) -> None:
    site.html("/tower", "The tower is 324 m high.")
    url = f"{site.url}/tower"
    assert outcome(visit(index, tmp_path / "web", f"{url}#height")) == (1, 0, 0, 0)
    assert texts(index) == {url: "The tower is 324 m high."}
    assert outcome(visit(index, tmp_path / "web", url)) == (0, 0, 0, 1)
    assert site.asked[-1] == ("/tower", 304)
    site.html("/tower", "The tower is 330 m high.")
    assert outcome(visit(index, tmp_path / "web", url)) == (0, 1, 0, 0)
    del site.pages["/tower"]
    gone = visit(index, tmp_path / "web", url)
    assert (gone.removed, [failure.uri for failure in gone.failures]) == (1, [url])
    assert texts(index) == {}


def test_a_sitemap_brings_its_pages_of_each_kind_and_what_it_no_longer_lists_goes(
    index: Index, site: Site, tmp_path: Path
) -> None:
    site.html("/a", "All about apples.")
    site.pages["/b.md"] = Page(b"# Pears\n\nAll about pears.\n", "text/plain; charset=utf-8")
    site.pages["/c"] = Page(pdf(tmp_path / "c.pdf", words(50, 700, "All about plums.")).read_bytes(), "application/pdf")
    site.pages["/d"] = Page("Größe der Äpfel.".encode("latin-1"), "text/plain; charset=iso-8859-1")
    site.pages["/e"] = Page(b"GIF89a", "image/gif")
    site.sitemap("/one.xml", *(f"{site.url}/{name}" for name in ("a", "b.md", "c")))
    site.sitemap("/two.xml", *(f"{site.url}/{name}" for name in ("d", "e")), "http://example.org/other")
    site.sitemap("/sitemap.xml", f"{site.url}/one.xml", f"{site.url}/two.xml", kind="sitemap")
    report = visit(index, tmp_path / "web", f"{site.url}/sitemap.xml")
    assert outcome(report) == (4, 0, 0, 0)
    assert [(failure.uri, failure.kind) for failure in report.failures] == [(f"{site.url}/e", "unknown kind")]
    assert report.left_out == {"of another site than their sitemap": 1}
    found = texts(index)
    assert found[f"{site.url}/d"] == "Größe der Äpfel."
    assert "All about plums." in found[f"{site.url}/c"]
    kept = {file.uri: Path(file.path).suffix for file in index.files()}
    assert sorted(kept.values()) == [".html", ".md", ".pdf", ".txt"]
    site.sitemap("/one.xml", f"{site.url}/a")
    assert visit(index, tmp_path / "web", f"{site.url}/sitemap.xml").removed == 2
    assert sorted(texts(index)) == [f"{site.url}/a", f"{site.url}/d"]
    site.pages["/two.xml"] = Page(b"", status=500)  # what it lists is unknown just now, so nothing goes
    assert visit(index, tmp_path / "web", f"{site.url}/sitemap.xml").removed == 0


def test_a_sitemap_may_be_packed_name_itself_or_list_nothing(index: Index, site: Site, tmp_path: Path) -> None:
    site.html("/a", "All about apples.")
    site.pages["/b"] = Page(
        pdf(tmp_path / "b.pdf", words(50, 700, "All about plums.")).read_bytes(), "application/octet-stream"
    )
    site.sitemap("/inner.xml", f"{site.url}/a", f"{site.url}/b")
    site.pages["/inner.xml.gz"] = Page(gzip.compress(site.pages["/inner.xml"].body), "application/x-gzip")
    site.sitemap("/index.xml", f"{site.url}/sitemap.xml", f"{site.url}/inner.xml.gz", kind="sitemap")
    site.sitemap("/sitemap.xml", f"{site.url}/sitemap.xml", f"{site.url}/index.xml", f"{site.url}/a", kind="sitemap")
    report = visit(index, tmp_path / "web", f"{site.url}/sitemap.xml")
    assert texts(index) == {f"{site.url}/a": "All about apples.", f"{site.url}/b": "All about plums."}
    assert [(failure.uri, failure.reason) for failure in report.failures] == [
        (f"{site.url}/a", "it is no sitemap, as the one that names it says")
    ]
    site.sitemap("/empty.xml")
    [failure] = visit(index, tmp_path / "web", f"{site.url}/empty.xml").failures
    assert "lists no pages" in failure.reason


def test_what_robots_txt_forbids_is_not_asked_for(index: Index, site: Site, tmp_path: Path) -> None:
    site.html("/open", "Open.")
    site.html("/closed/page", "Closed.")
    site.pages["/robots.txt"] = Page(b"User-agent: rag-graph\nDisallow: /closed\n", "text/plain")
    site.sitemap("/sitemap.xml", f"{site.url}/open", f"{site.url}/closed/page")
    [failure] = visit(index, tmp_path / "web", f"{site.url}/sitemap.xml").failures
    assert "robots.txt" in failure.reason
    assert ("/closed/page", 200) not in site.asked
    site.pages["/robots.txt"] = Page(b"", status=503)
    [failure] = visit(index, tmp_path / "web", f"{site.url}/open").failures
    assert "robots.txt" in failure.reason


def test_all_of_it_is_bounded(index: Index, site: Site, tmp_path: Path) -> None:
    for number in range(5):
        site.html(f"/{number}", f"Page {number}. " * 50)
    site.sitemap("/sitemap.xml", *(f"{site.url}/{number}" for number in range(5)))
    few = visit(index, tmp_path / "web", f"{site.url}/sitemap.xml", pages=3)
    assert few.added == 3
    assert "5 pages, of which 3" in few.failures[0].reason
    short = visit(index, tmp_path / "web", f"{site.url}/4", page_bytes=100)
    assert [failure.kind for failure in short.failures] == ["too large"]
    late = visit(index, tmp_path / "web", f"{site.url}/4", seconds=-1)
    assert [failure.kind for failure in late.failures] == ["time limit"]
    site.pages["/loop"] = Page(status=302, headers={"location": "/loop"})
    [failure] = visit(index, tmp_path / "web", f"{site.url}/loop").failures
    assert "redirects" in failure.reason
    site.html("/packed", "x", **{"content-encoding": "gzip"})
    [failure] = visit(index, tmp_path / "web", f"{site.url}/packed").failures
    assert "packs" in failure.reason


def test_no_private_address_is_asked_by_name_by_number_or_by_a_redirect(
    index: Index, site: Site, tmp_path: Path
) -> None:
    site.html("/", "Inside.")
    inside = (
        f"{site.url}/",
        f"http://localhost:{site.port}/",
        f"http://[::ffff:127.0.0.1]:{site.port}/",
        f"http://2130706433:{site.port}/",
        f"http://0x7f.1:{site.port}/",
    )
    report = visit(index, tmp_path / "web", *inside, allow_private=False)
    assert [failure.uri for failure in report.failures] == [*inside]
    assert all("no public address" in failure.reason for failure in report.failures)
    refused = (
        "file:///etc/passwd",
        "http://user:pass@127.0.0.1/",
        "http:///x",
        "http://127.0.0.1:99999/",
        "http://a b/",
    )
    assert len(visit(index, tmp_path / "web", *refused).failures) == len(refused)
    assert site.asked == []
    site.pages["/out"] = Page(status=302, headers={"location": "file:///etc/passwd"})
    [failure] = visit(index, tmp_path / "web", f"{site.url}/out").failures
    assert "no http(s) address" in failure.reason


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        *[
            (one, False)
            for one in ("10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0")
        ],
        *[(one, False) for one in ("::1", "::", "fe80::1", "fc00::1", "ff02::1", "224.0.0.1", "255.255.255.255")],
        *[(one, False) for one in ("::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:169.254.169.254")],
    ],
)
def test_an_address_that_is_not_everybodys_is_none_to_read(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def test_the_connection_goes_to_the_address_that_was_checked(site: Site) -> None:
    asked: list[str] = []

    def resolver(host: str, port: int, *, allow_private: bool) -> list[str]:
        asked.append(f"{host}:{port} {allow_private}")
        return ["127.0.0.1"]

    site.html("/", "Once.")
    with closing(Web(Bounds(delay_s=0), resolver=resolver)) as web:
        assert b"Once." in (web.fetch(f"http://tower.example:{site.port}/").content or b"")
    assert set(asked) == {f"tower.example:{site.port} False"}
    assert set(site.hosts) == {f"tower.example:{site.port}"}


def test_a_name_that_has_one_private_address_is_refused() -> None:
    assert set(resolve("localhost", 80, allow_private=True)) <= {"127.0.0.1", "::1"}
    with pytest.raises(NotFetched, match="no public address"):
        resolve("localhost", 80, allow_private=False)
    with pytest.raises(NotFetched, match="there is no host"):
        resolve("a" * 70, 80, allow_private=True)
