"""Pages and sitemaps of the web in the library: which pages those are, and bringing them up to date.

A page's text is kept as it came in a folder of ours, so that its document is read, shown and hashed as any file's is;
its uri is its address.
"""

import codecs
import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urldefrag, urlsplit

from lxml import etree

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.base import Index
from rag_graph.index.embedded.storage import sync, writing
from rag_graph.index.indexing import IndexReport, index_files
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loaders.base import parse_xml
from rag_graph.index.loading import KINDS, Failure, FoundFile, LoadedDocument, is_known
from rag_graph.index.web import Bounds, Fetched, NotFetched, Web, origin_of

_AT_ONCE: Final = 20
"""Pages between two commits."""
_MAX_SITEMAP_BYTES: Final = 10 << 20
_MAX_SITEMAPS: Final = 50
_TYPES: Final = {
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "text/x-rst": ".rst",
    "application/json": ".json",
    "application/x-ndjson": ".jsonl",
    "application/epub+zip": ".epub",
    "message/rfc822": ".eml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
}
_GZIP: Final = b"\x1f\x8b"
_VAGUE: Final = frozenset(
    {
        "",
        "text/plain",
        "application/octet-stream",
        "application/force-download",
        "binary/octet-stream",
        "text/xml",
        "application/xml",
    }
)
"""Types of which a suffix says more."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was fetched last; `root` is what was named: the page, or the sitemap that lists it."""

    url: str
    root: str
    name: str
    etag: str = ""
    last_modified: str = ""


def is_address(named: str) -> bool:
    return named.lower().startswith(("http://", "https://"))


class Sites:
    """The pages that are kept in a folder."""

    def __init__(self, folder: Path, *, bounds: Bounds, limits: Limits, allow_private: bool = False) -> None:
        self._folder = folder.absolute()
        self._bounds = bounds
        self._limits = limits
        self._allow_private = allow_private

    def roots(self) -> list[str]:
        """The pages and sitemaps that were named."""
        return sorted({page.root for page in self._pages()})

    def drop(self, index: Index, named: Sequence[str]) -> int:
        """Remove the pages of these addresses, and those that these sitemaps list; return how many documents."""
        addresses = {_normal(one) for one in named if is_address(one)}
        pages = [page for page in self._pages() if addresses & {page.url, page.root}]
        return sum(self.forget(index, page) for page in pages)

    def index(self, index: Index, roots: Sequence[str], on_page: Callable[[str], None] = lambda _: None) -> IndexReport:
        """Bring the pages of these addresses up to date. Raises `LibraryError` and its kinds.

        A page that its server no longer has, or that its sitemap no longer lists, leaves the library; one that cannot
        be had just now stays.
        """
        report = IndexReport(0, 0, 0, 0, 0, (), 0.0)
        with (
            closing(Web(self._bounds, allow_private=self._allow_private)) as web,
            closing(Loader(self._limits)) as loader,
        ):
            for root in map(_normal, roots):
                report = _sum(report, _Visit(self, index, web, loader, root, on_page).report())
        return report

    # What is kept of a page: `NAME.SUFFIX` as it came, and `NAME.json` about it.

    def _pages(self) -> Iterator[Page]:
        for path in sorted(self._folder.glob("*.page.json")) if self._folder.is_dir() else ():
            with suppress(ValueError, TypeError):  # one that was cut off is fetched again
                yield Page(**json.loads(path.read_bytes()))

    def note(self, page: Page) -> None:
        with writing():
            _write(self._folder / f"{_name(page.url)}.page.json", json.dumps(asdict(page)).encode())

    def forget(self, index: Index, page: Page) -> int:
        path = self._folder / page.name
        with index.writer() as writer:
            removed = writer.remove_file(str(path))
        with writing():
            path.unlink(missing_ok=True)
            (self._folder / f"{_name(page.url)}.page.json").unlink(missing_ok=True)
        return removed

    def hold(self, url: str, fetched: Fetched) -> FoundFile:
        """Keep what came beside its place. Raises `DocumentUnreadable` of what no document can be."""
        suffix = _suffix(fetched)
        path = self._folder / f"{_name(url)}{suffix}"
        if not is_known(path):
            told = fetched.media_type or "no type"
            raise DocumentUnreadable(f"pages of type {told[:80]} cannot be read", "unknown kind")
        content = fetched.content or b""
        if not content.strip():
            raise DocumentUnreadable("it is empty", "no text")
        held = path.with_name(f".{path.name}")
        with writing():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(held, _in_utf8(content, fetched.charset) if KINDS[suffix] in {"html", "markup"} else content)
        return FoundFile(path, self._folder, held.stat().st_size, held_at=held, uri=url)


