"""What is shown of a passage: a quote as a reader wants to see it, with the code or the list that it leads in to."""

import re
from dataclasses import dataclass, replace
from textwrap import dedent
from typing import Final

from rag_graph.retrieval.quotes import LONGEST_QUOTE_CHARS, Quote
from rag_graph.text.languages import PRONOUNS
from rag_graph.text.markup import CodeBlock, code_blocks, document_sentences, unmarked
from rag_graph.text.sentences import Sentence, sentences

LONGEST_CODE_CHARS: Final = 800
"""Longer code is shown up to a whole line within this."""
MOST_ITEMS: Final = 12

_MARK: Final = re.compile(r"(?:^|\n)[ \t>]*(?:[-*+•–]|\d{1,3}[.)]|#\.)[ \t]+$")
"""Of an item of a list, right before it."""
_MARK_CHARS: Final = 24
"""So far before an item its mark is looked for: a long list would else be read again for each of its items."""
_MARKED: Final = re.compile(r"(?:^|\n)[ \t>]*(?:[-*+•–]|\d{1,3}[.)]|#\.)[ \t]")
_LEADS_IN: Final = (":", "...", "…")
_ITEM_ENDS: Final = re.compile(r"\n[ \t\r]*\n|\n(?=[ \t>]*(?:[-*+•–]|\d{1,3}[.)]|#\.)[ \t])")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A quote, what it says in a line, and what follows it there; the quote's span holds all of it."""

    quote: Quote
    said: str
    items: tuple[str, ...] = ()
    code: str = ""
    language: str = ""


def excerpt(quote: Quote, *, with_example: bool = False) -> Excerpt:
    """The quote with the list that it leads in to; `with_example`, with the code right behind it as well.

    A line of code brings its block and the sentence before that: alone it says little.
    """
    content = quote.passage.content
    blocks = [block for block in code_blocks(content) if block.start < block.end]
    inside = next((block for block in blocks if block.start <= quote.start and quote.end <= block.end), None)
    if inside is not None:
        before = _sentence_before(content, inside)
        if before is None or not with_example:
            return Excerpt(quote, _line(content, quote.start, quote.end))
        return _with_code(replace(quote, start=before.start), before.end, inside)
    if not content[quote.start : quote.end].rstrip(" *_`\n").endswith(_LEADS_IN):
        after = next((block for block in blocks if _follows(content, quote.end, block)), None)
        return _with_code(quote, quote.end, after) if after and with_example else Excerpt(quote, _shown(quote))
    after = next((block for block in blocks if _follows(content, quote.end, block)), None)
    if after is not None:
        return _with_code(quote, quote.end, after)
    items = _items(content, quote.end)
    if not items:
        return Excerpt(quote, _shown(quote))
    said = tuple(_line(content, start, end) for start, end in items)
    return Excerpt(replace(quote, end=items[-1][1]), _line(content, quote.start, quote.end), said)


def lead_in(quote: Quote) -> Quote:
    """The sentence that leads in to the list that a quote is an item of, to be shown with all of it; or the quote."""
    content = quote.passage.content
    items = list_around(content, quote.start)
    before = [item for item in document_sentences(content) if items and item.end <= items[0][0]]
    if not before or before[-1].kind != "prose" or not content[: before[-1].end].rstrip(" *_`\n").endswith(_LEADS_IN):
        return quote
    led = replace(quote, start=before[-1].start, end=before[-1].end)
    return led if excerpt(led).quote.end >= quote.end else quote


def list_around(content: str, at: int) -> list[tuple[int, int]]:
    """The items of the list on lines of their own that a place is in; none where it is in none."""
    if not _MARKED.search(content):
        return []
    found: list[tuple[int, int]] = []
    for item in document_sentences(content):
        if found and item.start < found[-1][1]:
            continue
        is_next = bool(found) and not content[found[-1][1] : item.start].strip(" \t\r\n>-*+•–.)0123456789")
        if not _MARK.search(content, max(0, item.start - _MARK_CHARS), item.start):
            if found and found[-1][1] > at:
                break
            found = []
            continue
        ends = _ITEM_ENDS.search(content, item.start)
        end = len(content[: ends.start() if ends else len(content)].rstrip())
        if not is_next and found:
            if found[-1][1] > at:
                break
            found = []
        found.append((item.start, end))
    return found if found and found[0][0] <= at < found[-1][1] and len(found) <= MOST_ITEMS else []


