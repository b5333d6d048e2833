"""Documents to passages: where each one begins and ends in the text, and under which headings it stands."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from langchain_text_splitters import RecursiveCharacterTextSplitter

from rag_graph.documents import Heading, Metadata
from rag_graph.text.markup import underlines

PASSAGE_CHARS = 1_200
"""About as much as a small embedding model reads."""
WHOLE_CHARS = 2_000
"""A text without headings stays one passage up to this length."""
_BLOCK_CHARS = 50_000
_RULES = " \n\r\t=-"
"""White space, and the lines that underline headings."""
_LABELS = re.compile(
    r"^[ \t]*(?:\(\S{1,80}\)=|\.\.[ ]_[^\n]{1,80}:|<!--[^\n]{0,400}?-->|<a\s[^<>\n]*></a>)[ \t\r]*$",
    re.MULTILINE,
)
"""Lines that only name a place, of MyST, reStructuredText and HTML, and comments: a passage of nothing else would be
found for its title."""

_SEPARATORS = ["\n\n", "\n", ". ", "? ", "! ", "。", "؟", "।", "; ", ", ", " ", ""]


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text[start:end]`, which stands under these headings, outermost first; `metadata` is its own, such as a page."""

    start: int
    end: int
    heading: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)


def chunk(text: str, outline: Sequence[Heading] = ()) -> Iterator[Chunk]:
    """The passages of a text, in order; together they hold all of it but white space."""
    splitter = RecursiveCharacterTextSplitter(
        separators=_SEPARATORS,
        keep_separator="end",
        chunk_size=PASSAGE_CHARS,
        chunk_overlap=0,
        add_start_index=True,
    )
    whole = PASSAGE_CHARS if outline else WHOLE_CHARS
    for start, end, heading in _sections(text, outline):
        first, last = _stripped(text, start, end)
        if last - first <= whole:
            yield from _whole(text, first, last, heading)
            continue
        for part_start, part_end, header in _parts(text, first, last):
            if header is not None:
                yield from _rows(text, part_start, part_end, heading, header)
                continue
            yield from _prose(splitter, text, part_start, part_end, heading)


def _prose(
    splitter: RecursiveCharacterTextSplitter, text: str, start: int, end: int, heading: tuple[str, ...]
) -> Iterator[Chunk]:
    """As many paragraphs and blocks of code as fit; a block is cut only where it alone is longer than any passage.

    Where a passage began within a block and went on behind it, the fence that closes it would be read as one that
    opens, and all that follows as code. So the rest of a cut block is a passage of its own.
    """
    begins = before = start
    for first, last, is_code in _units(text, start, end):
        if last - begins > PASSAGE_CHARS and first > begins:
            introduces = is_code and first - before <= _LEAD_IN and before > begins
            cut = before if introduces else first
            yield from _whole(text, begins, cut, heading)
            begins = cut
        if is_code and last - begins > WHOLE_CHARS:
            yield from _cut_lines(text, begins, last, heading)
            begins = last
        elif not is_code and last - begins > PASSAGE_CHARS:
            pieces = list(_split(splitter, text, begins, last))
            for piece_start, piece_end in pieces[:-1]:
                yield Chunk(piece_start, piece_end, heading)
            begins = pieces[-1][0] if pieces else last
        before = first
    yield from _whole(text, begins, end, heading)


def _whole(text: str, start: int, end: int, heading: tuple[str, ...]) -> Iterator[Chunk]:
    first, last = _stripped(text, start, end)
    if first < last:
        yield Chunk(first, last, heading)