class _Visit:
    """One reading of an address and of all that it lists."""

    def __init__(
        self, sites: Sites, index: Index, web: Web, loader: Loader, root: str, on_page: Callable[[str], None]
    ) -> None:
        self._sites, self._index, self._web, self._loader = sites, index, web, loader
        self._root, self._on_page = root, on_page
        self._known = {page.url: page for page in sites._pages()}  # noqa: SLF001 - of this module
        self._indexed = {file.path for file in index.files() if not file.failure}
        self._is_complete = True  # whether all that it lists is known
        self._waiting: list[tuple[FoundFile, list[LoadedDocument | Failure], Page]] = []
        self._report = IndexReport(0, 0, 0, 0, 0, (), 0.0)

    def report(self) -> IndexReport:
        """Read it, and say what came of it."""
        try:
            first = self._fetch(self._root)
        except NotFetched as exc:
            self._fail(self._root, exc)
            return self._report
        if first.content is not None and (listed := _listed(first)) is not None:
            self._read_all(self._from_sitemap(listed))
        else:
            self._take(self._root, first)
            self._flush()
        return self._report

    def _read_all(self, urls: Sequence[str]) -> None:
        bounds = self._web.bounds
        if len(urls) > bounds.pages:
            reason = f"it lists {len(urls)} pages, of which {bounds.pages} are read; --max-pages reads more"
            self._count(failures=(Failure(self._root, reason, "too large"),))
        for url in urls[: bounds.pages]:
            self._on_page(url)
            try:
                self._take(url, self._fetch(url))
            except NotFetched as exc:
                self._fail(url, exc)
                if exc.kind == "time limit":
                    break
            if len(self._waiting) >= _AT_ONCE:
                self._flush()
        self._flush()
        for page in [*self._known.values()]:
            if self._is_complete and page.root == self._root and page.url not in urls:
                self._count(removed=self._sites.forget(self._index, page))

    def _from_sitemap(self, listed: "_Listed") -> list[str]:
        """The pages of a sitemap, or of those that an index of sitemaps names, all of its own site."""
        urls, here = list(listed.pages), origin_of(self._root)
        # An index may name another one, and itself.
        waiting = list(dict.fromkeys(map(_normal, listed.sitemaps)))
        seen = {_normal(self._root)}
        while waiting and len(seen) <= _MAX_SITEMAPS:
            sitemap = waiting.pop(0)
            if sitemap in seen:
                continue
            seen.add(sitemap)
            try:
                if origin_of(sitemap) != here:
                    raise NotFetched("it is of another site than the sitemap that names it")  # noqa: TRY301
                if (inner := _listed(self._web.fetch(sitemap))) is None:
                    raise NotFetched("it is no sitemap, as the one that names it says", "damaged")  # noqa: TRY301
            except NotFetched as exc:
                self._is_complete = False
                self._count(failures=(Failure(sitemap, str(exc), exc.kind),))
                continue
            urls += inner.pages
            waiting += map(_normal, inner.sitemaps)
        if left := sum(sitemap not in seen for sitemap in waiting):
            self._is_complete = False
            reason = f"it names {left} sitemaps more than the {_MAX_SITEMAPS} that are read; index those by themselves"
            self._count(failures=(Failure(self._root, reason, "too large"),))
        if not urls:
            self._is_complete = False
            self._count(failures=(Failure(self._root, "it is a sitemap that lists no pages", "no text"),))
        urls = list(dict.fromkeys(map(_normal, urls)))
        if others := sum(origin_of(url) != here for url in urls):
            self._count(left_out={"of another site than their sitemap": others})
        return [url for url in urls if origin_of(url) == here]

    def _fetch(self, url: str) -> Fetched:
        known = self._known.get(url)
        is_kept = known is not None and str(self._sites._folder / known.name) in self._indexed  # noqa: SLF001
        if known is not None and is_kept:
            return self._web.fetch(url, etag=known.etag, last_modified=known.last_modified)
        return self._web.fetch(url)

    def _take(self, url: str, fetched: Fetched) -> None:
        """Read a page that was fetched, to be added with others."""
        known = self._known.get(url)
        if fetched.content is None and known is not None:
            self._sites.note(replace(known, root=self._root))
            self._count(unchanged=1)
            return
        try:
            file = self._sites.hold(url, fetched)
        except DocumentUnreadable as exc:
            self._fail(url, exc)
            return
        try:
            found = list(self._loader.load(file.content, file.path.name))
        except DocumentUnreadable as exc:
            file.content.unlink(missing_ok=True)
            self._fail(url, exc)
            return
        page = Page(url, self._root, file.path.name, fetched.etag, fetched.last_modified)
        self._waiting.append((file, found, page))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        documents = {file.content: found for file, found, _ in waiting}

        def place(file: FoundFile) -> None:
            with writing():
                file.content.replace(file.path)
                sync(file.path.parent)

        reports = index_files(
            self._index,
            [file for file, _, _ in waiting],
            lambda path, _: iter(documents[path]),
            place=place,
        )
        for report, (_, _, page) in zip(reports, waiting, strict=True):
            self._report = _sum(self._report, report)
            former = self._known.get(page.url)
            if former is not None and former.name != page.name:  # of another type than before
                self._count(removed=self._sites.forget(self._index, former))
            self._sites.note(page)
            self._known[page.url] = page

    def _fail(self, url: str, why: DocumentUnreadable) -> None:
        self._count(failures=(Failure(url, str(why), why.kind),))
        known = self._known.get(url)
        if known is not None and isinstance(why, NotFetched) and why.is_gone:
            self._count(removed=self._sites.forget(self._index, known))

    def _count(self, **more: Any) -> None:
        self._report = _sum(self._report, IndexReport(**{**_NOTHING, **more}))


