"""HTML: what people came to read, without what stands around it; and EPUB, whose chapters are HTML."""

import posixpath
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.encoding import decode
from rag_graph.index.loaders.base import Source, Writer, attribute, check_archive, local_name, notes, parse_xml
from rag_graph.index.loading import Loaded, LoadedDocument

_DECLARED: Final = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})|<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{1,40})""",
    re.IGNORECASE,
)
_HEAD_BYTES: Final = 4096
_LEFT_OUT: Final = (
    "script,style,template,noscript,svg,head,nav,iframe,object,canvas,dialog,select,datalist,input,button,"
    "[hidden],[aria-hidden=true],[role=navigation],[role=search],[role=dialog],[role=alertdialog],"
    "[style*='display:none'],[style*='display: none'],[style*='visibility:hidden'],[style*='visibility: hidden'],"
    ".visually-hidden,.sr-only,.skip-link,.headerlink,.breadcrumb,.breadcrumbs,.cookie-banner,#cookie-banner"
)
_AROUND: Final = "body>header,body>footer,body>aside,[role=banner],[role=contentinfo],[role=complementary]"
_MAIN: Final = ("main,[role=main]", "article")
_LEAST_MAIN: Final = 0.3
"""Of a page's text; a page whose main part holds less keeps the rest of it elsewhere."""
_MANY_LINKS: Final = 12
_SHORT_LINK: Final = 20
_INLINE: Final = frozenset(
    (
        *(
            "a",
            "abbr",
            "b",
            "bdi",
            "bdo",
            "cite",
            "code",
            "data",
            "del",
            "dfn",
            "em",
            "font",
            "i",
            "ins",
            "kbd",
            "label",
        ),
        *("mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
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


def write_html(writer: Writer, content: bytes) -> tuple[str, str]:
    """Write what a page says; return its title, and what is to be told of how it was read."""
    declared = _DECLARED.search(content[:_HEAD_BYTES])
    named = (declared[1] or declared[2]).decode("ascii", "replace") if declared else ""
    text, note = decode(content, declared=named)
    page = LexborHTMLParser(text)
    titles = page.css_first("head title")
    title = titles.text() if titles else ""
    for node in page.css(_LEFT_OUT):
        if node.tag not in {"html", "body"}:
            node.decompose()
    root = page.body
    if root is None:
        return title, note
    for node in root.css("ul"):
        if _is_list_of_links(node):
            node.decompose()
    _write_nodes(writer, _main_part(page, root))
    return title, note


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


def _write_nodes(writer: Writer, root: LexborNode) -> None:
    """Each run of text that shares its nearest block; a heading's level and a list item's mark with it."""
    run: list[str] = []
    block = root

    def close() -> None:
        text = "".join(run)
        run.clear()
        if text.strip():
            is_item = block.tag == "li" or (
                block.parent is not None and block.parent.tag == "li" and block.prev is None
            )
            level = int(block.tag[1]) if block.tag in _HEADINGS else None
            writer.block(f"- {text.strip()}" if is_item and not level else text, level=level)

    for node, is_start in _walk(root):
        if node.tag == "-text":
            above = _block_of(node, root)
            if above.mem_id != block.mem_id:
                close()
                block = above
            written = node.text_content or ""
            run.append(written if block.tag == "pre" else re.sub(r"\s+", " ", written))
        elif node.tag == "table" and is_start:
            close()
            _write_table(writer, node)
        elif node.tag == "br":
            run.append("\n")
        elif node.tag not in _INLINE:
            close()
    close()


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Each node at its start, and each element at its end; not what is in tables that hold data.

    Pages nest without end, so no recursion.
    """
    node, is_start = root.child, True
    while node is not None:
        yield node, is_start
        if is_start and node.child is not None and not (node.tag == "table" and _is_data(node)):
            node = node.child
            continue
        if is_start and node.child is not None:
            yield node, False
        if node.next is not None:
            node, is_start = node.next, True
        else:
            above = node.parent
            node, is_start = (above, False) if above is not None and above.mem_id != root.mem_id else (None, True)


def _block_of(node: LexborNode, root: LexborNode) -> LexborNode:
    above = node.parent
    while above is not None and above.tag in _INLINE and above.mem_id != root.mem_id:
        above = above.parent
    return above if above is not None else root


def _is_data(table: LexborNode) -> bool:
    """Tables that hold others lay a page out."""
    return all(inner.mem_id == table.mem_id for inner in table.css("table"))


def _write_table(writer: Writer, table: LexborNode) -> None:
    if not _is_data(table):
        return
    for caption in table.css("caption"):
        writer.block(" ".join(caption.text(separator=" ").split()))
    rows: list[list[str]] = []
    has_header = None
    for row in table.css("tr"):
        cells = [cell for cell in row.iter() if cell.tag in {"td", "th"}]
        if not rows and cells and all(cell.tag == "th" for cell in cells) and len(cells) > 1:
            has_header = True
        elif not rows and any(cell.tag == "th" for cell in cells):
            has_header = False
        rows.append([" ".join(cell.text(separator=" ").split()) for cell in cells])
    if rows and max(map(len, rows)) <= 1:
        for row_texts in filter(None, rows):
            writer.block(row_texts[0])
    else:
        writer.table(rows, has_header=has_header)


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
        for number, href in enumerate(filter(None, chapters), start=1):
            name = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(href)))
            if name in names:
                writer.place(chapter=number)
                told.append(write_html(writer, archive.read(name))[1])
    return source.written(writer, title=title, note=notes(*dict.fromkeys(told)))
