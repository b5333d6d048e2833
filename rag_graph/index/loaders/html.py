"""HTML: what people came to read, without what stands around it; and EPUB, whose chapters are HTML."""

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final
from urllib.parse import unquote

from lxml import etree
from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.encoding import decode
from rag_graph.index.loaders.base import (
    Source,
    Writer,
    attribute,
    check_archive,
    local_name,
    notes,
    parse_xml,
    whole_number,
)
from rag_graph.index.loaders.numbering import in_letters
from rag_graph.index.loaders.tables import Cell
from rag_graph.index.loading import Loaded, LoadedDocument

_DECLARED: Final = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})|<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{1,40})""",
    re.IGNORECASE,
)
_HEAD_BYTES: Final = 4096
_LEFT_OUT: Final = (
    "script,style,template,noscript,svg,head,nav,iframe,object,canvas,audio,video,dialog,select,datalist,input,button,del,rp,rt,"
    "[hidden]:not([hidden=until-found]):not([role=tabpanel]),[aria-hidden=true]:not([role=tabpanel]),[role=navigation],[role=search],[role=dialog],"
    "[role=alertdialog],.visually-hidden,.sr-only,.skip-link,.headerlink,.breadcrumb,.breadcrumbs,.cookie-banner,"
    "#cookie-banner,.linenos,.linenodiv,.lineno,.rouge-gutter,.hljs-ln-numbers,.blob-num,td[data-line-number]"
)
_DRAWN: Final = "svg,canvas,object,iframe,select,input,button"
"""What is seen between words and left out of the text; the words stay apart."""
_CELL_ROLES: Final = {"cell": "td", "gridcell": "td", "columnheader": "th", "rowheader": "th"}
_UNSEEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_EMPTY: Final = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)([a-z]\w*)\b([^<>]*)/>",
    re.IGNORECASE,
)
"""What XHTML closes at once, and HTML reads as opened: all of a chapter would stand in its `<title/>`."""
_AROUND: Final = "body>header,body>footer,body>aside,[role=banner],[role=contentinfo],[role=complementary]"
_MAIN: Final = ("main,[role=main]", "article")
_LEAST_MAIN: Final = 0.3
"""Of a page's text; a page whose main part holds less keeps the rest of it elsewhere."""
_MANY_LINKS: Final = 12
_SHORT_LINK: Final = 20
_LONGEST_TERM: Final = 100
"""Of a list of definitions; it stands before what is said of it, in one line."""
_INLINE: Final = frozenset(
    (
        *("-comment", "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "dfn"),
        *("em", "font", "i", "img", "ins", "kbd", "label", "map", "mark", "math", "meter", "nobr"),
        *("output", "picture", "progress", "q", "rb", "ruby", "s", "samp", "small", "source", "span"),
        *("strike", "strong", "sub", "sup", "time", "track", "tt", "u", "var", "wbr"),
    )
)
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))


def load(source: Source) -> Loaded:
    if source.name.suffix.lower() == ".epub":
        yield _epub(source)
        return
    writer = Writer()
    title, note = write_html(writer, source.content())
    yield source.written(writer, title=title, note=note)


def write_html(writer: Writer, content: bytes, *, is_chapter: bool = False) -> tuple[str, str]:
    """Write what a page says; return its title, and what is to be told of how it was read.

    Around a chapter of a book nothing stands: what is beside it are its notes.
    """
    declared = _DECLARED.search(content[:_HEAD_BYTES])
    named = (declared[1] or declared[2]).decode("ascii", "replace") if declared else ""
    text, note = decode(content, declared=named)
    if text[:_HEAD_BYTES].lstrip().startswith("<?xml"):
        text = _EMPTY.sub(r"<\1\2></\1>", text)
    page = LexborHTMLParser(text)
    titles = page.css_first("head title")
    title = titles.text() if titles else ""
    _leave_out(page)
    root = page.body
    if root is None:
        return title, note
    for node in root.css("ul"):
        if _is_list_of_links(node):
            node.decompose()
    _write_nodes(writer, root if is_chapter else _main_part(page, root))
    return title, note


