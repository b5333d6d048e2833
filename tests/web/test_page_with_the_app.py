"""The page in a real browser against the real app: graph, log and routes are ours, only the model is scripted."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from tests.index.pdfs import pdf, words
from tests.servers import Serve, copied
from tests.upstream import Upstream
from tests.web.conftest import TIMEOUT_MS, WATCH

DRAFT = "The Eiffel Tower was built by Gustave Eiffel's company and opened in 1889 [1]."
REFINED = f"{DRAFT} The CN Tower in Toronto was completed in 1976 and is 553 metres high."
REVIEW = "Reply with one line"
REWRITE = "Write the whole answer again"


@pytest.fixture
def page(context: BrowserContext, serve: Serve, more_towers: Path) -> Page:
    expect.set_options(timeout=TIMEOUT_MS)
    opened = context.new_page()
    opened.set_default_timeout(TIMEOUT_MS)
    opened.add_init_script(WATCH)
    opened.goto(serve(data_dir=more_towers).url)
    return opened


def ask(page: Page, question: str = "Who built the Eiffel Tower?") -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_an_answer_is_drafted_improved_and_cited(page: Page, upstream: Upstream) -> None:
    upstream.say("REFINE: the draft leaves out Toronto", when=REVIEW)
    upstream.say(REFINED, when=REWRITE)
    upstream.say(DRAFT)
    ask(page)
    expect(page.locator(".answer-label")).to_have_text("Improved answer")
    expect(page.locator(".notice")).to_contain_text("The draft leaves out Toronto")
    page.locator(".chip.confirmed").first.click()
    expect(page.locator("mark.current")).to_be_in_viewport()
    expect(page.locator("mark.current")).to_contain_text("built by Gustave Eiffel's company")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_label("What this is about").select_option(index=2)
    page.get_by_label("Why (optional)").fill("It is 550 metres.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".reason-told")).to_have_text("Thank you, this is kept of that sentence.")
    assert page.evaluate("violations") == []


def test_a_draft_stands_when_the_review_keeps_it(page: Page, upstream: Upstream) -> None:
    upstream.say("KEEP: the new sources agree", when=REVIEW)
    upstream.say(DRAFT)
    ask(page)
    expect(page.locator(".answer-label")).to_have_text("The first answer stands")
    expect(page.locator(".notice")).to_contain_text("The new sources agree")


def test_a_reload_goes_on_with_the_same_run(page: Page, upstream: Upstream) -> None:
    upstream.say("KEEP: the new sources agree", when=REVIEW)
    held = upstream.say(DRAFT, hold_after=6)
    ask(page)
    expect(page.locator(".answer-text")).to_contain_text("The Eiffel Tower was built")
    page.reload()
    expect(page.locator(".answer-text")).to_contain_text("The Eiffel Tower was built")
    held.release()
    expect(page.locator(".answer-label")).to_have_text("The first answer stands")
    expect(page.locator(".answer-text")).to_contain_text("and opened in 1889")
    assert len([request for request in upstream.chats if REVIEW not in str(request.body)]) == 1


def test_stopping_reaches_the_model(page: Page, upstream: Upstream) -> None:
    upstream.say(DRAFT, hold_after=6)
    ask(page)
    expect(page.locator(".answer-text")).to_contain_text("The Eiffel Tower was built")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_have_text("You stopped this answer.")
    expect(page.locator(".answer-text")).to_contain_text("The Eiffel Tower was built")
    assert upstream.chats[-1].wait_closed()


def test_a_model_that_refuses_is_explained(page: Page, upstream: Upstream) -> None:
    for _ in range(8):
        upstream.fail(status=401, message="no such key")
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("key")


def test_the_library_is_listed_asked_in_part_and_cleared(
    context: BrowserContext, serve: Serve, more_towers: Path, tmp_path: Path, upstream: Upstream
) -> None:
    own = copied(more_towers, tmp_path / "data")
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.add_init_script(WATCH)
    page.goto(serve(data_dir=own, uploads=True).url)
    page.get_by_role("button", name="Library").click()
    rows = page.locator(".library-row")
    expect(rows.filter(has_text="Tokyo Tower")).to_have_count(1)
    page.get_by_label("Find a document").fill("eiffel")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Ask only this: Eiffel Tower").click()
    expect(page.locator(".scope")).to_contain_text("Only “Eiffel Tower”")
    upstream.say(DRAFT)
    ask(page)
    expect(page.locator(".chip.confirmed").first).to_be_visible()
    expect(page.locator(".source-row")).to_have_count(1)
    page.get_by_role("button", name="Ask all documents").click()
    expect(page.locator(".scope")).to_be_hidden()
    page.get_by_role("button", name="Library").click()
    page.get_by_role("button", name="Remove Tokyo Tower").click()
    page.get_by_role("button", name="Really remove? Tokyo Tower").click()
    expect(rows.filter(has_text="Tokyo Tower")).to_have_count(0)
    expect(page.locator(".library-told")).to_have_text("5 documents, 5 passages")
    expect(rows).to_have_count(5)
    page.keyboard.press("Escape")
    expect(page.locator(".library")).to_be_hidden()
    assert page.evaluate("violations") == []


def test_files_are_added_one_by_one_before_the_eyes_and_each_tells_its_fate(
    context: BrowserContext, serve: Serve, more_towers: Path, tmp_path: Path
) -> None:
    expect.set_options(timeout=TIMEOUT_MS)
    own = copied(more_towers, tmp_path / "data")
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.add_init_script(WATCH)
    page.goto(serve(data_dir=own, uploads=True).url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add documents").click()
    light = b"# Ras Nungwi Light\n\nThe lighthouse was first lit in 1886.\n"
    chooser.value.set_files(
        [
            FilePayload(name="light.md", mimeType="text/markdown", buffer=light),
            FilePayload(name="broken.pdf", mimeType="application/pdf", buffer=b"%PDF-1.7 no more"),
        ]
    )
    expect(page.locator(".upload-told")).to_contain_text(
        "1 document can be asked about now. 1 document skipped. uploads/broken.pdf: it is damaged"
    )
    page.get_by_role("button", name="Dismiss what became of the documents").click()
    expect(page.locator(".upload-told")).to_be_hidden()
    page.get_by_role("button", name="Library").click()
    fates = page.get_by_role("list", name="Files being added").get_by_role("listitem")
    expect(fates).to_have_count(2)
    expect(fates.nth(0)).to_contain_text("light.mdAdded, 1 passage")
    expect(fates.nth(1)).to_contain_text("broken.pdfSkipped: it is damaged")
    expect(page.locator(".library-row").filter(has_text="Ras Nungwi Light")).to_have_count(1)
    assert page.evaluate("sessionStorage.length") == 0
    assert page.evaluate("violations") == []


def test_a_citation_of_a_pdf_opens_its_page_with_the_words_marked(
    context: BrowserContext, serve: Serve, more_towers: Path, tmp_path: Path, upstream: Upstream
) -> None:
    lit = "The Ras Nungwi lighthouse was first lit in 1886."
    own = copied(more_towers, tmp_path / "data")
    server = serve(data_dir=own, uploads=True)
    report = pdf(tmp_path / "light.pdf", words(50, 700, "A short history."), words(50, 200, lit)).read_bytes()
    sent = server.http.post("/documents", files=[("files", ("light.pdf", report))])
    assert sent.status_code == 200, sent.text
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.add_init_script(WATCH)
    page.goto(server.url)
    upstream.say(lit.removesuffix(".") + " [1].")
    ask(page, "When was the Ras Nungwi lighthouse first lit?")
    page.locator(".chip.confirmed").first.click()
    sheet = page.get_by_role("img", name="Page 2 of light.pdf")
    expect(sheet).to_be_visible()
    expect(page.locator(".page-mark")).to_have_count(1)
    expect(page.locator(".page-mark")).to_be_in_viewport()
    drawn, mark = sheet.bounding_box(), page.locator(".page-mark").bounding_box()
    assert drawn
    assert mark
    assert abs((mark["y"] - drawn["y"]) / drawn["height"] - 590 / 800) < 0.02
    page.get_by_role("button", name="Show the text").click()
    expect(page.locator("mark.current")).to_have_text(lit)
    expect(sheet).to_be_hidden()
    page.get_by_role("button", name="Show the page").click()
    expect(sheet).to_be_visible()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save the original of light").click()
    assert (saving.value.suggested_filename, saving.value.path().read_bytes()) == ("light.pdf", report)
    page.keyboard.press("Escape")
    (own / "uploads" / "light.pdf").unlink()
    page.locator(".chip.confirmed").first.click()
    expect(page.locator("mark.current")).to_have_text(lit)
    expect(page.get_by_role("button", name="Show the page")).to_be_hidden()
    assert page.evaluate("violations") == []
