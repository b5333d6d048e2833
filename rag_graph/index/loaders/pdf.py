"""PDF: page by page, columns one after the other, tables row by row."""

import io
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import Final

import liteparse
import pypdf
import pypdfium2 as pdfium

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders import ocr
from rag_graph.index.loaders.base import PAGE_NUMBER, Source, Writer, as_title, notes
from rag_graph.index.loaders.tables import read_table
from rag_graph.index.loading import Loaded

_MAGIC_BYTES: Final = 1024
_TAIL_BYTES: Final = 2048
_LEAST_KEPT: Final = 0.97
"""Of a page's words; where its blocks hold fewer, its lines are taken as they stand."""
_LONGEST_HEADING: Final = 100
_FEWEST_RUNNING: Final = 3
_MOST_PAGES: Final = 0.4
"""Of a file: pages on the left and on the right may each have a line of their own."""
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_MIRRORED: Final = str.maketrans("()[]{}", ")(][}{")
_TURNED_PAIR: Final = re.compile(r"\A[^(]*\)|\([^)]*\Z")
_CATALOG: Final = re.compile(
    rb"\b(\d{1,8})\s{1,4}(\d{1,5})\s{1,4}obj\b(?:(?!endobj).){0,200}?/Type\s{0,4}/Catalog\b", re.DOTALL
)
_END: Final = b"\ntrailer\n<< /Root %s %s R >>\nstartxref\n0\n%%%%EOF\n"
_UNTICKED: Final = "Off"
"""What a box of a form holds that nobody has ticked."""
_EMPHASIS: Final = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_WORDS: Final = re.compile(r"\w+")
_BROKEN: Final = re.compile(r"(\w+)[-\u00ad][ \t]*(?:\r?\n|[ \t]{2}|\Z)")
"""At the end of a line, of the page or of a column."""
_NO_TITLE: Final = re.compile(
    r"\W*(untitled.*|anonymous|unspecified|none|null|title|document\d*|powerpoint presentation|slide \d+|\S+\.\w{2,4}"
    r"|microsoft (word|powerpoint|excel) - .*)\W*",
    re.IGNORECASE,
)
"""What programs write where nobody has given a title."""


def load(source: Source) -> Loaded:
    content = source.content()
    if b"%PDF-" not in content[:_MAGIC_BYTES]:  # of other files the library would have a PDF made by programs it finds
        raise DocumentUnreadable("it is damaged, or not what its suffix says")
    is_cut = bool(_cut_off(content))
    content, parsed = _parsed(content)
    _put_in_order(parsed.pages, content)
    writer = Writer()
    pictures = []
    running = _running_lines(parsed.pages)
    names: list[str] = []
    for page in parsed.pages:
        writer.place(page=page.page_num)
        if not page.text.strip():
            if page.complexity and (page.complexity.full_page_image or page.complexity.image_block_count):
                pictures.append(page.page_num)
                writer.block(ocr.read_page(source.path, page.page_num))
            continue
        names = _write_page(writer, page, running, names)
        held = [field for field in page.form_fields or () if field.value and field.value != _UNTICKED]
        fields = [field for field in held if field.value not in page.text]
        writer.block("\n".join(f"{field.alternate_name or field.name}: {field.value}" for field in fields))
    if not writer.text.strip() and pictures and not ocr.is_installed():
        raise DocumentUnreadable(ocr.HINT, "no text")
    told = [f"p. {number}" for number in pictures]
    note = f"{len(told)} of {len(parsed.pages)} pages are pictures: {', '.join(told[:5])}" if told else ""
    if note and not ocr.is_installed():
        note += f"; {ocr.HINT}"
    if is_cut:
        note = notes("it was cut off, and what is left of it was read", note)
    if parsed.page_errors:
        note = f"{len(parsed.page_errors)} pages could not be read; {note}".rstrip("; ")
    yield source.written(writer, title=_title(content), note=note)


def _parsed(content: bytes) -> tuple[bytes, liteparse.ParseResult]:
    """The pages of a file; one whose table of contents is lost is written anew first, which pypdf can."""
    parser = liteparse.LiteParse(
        ocr_enabled=False,
        extract_blocks=True,
        extract_form_fields=True,
        keep_headers_footers=True,  # else rows go that are like those of other pages
        include_complexity=True,
        continue_on_page_error=True,
        quiet=True,
        num_workers=1,
    )
    try:
        parsed = parser.parse(content)
    except liteparse.ParseError as exc:
        if "password" in str(exc):
            raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted") from exc
        content = mended(content)
        parsed = parser.parse(content)
    if turned := _turned(parsed.pages, content):
        return turned, parser.parse(turned)
    return content, parsed