def _leave_out(page: LexborHTMLParser) -> None:
    for grid in page.css("[role=table],[role=grid]"):
        _add_table(grid)
    for node in page.css(_DRAWN):
        node.insert_before(" ")
    # Nothing is added from here on: of what is left out, parts inside of others are given back twice.
    for node in page.css(_LEFT_OUT):
        if node.tag not in {"html", "body"}:
            node.decompose()
    for node in page.css("[style]"):
        # Some pages have a formula for those who listen, beside its picture.
        is_unseen = _UNSEEN.search(node.attributes.get("style") or "") and node.attributes.get("role") != "tabpanel"
        if is_unseen and node.css_first("math") is None:
            node.decompose()


def _add_table(grid: LexborNode) -> None:
    """Instead of elements that are a table by their roles alone, one that is."""
    if grid.tag == "table" or any(part.css_first("[role=table],[role=grid]") is not None for part in grid.iter()):
        return
    rows = "".join(
        f"<tr>{''.join(f'<{tag}>{cell.inner_html}' for cell in row.iter() if (tag := _CELL_ROLES.get(_role(cell))))}"
        for row in grid.css("[role=row]")
    )
    if (table := LexborHTMLParser(f"<table>{rows}</table>").css_first("table")) is not None:
        grid.insert_before(table)
        grid.decompose()


def _role(node: LexborNode) -> str:
    return node.attributes.get("role") or ""


def in_rows(markup: str) -> str:
    """What a table says that stands in a text of another kind."""
    writer = Writer()
    page = LexborHTMLParser(markup)
    _leave_out(page)
    if (root := page.body) is not None:
        _write_nodes(writer, root)
    return writer.text


def _is_list_of_links(node: LexborNode) -> bool:
    """A long list of nothing but short links leads elsewhere, such as to other languages or versions."""
    items = [item for item in node.iter() if item.tag == "li"]
    if len(items) < _MANY_LINKS:
        return False
    whole, linked = len("".join(node.text().split())), sum(len("".join(link.text().split())) for link in node.css("a"))
    return linked >= whole and whole < _SHORT_LINK * len(items)


def _main_part(page: LexborHTMLParser, body: LexborNode) -> LexborNode:
    whole = len(body.text())
    for selector in _MAIN:
        found = page.css(selector)
        if len(found) == 1 and len(found[0].text()) >= _LEAST_MAIN * whole:
            return found[0]
    around = page.css(_AROUND)
    if sum(len(node.text()) for node in around) < (1 - _LEAST_MAIN) * whole:
        for node in around:
            node.decompose()
    return body


def _write_nodes(writer: Writer, root: LexborNode, tables: list[LexborNode] | None = None) -> None:
    """Each run of text that shares its nearest block; a heading's level and a list item's mark with it.

    Of a cell, tables that hold data are added to `tables` instead.
    """
    text = _Text(writer, root, is_cell=tables is not None)
    for node, is_start in _walk(root):
        if node.tag == "-text":
            text.add(node)
        elif node.tag == "table" and is_start:
            text.close()
            text.close_terms()
            if tables is None:
                _write_table(writer, node)
            elif _is_data(node):
                tables.append(node)
        elif node.tag == "br":
            text.run.append("\n")
        elif as_text := _AS_TEXT.get(node.tag or ""):
            if written := as_text(node, is_start, "".join(text.run[-1:])):
                text.run.append(written)
        elif not _is_inline(node):
            text.close()
    text.close()
    text.close_terms()


@dataclass(slots=True)
class _Text:
    """What was read of a page and is not written yet: a run of text, and terms that wait for what they mean."""

    writer: Writer
    root: LexborNode
    is_cell: bool
    run: list[str] = field(default_factory=list)
    _block: LexborNode | None = None
    _terms: list[str] = field(default_factory=list)
    _numbers: dict[int, int] = field(default_factory=dict)
    _blocks: dict[int, LexborNode] = field(default_factory=dict)

    def add(self, node: LexborNode) -> None:
        block = _block_of(node, self.root, self._blocks)
        if self._block is None or block.mem_id != self._block.mem_id:
            self.close()
            self._block = block
        written = node.text_content or ""
        self.run.append(written if block.tag == "pre" else re.sub(r"\s+", " ", written))

    def close(self) -> None:
        text = "".join(self.run).strip()
        self.run.clear()
        block = self._block or self.root
        if not text:
            return
        if block.tag == "dt" and len(text) <= _LONGEST_TERM:
            self._terms.append(text)
            return
        holder = block.parent.tag if block.parent is not None else ""
        if self._terms and "dd" in {block.tag, holder}:
            text = f"{', '.join(self._terms).removesuffix(':')}: {text}"
            self._terms.clear()
        self.close_terms()
        level = _level(block)
        # In a cell the mark of a list could be read as a minus.
        if not level and not self.is_cell and (block.tag == "li" or (holder == "li" and block.prev is None)):
            text = f"{_mark(block, self._numbers)} {text}"
        self.writer.block(text, level=level)

    def close_terms(self) -> None:
        for term in self._terms:
            self.writer.block(term)
        self._terms.clear()