def _split(splitter: RecursiveCharacterTextSplitter, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for block_start, block_end in _blocks(text, start, end):
        for piece in splitter.create_documents([text[block_start:block_end]]):
            piece_start = block_start + int(piece.metadata["start_index"])
            yield piece_start, piece_start + len(piece.page_content)


def _cut_lines(text: str, start: int, end: int, heading: tuple[str, ...]) -> Iterator[Chunk]:
    """As many whole lines as fit; a line that is longer than any passage is cut."""
    begins = start
    for line_start, line_end in _lines(text, start, end):
        if line_end - begins > PASSAGE_CHARS:
            yield from _whole(text, begins, line_start, heading)
            begins = line_start
        while line_end - begins > WHOLE_CHARS:
            yield from _whole(text, begins, begins + PASSAGE_CHARS, heading)
            begins += PASSAGE_CHARS
    yield from _whole(text, begins, end, heading)


_FENCE = re.compile(
    r"^[ \t>]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})(?P<info>[^\n]*)\n?", re.MULTILINE
)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")


def _units(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """The blocks of code of a stretch, and the paragraphs between them; a stretch without code as it is."""
    done, opened, fence = start, end, ""
    for found in _FENCE.finditer(text, start, end):
        if not fence:
            if not underlines(text, found):
                opened, fence = found.start(), found["fence"]
        elif found["fence"].startswith(fence) and not found["info"].strip():
            yield from _paragraphs(text, done, opened)
            yield opened, found.end(), True
            done, opened, fence = found.end(), end, ""
    if done > start or fence:
        yield from _paragraphs(text, done, opened)
        if fence:  # which nothing closes
            yield opened, end, True
    else:
        yield start, end, False


def _paragraphs(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    for found in _BLANK_LINE.finditer(text, start, end):
        if text[start : found.start()].strip():
            yield start, found.end(), False
            start = found.end()
    if start < end:
        yield start, end, False


_TABLE = re.compile(
    r"^[ \t>]*+(?=[^\n]*\|)(?P<header>[^\n]*)\n"
    r"[ \t>]*+(?=[^\n]*\|)\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t\r]*+$"
    r"(?:\n(?=[^\n]*\|)[^\n]*)*+\n?"
    r"|(?:^\|[^\n]*\|[ \t\r]*+(?:\n|\Z)){2,}",
    re.MULTILINE,
)
"""A table as Markdown has it, also in what is quoted, and rows of one without names of its columns."""
_LONGEST_HEADER = 300
_LEAD_IN = 200
"""So short a text before a table, such as its caption, stays with its first rows."""


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int, str | None]]:
    """The tables of a stretch, each with its header, and what stands between them, which has none."""
    code_ends = 0
    code = (unit for unit in _units(text, start, end) if unit[2])
    for found in _TABLE.finditer(text, start, end):
        first, last = found.span()
        while code_ends <= first and (block := next(code, None)):
            code_begins, code_ends, _ = block
        if code_ends > first >= code_begins:
            continue  # shown as an example
        if first > start:
            if len(text[start:first].strip()) > _LEAD_IN:
                yield start, first, None
            else:
                first = start
        yield first, last, (found["header"] or "").strip()
        start = last
    if start < end:
        yield start, end, None


def _rows(text: str, start: int, end: int, heading: tuple[str, ...], header: str) -> Iterator[Chunk]:
    """As many whole rows as fit; all but the first of these passages have the header as the last of their headings."""
    begins = start
    above = heading
    for line_start, line_end in _lines(text, start, end):
        if line_end - begins > PASSAGE_CHARS and text[begins:line_start].strip():
            yield from _whole(text, begins, line_start, above)
            begins = line_start
            above = (*heading, header[:_LONGEST_HEADER]) if header else heading
        while (
            line_end - begins > WHOLE_CHARS
        ):  # a row that is longer than any passage is cut between cells if it can be
            limit = begins + PASSAGE_CHARS
            cut = max(text.rfind("|", begins + 1, limit), text.rfind(" ", begins + PASSAGE_CHARS // 2, limit))
            cut = cut if cut > begins else limit
            yield from _whole(text, begins, cut, above)
            begins = cut
    yield from _whole(text, begins, end, above)


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        line_end = text.find("\n", start, end) + 1 or end
        yield start, line_end
        start = line_end


def _sections(text: str, outline: Sequence[Heading]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """The stretches between headings; a heading with nothing under it but labels opens the section that follows."""
    start, body, path = 0, 0, list[Heading]()
    for heading in outline:
        if _LABELS.sub("", text[body : heading.start]).strip(_RULES):
            yield start, heading.start, tuple(above.title for above in path)
            start = heading.start
        body = text.find("\n", heading.start) + 1 or len(text) if heading.title else heading.start
        path = [above for above in path if above.level < heading.level] + ([heading] if heading.title else [])
    yield start, len(text), tuple(above.title for above in path)


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Stretches of bounded length, cut at white space if there is some: the splitter holds one at a time."""
    while end - start > _BLOCK_CHARS:
        limit = start + _BLOCK_CHARS
        cut = max(text.rfind(mark, start + _BLOCK_CHARS // 2, limit) for mark in ("\n", " "))
        cut = cut + 1 if cut >= 0 else limit
        yield start, cut
        start = cut
    yield start, end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