def with_antecedent(quote: Quote) -> Quote:
    """With the sentence before it where it begins with a pronoun, which alone says little."""
    content, start, end = quote.passage.content, quote.start, quote.end
    word = re.match(r"\W*(\w+)", content[start:end])
    if not word or word[1].casefold() not in PRONOUNS:
        return quote
    before = [item for item in document_sentences(content) if item.end <= start]
    if not before or before[-1].kind != "prose" or "\n\n" in content[before[-1].end : start]:
        return quote
    return replace(quote, start=before[-1].start) if end - before[-1].start <= LONGEST_QUOTE_CHARS else quote


def _with_code(quote: Quote, said_to: int, block: CodeBlock) -> Excerpt:
    content = quote.passage.content
    end = block.end
    if end - block.start > LONGEST_CODE_CHARS:
        end = content.rfind("\n", block.start, block.start + LONGEST_CODE_CHARS)
        if end < 0:
            return Excerpt(replace(quote, end=said_to), _line(content, quote.start, said_to))
    first = content.rfind("\n", 0, block.start) + 1  # with the indent of its first line
    code = dedent(content[first:end]).strip("\n").rstrip()
    return Excerpt(replace(quote, end=end), _line(content, quote.start, said_to), code=code, language=block.language)


def _follows(content: str, end: int, block: CodeBlock) -> bool:
    return end <= block.outer and not content[end : block.outer].strip(" \t\r\n*_:")


def _sentence_before(content: str, block: CodeBlock) -> Sentence | None:
    before = [item for item in document_sentences(content[: block.outer]) if item.kind in ("prose", "heading")]
    return before[-1] if before and _follows(content, before[-1].end, block) else None


def _items(content: str, after: int) -> list[tuple[int, int]]:
    """The items of the list that begins there, each up to its first paragraph's end."""
    found: list[tuple[int, int]] = []
    for item in document_sentences(content):
        if item.start < (found[-1][1] if found else after):
            continue
        gap = content[found[-1][1] if found else after : item.start]
        if not _MARK.search(gap) or len(found) == MOST_ITEMS:
            break
        ends = _ITEM_ENDS.search(content, item.start)
        end = ends.start() if ends else len(content)
        if end - after > LONGEST_CODE_CHARS:
            break
        found.append((item.start, end))
    return found


def _line(content: str, start: int, end: int) -> str:
    said = " ".join(unmarked(content[start:end]).split())
    return said[:-1] if said.endswith("::") else said


def _shown(quote: Quote) -> str:
    """A quote in a line; a table's row with the names of its columns."""
    content = quote.passage.content
    rows = [item for item in sentences(content) if item.kind == "row"]
    here = [at for at, item in enumerate(rows) if item.start <= quote.start and quote.end <= item.end]
    if not here:
        return _line(content, quote.start, quote.end)
    first = here[0]
    while first and not content[rows[first - 1].end : rows[first].start].strip(" |:-\n"):
        first -= 1
    cells = _cells(content[rows[here[0]].start : rows[here[0]].end])
    above = quote.passage.heading[-1] if quote.passage.heading else ""
    if first < here[0] and "-" in content[rows[first].end : rows[first + 1].start]:  # the line that marks a header
        names = _cells(content[rows[first].start : rows[first].end])
    else:  # the later rows of a long table
        names = _cells(above) if "|" in above else []
    if len(names) != len(cells):
        return _line(content, quote.start, quote.end)
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=True))


def _cells(row: str) -> list[str]:
    return [" ".join(unmarked(cell).split()) for cell in re.sub(r"^\||\|$", "", row.strip()).split("|")]