def _level(block: LexborNode) -> int | None:
    if (tag := block.tag or "") in _HEADINGS:
        return int(tag[1])
    if block.attributes.get("role") == "heading":
        level = block.attributes.get("aria-level") or ""
        return whole_number(level) or 2
    return None


def _mark(block: LexborNode, numbers: dict[int, int]) -> str:
    """A list item's number, or the mark of one without; `numbers` are the last ones of each list."""
    item = block if block.tag == "li" else block.parent
    above = item.parent if item is not None else None
    if item is None or above is None or above.tag != "ol":
        return "-"
    start, own = above.attributes.get("start") or "", item.attributes.get("value") or ""
    last = numbers.get(above.mem_id, whole_number(start, 1) - 1)
    numbers[above.mem_id] = whole_number(own, last + 1)
    letters = _LETTERS.get(above.attributes.get("type") or "", "decimal")
    if styled := _LIST_STYLE.search(above.attributes.get("style") or ""):
        letters = f"{styled[1].lower()}{styled[2].title()}".replace("Latin", "Letter").replace("Alpha", "Letter")
    return f"{in_letters(numbers[above.mem_id], letters)}."


_LETTERS: Final = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_LIST_STYLE: Final = re.compile(r"\blist-style(?:-type)?\s*:[^;]*?\b(lower|upper)-(alpha|latin|roman)\b", re.IGNORECASE)


def _raised(node: LexborNode, is_start: bool, before: str) -> str:
    """What tells a power from a number that it follows, and a note's number from both."""
    held = [inner for inner, _ in islice(_walk(node), _MOST_RAISED)]
    text = "".join(inner.text_content or "" for inner in held if inner.tag == "-text").strip()
    if len(held) == _MOST_RAISED:
        return ""
    if any(inner.tag == "a" for inner in held):
        return ("[" if is_start else "]") if text.isalnum() else ""
    return "^" if is_start and _POWER.fullmatch(text) and before[-1:] and before[-1] in "0123456789)" else ""


def _formula(node: LexborNode, is_start: bool, before: str) -> str:  # noqa: ARG001 - as the others
    """MathML as its author wrote it, in TeX, if that is said; else its signs in order."""
    if not is_start:
        return ""
    written = node.css_first("annotation[encoding='application/x-tex']")
    try:
        return " ".join(written.text().split()) if written is not None else _signs(node)
    except RecursionError:
        return node.text()


def _signs(node: LexborNode) -> str:
    parts = [
        _signs(child) if child.tag != "-text" else (child.text_content or "").strip()
        for child in node.iter(include_text=True)
    ]
    between = _STACKS.get(node.tag or "")
    if between and parts:
        first = f"({parts[0]})" if node.tag == "mfrac" and not parts[0].isalnum() else parts[0]
        stacked = [f"({part})" if len(part) > 1 else part for part in parts[1:]]
        return "".join([first, *chain.from_iterable(zip(between, stacked, strict=False))])
    match node.tag:
        case "msqrt":
            return f"√({''.join(parts)})"
        case "mroot" if len(parts) > 1:
            return f"({parts[0]})^(1/{parts[1]})"
        case "mfenced":
            return f"({', '.join(parts)})"
        case _:
            return "".join(parts)


def _noted(node: LexborNode, is_start: bool, before: str) -> str:  # noqa: ARG001 - as the others
    """The number of a note in brackets, where nothing else tells it from the word before it."""
    kind = f"{node.attributes.get('epub:type') or ''} {_role(node)}"
    is_apart = node.parent is not None and node.parent.tag == "sup"
    return ("[" if is_start else "]") if "noteref" in kind and not is_apart and node.text().strip().isalnum() else ""


