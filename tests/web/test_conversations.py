"""Conversations on the page, in a real browser against the real app: addresses, branches, history, sharing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.servers import ANSWER, Serve, Server, copied
from tests.upstream import Upstream
from tests.web.conftest import TIMEOUT_MS, WATCH
from tests.web.test_page import check

WORDS = tuple(f"word{number} " for number in range(40))
WHO, TOKYO, WHEN = "Who built the Eiffel Tower?", "When did Tokyo Tower open?", "And when was it?"


@pytest.fixture
def app(serve: Serve, towers: Path, tmp_path: Path) -> Server:
    expect.set_options(timeout=TIMEOUT_MS)
    return serve(data_dir=copied(towers, tmp_path / "data"))


@pytest.fixture
def page(context: BrowserContext, app: Server) -> Iterator[Page]:
    opened = visit(context, app.url)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    assert errors == []
    assert opened.evaluate("violations") == []


def visit(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.add_init_script(WATCH)
    page.goto(url)
    return page


def ask(page: Page, question: str) -> Locator:
    """Ask, and wait for the whole answer."""
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".question").last).to_have_text(question)
    return answered(page)


def answered(page: Page) -> Locator:
    turn = page.locator(".turn").last
    expect(turn.locator(".actions")).to_contain_text("Ask again")
    return turn


def history(page: Page) -> Locator:
    panel = page.get_by_role("complementary", name="History")
    if panel.is_hidden():
        page.get_by_role("button", name="History", exact=True).click()
    expect(panel).to_be_visible()
    return panel


def test_back_reload_and_a_second_device_show_what_was_asked(page: Page, browser: Browser, app: Server) -> None:
    ask(page, WHO)
    first = page.url
    assert re.search(r"#/c/\w+$", first)
    expect(page).to_have_title(f"{WHO} · rag_graph")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.get_by_role("heading", name="Ask your documents.")).to_be_visible()
    ask(page, TOKYO)
    assert page.url != first
    page.go_back()
    expect(page.locator(".turn")).to_have_count(0)
    page.go_back()
    expect(page.locator(".question")).to_have_text(WHO)
    page.go_forward()
    page.go_forward()
    expect(page.locator(".question")).to_have_text(TOKYO)
    page.reload()
    expect(page.locator(".question")).to_have_text(TOKYO)
    expect(answered(page).locator(".answer-text")).to_contain_text("The Eiffel Tower was built by")
    page.get_by_text("How this answer came about").click()
    expect(page.locator(".timeline-rows .timeline-name").first).to_have_text("First search")
    ask(page, WHEN)
    other = browser.new_context()
    elsewhere = visit(other, page.url)
    expect(elsewhere.locator(".question")).to_have_text([TOKYO, WHEN])
    elsewhere.locator(".chip.confirmed").last.click()
    expect(elsewhere.locator("mark.current")).to_contain_text("built by Gustave Eiffel's company")
    other.close()
    elsewhere = visit(page.context, f"{app.url}/#/c/nothing")
    expect(elsewhere.locator("#place")).to_contain_text("There is no such conversation")
    ask(elsewhere, WHO)
    expect(elsewhere.locator("#place")).to_be_empty()


def test_a_question_that_the_server_never_heard_outlives_a_reload_and_is_asked_in_its_place(page: Page) -> None:
    def unheard(question: str) -> None:
        page.route("**/query*", lambda route: route.abort())
        page.get_by_label("Your question").fill(question)
        page.keyboard.press("Enter")
        expect(page.locator(".turn").last.get_by_role("alert")).to_contain_text("The server cannot be reached")
        page.unroute("**/query*")
        page.reload()
        expect(page.locator(".question").last).to_have_text(question)

    unheard(WHO)
    page.get_by_role("button", name="Ask again").click()
    answered(page)
    expect(page).to_have_url(re.compile("#/c/"))
    unheard(WHEN)
    expect(page.locator(".question")).to_have_text([WHO, WHEN])
    page.get_by_role("button", name="Ask again").last.click()
    expect(page.locator(".answer-text")).to_have_count(2)
    answered(page)
    expect(page.locator(".branches:visible")).to_have_count(0)
    page.reload()
    expect(page.locator(".question")).to_have_text([WHO, WHEN])


def test_a_running_answer_is_picked_up_in_another_tab_and_outlives_its_own(
    page: Page, context: BrowserContext, upstream: Upstream
) -> None:
    held = upstream.say((*WORDS, ANSWER), hold_after=6)
    page.get_by_label("Your question").fill(WHO)
    page.keyboard.press("Enter")
    expect(page.locator(".answer-text")).to_contain_text("word3")
    expect(page).to_have_url(re.compile("#/c/"))
    address = page.url
    second = visit(context, address)
    expect(second.locator(".answer-text")).to_contain_text("word3")
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    second.close()
    held.release()
    third = visit(context, address)
    expect(answered(third).locator(".answer-text")).to_contain_text("word39")
    page.go_back()
    expect(answered(page).locator(".answer-text")).to_contain_text("word39")
    assert len(upstream.chats) == 1


def test_an_edited_question_and_one_asked_again_are_branches(page: Page, upstream: Upstream) -> None:
    ask(page, WHO)
    ask(page, WHEN)
    first = page.locator(".turn").first
    first.get_by_role("button", name="Edit this question").click()
    field = page.get_by_label("Edit your question")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(first.locator(".question")).to_be_visible()
    first.get_by_role("button", name="Edit this question").click()
    field.fill(TOKYO)
    page.keyboard.press("Enter")
    expect(page.locator(".question")).to_have_text([TOKYO])
    answered(page)
    expect(page.locator(".branch-place")).to_have_text("2 / 2")
    assert WHO not in str(upstream.chats[-1].body), "what is asked instead follows nothing"
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".branch-place")).to_have_text("3 / 3")
    answered(page)
    page.get_by_role("button", name="The version before").click()
    expect(page.locator(".branch-place")).to_have_text("2 / 3")
    page.keyboard.press("Enter")
    expect(page.locator(".question")).to_have_text([WHO, WHEN])
    expect(page.get_by_role("button", name="The version after")).to_be_focused()
    page.reload()
    expect(page.locator(".question")).to_have_text([TOKYO])
    expect(page.locator(".branch-place").last).to_have_text("3 / 3")


def test_a_link_to_an_answer_leads_to_it_though_another_branch_is_newer(
    page: Page, context: BrowserContext, app: Server
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=app.url)
    ask(page, WHO)
    ask(page, WHEN).get_by_role("button", name="Copy a link to this answer").click()
    link = str(page.evaluate("navigator.clipboard.readText()"))
    assert link.startswith(page.url + "/")
    page.locator(".turn").first.get_by_role("button", name="Ask again").click()
    expect(page.locator(".question")).to_have_text([WHO])
    answered(page)
    other = visit(context, link)
    expect(other.locator(".question")).to_have_text([WHO, WHEN])
    expect(other.locator(".question").last).to_be_in_viewport()
    other.goto(f"{app.url}/#/c/{link.split('/')[-2]}")
    expect(other.locator(".question").last).to_be_visible()


def test_the_history_finds_renames_exports_and_deletes(page: Page) -> None:
    ask(page, WHO)
    page.get_by_role("button", name="New conversation").click()
    ask(page, TOKYO)
    panel = history(page)
    expect(panel.get_by_role("heading", name="Today")).to_be_visible()
    expect(panel.get_by_role("link")).to_have_text([TOKYO, WHO])
    expect(panel.get_by_role("link", name=TOKYO)).to_have_attribute("aria-current", "page")
    panel.get_by_label("Find a conversation").fill("who built")
    expect(panel.get_by_role("link")).to_have_text([WHO])
    panel.get_by_role("button", name=f"More about {WHO}").click()
    panel.get_by_role("button", name=f"Rename: {WHO}").click()
    page.get_by_label("The conversation's title").fill("<b>Builders</b>")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("link")).to_have_text(["<b>Builders</b>"])
    with page.expect_download() as downloading:
        panel.get_by_role("button", name=re.compile("^Markdown")).click()
    assert downloading.value.suggested_filename == "bBuildersb.md"
    text = downloading.value.path().read_text()
    assert f"## {WHO}" in text
    assert ANSWER in text
    panel.get_by_label("Find a conversation").fill("")
    expect(panel.get_by_role("link")).to_have_count(2)
    panel.get_by_role("button", name=f"More about {TOKYO}").click()
    panel.get_by_role("button", name=re.compile("^Delete")).click()
    panel.get_by_role("button", name=re.compile("^Really delete")).click()
    expect(panel.get_by_role("link")).to_have_text(["<b>Builders</b>"])
    expect(page.locator(".turn")).to_have_count(0)
    panel.get_by_role("link").click()
    expect(page.locator(".question")).to_have_text(WHO)
    page.reload()
    expect(page).to_have_title("<b>Builders</b> · rag_graph")


def test_a_shared_conversation_can_be_read_and_not_gone_on_with(page: Page, browser: Browser) -> None:
    ask(page, WHO)
    ask(page, WHEN)
    panel = history(page)
    panel.get_by_role("button", name=f"More about {WHO}").click()
    panel.get_by_role("button", name=re.compile("^Share")).click()
    address = page.get_by_label("The shared address").input_value()
    reader = browser.new_context()
    other = visit(reader, address)
    expect(other.locator("#place")).to_contain_text("A shared conversation, to be read only.")
    expect(other.locator("#place")).to_be_in_viewport()
    expect(other.locator(".answer-text").first).to_contain_text("Gustave Eiffel")
    other.locator(".chip.confirmed").first.click()
    expect(other.locator("mark.current")).to_be_visible()
    page_buttons = "Ask again", "Think harder about this", "Edit this question"
    for name in page_buttons:
        expect(other.get_by_role("button", name=name)).to_have_count(0)
    expect(other.get_by_label("Your question")).to_be_hidden()
    panel.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_label("The shared address")).to_have_count(0)
    other.reload()
    expect(other.locator("#place")).to_contain_text("There is no such conversation")
    other.close()
    reader.close()


def test_what_was_asked_in_another_tab_is_seen_on_coming_back(page: Page, context: BrowserContext) -> None:
    ask(page, WHO)
    other = visit(context, page.url)
    expect(other.locator(".question")).to_have_text([WHO])
    ask(other, WHEN)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".question")).to_have_text([WHO, WHEN])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_history_and_branches_have_no_serious_barrier_and_fit_a_phone(
    browser: Browser, app: Server, axe: str, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = visit(context, app.url)
    page.evaluate(axe)
    ask(page, WHO)
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".branch-place")).to_have_text("2 / 2")
    answered(page)
    check(page)
    page.get_by_role("button", name="Edit this question").click()
    check(page)
    page.keyboard.press("Escape")
    panel = history(page)
    panel.get_by_role("button", name=f"More about {WHO}").click()
    panel.get_by_role("button", name=re.compile("^Share")).click()
    expect(page.get_by_label("The shared address")).to_be_visible()
    check(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    page.get_by_label("The shared address").focus()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("button", name="History", exact=True)).to_be_focused()
    context.close()
