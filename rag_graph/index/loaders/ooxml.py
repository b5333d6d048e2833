"""DOCX and PPTX, read as they are written: every element that holds words is walked, strict or transitional.

python-docx, mammoth, markitdown and kreuzberg each drop some of them (see decision 0014).
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from rag_graph.index.loaders.base import Source, Writer, attribute, check_archive, local_name, parse_xml
from rag_graph.index.loading import Loaded

_LEFT_OUT: Final = frozenset(
    ("del", "moveFrom", "delText", "instrText", "delInstrText", "Fallback", "rPr", "pPr", "tcPr")
)
"""What was deleted, what no reader sees, and the second of two ways to say the same."""
_BLOCKS: Final = frozenset(("p", "tbl", "txbxContent"))


@dataclass(frozen=True, slots=True)
class _Package:
    """The parts of an Office document, and how they belong together."""

    archive: zipfile.ZipFile

    def part(self, name: str) -> etree._Element | None:
        try:
            return parse_xml(self.archive.read(name))
        except KeyError:
            return None

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """By id the kind of a related part and its name."""
        folder, base = posixpath.split(name)
        root = self.part(posixpath.join(folder, "_rels", f"{base}.rels"))
        found = {}
        for item in root if root is not None else ():
            if attribute(item, "TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, attribute(item, "Target"))).lstrip("/")
                found[attribute(item, "Id")] = (attribute(item, "Type").rpartition("/")[2], target)
        return found

    def related(self, name: str, *kinds: str) -> Iterator[str]:
        yield from (target for kind, target in self.relations(name).values() if kind in kinds)

    def title(self) -> str:
        for name in self.related("", "core-properties", "coreProperties"):
            root = self.part(name)
            for item in root if root is not None else ():
                if local_name(item) == "title":
                    return item.text or ""
        return ""


def load(source: Source) -> Loaded:
    with check_archive(source.content()) as archive:
        package = _Package(archive)
        main = next(package.related("", "officeDocument"), "")
        root = package.part(main)
        if root is None:
            raise ValueError("no main part")
        writer = Writer()
        if source.name.suffix.lower().startswith(".ppt"):
            _write_slides(writer, package, main, root)
        else:
            _write_document(writer, package, main, root)
        yield source.written(writer, title=package.title())


def _write_document(writer: Writer, package: _Package, main: str, root: etree._Element) -> None:
    levels = _heading_levels(package, main)
    _write_beside(writer, package, main, "header")
    for block in _blocks(root):
        _write_block(writer, block, levels)
    _write_beside(writer, package, main, "footnotes", "endnotes")
    _write_beside(writer, package, main, "footer")


def _write_beside(writer: Writer, package: _Package, main: str, *kinds: str) -> None:
    """Headers, footers and notes; each once, though every section may have its own."""
    for block in dict.fromkeys(text for name in package.related(main, *kinds) for text in _beside(package, name)):
        writer.block(block)


def _beside(package: _Package, name: str) -> Iterator[str]:
    root = package.part(name)
    if root is not None:
        for block in _blocks(root):
            aside = Writer()
            _write_block(aside, block, {})
            if re.search(r"[^\W\d]", aside.text):  # more than a page's number
                yield aside.text


def _write_block(writer: Writer, block: etree._Element, levels: dict[str, int]) -> None:
    if local_name(block) == "tbl":
        _write_table(writer, block)
        return
    properties = _child(block, "pPr")
    style = _child(properties, "pStyle") if properties is not None else None
    outline = _child(properties, "outlineLvl") if properties is not None else None
    level = levels.get(attribute(style, "val")) if style is not None else None
    if not level and outline is not None and attribute(outline, "val") in set("012345678"):  # 9 is the body's
        level = int(attribute(outline, "val")) + 1
    is_item = not level and properties is not None and _child(properties, "numPr") is not None
    text = _text(block)
    writer.block(f"- {text}" if is_item and text.strip() else text, level=level)
    for inner in _inner_blocks(block):
        _write_block(writer, inner, levels)


def _write_table(writer: Writer, table: etree._Element) -> None:
    rows: list[list[str]] = []
    nested: list[etree._Element] = []
    names_columns = None
    for row in _children(table, "tr"):
        properties = _child(row, "trPr")
        if properties is not None and _child(properties, "del") is not None:
            continue
        if not rows and properties is not None and _child(properties, "tblHeader") is not None:
            names_columns = True
        cells = []
        for cell in _children(row, "tc"):
            held = list(_blocks(cell))
            nested += [block for block in held if local_name(block) == "tbl"]
            paragraphs = [_text(block) for block in held if local_name(block) == "p"]
            boxes = [_text(inner) for block in held if local_name(block) == "p" for inner in _inner_blocks(block)]
            cells.append(" ".join(filter(None, map(str.strip, (*paragraphs, *boxes)))))
        rows.append(cells)
    if rows and max(map(len, rows)) == 1:  # a frame around text
        for row_texts in filter(None, rows):
            writer.block(row_texts[0])
    else:
        writer.table(rows, has_header=names_columns)
    for inner in nested:
        _write_table(writer, inner)


def _blocks(root: etree._Element) -> Iterator[etree._Element]:
    """Paragraphs and tables in order, whatever they are wrapped in; not those inside of them."""
    waiting = list(reversed(root))
    while waiting:
        element = waiting.pop()
        name = local_name(element)
        if name in {"p", "tbl"}:
            yield element
        elif name not in _LEFT_OUT:
            waiting.extend(reversed(element))


def _inner_blocks(paragraph: etree._Element) -> Iterator[etree._Element]:
    """What stands in the text boxes of a paragraph."""
    waiting = list(reversed(paragraph))
    while waiting:
        element = waiting.pop()
        if local_name(element) == "txbxContent":
            yield from _blocks(element)
        elif local_name(element) not in _LEFT_OUT:
            waiting.extend(reversed(element))


def _children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Rows of a table and cells of a row, also those that were inserted or stand in a content control."""
    waiting = list(reversed(element))
    while waiting:
        child = waiting.pop()
        if local_name(child) == name:
            yield child
        elif local_name(child) in {"sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml"}:
            waiting.extend(reversed(child))


