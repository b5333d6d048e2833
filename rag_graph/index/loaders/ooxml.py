"""DOCX and PPTX, read as they are written: every element that holds words is walked, strict or transitional.

python-docx, mammoth, markitdown and kreuzberg each drop some of them (see decision 0014).
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from rag_graph.index.encoding import decode
from rag_graph.index.loaders.base import (
    PAGE_NUMBER,
    Source,
    Writer,
    attribute,
    check_archive,
    child,
    local_name,
    notes,
    of_comments,
    whole_number,
)
from rag_graph.index.loaders.charts import write_chart
from rag_graph.index.loaders.html import write_html
from rag_graph.index.loaders.numbering import Numbering
from rag_graph.index.loaders.package import Package
from rag_graph.index.loaders.tables import Cell
from rag_graph.index.loading import Loaded

_LEFT_OUT: Final = frozenset(("del", "moveFrom", "delText", "instrText", "delInstrText", "rPr", "pPr", "tcPr", "rt"))
"""What was deleted, and what no reader sees."""
_BLOCKS: Final = frozenset(("p", "tbl", "txbxContent"))


def load(source: Source) -> Loaded:
    with check_archive(source.content()) as archive:
        package = Package(archive)
        main = next(package.related("", "officeDocument"), "")
        root = _part(package, main)
        if root is None:
            raise ValueError("no main part")
        writer = Writer()
        if source.name.suffix.lower().startswith(".ppt"):
            note = _write_slides(writer, package, main, root)
        else:
            word = _read_word(package, main)
            word.write(writer, root)
            held = map(package.part, package.related(main, "comments"))
            note = notes(
                of_comments(sum(1 for root in held if root is not None for _ in root.iter("{*}comment"))),
                f"{word.unread} document{'s' if word.unread > 1 else ''} in it could not be read"
                if word.unread
                else "",
            )
        yield source.written(writer, title=package.title(), note=note)


def _part(package: Package, name: str) -> etree._Element | None:
    """A part without the second of two ways to say the same, where the first says anything."""
    root = package.part(name)
    for second in [*root.iter("{*}Fallback")] if root is not None else ():
        first, above = second.getprevious(), second.getparent()
        words = first.iterdescendants("{*}t", "{*}textpath", "{*}chart") if first is not None else iter(())
        if above is not None and next(words, None) is not None:
            above.remove(second)
    return root


@dataclass(slots=True)
class _Word:
    """A document, and what its other parts say of it: headings, lists, notes and charts."""

    package: Package
    main: str
    styles: "_Styles"
    numbering: Numbering
    notes: dict[tuple[str, str], etree._Element]
    noted: int = 0
    unread: int = 0

    def write(self, writer: Writer, root: etree._Element) -> None:
        _write_beside(writer, self, "header")
        for block in _blocks(root):
            if local_name(block) == "altChunk":
                self.unread += not self.write_chunk(writer, attribute(block, "id"))
            else:
                self.write_block(writer, block)
        if any(self.package.related(self.main, "footer")):
            writer.end_section()
            _write_beside(writer, self, "footer")

    def write_block(self, writer: Writer, block: etree._Element) -> None:
        """A paragraph or table, then the charts in it and the notes to it."""
        if local_name(block) == "tbl":
            self._write_table(writer, block)
        else:
            self._write_paragraph(writer, block)
        for element in block.iter():
            kind = local_name(element)
            if kind in {"footnoteReference", "endnoteReference"}:
                note = self.notes.pop((kind.removesuffix("Reference"), attribute(element, "id")), None)
                if note is not None:
                    self.noted += 1
                    texts = " ".join(filter(None, (_text(held).strip() for held in _blocks(note))))
                    writer.block(f"Note {self.noted}: {texts}" if texts else "")
            elif kind == "chart":
                write_chart(writer, self.package.target(self.main, attribute(element, "id")))
            elif kind == "relIds":  # a drawing of SmartArt
                held = self.package.target(self.main, attribute(element, "dm"))
                for words in held.iter("{*}p") if held is not None else ():
                    writer.block(_text(words))

    def write_chunk(self, writer: Writer, key: str) -> bool:
        """What a program has put in as it came: a page, a text, or another document. Return whether it can be read."""
        name = self.package.relations(self.main).get(key, ("", ""))[1]
        content = self.package.content(name) or b""
        suffix = posixpath.splitext(name)[1].lower()
        if suffix in {".html", ".htm", ".xhtml"}:
            write_html(writer, content)
        elif suffix == ".txt":
            writer.block(decode(content)[0])
        else:
            return False
        return True

    def _write_paragraph(self, writer: Writer, block: etree._Element) -> None:
        properties = child(block, "pPr")
        style = _value(properties, "pStyle")
        if style in self.styles.left_out:
            return
        level = self.styles.levels.get(style)
        outline = _value(properties, "outlineLvl")
        if not level and outline and outline in "012345678":  # 9 is the body's
            level = int(outline) + 1
        text = _text(block)
        if text.strip():
            mark = self._mark(properties, style)
            writer.block(f"{mark} {text}" if mark and not (level and mark == "-") else text, level=level)
        for inner in _inner_blocks(block):
            self.write_block(writer, inner)

    def _mark(self, properties: etree._Element | None, style: str) -> str | None:
        """What its list puts before a paragraph, whether that or its style says which list."""
        own = child(properties, "numPr") if properties is not None else None
        of_style = self.styles.lists.get(style, ("", ""))
        number = _value(own, "numId") or of_style[0]
        level = _value(own, "ilvl") or of_style[1]
        if own is None and not number:
            return None
        return self.numbering.next(number, whole_number(level) if level else None, style)

    def _write_table(self, writer: Writer, table: etree._Element) -> None:
        rows: list[list[Cell]] = []
        nested: list[etree._Element] = []
        reaching: dict[int, tuple[int, int]] = {}  # by column: the row and cell that may reach down to the next row
        headers, is_header = 0, True
        for row in _children(table, "tr"):
            properties = child(row, "trPr")
            if properties is not None and child(properties, "del") is not None:
                continue
            is_header = is_header and properties is not None and child(properties, "tblHeader") is not None
            headers += is_header
            at = _count(_value(properties, "gridBefore"), 0)
            cells = [Cell("", at)] if at else []
            reached: dict[int, tuple[int, int]] = {}
            for cell in _children(row, "tc"):
                about = child(cell, "tcPr")
                columns = _count(_value(about, "gridSpan"), 1)
                merged = child(about, "vMerge") if about is not None else None
                if merged is not None and attribute(merged, "val") != "restart" and at in reaching:
                    number, place = reached[at] = reaching[at]
                    rows[number][place] = rows[number][place]._replace(rows=len(rows) - number + 1)
                else:
                    if merged is not None:
                        reached[at] = (len(rows), len(cells))
                    cells.append(Cell(self._cell_text(cell, nested), columns))
                at += columns
            reaching = reached
            rows.append(cells)
        if max(map(len, rows), default=0) == 1 and not reaching:  # a frame around text
            for [cell_in_frame] in filter(None, rows):
                writer.block(cell_in_frame.text)
        else:
            writer.table(rows, headers=min(headers, len(rows) - 1) or None)
        for inner in nested:
            self._write_table(writer, inner)

    def _cell_text(self, cell: etree._Element, nested: list[etree._Element]) -> str:
        held = list(_blocks(cell))
        nested += [block for block in held if local_name(block) == "tbl"]
        texts = []
        for block in held:
            if local_name(block) == "p":
                mark = (
                    self._mark(child(block, "pPr"), _value(child(block, "pPr"), "pStyle"))
                    if _text(block).strip()
                    else ""
                )
                # The mark of a list could be read as a minus here.
                texts += [f"{mark} {_text(block)}" if mark and mark != "-" else _text(block)]
                texts += map(_text, _inner_blocks(block))
        return " ".join(filter(None, map(str.strip, texts)))


def _write_beside(writer: Writer, word: _Word, *kinds: str) -> None:
    """Headers and footers; each once, though every section may have its own."""
    for block in dict.fromkeys(
        text for name in word.package.related(word.main, *kinds) for text in _beside(word, name)
    ):
        writer.block(block)


def _beside(word: _Word, name: str) -> Iterator[str]:
    root = _part(word.package, name)
    if root is not None:
        for block in _blocks(root):
            aside = Writer()
            word.write_block(aside, block)
            if aside.text and not PAGE_NUMBER.fullmatch(aside.text):
                yield aside.text


def _value(properties: etree._Element | None, name: str) -> str:
    found = child(properties, name) if properties is not None else None
    return attribute(found, "val") if found is not None else ""


def _count(text: str, least: int) -> int:
    return max(least, whole_number(text))


def _blocks(root: etree._Element) -> Iterator[etree._Element]:
    """Paragraphs and tables in order, whatever they are wrapped in; not those inside of them."""
    waiting = list(reversed(root))
    while waiting:
        element = waiting.pop()
        name = local_name(element)
        if name in {"p", "tbl", "altChunk"}:
            yield element
        elif name not in _LEFT_OUT and not _is_hidden(element):
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


_AS_TEXT: Final = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}
_MATH: Final = re.compile(r"/math\}")
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
        elif name in _LEFT_OUT or name in _BLOCKS or _is_hidden(element):
            continue
        elif name in {"sym", "checkBox", "ddList", "textpath"}:
            parts.append(_sign(element))
        elif name == "r" and parts and _is_power(element, parts[-1]):
            waiting += [*reversed(element), "^"]
        elif name == "r" and _is_struck(element):
            waiting += ["~~", *reversed(element), "~~"]
        else:
            waiting += _stacked(element)
    return "".join(parts).replace("~~~~", "")  # between runs of a stretch


def _stacked(element: etree._Element) -> list[etree._Element | str]:
    """What is in an element, last first; of an equation with the signs and brackets that say how it is stacked."""
    name = local_name(element)
    inside: list[etree._Element | str] = list(reversed(element))
    if name == "deg":
        return []
    if name == "rad":
        return [")", *inside, "√("]
    if name in {"nary", "d", "m", "mr", "eqArr"} and _MATH.search(str(element.tag)):
        return _framed(element)
    if name in {*_BETWEEN, "num"} and inside:
        text = str(etree.tostring(element, encoding="unicode", method="text", with_tail=False))
        between = [_BETWEEN[name]] if name in _BETWEEN else []
        return [")", *inside, "(", *between] if len(text.strip()) > 1 else [*inside, *between]
    return inside


def _framed(element: etree._Element) -> list[etree._Element | str]:
    """A sum or an integral behind its sign, what stands in brackets, and a matrix row by row; last first."""
    name = local_name(element)
    properties = child(element, f"{name}Pr")
    if name == "nary":
        said = child(properties, "chr") if properties is not None else None
        return [*reversed(element), "∫" if said is None else attribute(said, "val")]
    begins, between, ends = {"mr": ("", ", ", ""), "d": ("(", "|", ")")}.get(name, ("[", "; ", "]"))
    if name == "d" and properties is not None:
        signs = ((child(properties, key), usual) for key, usual in (("begChr", "("), ("sepChr", "|"), ("endChr", ")")))
        begins, between, ends = (usual if said is None else attribute(said, "val") for said, usual in signs)
    held = [one for one in reversed(element) if local_name(one) in {"e", "mr"}]
    return [ends, *[part for one in held for part in (one, between)][:-1], begins]


def _sign(element: etree._Element) -> str:
    """A sign that is named by its place in a font, the box or the choice of a form, or the words of a drawing."""
    match local_name(element):
        case "sym":
            return _SYMBOLS.get(attribute(element, "font"), {}).get(attribute(element, "char").upper()[-2:], "")
        case "textpath":
            return attribute(element, "string")
        case "ddList":
            choices = [attribute(one, "val") for one in element if local_name(one) == "listEntry"]
            chosen = whole_number(_value(element, "result") or _value(element, "default"))
            return choices[chosen] if chosen < len(choices) else ""
    state = next((found for name in ("checked", "default") if (found := child(element, name)) is not None), None)
    return "☐" if state is None or attribute(state, "val") in {"0", "false"} else "☒"


_SYMBOLS: Final = {
    "Symbol": {
        f"{code:02X}": sign
        for code, sign in [
            *zip(range(0x61, 0x7B), "αβχδεφγηιϕκλμνοπθρστυϖωξψζ", strict=True),
            *zip(range(0x41, 0x5B), "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", strict=True),
            *((0xA3, "≤"), (0xB3, "≥"), (0xB0, "°"), (0xB1, "±"), (0xB4, "×"), (0xB8, "÷"), (0xB9, "≠"), (0xBB, "≈")),
            *((0xA5, "∞"), (0xAE, "→"), (0xAC, "←"), (0xB7, "•"), (0xD7, "·"), (0x2D, "−"), (0xD6, "√"), (0xE5, "∑")),
        ]
    },
    "Wingdings": {"FE": "☒", "FD": "☒", "78": "☒", "A8": "☐", "6F": "☐", "FC": "✓", "FB": "✗", "E0": "→", "52": "☑"},
}
"""Signs that a document names by their place in a font that is not Unicode's."""


