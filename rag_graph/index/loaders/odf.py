"""ODT and ODP: headings, paragraphs, lists and tables of OpenDocument."""

from collections.abc import Iterator
from typing import Final

from lxml import etree

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import Source, Writer, attribute, check_archive, local_name, parse_xml
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
        if b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted")
        writer = Writer()
        _write(writer, parse_xml(archive.read("content.xml")))
        title = ""
        if "meta.xml" in archive.namelist():
            title = next(
                (item.text or "" for item in parse_xml(archive.read("meta.xml")).iter() if local_name(item) == "title"),
                "",
            )
    yield source.written(writer, title=title)


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
        elif name not in _LEFT_OUT:
            waiting.extend((one, in_list or name == "list-item") for one in reversed(element))


def _write_paragraph(writer: Writer, element: etree._Element, *, in_list: bool) -> None:
    text, level = _text(element), attribute(element, "outline-level")
    if local_name(element) == "h":
        writer.block(text, level=int(level) if level.isdecimal() and int(level) else 1)
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
    said = attribute(element, name)
    return int(said) if said.isdecimal() and int(said) else 1


def _text(element: etree._Element) -> str:
    parts = [element.text or ""]
    for child in element:
        name = local_name(child)
        if name == "s":
            count = attribute(child, "c")
            parts.append(" " * min(int(count) if count.isdigit() else 1, _MOST_REPEATED))
        elif name in {"tab", "line-break"}:
            parts.append("\t" if name == "tab" else "\n")
        elif name not in _LEFT_OUT and name not in {"frame", "custom-shape", "table"}:
            parts.append(_text(child) + (" " if name in {"list-item", "p"} else ""))
        parts.append(child.tail or "")
    return "".join(parts)