def _child(element: etree._Element, name: str) -> etree._Element | None:
    return next((child for child in element if local_name(child) == name), None)


_AS_TEXT: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}
_BETWEEN: Final = {"sup": "^", "sub": "_", "den": "/"}


def _text(block: etree._Element) -> str:
    """The words of a paragraph; of an equation its signs in order, with `/`, `^` and `_` where it stacks them."""
    parts: list[str] = []
    waiting: list[etree._Element | str] = list(reversed(block))
    while waiting:
        element = waiting.pop()
        if isinstance(element, str):
            parts.append(element)
            continue
        name = local_name(element)
        if name == "t":
            parts.append(element.text or "")
        elif name in _AS_TEXT:
            parts.append(_AS_TEXT[name])
        elif name in _LEFT_OUT or name in _BLOCKS or (name == "r" and _is_hidden(element)):
            continue
        elif name in _BETWEEN and len(element):
            inside = str(etree.tostring(element, encoding="unicode", method="text", with_tail=False)).strip()
            parts.append(_BETWEEN[name])
            waiting += [")", *reversed(element), "("] if len(inside) > 1 else list(reversed(element))
        elif (
            name == "num"
            and len(str(etree.tostring(element, encoding="unicode", method="text", with_tail=False)).strip()) > 1
        ):
            waiting += [")", *reversed(element), "("]
        elif name == "deg":
            continue
        elif name == "rad":
            waiting += [")", *reversed(element), "√("]
        else:
            waiting.extend(reversed(element))
    return "".join(parts)


def _is_hidden(run: etree._Element) -> bool:
    properties = _child(run, "rPr")
    hidden = _child(properties, "vanish") if properties is not None else None
    return hidden is not None and attribute(hidden, "val") not in {"0", "false"}


def _heading_levels(package: _Package, main: str) -> dict[str, int]:
    """By id of a style how deep the headings are that have it."""
    found: dict[str, int] = {}
    based: dict[str, str] = {}
    for part in package.related(main, "styles"):
        root = package.part(part)
        for style in root if root is not None else ():
            own, name = attribute(style, "styleId"), _child(style, "name")
            written = attribute(name, "val").lower() if name is not None else ""
            if written == "title":
                found[own] = 1
            elif heading := re.fullmatch(r"heading ([1-9])", written):
                found[own] = int(heading[1])
            elif (parent := _child(style, "basedOn")) is not None:
                based[own] = attribute(parent, "val")
    for own, direct in based.items():
        seen, above = {own}, direct
        while above in based and above not in seen:
            seen.add(above)
            above = based[above]
        if above in found and "toc" not in own.lower():
            found[own] = found[above]
    return found


def _write_slides(writer: Writer, package: _Package, main: str, root: etree._Element) -> None:
    relations = package.relations(main)
    # Both its own number and the name of the part are called id; only that of the part has a namespace.
    ids = [
        str(value)
        for item in root.iter()
        if local_name(item) == "sldId"
        for name, value in item.attrib.items()
        if "}" in str(name)
    ]
    for number, key in enumerate(ids, start=1):
        kind, name = relations.get(key, ("", ""))
        slide = package.part(name) if kind == "slide" else None
        if slide is None:
            continue
        writer.place(slide=number)
        _write_shapes(writer, slide)
        for diagram in package.related(name, "diagramData"):
            _write_shapes(writer, package.part(diagram))
        for notes in package.related(name, "notesSlide"):
            aside = Writer()
            _write_shapes(aside, package.part(notes))
            if re.search(r"[^\W\d]", aside.text):
                writer.block(f"Notes: {aside.text}")


def _write_shapes(writer: Writer, slide: etree._Element | None) -> None:
    waiting = list(reversed(slide)) if slide is not None else []
    is_title = False
    while waiting:
        element = waiting.pop()
        name = local_name(element)
        if name == "tbl":
            properties = _child(element, "tblPr")
            rows = [[_cell_text(cell) for cell in _children(row, "tc")] for row in _children(element, "tr")]
            named = properties is not None and attribute(properties, "firstRow") in {"1", "true"}
            writer.table(rows, has_header=True if named and len(rows) > 1 else None)
        elif name == "p":
            writer.block(_text(element), level=1 if is_title else None)
        elif name not in _LEFT_OUT:
            if name == "sp":
                kinds = {attribute(item, "type") for item in element.iter() if local_name(item) == "ph"}
                is_title = bool(kinds & {"title", "ctrTitle"})
                if kinds & {"sldNum", "dt"}:
                    continue
            waiting.extend(reversed(element))


def _cell_text(cell: etree._Element) -> str:
    return " ".join(_text(item) for item in cell.iter() if local_name(item) == "p")