def _is_power(run: etree._Element, before: str) -> bool:
    """Whether a run is a number that is raised behind another, which it would seem to be a part of."""
    properties = child(run, "rPr")
    if properties is None or before[-1:] not in set("0123456789)"):
        return False
    raised = _value(properties, "vertAlign") == "superscript" or attribute(properties, "baseline").strip("0%") > "0"
    return raised and bool(re.match(r"[-+−–]?\d", "".join(text.text or "" for text in run if local_name(text) == "t")))


def _is_on(element: etree._Element, properties: str, *names: str) -> bool:
    """Whether one of these is said of an element, and not that it is off."""
    about = child(element, properties)
    said = [child(about, name) for name in names] if about is not None else []
    return any(one is not None and attribute(one, "val") not in {"0", "false"} for one in said)


def _is_hidden(element: etree._Element) -> bool:
    """Hidden words, and those that a form asks for and nobody has written."""
    match local_name(element):
        case "r":
            return _is_on(element, "rPr", "vanish")
        case "sdt":
            return _is_on(element, "sdtPr", "showingPlcHdr")
        case _:
            return False


def _is_struck(run: etree._Element) -> bool:
    properties = child(run, "rPr")
    of_slides = attribute(properties, "strike") if properties is not None else ""
    return of_slides in {"sngStrike", "dblStrike"} or _is_on(run, "rPr", "strike", "dstrike")


