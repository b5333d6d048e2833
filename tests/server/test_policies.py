"""What browsers are told they may do with each answer."""

import re

import pytest

from tests.servers import Server

PAGES = ("/", "/docs", "/rag/playground/", "/rag/structured/playground/", "/chat/playground/")
OTHERS = (
    "/config", "/openapi.json", "/metrics", "/health", "/static/main.js", "/nothing", "/v1/models", "/runs/unknown",
    "/docs/swagger-ui.css", "/rag/input_schema",
)  # fmt: skip
PAGE_BYTES = 250_000
SMALL = 1_000
"""What is shorter is sent as it is."""


def directives(policy: str) -> dict[str, set[str]]:
    named = (part.split() for part in policy.split(";"))
    return {name: set(values) for name, *values in named}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_scripts_of_this_server_alone_and_in_no_frame(server: Server, path: str) -> None:
    answer = server.http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = directives(answer.headers["content-security-policy"])
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == {"'none'"}
    assert policy["connect-src"] == {"'self'"}
    scripts = {source for source in policy["script-src"] if not source.startswith("'sha256-")}
    assert scripts - {"'unsafe-eval'"} == {"'self'"}
    assert "'unsafe-eval'" not in scripts or "playground" in path
    assert "http" not in answer.headers["content-security-policy"]
    assert not [part for part in answer.text.split('"') if part.startswith(("http:", "https:", "//"))]


@pytest.mark.parametrize("path", [*PAGES, *OTHERS])
def test_every_answer_tells_browsers_what_it_is_not(server: Server, path: str) -> None:
    headers = server.http.get(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_refusals_and_streams_do_too(server: Server) -> None:
    answers = [
        server.ask(),
        server.http.post("/query", content=b"x"),
        server.http.get("/", headers={"host": "x.example"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 415, 421]
    for answer in answers:
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_there_is_no_second_page_of_docs_and_no_other_file(server: Server) -> None:
    assert server.http.get("/redoc").status_code == 404
    assert server.http.get("/docs/__init__.py").status_code == 404
    assert server.http.get("/docs/..%2f__init__.py").status_code == 404
    assert server.http.get("/docs/swagger-ui-bundle.js").headers["content-type"].startswith("text/javascript")


def test_the_page_comes_compressed_and_weighs_little_before_formulas_and_code(server: Server) -> None:
    """All that it imports at once, its fonts aside, as it goes over the wire."""
    weights: dict[str, int] = {}
    waiting = ["", "static/style.css", "static/start.js", "static/bundle.js"]
    while waiting:
        path = waiting.pop()
        if path in weights:
            continue
        with server.http.stream("GET", f"/{path}", headers={"accept-encoding": "gzip"}) as response:
            source = response.read().decode()
            weights[path] = response.num_bytes_downloaded
        assert not path or len(source) < SMALL or response.headers["content-encoding"] == "gzip"
        waiting += [f"static/{name}" for name in re.findall(r'\bfrom ?"\./([^"]+)"', source)]
    assert "static/composer.js" in weights
    assert not [path for path in weights if "katex" in path or "highlight" in path]
    assert sum(weights.values()) <= PAGE_BYTES


def test_a_browser_keeps_the_files_of_one_version_and_never_mixes_two(server: Server) -> None:
    page = server.http.get("/")
    assert page.headers["cache-control"] == "no-cache"
    [digest] = set(re.findall(r'"static/([^/"]+)/', page.text))
    assert '"static/bundle.js"' not in page.text
    kept = server.http.get(f"/static/{digest}/main.js")
    assert "immutable" in kept.headers["cache-control"]
    for path in ("static/main.js", "static/0123456789abcdef/main.js"):
        answer = server.http.get(f"/{path}")
        assert (answer.headers["cache-control"], answer.text) == ("no-cache", kept.text)
    assert server.http.get(f"/static/{digest}/..%2f..%2fpage.py").status_code == 404
