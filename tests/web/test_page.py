"""The page in a real browser: what a person sees and does, against scripted runs."""

import logging
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Locator, Page, Route, expect

from tests.web import stories
from tests.web.conftest import TIMEOUT_MS
from tests.web.scripted import ScriptedServer
from tests.web.stories import BUILT, DRAFT, QUESTION, SKETCHED

logger = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=TIMEOUT_MS)


def ask(page: Page, question: str, *, harder: bool = False) -> Locator:
    """Ask, and give the turn that this begins."""
    page.get_by_role("switch", name="Think harder").set_checked(harder, force=True)
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    return page.locator(".turn").last


def open_all(server: ScriptedServer) -> None:
    server.gates_are_open = True


def shown(text: str) -> str:
    """What of the answer's Markdown is to be read, without markers."""
    return " ".join(re.sub(r"\*\*| ?\[\d+\]|^- ", "", text, flags=re.MULTILINE).split())


def read(turn: Locator) -> str:
    """The words of the answer as they are rendered, without chips and what is gone."""
    script = """element => {
        const copy = element.cloneNode(true);
        copy.querySelectorAll(".mark, del").forEach(mark => mark.remove());
        return [...copy.querySelectorAll("p, li, h3, h4")].map(block => block.textContent).join(" ");
    }"""
    return " ".join(str(turn.locator(".answer-text").evaluate(script)).split())


def test_a_draft_streams_is_improved_and_shows_what_changed(page: Page, server: ScriptedServer) -> None:
    turn = ask(page, QUESTION)
    expect(turn.locator(".status")).to_contain_text("Drafting an answer from 2 passages")
    server.open_gate("draft")
    expect(turn.locator(".answer-label")).to_have_text("First answer")
    expect(turn.locator(".answer-text")).to_contain_text("built by the company of Gustave Eiffel")
    expect(turn.locator(".answer")).to_have_attribute("data-state", "draft")
    expect(turn.locator(".notice")).to_contain_text("Deeper reading goes on beside it")
    server.open_gate("mid-draft", "deep", "refine")
    expect(turn.locator(".notice")).to_contain_text("Improving this answer with 1 new passage")
    expect(turn.locator(".answer-text")).to_contain_text("in a single night")
    server.open_gate("mid-refinement")
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    assert read(turn) == shown(stories.REFINED)
    expect(turn.locator(".conflicts")).to_contain_text("Guide 2024")
    expect(turn.locator(".fates del").first).to_be_hidden()
    turn.get_by_text("1 sentence corrected, 1 withdrawn, 1 confirmed").click()
    expect(turn.locator(".fates del").first).to_be_visible()
    expect(turn.locator(".fates .withdrawn")).to_have_text("Nobody remembers why. No passage says this.")
    expect(turn.locator(".fates .confirmed")).to_contain_text("Confirmed by 2 more sources.")
    turn.get_by_role("button", name="Show changes").click()
    expect(turn.locator("del").first).to_be_visible()
    expect(turn.locator("del").first).to_contain_text("It was designed by Eiffel himself")
    expect(turn.locator("ins").first).to_contain_text("The design came from two of its engineers")


