"""ODT and ODP: headings, paragraphs, lists and tables of OpenDocument."""

from typing import Final

from lxml import etree

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import Source, Writer, attribute, check_archive, local_name, parse_xml
from rag_graph.index.loading import Loaded

_LEFT_OUT: Final = frozenset(
    ("tracked-changes", "annotation", "annotation-end", "sequence-decls", "forms", "bibliography-source")
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
    slide = 0
    waiting: list[tuple[etree._Element, bool]] = [(child, False) for child in reversed(root)]
    while waiting:
        element, in_list = waiting.pop()
        name = local_name(element)
        if name == "h":
            level = attribute(element, "outline-level")
            writer.block(_text(element), level=int(level) if level.isdigit() and int(level) else 1)
        elif name == "p":
            text = _text(element)
            writer.block(f"- {text}" if in_list and text.strip() else text)
            waiting.extend(
                (box, False) for box in reversed(list(element)) if local_name(box) in {"frame", "custom-shape"}
            )
        elif name == "table":
            _write_table(writer, element)
        elif name not in _LEFT_OUT:
            if name == "page":
                slide += 1
                writer.place(slide=slide)
            waiting.extend((child, in_list or name == "list-item") for child in reversed(element))


def _write_table(writer: Writer, table: etree._Element) -> None:
    rows: list[list[str]] = []
    has_header = None
    for row in table.iter():
        if local_name(row) == "table-row" and _table_of(row) is table:
            above = row.getparent()
            if not rows and above is not None and local_name(above) == "table-header-rows":
                has_header = True
            rows.append([text for cell in row if local_name(cell) == "table-cell" for text in _cells(cell)])
    writer.table(rows, has_header=has_header)
    for inner in table.iter():
        if inner is not table and local_name(inner) == "table" and _table_of(inner) is table:
            _write_table(writer, inner)


def _table_of(element: etree._Element) -> etree._Element | None:
    above = element.getparent()
    while above is not None and local_name(above) != "table":
        above = above.getparent()
    return above


def _cells(cell: etree._Element) -> list[str]:
    repeated = attribute(cell, "number-columns-repeated")
    text = " ".join(_text(item) for item in cell if local_name(item) in {"p", "h", "list"})
    return [text] * (min(int(repeated), _MOST_REPEATED) if repeated.isdigit() else 1)


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