_AS_TEXT: Final[dict[str, Callable[[LexborNode, bool, str], str]]] = {
    "a": _noted,
    "sup": _raised,
    "math": _formula,
    "s": lambda *_: "~~",
    "strike": lambda *_: "~~",
    "q": lambda *_: '"',
}
_STACKS: Final = {
    **dict.fromkeys(("msup", "mover"), "^"),
    **dict.fromkeys(("msub", "munder"), "_"),
    **dict.fromkeys(("msubsup", "munderover"), "_^"),
    "mfrac": "/",
}
"""By element the signs between the first that stands in it, the second and the third."""
_MOST_RAISED: Final = 16
"""Elements in a number or a mark that is raised; what is raised may nest without end."""
_POWER: Final = re.compile(r"[-+−–]?\d[\d.,]*")


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Each node at its start, and each element at its end; not what is in tables that hold data.

    Pages nest without end, so no recursion.
    """
    node, is_start = root.child, True
    while node is not None:
        yield node, is_start
        if is_start and node.child is not None and node.tag != "math" and not (node.tag == "table" and _is_data(node)):
            node = node.child
            continue
        if is_start and node.child is not None:
            yield node, False
        if node.next is not None:
            node, is_start = node.next, True
        else:
            above = node.parent
            node, is_start = (above, False) if above is not None and above.mem_id != root.mem_id else (None, True)


def _block_of(node: LexborNode, root: LexborNode, known: dict[int, LexborNode]) -> LexborNode:
    """`known` are the blocks of the inline elements that were passed: they nest without end, too."""
    above = node.parent
    passed: list[int] = []
    while above is not None and above.mem_id not in known and _is_inline(above) and above.mem_id != root.mem_id:
        passed.append(above.mem_id)
        above = above.parent
    block = known.get(above.mem_id, above) if above is not None else root
    known.update(dict.fromkeys(passed, block))
    return block


def _is_inline(node: LexborNode) -> bool:
    """Elements that a page has made up itself stand in a line where text stands beside them."""
    if node.tag in _INLINE:
        return True
    return "-" in (node.tag or "") and any(
        beside is not None and beside.tag == "-text" and (beside.text_content or "").strip()
        for beside in (node.prev, node.next)
    )


def _is_data(table: LexborNode) -> bool:
    """Tables that hold headings or other tables, and no names of columns themselves, lay a page out."""
    if table.attributes.get("role") in {"presentation", "none"}:
        return False
    if any(cell.tag == "th" for _, row in _rows(table) for cell in row.iter()):
        return True
    # In this order, as tables nest without end, and the first one in them is found at once.
    if any(part.css_first("table") is not None for part in table.iter()):
        return False
    if len(list(islice(_rows(table), 2))) == 1 and table.css_first("pre") is not None:
        return False  # code, beside the numbers of its lines
    return table.css_first("h1,h2,h3,h4,h5,h6") is None


def _rows(table: LexborNode) -> Iterator[tuple[str, LexborNode]]:
    """Each row with the tag of what it stands in."""
    for part in table.iter():
        if part.tag == "tr":
            yield "table", part
        elif part.tag in {"thead", "tbody", "tfoot"}:
            yield from ((part.tag, row) for row in part.iter() if row.tag == "tr")


def _write_table(writer: Writer, table: LexborNode) -> None:
    """A table that holds data, and then those in its cells."""
    waiting = [table] if _is_data(table) else []
    while waiting:
        table = waiting.pop()
        nested: list[LexborNode] = []
        for caption in table.iter():
            if caption.tag == "caption":
                writer.block(" ".join(caption.text(separator=" ").split()))
        rows, headers = _cells(table, nested)
        if max(map(len, rows), default=0) <= 1:
            for row in filter(None, rows):
                writer.block(row[0].text)
        else:
            writer.table(rows, headers=headers)
        waiting += reversed(nested)


def _cells(table: LexborNode, nested: list[LexborNode]) -> tuple[list[list[Cell]], int | None]:
    """The cells of each row, and how many rows name the columns, if the page says so; tables in them go to `nested`."""
    rows: list[list[Cell]] = []
    headers, is_header, is_said = 0, True, None
    found = list(_rows(table))
    last = {_part_of(row): at for at, (_, row) in enumerate(found)}
    for at, (part, row) in enumerate(found):
        held = [cell for cell in row.iter() if cell.tag in {"td", "th"}]
        below = last[_part_of(row)] - at + 1
        cells = [
            Cell(_cell_text(cell, nested), _span(cell, "colspan") or 1, min(_span(cell, "rowspan") or below, below))
            for cell in held
        ]
        rows.append(cells)
        if kinds := {cell.tag for cell, written in zip(held, cells, strict=True) if written.text}:
            is_header = is_header and (part == "thead" or kinds == {"th"})
            headers += is_header
            if is_said is None:
                is_said = part == "thead" or "th" in kinds
    return rows, min(headers, len(rows) - 1) if is_said else None


def _cell_text(cell: LexborNode, nested: list[LexborNode]) -> str:
    aside = Writer()
    _write_nodes(aside, cell, nested)
    return " ".join(aside.text.split())


def _part_of(row: LexborNode) -> int:
    """The part of a table that a row stands in: no cell reaches down out of it."""
    return row.parent.mem_id if row.parent is not None else 0


def _span(cell: LexborNode, name: str) -> int:
    """0 means as far as the part of the table goes, of rows."""
    return whole_number(cell.attributes.get(name) or "", 1)


def _member(base: str, href: str) -> str:
    """The name of what a part of a book names, without the place in it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(href.partition("#")[0])))