@dataclass(slots=True)
class _Styles:
    """By id of a style what its paragraphs are: headings of a level, items of a list, or lines of contents."""

    levels: dict[str, int] = field(default_factory=dict)
    lists: dict[str, tuple[str, str]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)


def _read_word(package: Package, main: str) -> _Word:
    styles, numbering = _Styles(), Numbering()
    for name in package.related(main, "styles"):
        _read_styles(styles, package.part(name))
    for name in package.related(main, "numbering"):
        if (root := package.part(name)) is not None:
            numbering.read(root)
    notes = {
        (local_name(note), attribute(note, "id")): note
        for name in package.related(main, "footnotes", "endnotes")
        if (root := package.part(name)) is not None
        for note in root
        if attribute(note, "type") in {"", "normal"}  # the others are lines between notes and text
    }
    return _Word(package, main, styles, numbering, notes)


def _read_styles(styles: _Styles, root: etree._Element | None) -> None:
    based: dict[str, str] = {}
    for style in root if root is not None else ():
        own, written = attribute(style, "styleId"), _value(style, "name").lower()
        if written == "title":
            styles.levels[own] = 1
        elif heading := re.fullmatch(r"heading ([1-9])", written):
            styles.levels[own] = int(heading[1])
        if re.fullmatch(r"toc ([1-9]|heading)", written):
            styles.left_out.add(own)
        elif parent := _value(style, "basedOn"):
            based[own] = parent
        properties = child(style, "pPr")
        numbers = child(properties, "numPr") if properties is not None else None
        if numbers is not None:
            styles.lists[own] = (_value(numbers, "numId"), _value(numbers, "ilvl"))
    for own in based:
        for known in (styles.levels, styles.lists):
            _inherit(own, based, known)


