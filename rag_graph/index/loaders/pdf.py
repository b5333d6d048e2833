"""PDF: page by page, columns one after the other, tables row by row."""

import io
import logging
import re
from collections import Counter
from contextlib import suppress
from typing import Final

import liteparse
import pypdf

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders import ocr
from rag_graph.index.loaders.base import Source, Writer, as_title
from rag_graph.index.loading import Loaded

_MAGIC_BYTES: Final = 1024
_LEAST_KEPT: Final = 0.97
"""Of a page's words; where its blocks hold fewer, its lines are taken as they stand."""
_LONGEST_HEADING: Final = 100
_EMPHASIS: Final = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_WORDS: Final = re.compile(r"\w+")
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
    content, parsed = _parsed(content)
    writer = Writer()
    pictures = []
    for page in parsed.pages:
        writer.place(page=page.page_num)
        if not page.text.strip():
            if page.complexity and (page.complexity.full_page_image or page.complexity.image_block_count):
                pictures.append(page.page_num)
                writer.block(ocr.read_page(source.path, page.page_num))
            continue
        _write_page(writer, page)
        fields = [field for field in page.form_fields or () if field.value and field.value not in page.text]
        writer.block("\n".join(f"{field.alternate_name or field.name}: {field.value}" for field in fields))
    if not writer.text.strip() and pictures and not ocr.is_installed():
        raise DocumentUnreadable(ocr.HINT, "no text")
    told = [f"p. {number}" for number in pictures]
    note = f"{len(told)} of {len(parsed.pages)} pages are pictures: {', '.join(told[:5])}" if told else ""
    if note and not ocr.is_installed():
        note += f"; {ocr.HINT}"
    if parsed.page_errors:
        note = f"{len(parsed.page_errors)} pages could not be read; {note}".rstrip("; ")
    yield source.written(writer, title=_title(content), note=note)


def _parsed(content: bytes) -> tuple[bytes, liteparse.ParseResult]:
    """The pages of a file; one whose table of contents is lost is written anew first, which pypdf can."""
    parser = liteparse.LiteParse(
        ocr_enabled=False,
        extract_blocks=True,
        extract_form_fields=True,
        include_complexity=True,
        continue_on_page_error=True,
        quiet=True,
        num_workers=1,
    )
    try:
        return content, parser.parse(content)
    except liteparse.ParseError as exc:
        if "password" in str(exc):
            raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted") from exc
    written = mended(content)
    return written, parser.parse(written)


def mended(content: bytes) -> bytes:
    """A file whose table of contents is lost, written anew with one."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    written = io.BytesIO()
    pypdf.PdfWriter(clone_from=pypdf.PdfReader(io.BytesIO(content))).write(written)
    return written.getvalue()


def _write_page(writer: Writer, page: liteparse.ParsedPage) -> None:
    blocks = page.blocks or []
    held = Counter(word for block in blocks for text in _texts(block) for word in _WORDS.findall(text))
    words = Counter(_WORDS.findall(page.text))
    if (held & words).total() < _LEAST_KEPT * words.total():
        for paragraph in re.split(r"\n\s*\n", page.text):
            writer.block("\n".join(" ".join(line.split()) for line in paragraph.splitlines()))
        return
    for at, block in enumerate(blocks):
        if block.kind == "table":
            header = [[cell.text for cell in block.header]] if block.header else []
            rows = header + [[cell.text for cell in row] for row in block.rows or ()]
            writer.table([[_plain(cell) for cell in row] for row in rows], headers=1 if header else None)
        elif block.lines is not None:
            writer.block("\n".join(block.lines))
        elif block.kind == "list_item":
            writer.block(f"{(block.marker or '-') if block.ordered else '-'} {_plain(block.text or '')}")
        else:
            text = _plain(block.text or "")
            after = next((_plain(later.text or "") for later in blocks[at + 1 : at + 2]), "")
            writer.block(text, level=block.level if block.kind == "heading" and _is_heading(text, after) else None)


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