def _contents(archive: zipfile.ZipFile, package: str, book: etree._Element) -> Iterator[tuple[str, str]]:
    """Each chapter that the table of contents names, of EPUB 3 or else of 2, and its first name there."""
    items = [item for item in book.iter() if local_name(item) == "item"]
    tables = [item for item in items if "nav" in attribute(item, "properties").split()]
    tables += [item for item in items if attribute(item, "media-type") == "application/x-dtbncx+xml"]
    found: dict[str, str] = {}
    for item in tables:
        name = _member(package, attribute(item, "href"))
        with suppress(KeyError, etree.XMLSyntaxError):  # a book can be read without it
            root = parse_xml(archive.read(name))
            for entry in root.iter("{*}a", "{*}navPoint"):
                if local_name(entry) == "a":
                    target, words = attribute(entry, "href"), "".join(map(str, entry.itertext()))
                else:
                    target = next((attribute(one, "src") for one in entry.iterchildren("{*}content")), "")
                    words = "".join(map(str, next(entry.iterchildren("{*}navLabel"), entry).itertext()))
                found.setdefault(_member(name, target), " ".join(words.split()))
        if found:
            break
    yield from found.items()


def _is_untitled(chapter: Writer, name: str) -> bool:
    """Whether a chapter has words, and no heading that stands above them all or says this name."""
    own = {one.title.casefold() for one in chapter.outline}
    starts = chapter.outline[0].start if chapter.outline else len(chapter.text)
    return starts > 0 and name.casefold() not in own


def _epub(source: Source) -> LoadedDocument:
    writer = Writer()
    told: list[str] = []
    with check_archive(source.content()) as archive:
        names = set(archive.namelist())
        if "META-INF/rights.xml" in names or (
            "META-INF/encryption.xml" in names and b"xmlenc#aes" in archive.read("META-INF/encryption.xml")
        ):
            raise DocumentUnreadable("it is encrypted: a book with copy protection cannot be read", "encrypted")
        container = parse_xml(archive.read("META-INF/container.xml"))
        package = next(attribute(item, "full-path") for item in container.iter() if local_name(item) == "rootfile")
        book = parse_xml(archive.read(package))
        title = next((item.text or "" for item in book.iter() if local_name(item) == "title"), "")
        files = {attribute(item, "id"): attribute(item, "href") for item in book.iter() if local_name(item) == "item"}
        chapters = [files.get(attribute(item, "idref"), "") for item in book.iter() if local_name(item) == "itemref"]
        # Some have no order of reading; then the one in which they are listed is all there is.
        chapters = list(dict.fromkeys(filter(None, chapters))) or [
            href for href in files.values() if href.endswith(("html", ".htm"))
        ]
        named = dict(_contents(archive, package, book))
        for number, href in enumerate(chapters, start=1):
            name = _member(package, href)
            if name in names:
                writer.place(chapter=number)
                aside = Writer()
                told.append(write_html(aside, archive.read(name), is_chapter=True)[1])
                if (title_of := named.get(name)) and _is_untitled(aside, title_of):
                    writer.block(title_of, level=1)
                writer.add(aside)
    return source.written(writer, title=title, note=notes(*dict.fromkeys(told)))
