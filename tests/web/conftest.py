"""A real browser for the page, and a scripted server behind it."""

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.needed import missing, program
from tests.servers import more_towers, serve, towers, upstream
from tests.web import stories
from tests.web.scripted import ScriptedServer

__all__ = ["more_towers", "serve", "towers", "upstream"]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
AXE = "axe-core@4.14.1"
TIMEOUT_MS = 60_000
STORIES = {
    "who": stories.improved,
    "keep": stories.kept,
    "fail": stories.failed,
    "hostile": stories.hostile,
    "long": stories.long,
    "rewrite": stories.rewritten,
    "many": stories.many,
    "absent": stories.absent,
    "sources": stories.sources,
    "technical": stories.technical,
}
WATCH = """
globalThis.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) =>
  violations.push(`${violatedDirective} ${blockedURI} ${sample}`));
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = program("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(STORIES) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1280, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, server: ScriptedServer) -> Iterator[Page]:
    """The page, opened; at the end there was no error and nothing that its policy had to stop."""
    opened = context.new_page()
    opened.set_default_timeout(TIMEOUT_MS)
    opened.add_init_script(WATCH)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(server.url)
    yield opened
    assert errors == []
    assert opened.evaluate("violations") == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which looks for barriers."""
    npm = program("npm")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), AXE]
    run = subprocess.run(command, capture_output=True, timeout=300, check=False)
    if run.returncode:
        missing(f"{AXE} cannot be installed: {run.stderr!r}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
