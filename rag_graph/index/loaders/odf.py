"""OpenDocument: headings, paragraphs, lists and tables of ODT, ODP and ODG, and the cells of the sheets of ODS."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import (
    PAGE_NUMBER,
    Source,
    Writer,
    attribute,
    check_archive,
    local_name,
    parse_xml,
    whole_number,
)
from rag_graph.index.loaders.formats import NumberFormat, plain_number
from rag_graph.index.loaders.tables import Cell
from rag_graph.index.loading import Loaded

_LEFT_OUT: Final = frozenset(
    (
        "note",
        "ruby-text",
        "tracked-changes",
        "annotation",
        "annotation-end",
        "sequence-decls",
        "forms",
        "bibliography-source",
    )
)
_MOST_REPEATED: Final = 64
"""A cell may say that it stands for any number of cells."""


def load(source: Source) -> Loaded:
    with check_archive(source.content()) as archive:
        writer = Writer()
        content = _content(archive)
        styles = parse_xml(archive.read("styles.xml")) if "styles.xml" in archive.namelist() else None
        masters = list(styles.iter("{*}master-page")) if styles is not None else []
        is_text = next(content.iter("{*}text"), None) is not None  # of a slide, what its layout asks for stands there
        _write_beside(writer, masters if is_text else [], "header", "header-left", "header-first")
        _write(writer, content)
        writer.end_section()
        _write_beside(writer, masters if is_text else [], "footer", "footer-left", "footer-first")
        title = ""
        if "meta.xml" in archive.namelist():
            title = next(
                (item.text or "" for item in parse_xml(archive.read("meta.xml")).iter() if local_name(item) == "title"),
                "",
            )
    yield source.written(writer, title=title)


def _content(archive: zipfile.ZipFile) -> etree._Element:
    if b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted")
    return parse_xml(archive.read("content.xml"))


def _write_beside(writer: Writer, masters: Sequence[etree._Element], *names: str) -> None:
    """What stands above or below each page, once, though pages of several kinds have it."""
    told: set[str] = set()
    for one in (one for master in masters for one in master if local_name(one) in names):
        aside = Writer()
        _write(aside, one)
        if aside.text not in told and not PAGE_NUMBER.fullmatch(aside.text):
            told.add(aside.text)
            writer.block(aside.text)


def _is_hidden(element: etree._Element) -> bool:
    return attribute(element, "display") == "none" or (
        local_name(element) in {"hidden-text", "hidden-paragraph"} and attribute(element, "is-hidden") == "true"
    )


def _write(writer: Writer, root: etree._Element) -> None:
    slide = notes = 0
    waiting: list[tuple[etree._Element, bool]] = [(one, False) for one in reversed(root)]
    while waiting:
        element, in_list = waiting.pop()
        name = local_name(element)
        if name in {"h", "p", "table"}:
            if name == "table":
                _write_table(writer, element)
            else:
                _write_paragraph(writer, element, in_list=in_list)
                waiting.extend((box, False) for box in reversed(list(_within(element, "frame", "custom-shape"))))
            for note in element.iter("{*}note-body"):
                notes += 1
                writer.block(f"Note {notes}: {' '.join(_text(one) for one in note.iter('{*}p'))}")
        elif name == "page":
            slide += 1
            writer.place(slide=slide)
            titles = _write_titles(writer, element)
            waiting.extend((one, False) for one in reversed(element) if one not in titles)
        elif name not in _LEFT_OUT and not _is_hidden(element):
            waiting.extend((one, in_list or name == "list-item") for one in reversed(element))


def _write_paragraph(writer: Writer, element: etree._Element, *, in_list: bool) -> None:
    if any(_is_hidden(one) for one in element.iterchildren("{*}hidden-paragraph")):
        return
    text, level = _text(element), attribute(element, "outline-level")
    if local_name(element) == "h":
        writer.block(text, level=whole_number(level) or 1)
    else:
        writer.block(f"- {text}" if in_list and text.strip() else text)


def _write_titles(writer: Writer, slide: etree._Element) -> list[etree._Element]:
    writer.end_section()
    titles = [frame for frame in slide if attribute(frame, "class") == "title"]
    for frame in titles:
        writer.block(" ".join(_text(one) for one in frame.iter("{*}p")), level=1)
    return titles


def _within(element: etree._Element, *names: str) -> Iterator[etree._Element]:
    """The outermost of these in a paragraph, such as its text boxes."""
    waiting = list(reversed(element))
    while waiting:
        one = waiting.pop()
        if local_name(one) in names:
            yield one
        elif local_name(one) not in _LEFT_OUT:
            waiting.extend(reversed(one))


def _write_table(writer: Writer, table: etree._Element) -> None:
    rows: list[list[Cell]] = []
    headers = 0
    for row in table.iter("{*}table-row"):
        if _table_of(row) is table:
            above = row.getparent()
            headers += above is not None and local_name(above) == "table-header-rows"
            rows.append([cell for one in row if local_name(one) == "table-cell" for cell in _cells(one)])
    writer.table(rows, headers=min(headers, len(rows) - 1) or None)
    for inner in table.iter("{*}table"):
        if inner is not table and _table_of(inner) is table:
            _write_table(writer, inner)


def _table_of(element: etree._Element) -> etree._Element | None:
    above = element.getparent()
    while above is not None and local_name(above) != "table":
        above = above.getparent()
    return above


def _cells(cell: etree._Element) -> list[Cell]:
    texts = [_text(item) for item in cell if local_name(item) in {"p", "h", "list"}]
    texts += [_text(one) for box in _within(cell, "frame", "custom-shape") for one in box.iter("{*}p")]
    text = " ".join(filter(None, texts))
    held = Cell(text, _count(cell, "number-columns-spanned"), _count(cell, "number-rows-spanned"))
    return [held] * min(_count(cell, "number-columns-repeated"), _MOST_REPEATED)


def _count(element: etree._Element, name: str) -> int:
    return whole_number(attribute(element, name)) or 1


def _text(element: etree._Element) -> str:
    parts = [element.text or ""]
    for child in element:
        name = local_name(child)
        if name == "s":
            parts.append(" " * min(whole_number(attribute(child, "c"), 1), _MOST_REPEATED))
        elif name in {"tab", "line-break"}:
            parts.append("\t" if name == "tab" else "\n")
        elif name not in _LEFT_OUT and name not in {"frame", "custom-shape", "table"}:
            parts.append(_text(child) + (" " if name in {"list-item", "p"} else ""))
        parts.append(child.tail or "")
    return "".join(parts)


MOST_ROWS: Final = 1_048_576
MOST_COLUMNS: Final = 16_384
"""Of a sheet of LibreOffice; cells that are blank to its end are written as one that is repeated."""
_ALIKE_ROWS: Final = 1_000
"""So many rows that say the same are kept."""
_SHOWN_NUMBER: Final = re.compile(r"\d(?:[\d.,'’\u00a0\u202f ]*\d)?")
_DECIMALS: Final = re.compile(r"[.,](\d+)$")
_THOUSANDS: Final = 3
"""Digits: behind a sign there may be so many of a thousand, too."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The texts of a sheet's cells from its first, and which of them reach to which."""

    name: str
    is_hidden: bool
    hides: bool
    """Whether any of its rows or columns is hidden, as also those are that a filter passes over."""
    rows: list[list[str]] = field(default_factory=list)
    merged: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)


