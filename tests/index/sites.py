"""A site of the web on this machine, which a test writes page by page and whose log it reads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    body: bytes = b""
    kind: str = "text/html"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Site:
    """`pages` by path; `asked` has each request with the status that it got."""

    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def html(self, path: str, text: str, **headers: str) -> None:
        body = f"<html><head><title>{path}</title></head><body><main><p>{text}</p></main></body></html>"
        self.pages[path] = Page(body.encode(), headers={"etag": f'"{hash(text)}"', **headers})

    def sitemap(self, path: str, *listed: str, kind: str = "url") -> None:
        of = "urlset" if kind == "url" else "sitemapindex"
        locs = "".join(f"<{kind}><loc>{one}</loc></{kind}>" for one in listed)
        body = f'<?xml version="1.0"?><{of} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{locs}</{of}>'
        self.pages[path] = Page(body.encode(), "application/xml")


@contextmanager
def serving_site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            page = site.pages.get(self.path, Page(b"no", status=404))
            status = page.status
            if status == 200 and self.headers.get("if-none-match", "?") == page.headers.get("etag"):
                status = 304
            site.asked.append((self.path, status))
            site.hosts.append(self.headers.get("host", ""))
            body = b"" if status == 304 else page.body
            self.send_response(status)
            for name, value in {"content-type": page.kind, "content-length": str(len(body)), **page.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