def _inherit(own: str, based: dict[str, str], known: dict[str, Any]) -> None:
    """What a style does not say itself, the one says that it is based on."""
    seen, above = {own}, own
    while above not in known and based.get(above, own) not in seen:
        above = based[above]
        seen.add(above)
    if above in known:
        known[own] = known[above]


def _write_slides(writer: Writer, package: Package, main: str, root: etree._Element) -> str:
    """Return what people should know of it."""
    hidden: list[str] = []
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
        slide = _part(package, name) if kind == "slide" else None
        if slide is None:
            continue
        if attribute(slide, "show") in {"0", "false"}:
            hidden.append(str(number))
        writer.place(slide=number)
        writer.end_section()
        _write_shapes(writer, slide, package, name)
        for diagram in package.related(name, "diagramData"):
            _write_shapes(writer, package.part(diagram), package, diagram)
        for spoken in package.related(name, "notesSlide"):
            aside = Writer()
            _write_shapes(aside, package.part(spoken), package, spoken)
            if re.search(r"[^\W\d]", aside.text):
                writer.block(f"Notes: {aside.text}")
    return f"slides that are hidden were read, too: {', '.join(hidden)}" if hidden else ""


def _write_shapes(writer: Writer, slide: etree._Element | None, package: Package, part: str) -> None:
    """Shapes as they lie above each other, which is how most people put them there; the title first of all."""
    if slide is None:
        return
    titles = [shape for shape in slide.iter() if _placeholders(shape) & {"title", "ctrTitle"}]
    waiting = [*reversed(slide), *reversed(titles)]
    is_title = False
    while waiting:
        element = waiting.pop()
        name = local_name(element)
        if name == "tbl":
            _write_slide_table(writer, element)
        elif name == "chart":
            write_chart(writer, package.target(part, attribute(element, "id")))
        elif name == "p":
            writer.block(_text(element), level=1 if is_title else None)
        elif name not in _LEFT_OUT:
            if name == "sp":
                is_title = element in titles
                if _placeholders(element) & {"sldNum", "dt"}:
                    continue
            waiting.extend(one for one in reversed(element) if one not in titles)


def _placeholders(shape: etree._Element) -> set[str]:
    """As what the layout of a slide knows a shape."""
    if local_name(shape) != "sp":
        return set()
    return {attribute(item, "type") for item in shape.iter() if local_name(item) == "ph"}


def _write_slide_table(writer: Writer, table: etree._Element) -> None:
    properties = child(table, "tblPr")
    rows = [
        [
            Cell(_cell_text(cell), _count(attribute(cell, "gridSpan"), 1), _count(attribute(cell, "rowSpan"), 1))
            for cell in _children(row, "tc")
            if not {attribute(cell, "hMerge"), attribute(cell, "vMerge")} & {"1", "true"}
        ]
        for row in _children(table, "tr")
    ]
    is_named = properties is not None and attribute(properties, "firstRow") in {"1", "true"} and len(rows) > 1
    writer.table(rows, headers=1 if is_named else None)


def _cell_text(cell: etree._Element) -> str:
    return " ".join(_text(item) for item in cell.iter() if local_name(item) == "p")
