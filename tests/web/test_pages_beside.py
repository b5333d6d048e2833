"""The pages that are not ours in a real browser: they load from this server alone, under a policy, and work."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.servers import ANSWER, QUESTION, Serve, Server
from tests.web.conftest import TIMEOUT_MS, WATCH

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),  # LangServe does
    pytest.mark.filterwarnings("ignore:astream_log is deprecated"),  # its playgrounds use it
]
FRAME = "<iframe src='{url}' onload='document.title = `loaded`'></iframe>"


@dataclass
class Visit:
    """A page, what it asked of whom, and what went wrong on it."""

    page: Page
    server: Server
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        # A playground that is asked before it knows the input's schema sends none.
        self.page.goto(f"{self.server.url}{path}", wait_until="networkidle")
        return self.page


@pytest.fixture
def visit(context: BrowserContext, serve: Serve) -> Iterator[Visit]:
    expect.set_options(timeout=TIMEOUT_MS)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.add_init_script(WATCH)
    found = Visit(page, serve())

    def note(request: Request) -> None:
        found.asked.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    yield found
    assert found.errors == []
    assert [url for url in found.asked if not url.startswith((found.server.url, "data:"))] == []


def test_the_docs_list_the_routes_and_ask_them(visit: Visit) -> None:
    page = visit.open("/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    expect(page.get_by_text("/query", exact=True).first).to_be_visible()
    page.locator("#operations-server-live_health_live_get .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    assert page.evaluate("violations") == []


def test_the_playground_answers(visit: Visit) -> None:
    page = visit.open("/rag/playground/")
    page.get_by_role("textbox").first.fill(QUESTION)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text(ANSWER).first).to_be_visible()
    assert page.evaluate("violations") == []


def test_the_chat_playground_answers(visit: Visit) -> None:
    page = visit.open("/chat/playground/")
    page.get_by_role("textbox").first.fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_text(ANSWER).first).to_be_visible()
    assert page.evaluate("violations") == []


@pytest.mark.parametrize("path", ["/docs", "/rag/playground/", "/chat/playground/", "/"])
def test_what_is_written_into_a_page_does_not_run(visit: Visit, path: str) -> None:
    page = visit.open(path)
    page.evaluate(
        """() => {
          const inline = document.createElement("script");
          inline.textContent = "globalThis.ran = 'inline'";
          document.body.append(inline);
        }""" if path != "/" else "() => {}"
    )  # fmt: skip
    assert page.evaluate("globalThis.ran") is None


@pytest.mark.parametrize("path", ["/docs", "/rag/playground/", "/config", "/"])
def test_no_page_can_be_put_into_a_frame(visit: Visit, path: str) -> None:
    """What a page of another site frames, it can make people click."""
    page = visit.page
    page.set_content(FRAME.format(url=f"{visit.server.url}{path}"))
    page.wait_for_function("document.title === 'loaded'")
    assert len(page.frames) == 2
    assert not page.frames[1].url.startswith(visit.server.url)