def mended(content: bytes) -> bytes:
    """A file whose table of contents is lost, with one; of a file that was cut off, as much as there is."""
    if catalogs := _cut_off(content):  # from there, PDFium looks for the rest, where pypdf misses objects
        closes = b"" if content.rstrip().endswith(b"endobj") else b"\nendobj"
        return content + closes + _END % catalogs[-1]
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    written = io.BytesIO()
    pypdf.PdfWriter(clone_from=pypdf.PdfReader(io.BytesIO(content))).write(written)
    return written.getvalue()


def _cut_off(content: bytes) -> list[tuple[bytes, bytes]]:
    """Of a file without its end, the objects that say what belongs to it."""
    return _CATALOG.findall(content) if b"startxref" not in content[-_TAIL_BYTES:] else []


def _turned(pages: Sequence[liteparse.ParsedPage], content: bytes) -> bytes:
    """The file with each page as one would hold it to read most of it; nothing where all of them are.

    liteparse reads a page on its side without its columns or from its last line on, and one on its head word by word.
    """
    angles = {page.page_num: angle for page in pages if (angle := _angle(page))}
    written = io.BytesIO()
    if angles:
        with closing(pdfium.PdfDocument(content)) as document:
            for number, angle in angles.items():
                with closing(document[number - 1]) as page:
                    page.set_rotation((page.get_rotation() - angle) % 360)
            document.save(written)
    return written.getvalue()


def _angle(page: liteparse.ParsedPage) -> int:
    """By how many quarters of a circle most of its letters are turned, in degrees."""
    letters: Counter[int] = Counter()
    for item in page.text_items or ():
        letters[round((item.rotation or 0) / 90) % 4 * 90] += len(item.text)
    return letters.most_common(1)[0][0] if letters else 0


def _put_in_order(pages: Sequence[liteparse.ParsedPage], content: bytes) -> None:
    """Lines from right to left as PDFium reads them: liteparse leaves their signs and numbers where they are drawn."""
    turned = [page for page in pages if _RIGHT_TO_LEFT.search(page.text)]
    if not turned:
        return
    with closing(pdfium.PdfDocument(content)) as document:
        for page in turned:
            with closing(document[page.page_num - 1]) as drawn, closing(drawn.get_textpage()) as read:
                lines = [line for line in map(_unmirrored, read.get_text_range().splitlines()) if line.strip()]
            for block in page.blocks or ():
                if block.text and _RIGHT_TO_LEFT.search(block.text):
                    block.text = _same_words(block.text, lines) or block.text


def _unmirrored(line: str) -> str:
    """Some programs write brackets as they are drawn, so that they seem to close before they open."""
    if not _RIGHT_TO_LEFT.search(line):
        return line
    turned = line.translate(_MIRRORED)
    return turned if _TURNED_PAIR.search(line) and not _TURNED_PAIR.search(turned) else line


def _same_words(text: str, lines: Sequence[str]) -> str:
    """Those lines, one after the other, that have just these letters; "" if there are none."""
    wanted = Counter(_letters(text))
    for first in range(len(lines)):
        left = wanted.copy()
        for last in range(first, len(lines)):
            left.subtract(_letters(lines[last]))
            if min(left.values()) < 0:
                break
            if not any(left.values()):
                return " ".join(lines[first : last + 1])
    return ""