_NOTHING: Final[dict[str, Any]] = {
    "added": 0,
    "replaced": 0,
    "removed": 0,
    "unchanged": 0,
    "passages": 0,
    "failures": (),
    "seconds": 0.0,
}


@dataclass(frozen=True, slots=True)
class _Listed:
    pages: tuple[str, ...]
    sitemaps: tuple[str, ...]


def _listed(fetched: Fetched) -> _Listed | None:
    """What a sitemap lists; None of what is none: https://www.sitemaps.org/protocol.html."""
    content = fetched.content or b""
    if content.startswith(_GZIP):  # as a file, whatever way it was sent
        try:
            content = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, _MAX_SITEMAP_BYTES + 1)
        except zlib.error:
            return None
    if b"<urlset" not in content[:4096] and b"<sitemapindex" not in content[:4096]:
        return None
    if len(content) > _MAX_SITEMAP_BYTES:
        raise NotFetched(f"as a sitemap it is larger than {_MAX_SITEMAP_BYTES >> 20} MB", "too large")
    try:
        root = parse_xml(content)
    except etree.XMLSyntaxError as exc:
        raise NotFetched("it is a damaged sitemap", "damaged") from exc
    names = {kind: root.findall(f"{{*}}{kind}/{{*}}loc") for kind in ("url", "sitemap")}
    found = {kind: tuple((one.text or "").strip() for one in ones) for kind, ones in names.items()}
    return _Listed(tuple(filter(is_address, found["url"])), tuple(filter(is_address, found["sitemap"])))


def _normal(url: str) -> str:
    """An address without what leads to a place in its page."""
    return urldefrag(url.strip())[0]


def _name(url: str) -> str:
    return hashlib.blake2b(url.encode(), digest_size=16).hexdigest()


def _suffix(fetched: Fetched) -> str:
    """The kind of a page: by its type, or by its address where that says more."""
    by_address = PurePosixPath(urlsplit(fetched.url).path).suffix.lower()
    if fetched.media_type in _VAGUE and by_address in KINDS:
        return by_address
    if fetched.media_type in _VAGUE and (fetched.content or b"").startswith(b"%PDF-"):
        return ".pdf"
    return _TYPES.get(fetched.media_type, ".txt" if fetched.media_type == "text/plain" else "")


def _in_utf8(content: bytes, charset: str) -> bytes:
    """A text in the encoding that its server names; loaders guess, where nobody says."""
    if charset in {"", "utf-8", "utf8"} or content.startswith(
        (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    ):
        return content
    try:
        return codecs.BOM_UTF8 + content.decode(charset).encode()
    except (LookupError, UnicodeError):
        return content


def _write(path: Path, content: bytes) -> None:
    """A whole file or none."""
    held = path.with_name(f"{path.name}.new")
    with open(os.open(held, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 - its mode
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    held.replace(path)
    sync(path.parent)


def _sum(one: IndexReport, other: IndexReport) -> IndexReport:
    def counted(name: str) -> dict[str, int]:
        return dict(Counter(getattr(one, name)) + Counter(getattr(other, name)))

    return IndexReport(
        added=one.added + other.added,
        replaced=one.replaced + other.replaced,
        removed=one.removed + other.removed,
        unchanged=one.unchanged + other.unchanged,
        passages=one.passages + other.passages,
        failures=one.failures + other.failures,
        seconds=one.seconds + other.seconds,
        passed_over=counted("passed_over"),
        left_out=counted("left_out"),
        kinds=counted("kinds"),
        notes=one.notes + other.notes,
    )