def test_a_draft_that_stands_says_why(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    turn = ask(page, "Keep it?")
    expect(turn.locator(".answer-label")).to_have_text("The first answer stands")
    expect(turn.locator(".notice")).to_contain_text("The deeper search found no new evidence.")
    assert read(turn) == shown(DRAFT)


def test_thinking_harder_is_off_until_it_is_asked_for(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    switch = page.get_by_role("switch", name="Think harder")
    expect(switch).not_to_be_checked()
    expect(ask(page, QUESTION).locator(".answer-label")).to_have_text("Improved answer")
    expect(page.locator(".thinking")).to_be_hidden()
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_be_checked()
    turn = ask(page, QUESTION, harder=True)
    expect(turn.locator(".mode")).to_contain_text("Thinking harder")
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    assert [query["mode"] for query in server.queries] == ["fast", "deep"]


def test_thinking_opens_while_it_streams_and_folds_when_the_answer_starts(page: Page, server: ScriptedServer) -> None:
    turn = ask(page, QUESTION, harder=True)
    expect(turn.locator(".thinking-text")).to_be_visible()
    expect(turn.locator(".thinking-text")).to_contain_text("The question has two parts")
    expect(turn.locator(".thinking-title")).to_contain_text(re.compile(r"Thinking… \d+\.\d s"))
    server.open_gate("thinking", "draft")
    expect(turn.locator(".answer-text")).to_contain_text("The tower")
    expect(turn.locator(".thinking-text")).to_be_hidden()
    expect(turn.locator(".thinking-title")).to_have_text("Thought for 4.2 s")
    turn.locator(".thinking summary").click()
    open_all(server)
    server.open_gate("mid-draft", "deep", "refine", "mid-refinement")
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    expect(turn.locator(".thinking-text")).to_be_visible()


def test_an_answered_question_can_be_thought_about_harder(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    ask(page, QUESTION).get_by_role("button", name="Think harder about this").click()
    expect(page.locator(".branch-place")).to_have_text("2 / 2")
    expect(page.locator(".turn").last.locator(".answer-label")).to_have_text("Improved answer")
    first, second = server.queries
    assert (second["question"], second["mode"]) == (QUESTION, "deep")
    assert second["history"] == first["history"] == []


def test_a_follow_up_knows_what_was_said(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    expect(ask(page, "Keep it?").locator(".actions")).to_contain_text("Ask again")
    ask(page, "Keep what?").get_by_role("button", name="Ask again").wait_for()
    history = server.queries[1]["history"]
    assert [turn["role"] for turn in history] == ["user", "assistant"]
    assert history[0]["content"] == "Keep it?"
    assert history[1]["content"] == DRAFT.replace(" [1]", "")


def test_the_refinement_takes_over_without_moving_what_is_read(page: Page, server: ScriptedServer) -> None:
    page.set_viewport_size({"width": 900, "height": 600})
    turn = ask(page, "Rewrite it?")
    expect(turn.locator(".notice")).to_contain_text("Improving")
    old = turn.locator("p", has_text="Part 5 is about")
    old.evaluate("element => scrollBy({ top: element.getBoundingClientRect().top - 120, behavior: 'instant' })")
    before = old.evaluate("element => element.getBoundingClientRect().top")
    server.open_gate("refine")
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    expect(turn.locator(".answer-text")).to_contain_text("The years come first.")
    after = turn.locator("p", has_text="Part 5 is about").evaluate("element => element.getBoundingClientRect().top")
    assert abs(after - before) <= 2


def test_a_citation_shows_its_words_and_opens_the_document_there(page: Page, server: ScriptedServer) -> None:
    server.open_gate("draft")
    turn = ask(page, QUESTION)
    chip = turn.get_by_role("button", name="Source 1: A history of the tower").first
    chip.hover()
    expect(page.get_by_role("tooltip")).to_contain_text(BUILT)
    page.keyboard.press("Escape")
    expect(page.get_by_role("tooltip")).to_be_hidden()
    open_all(server)
    server.open_gate("mid-draft", "deep", "refine", "mid-refinement")
    chip = turn.get_by_role("button", name="Source 3: Engineers").first
    chip.focus()
    expect(page.get_by_role("tooltip")).to_contain_text(SKETCHED)
    turn.get_by_role("button", name="Source 1: A history of the tower").first.click()
    panel = page.get_by_role("complementary", name="A history of the tower")
    current = panel.locator("mark.current")
    expect(current).to_be_in_viewport()
    expect(current).to_have_text(BUILT)
    expect(panel.get_by_role("heading", name="The tower 🗼")).to_be_attached()
    expect(panel.locator(".source-text p")).to_have_count(5)
    panel.get_by_role("button", name="Next quote").click()
    expect(current).not_to_have_text(BUILT)
    page.get_by_role("button", name="Library", exact=True).click()
    expect(panel).to_be_hidden()
    expect(page.get_by_label("Find a document")).to_be_focused()
    page.get_by_role("button", name="Library", exact=True).click()
    turn.get_by_role("button", name="Source 1: A history of the tower").first.click()
    expect(current).to_have_text(BUILT)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(turn.get_by_role("button", name="Source 1: A history of the tower").first).to_be_focused()


def test_sources_tell_where_they_are_from_and_open_as_they_are_read(
    page: Page, context: BrowserContext, server: ScriptedServer
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_all(server)
    turn = ask(page, "Sources please")
    expect(turn.locator(".source-about")).to_have_text(["Install › On Linux · line 9 · Markdown", "Web page"])
    expect(turn.locator(".source-where")).to_have_text([stories.GUIDE.uri, stories.ONLINE.uri])
    expect(turn.locator(".source-snippet").first).to_have_text("“Run make install from the shell, and wait.”")
    links = turn.locator(".sources a")
    assert links.evaluate_all("links => links.map(link => link.href)") == [stories.ONLINE.uri]
    turn.get_by_role("button", name="Source 2: Setup").first.hover()
    expect(page.get_by_role("tooltip")).to_contain_text("Install › On Linux · line 9")
    expect(page.get_by_role("tooltip")).to_contain_text("Run make install from the shell, and wait.")
    turn.get_by_role("button", name="Source 2: Setup").first.click()
    panel = page.get_by_role("complementary", name="Setup")
    expect(panel.locator("mark.current").first).to_be_in_viewport()
    assert "".join(panel.locator("mark.current").all_text_contents()) == "Run make install from the shell, and wait."
    expect(panel.get_by_role("heading", name="On Linux")).to_be_attached()
    expect(panel.locator("td", has_text="8080")).to_be_attached()
    told = panel.locator(".source-text").inner_text()
    assert not re.search(r"///|<a |</a>|\*\*|\{#|script|title: Setup\n---", told)
    expect(panel.locator("strong", has_text="Mind this")).to_be_attached()
    expect(panel.get_by_role("link", name="the shell")).to_have_attribute("href", "https://example.org/shell(1)")
    assert page.title() == "Ask your documents · rag_graph"
    page.keyboard.press("Escape")
    turn.get_by_role("button", name="Copy with sources").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.partition("## Sources")[2].split("\n")[2:] == [
        "- [2] Setup (docs/linux/setup.md, Install › On Linux, line 9)",
        "  > “Run make install from the shell, and wait.”",
        f"- [4] Setup (<{stories.ONLINE.uri}>)",
        "  > “Wait.”",
        "- [5] Setup (docs/linux/setup.md)",
        "",
    ]


def test_every_chip_stands_at_its_words(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    turn = ask(page, QUESTION)
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    chips = turn.locator(".answer-text .chip")
    behind = "chips => chips.map(chip => chip.parentElement.previousSibling?.textContent.split(' ').at(-1) ?? '')"
    assert chips.evaluate_all(behind) == ["1889", "1889.", "1884", "added", "3", "year"]
    states = chips.evaluate_all("chips => chips.map(chip => chip.className.replace('chip ', ''))")
    assert states == ["confirmed", "confirmed found", "confirmed", "confirmed", "doubtful", "confirmed"]
    expect(turn.locator("ins", has_text="Gustave Eiffel")).to_have_count(0)


def test_what_no_source_supports_is_marked_and_explained(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    turn = ask(page, "Keep it?")
    expect(turn.locator(".unsupported")).to_have_text("It was designed by Eiffel himself in a single night.")
    turn.get_by_role("button", name="Not supported by the sources").focus()
    expect(page.get_by_role("tooltip")).to_have_text("No passage says this.")


def test_stopping_ends_the_run_and_keeps_what_was_written(page: Page, server: ScriptedServer) -> None:
    server.open_gate("draft")
    turn = ask(page, QUESTION)
    expect(turn.locator(".answer-text")).to_contain_text("Gustave Eiffel")
    page.get_by_role("button", name="Stop").click()
    expect(turn.get_by_role("alert")).to_have_text("You stopped this answer.")
    expect(turn.locator(".answer-text")).to_contain_text("Gustave Eiffel")
    assert len(server.cancelled) == 1
    open_all(server)
    turn.get_by_role("button", name="Ask again").click()
    expect(page.locator(".turn").last.locator(".answer-label")).to_have_text("Improved answer")


def test_a_reload_in_mid_answer_goes_on_where_it_was(page: Page, server: ScriptedServer) -> None:
    server.open_gate("draft")
    expect(ask(page, QUESTION).locator(".answer-text")).to_contain_text("Gustave Eiffel")
    page.reload()
    turn = page.locator(".turn")
    expect(turn.locator(".answer-text")).to_contain_text("Gustave Eiffel")
    open_all(server)
    server.open_gate("mid-draft", "deep", "refine", "mid-refinement")
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    assert read(turn) == shown(stories.REFINED)
    assert len(server.queries) == 1
    assert int(server.resumed_from[0].rpartition(":")[2]) > 0
    page.reload()
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    assert len(server.resumed_from) == 1


def test_a_lost_connection_says_so_and_heals(page: Page, server: ScriptedServer) -> None:
    server.open_gate("draft")
    turn = ask(page, QUESTION)
    expect(turn.locator(".answer-text")).to_contain_text("Gustave Eiffel")
    server.cut(down=True)
    expect(turn.locator(".status")).to_contain_text("The connection was lost. Reconnecting by itself")
    server.open_gate("mid-draft", "deep", "refine", "mid-refinement")
    server.restore()
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    assert read(turn) == shown(stories.REFINED)
    assert len(server.queries) == 1


def test_markup_from_documents_and_models_is_text(page: Page, server: ScriptedServer) -> None:
    elsewhere: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(server.url) else elsewhere.append(request.url))
    turn = ask(page, "Hostile <img src=x onerror=alert(1)>")
    expect(turn.get_by_role("button", name="Copy with sources")).to_be_visible()
    text = turn.locator(".answer-text").inner_text()
    for words in ("<script>document.title='pwned'</script>", "<b>bold</b>", "<iframe", "[1] <script>", "<style>"):
        assert words in text
    forbidden = (
        ":is(.answer, .question, .thinking, .sources) :is(script, iframe, style, img, [onclick], [onerror], div[id])"
    )
    expect(turn.locator(forbidden)).to_have_count(0)
    hrefs = turn.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href') ?? '')")
    assert all(re.match(r"https?://|$", href) for href in hrefs)
    turn.locator(".chip.confirmed").first.click()
    expect(page.locator("mark.current")).to_have_text("<script>document.title='pwned'</script><b>bold</b> &amp;")
    expect(page.locator(".source-text")).to_have_text(stories.HOSTILE.content)
    assert page.title() == "Ask your documents · rag_graph"
    assert elsewhere == []


def test_a_failed_run_says_what_to_do_and_keeps_its_words(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    turn = ask(page, "Fail it?")
    expect(turn.get_by_role("alert")).to_contain_text("check that it runs and that its base URL is right")
    expect(turn.locator(".answer-text")).to_have_text("The tower was built by")
    expect(turn.get_by_role("button", name="Ask again")).to_be_visible()


def test_a_refusal_says_when_to_come_back(page: Page, server: ScriptedServer) -> None:
    busy = {"error": {"code": "too_many_runs", "message": "All places are taken.", "retryable": True}}
    server.refusal = (429, busy, {"retry-after": "7"})
    turn = ask(page, QUESTION)
    expect(turn.get_by_role("alert")).to_have_text("All places are taken. You can ask again in 7 s.")


def test_a_server_that_is_gone_is_told_in_a_sentence(page: Page, server: ScriptedServer) -> None:
    server.cut(down=True)
    turn = ask(page, QUESTION)
    expect(turn.get_by_role("alert")).to_contain_text("The server cannot be reached. Check your connection")


def test_a_key_is_asked_for_once(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    server.required_key = "s3cret"
    turn = ask(page, QUESTION)
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The key you gave was not accepted.")).to_be_visible()
    page.get_by_label("API key").fill("s3cret")
    page.get_by_role("button", name="Use this key").click()
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    page.reload()
    expect(ask(page, QUESTION).locator(".answer-label")).to_have_text("Improved answer")


def test_the_timeline_tells_what_ran_when(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    turn = ask(page, QUESTION)
    expect(turn.locator(".status")).to_contain_text("Answered in 4.2 s · first words after 0.3 s")
    turn.get_by_text("How this answer came about").click()
    names = turn.locator(".timeline-rows .timeline-name")
    expect(names).to_have_text(["First search", "First answer", "Deeper search", "Comparing", "Improving"])
    bars = turn.locator(".bar").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().left)")
    assert bars == sorted(bars)
    expect(turn.locator(".timeline-moments li")).to_have_count(3)


def test_the_answer_can_be_copied_with_its_sources(page: Page, context: BrowserContext, server: ScriptedServer) -> None:
    open_all(server)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, "Keep it?").get_by_role("button", name="Copy with sources").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(DRAFT)
    assert "[1] A history of the tower (notes/tower.md)" in copied
    assert f"“{BUILT}”" in copied


def test_formulas_and_code_are_set_and_citations_stay_at_their_words(
    page: Page, context: BrowserContext, server: ScriptedServer
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_all(server)
    expect(ask(page, "Keep it?").get_by_role("button", name="Ask again")).to_be_visible()
    assert [url for url in asked if "katex" in url or "highlight" in url] == []
    turn = ask(page, "Technical answer?")
    expect(turn.locator("tex-formula .katex")).to_have_count(2)
    expect(turn.locator("tex-formula.display .katex-display")).to_be_visible()
    expect(turn.locator(".answer-text")).to_contain_text("it costs $5 to $6 to climb")
    chips = turn.locator(".answer-text .chip")
    behind = "chips => chips.map(chip => chip.parentElement.previousSibling?.textContent.trim().split(' ').at(-1))"
    assert chips.evaluate_all(behind) == ["1889", "e^{-kh}", "1889."]
    expect(turn.locator("pre .hljs-keyword").first).to_have_text("def")
    expect(turn.locator("pre .hljs-string")).to_have_text('"<b>tight</b>"')
    turn.get_by_role("button", name="Copy code").click()
    expect(turn.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == 'def rivet(girder):  # [1] is no source here\n    return "<b>tight</b>"\n'
    page.reload()
    expect(turn.locator("tex-formula .katex")).to_have_count(2)
    expect(turn.locator("pre .hljs-comment")).to_have_text("# [1] is no source here")


LIBRARY = {
    "documents": 3,
    "passages": 12,
    "kinds": {"md": 2, "pdf": 1},
    "newest": [{"id": "d-tower", "title": "A history of the tower", "uri": "notes/tower.md"}],
    "questions": ["What does “A history of the tower” say about “Its lifts”?", "Who built it?"],
}


def test_an_empty_page_tells_what_can_be_asked(page: Page, server: ScriptedServer) -> None:
    server.library = LIBRARY
    open_all(server)
    page.reload()
    expect(page.locator(".inventory")).to_contain_text("3 documents, 12 passages · 2 Markdown, 1 PDF")
    page.get_by_role("button", name="A history of the tower", exact=True).click()
    expect(page.get_by_role("complementary", name="A history of the tower")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Who built it?").click()
    expect(page.locator(".turn .question")).to_have_text("Who built it?")
    expect(page.locator(".welcome")).to_be_hidden()


def test_an_empty_library_says_so_before_anybody_asks(page: Page, server: ScriptedServer) -> None:
    server.library = {"documents": 0, "passages": 0, "kinds": {}, "newest": [], "questions": []}
    page.reload()
    expect(page.get_by_role("heading", name="There are no documents yet.")).to_be_visible()
    expect(page.locator(".inventory")).to_contain_text("rag-graph index FOLDER")
    expect(page.get_by_role("button", name="Try it on the guide")).to_have_count(0)
    server.config["upload"] = True
    page.reload()
    with page.expect_file_chooser() as chooser:
        page.locator(".invitation").get_by_role("button", name="Add documents").click()
    server.library = LIBRARY
    chooser.value.set_files(FilePayload(name="notes.md", mimeType="text/markdown", buffer=b"# Notes"))
    expect(page.get_by_role("heading", name="Ask your documents.")).to_be_visible()
    told = {"code": "index_not_found", "message": "Nothing has been indexed yet; run: rag-graph", "retryable": False}
    server.refusal = (404, {"error": told}, {})
    turn = ask(page, QUESTION)
    expect(turn.get_by_role("alert")).to_have_text("There are no documents yet. Add some, then ask again.")
    with page.expect_file_chooser():
        turn.get_by_role("button", name="Add documents").click()


def test_what_is_not_in_the_documents_is_an_answer_with_ways_on(page: Page, server: ScriptedServer) -> None:
    server.library = LIBRARY
    open_all(server)
    page.reload()
    turn = ask(page, "Absent thing?")
    told = turn.get_by_role("group", name="Not found in your documents")
    expect(told).to_contain_text("All of the library was searched: 3 documents, 12 passages. 2 passages were near")
    expect(turn.locator(".answer-label")).to_have_text("No answer")
    expect(turn.locator(".notice")).to_be_hidden()
    expect(turn.locator(".follow-ups")).to_be_hidden()
    expect(told.get_by_role("button", name="Add documents")).to_have_count(0)
    told.get_by_role("button", name="A history of the tower").first.click()
    expect(page.locator("mark.current").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    told.get_by_role("button", name="See what is in the library").click()
    expect(page.get_by_role("complementary", name="Library")).to_be_visible()


def test_what_an_answer_left_unused_is_asked_by_a_click(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    turn = ask(page, "Sources please")
    expect(turn.locator(".question-button")).to_have_text(["What does “Setup” say about “After it”?"])
    turn.locator(".question-button").click()
    expect(page.locator(".turn").nth(1).locator(".actions")).to_contain_text("Ask again")
    assert server.queries[-1]["question"] == "What does “Setup” say about “After it”?"
    expect(turn.locator(".follow-ups")).to_be_hidden()


def test_a_pasted_question_and_forty_sources_stay_small_until_asked_for(
    browser: Browser, server: ScriptedServer
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    open_all(server)
    page.goto(server.url)
    turn = ask(page, "Many papers were pasted here. " * 60)
    question = turn.locator(".question")
    clamped = question.evaluate("element => element.clientHeight")
    turn.get_by_role("button", name="Show all of it").click()
    assert question.evaluate("element => element.clientHeight") > 2 * clamped
    expect(turn.locator(".source-row:visible")).to_have_count(6)
    turn.get_by_role("button", name="Show all 40 sources").click()
    expect(turn.locator(".source-row:visible")).to_have_count(40)
    expect(turn.locator(".source-row").nth(6)).to_be_focused()
    turn.locator(".source-row").first.click()
    panel = page.get_by_role("complementary", name="Volume 1 of")
    expect(panel.locator("mark.current")).to_be_in_viewport()
    heading = "element => element.getBoundingClientRect().height / element.closest('aside').clientHeight"
    assert panel.get_by_role("heading").first.evaluate(heading) < 0.35
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    context.close()


def test_what_a_paste_leaves_out_is_told(page: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('word '.repeat(1000))")
    page.get_by_label("Your question").focus()
    page.keyboard.press("Control+V")
    expect(page.locator(".composer-note")).to_contain_text("at most 4,000 characters")
    assert len(page.get_by_label("Your question").input_value()) == 4_000
    page.keyboard.press("Backspace")
    expect(page.locator(".composer-note")).to_be_hidden()


def test_settings_are_kept_in_the_browser_and_the_key_forgotten_on_request(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    size = "parseFloat(getComputedStyle(document.documentElement).fontSize)"
    before = page.evaluate(size)
    server.required_key = "s3cret"
    ask(page, QUESTION)
    page.get_by_label("API key").fill("s3cret")
    page.keyboard.press("Enter")
    expect(page.locator(".answer-label")).to_have_text("Improved answer")
    page.get_by_role("button", name="Settings").click()
    settings = page.get_by_role("dialog", name="Settings")
    settings.get_by_role("radio", name="Very large").check()
    settings.get_by_role("checkbox", name="Think harder").check()
    settings.get_by_role("button", name="Forget the key").click()
    expect(settings.get_by_role("status")).to_contain_text("the next question asks for one")
    settings.get_by_role("button", name="Done").click()
    page.set_viewport_size({"width": 360, "height": 740})
    page.reload()
    expect(page.get_by_role("switch", name="Think harder")).to_be_checked()
    assert page.evaluate(size) > 1.4 * before
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    ask(page, QUESTION)
    expect(page.get_by_label("API key")).to_be_visible()


def test_model_and_language_are_chosen_of_what_the_server_offers_and_sent_with_questions(
    page: Page, server: ScriptedServer
) -> None:
    open_all(server)
    server.config["choices"] = ["vendor/a-very-long-name-of-a-model:70b", "third"]
    page.reload()
    ask(page, "Keep it?")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Model").select_option("third")
    page.get_by_label("Answer in").select_option("German")
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".about")).to_contain_text("third")
    expect(ask(page, "Keep it?").locator(".mode.model")).to_have_text("third")
    page.reload()
    turn = ask(page, "Keep it?")
    expect(turn.locator(".answer-label")).to_have_text("The first answer stands")
    expect(turn.locator(".answer-body")).to_have_attribute("lang", "de")
    assert [(query.get("model"), query.get("language")) for query in server.queries] == [
        (None, None), ("third", "German"), ("third", "German"),
    ]  # fmt: skip
    server.config["choices"] = []  # what is no longer offered is not asked for
    page.reload()
    expect(ask(page, "Keep it?").locator(".answer-label")).to_have_text("The first answer stands")
    assert "model" not in server.queries[-1]


def test_a_question_that_waits_is_told_its_place_in_line(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    server.ahead = 2
    turn = ask(page, "Keep it?")
    expect(turn.locator(".status")).to_have_text("Waiting in line: 2 questions are before yours…")
    server.ahead = 0
    expect(turn.locator(".status")).to_have_text("Waiting in line: your question is next…")
    server.ahead = None
    expect(turn.locator(".answer-label")).to_have_text("The first answer stands")


def test_an_answer_can_be_judged_with_a_reason_and_that_taken_back(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    turn = ask(page, "Keep it?")
    good, bad = turn.get_by_role("button", name="Good answer"), turn.get_by_role("button", name="Bad answer")
    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "true")
    turn.get_by_label("Why (optional)").fill("It names the wrong year.")
    page.keyboard.press("Enter")
    expect(turn.get_by_label("Why (optional)")).to_be_hidden()
    expect(turn.locator(".reason-told")).to_have_text("Thank you, this is kept.")
    page.reload()
    expect(bad).to_have_attribute("aria-pressed", "true")
    bad.click()
    expect(turn.locator(".reason-told")).to_have_text("Taken back.")
    gone = {"error": {"code": "run_expired", "message": "This run is no longer kept.", "retryable": False}}
    server.refusal = (410, gone, {})
    good.click()
    expect(turn.locator(".reason-told")).to_have_text("This could not be kept. This run is no longer kept.")
    expect(good).to_have_attribute("aria-pressed", "false")
    assert server.judged == [
        {"verdict": "down", "reason": ""},
        {"verdict": "down", "reason": "It names the wrong year."},
        {"verdict": None, "reason": ""},
    ]


def test_documents_can_be_added_only_where_the_server_allows_it(page: Page, server: ScriptedServer) -> None:
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Add documents")).to_have_count(0)
    server.config["upload"] = True
    page.reload()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add documents").click()
    chooser.value.set_files(FilePayload(name="notes.md", mimeType="text/markdown", buffer=b"# Notes"))
    expect(page.locator(".upload-told")).to_have_text("Notes.md can be asked about now.")
    expect(page.locator("#announcements")).to_have_text("Notes.md can be asked about now.")
    assert server.uploads == ["notes.md"]


def test_screen_readers_hear_sentences_not_tokens(page: Page, server: ScriptedServer) -> None:
    page.evaluate("""() => {
        globalThis.heard = [];
        const region = document.getElementById("announcements");
        new MutationObserver(() => heard.push(region.textContent)).observe(region, { childList: true });
    }""")
    open_all(server)
    turn = ask(page, QUESTION)
    expect(turn.locator(".status")).to_contain_text("Answered in")
    heard = page.evaluate("heard")
    assert heard[-1] == "Improved answer. Complete."
    assert len(heard) <= 6
    assert turn.locator(".answer-text").evaluate("element => element.closest('[aria-live]')") is None


COVERED = """() => {
    const { x, y, width, height } = document.activeElement.getBoundingClientRect();
    const above = document.elementFromPoint(x + width / 2, y + height / 2);
    const dock = document.getElementById("composer");
    return !dock.contains(document.activeElement) && dock.contains(above);
}"""


def test_everything_can_be_reached_by_keyboard(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    expect(page.get_by_label("Your question")).to_be_focused()
    turn = ask(page, "Keep it?")
    expect(turn.locator(".status")).to_contain_text("Answered in")
    page.get_by_role("button", name="New conversation").focus()
    page.set_viewport_size({"width": 1280, "height": 500})
    reached, covered = [], []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText")
        )
        if page.evaluate(COVERED):
            covered.append(reached[-1])
    assert covered == []
    wanted = ["Source 1: A history of the tower", "Not supported by the sources", "Copy with sources", "Ask again"]
    places = [next(at for at, name in enumerate(reached) if want in name) for want in wanted]
    assert places == sorted(places)
    assert "Your question" in reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_barrier(browser: Browser, server: ScriptedServer, axe: str, scheme: str) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page = context.new_page()
    page.goto(server.url)
    page.evaluate(axe)
    check(page)
    server.open_gate("thinking", "draft")
    turn = ask(page, QUESTION, harder=True)
    expect(turn.locator(".chip.confirmed").first).to_be_visible()
    check(page)
    open_all(server)
    server.open_gate("mid-draft", "deep", "refine", "mid-refinement")
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    turn.get_by_role("button", name="Show changes").click()
    turn.get_by_text("How this answer came about").click()
    turn.locator(".chip.confirmed").first.click()
    expect(page.locator("mark.current")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    expect(ask(page, "Fail it?").get_by_role("alert")).not_to_be_empty()
    check(page)
    turn = ask(page, "Technical answer?")
    expect(turn.locator("tex-formula .katex").first).to_be_visible()
    expect(turn.locator("pre .hljs-keyword").first).to_be_visible()
    turn.get_by_role("button", name="Bad answer").click()
    expect(turn.get_by_label("Why (optional)")).to_be_visible()
    check(page)
    turn = ask(page, "Sources please")
    expect(turn.locator(".question-button").first).to_be_visible()
    turn.locator(".chip.confirmed").first.click()
    expect(page.locator("mark.current").first).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    expect(ask(page, "Absent thing?").locator(".not-found")).to_be_visible()
    check(page)
    for server.library in ({**LIBRARY, "documents": 0}, LIBRARY):
        page.evaluate("sessionStorage.clear()")
        page.get_by_role("button", name="New conversation").click()
        page.reload()
        page.evaluate(axe)
        expect(page.locator(".inventory")).not_to_be_empty()
        check(page)
        ask(page, "Keep it?").get_by_role("button", name="Ask again").wait_for()
    context.close()


def check(page: Page) -> None:
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [
        (violation["id"], node["html"], node["failureSummary"])
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert serious == []


def test_a_phone_360_pixels_wide_shows_everything(browser: Browser, server: ScriptedServer) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    open_all(server)
    page.goto(server.url)
    for question in (QUESTION, "Long?", "Hostile?", "Fail it?"):
        turn = ask(page, question, harder=True)
        expect(turn.get_by_role("button", name="Ask again")).to_be_visible()
        assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    first = page.locator(".turn").first
    first.get_by_text("How this answer came about").click()
    first.locator(".chip.confirmed").first.click()
    expect(page.locator("mark.current")).to_be_in_viewport()
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    context.close()


def test_nothing_moves_for_those_who_want_calm(browser: Browser, server: ScriptedServer) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(server.url)
    server.open_gate("draft")
    expect(ask(page, QUESTION).locator(".answer-text")).to_contain_text("Gustave")
    endless = "document.getAnimations().filter(one => one.effect.getComputedTiming().iterations === Infinity).length"
    assert page.evaluate(endless) == 0
    context.close()


MEASURE = """() => {
    globalThis.seen = {};
    addEventListener("keydown", ({ key }) => { if (key === "Enter") globalThis.entered = performance.now(); }, true);
    const note = (name, selector) => {
        if (!globalThis.entered || name in seen || !document.querySelector(selector)) return;
        seen[name] = performance.now() - entered;
    };
    new MutationObserver(() => {
        note("status", ".turn .status-words:not(:empty)");
        note("word", ".turn .answer-text p");
        note("citation", ".turn .chip.confirmed");
    }).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""


COUNT_FRAMES = """() => {
    globalThis.frames = [];
    const blockOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest(".block");
    new MutationObserver((records) => {
        const touched = new Set(records.map(({ target }) => blockOf(target)).filter(Boolean));
        if (touched.size) frames.push([touched.size, document.querySelectorAll(".turn .block").length]);
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def test_what_is_written_is_not_drawn_again_as_a_long_answer_grows(page: Page, server: ScriptedServer) -> None:
    """So that a frame costs as much at the end of it as at its beginning."""
    server.pace_s = 0.001
    page.evaluate(COUNT_FRAMES)
    open_all(server)
    turn = ask(page, "Long?")
    expect(turn.get_by_role("button", name="Ask again")).to_be_visible()
    frames = page.evaluate("frames")
    blocks = frames[-1][1]
    assert blocks > 70
    # A frame touches the block that is open; each block is touched once more as it comes and once as it closes.
    assert sum(touched for touched, _ in frames) <= len(frames) + 2 * blocks


def test_a_question_can_be_sent_before_the_page_has_wholly_come(page: Page, server: ScriptedServer) -> None:
    open_all(server)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/static/bundle.js", hold)
    page.goto(server.url, wait_until="commit")
    page.get_by_label("Your question").fill("Keep it?")
    page.keyboard.press("Enter")
    expect(page.locator(".composer-note")).to_have_text("This is asked as soon as the page has loaded.")
    expect(page.get_by_label("Your question")).to_have_value("Keep it?")
    for route in held:
        route.continue_()
    expect(page.locator(".answer-label")).to_have_text("The first answer stands")
    expect(page.get_by_label("Your question")).to_be_empty()


def test_the_first_status_is_there_at_once(page: Page, server: ScriptedServer) -> None:
    page.evaluate(MEASURE)
    turn = ask(page, QUESTION)
    expect(turn.locator(".status-words")).not_to_be_empty()  # while the server still holds back all that follows
    server.open_gate("draft", "mid-draft", "deep", "refine", "mid-refinement")
    expect(turn.locator(".answer-label")).to_have_text("Improved answer")
    seen = page.evaluate("seen")
    logger.info("ms from Enter: %s", {name: round(ms) for name, ms in seen.items()})
    assert list(seen) == ["status", "word", "citation"]