def _letters(text: str) -> str:
    """As both readers have them: Arabic letters also come in the forms in which they are drawn, brackets turned."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text)))


def _running_lines(pages: Sequence[liteparse.ParsedPage]) -> Mapping[str, int]:
    """By what stands at the top or bottom of most pages, such as the name of a book, the first page that has it."""
    found: dict[str, list[int]] = {}
    for page in pages:
        blocks = page.blocks or []
        for line in {_line(block) for block in [*blocks[:1], *blocks[-1:]]}:
            found.setdefault(line, []).append(page.page_num)
    least = max(_FEWEST_RUNNING, _MOST_PAGES * len(pages))
    return {line: on[0] for line, on in found.items() if line and len(on) >= least}


def _line(block: liteparse.LayoutBlock) -> str:
    """What a short block says; "" for tables and what is longer than a line."""
    text = " ".join(_plain(block.text or "").split())
    return "" if block.kind == "table" or len(text) > _LONGEST_HEADING else text


def _without_running(page: liteparse.ParsedPage, running: Mapping[str, int]) -> list[liteparse.LayoutBlock]:
    """The blocks of a page, without lines at its ends that an earlier page has too, and without its number."""
    blocks = list(page.blocks or [])
    for at in (0, -1):
        while blocks and (line := _line(blocks[at])):
            if running.get(line, page.page_num) == page.page_num and not PAGE_NUMBER.fullmatch(line):
                break
            blocks.pop(at)
    return blocks


def _write_page(writer: Writer, page: liteparse.ParsedPage, running: Mapping[str, int], names: list[str]) -> list[str]:
    """`names` are those of the table with which the page before ends; return those with which this one does."""
    blocks = page.blocks or []
    held = Counter(word for block in blocks for text in _texts(block) for word in _WORDS.findall(text))
    words = Counter(_WORDS.findall(page.text))
    if (held & words).total() + _joined(held, words, page.text) < _LEAST_KEPT * words.total():
        for paragraph in re.split(r"\n\s*\n", page.text):
            writer.block("\n".join(" ".join(line.split()) for line in paragraph.splitlines()))
        return []
    blocks = _without_running(page, running)
    for at, block in enumerate(blocks):
        if block.kind == "table":
            names = _write_table(writer, block, [] if at else names)
            continue
        names = []
        if block.lines is not None:
            writer.block("\n".join(block.lines))
        elif block.kind == "list_item":
            writer.block(f"{(block.marker or '-') if block.ordered else '-'} {_plain(block.text or '')}")
        else:
            text = _plain(block.text or "")
            after = next((_plain(later.text or "") for later in blocks[at + 1 : at + 2]), "")
            writer.block(text, level=block.level if block.kind == "heading" and _is_heading(text, after) else None)
    return names


def _joined(held: Counter[str], words: Counter[str], text: str) -> int:
    """How many pieces of a page's words, broken at the ends of its lines, stand as whole words in its blocks."""
    broken = Counter(_BROKEN.findall(text))
    lost, found = words - held, 0
    for word, count in (held - words).items() if broken else ():
        for at in range(1, min(len(word), _LONGEST_HEADING)):
            first, rest = word[:at], word[at:]
            if pairs := min(broken[first], count, lost[first], lost[rest]):
                lost.subtract({first: pairs, rest: pairs})
                found += 2 * pairs
                break
    return found


def _write_table(writer: Writer, block: liteparse.LayoutBlock, before: list[str]) -> list[str]:
    """A table, or the rest of one that began on the page before, whose names its columns have; return those."""
    header = [[cell.text for cell in block.header]] if block.header else []
    rows = header + [[cell.text for cell in row] for row in block.rows or ()]
    # What the library calls a header is the first row, of whatever it is.
    table = read_table([[_plain(cell) for cell in row] for row in rows])
    if not table.names and table.rows and len(table.rows[0]) == len(before):
        table = table._replace(names=before)
    return writer.write_table(table)


def _texts(block: liteparse.LayoutBlock) -> list[str]:
    cells = [cell.text for row in [block.header or [], *(block.rows or ())] for cell in row]
    return [block.text or "", block.marker or "", *(block.lines or ()), *cells]


def _is_heading(text: str, after: str) -> bool:
    """Bold words that open a paragraph, and lines that end in its middle, look like headings too."""
    return len(text) <= _LONGEST_HEADING and ": " not in text and not after[:1].islower() and after[:1] != "("


def _plain(text: str) -> str:
    """Without the marks of emphasis that are not in the file."""
    return _EMPHASIS.sub(r"\2", text)


def _title(content: bytes) -> str:
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with suppress(Exception):  # the text is there; a title is not worth more
        reader = pypdf.PdfReader(io.BytesIO(content))
        if not reader.is_encrypted or reader.decrypt(""):
            title = as_title((reader.metadata.title if reader.metadata else "") or "")
            return "" if _NO_TITLE.fullmatch(title) else title
    return ""