def read_sheets(archive: zipfile.ZipFile) -> Iterator[Sheet]:
    """By us: python-calamine gives neither formats nor what is merged of these files."""
    root = _content(archive)
    unseen = {
        attribute(style, "name")
        for style in root.iter("{*}style")
        if any(attribute(one, "display") == "false" for one in style if local_name(one) == "table-properties")
    }
    for table in root.iter("{*}table"):
        above = table.getparent()
        if above is None or local_name(above) != "spreadsheet":
            continue
        lines = (one for one in table.iter("{*}table-row", "{*}table-column") if _table_of(one) is table)
        hides = any(attribute(one, "visibility") in {"collapse", "filter"} for one in lines)
        sheet = Sheet(attribute(table, "name"), attribute(table, "style-name") in unseen, hides)
        blank = 0
        for row in table.iter("{*}table-row"):
            if _table_of(row) is not table:
                continue
            repeated = _count(row, "number-rows-repeated")
            at = len(sheet.rows) + blank
            texts = _sheet_row(row, at, sheet)
            if not texts:
                blank += repeated
            elif at < MOST_ROWS:
                sheet.rows.extend([] for _ in range(blank))
                sheet.rows.extend(texts for _ in range(min(repeated, _ALIKE_ROWS)))
                blank = 0
        yield sheet


def _sheet_row(row: etree._Element, at: int, sheet: Sheet) -> list[str]:
    texts: list[str] = []
    blank = 0
    for cell in row.iterchildren("{*}table-cell", "{*}covered-table-cell"):
        # What is covered may still hold what it said before it was.
        text = _cell_value(cell) if local_name(cell) == "table-cell" else ""
        repeated = _count(cell, "number-columns-repeated")
        column = len(texts) + blank
        if not text:
            blank += repeated
        elif column < MOST_COLUMNS:
            texts += [""] * blank + [text] * min(repeated, MOST_COLUMNS - column)
            blank = 0
        columns, rows = _count(cell, "number-columns-spanned"), _count(cell, "number-rows-spanned")
        if columns * rows > 1:
            sheet.merged[at, column] = (at + rows - 1, column + columns - 1)
    return texts


def _cell_value(cell: etree._Element) -> str:
    shown = "\n".join(_text(item) for item in cell.iterchildren("{*}p")).strip()
    value = attribute(cell, "value")
    match attribute(cell, "value-type"):
        case "float" | "percentage" | "currency" if value:
            return _number(float(value), shown)
        case "date":
            return attribute(cell, "date-value").replace("T", " ").removesuffix(" 00:00:00")
        case "boolean":
            return attribute(cell, "boolean-value").upper()
        case _:
            return shown or attribute(cell, "string-value")


def _number(value: float, shown: str) -> str:
    """With all its digits, and the signs between which it is shown, such as a currency's or a unit's."""
    found = list(_SHOWN_NUMBER.finditer(shown))
    if len(found) != 1:  # such as 1.5E+05, or a part of a date
        return plain_number(value)
    before, after = (re.sub(r"[-−()]", "", part) for part in (shown[: found[0].start()], shown[found[0].end() :]))
    places = _DECIMALS.search(found[0][0])
    decimals = len(places[1]) if places and len(places[1]) != _THOUSANDS else 0
    digits = len(found[0][0]) if found[0][0].startswith("0") and found[0][0].isdigit() else 1
    return NumberFormat(before.lstrip(), after.rstrip(), digits, decimals).show(value)
