"""Files to documents: which files a path stands for, and the text, headings and pages of each."""

import io
import json
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import docx
import pypdf
from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, Tag
from markdown_it import MarkdownIt

from rag_graph.documents import Heading, Metadata
from rag_graph.errors import DocumentUnreadable, LibraryError, Unreadable
from rag_graph.index.encoding import decode
from rag_graph.text.controls import in_reading_order, inert_line

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A file that is read as a whole; JSON Lines are read line by line and have no limit."""
MAX_LINE_BYTES = 8 * 1024 * 1024
_MAX_UNPACKED_BYTES = 2 * MAX_FILE_BYTES
"""Of an archive: as much XML as a file may have bytes, and as many pictures, which hardly pack."""
_MAX_MEMBERS = 10_000
_MAX_TITLE_CHARS = 300
"""Each passage repeats the title and the headings above it."""
_DEEPEST_HEADING = 9
_MAX_ID_CHARS = 200


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document as its file gives it; `key` tells it from the others of that file."""

    title: str
    text: str
    key: str = ""
    metadata: Metadata = field(default_factory=dict)
    outline: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    """Where each page begins, for what has pages."""
    note: str = ""
    """What people should know of how it was read, such as that its encoding was guessed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be indexed, and why: in words for people, and of which kind that is."""

    uri: str
    reason: str
    kind: Unreadable = "damaged"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may hold documents, and the folder from which its path is shown.

    `held_at` is where its bytes are until they take their place, if that is elsewhere.
    """

    path: Path
    root: Path
    size: int
    held_at: Path | None = None

    @property
    def content(self) -> Path:
        return self.held_at or self.path


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file of a folder that is of no kind that can be read; `suffix` is its kind."""

    suffix: str


Loaded = Iterator[LoadedDocument | Failure]


def find_files(root: Path) -> Iterator[FoundFile | Failure | PassedOver]:
    """The files of a folder, or the file itself. In folders, hidden files are passed over in silence."""
    try:
        root = root.resolve(strict=True)
    except (OSError, RuntimeError) as exc:
        message = f"There is no file or folder {str(root)!r}. Its documents leave the library by: rag-graph remove PATH"
        raise LibraryError(message) from exc
    if root.is_file():
        if is_known(root):
            yield from _found(root, root.parent)
        else:
            yield Failure(
                inert_line(root.name), f"files {suffix_of(root) or 'without a suffix'} cannot be read", "unknown kind"
            )
        return
    if not root.is_dir():
        yield Failure(inert_line(root.name), "it is neither a file nor a folder", "unreadable")
        return
    yield from _walk(root)


def _walk(root: Path) -> Iterator[FoundFile | Failure | PassedOver]:
    failures: list[OSError] = []
    for folder, names, files in os.walk(root, onerror=failures.append):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if name.startswith("."):
                continue
            if is_known(path):
                yield from _found(path, root)
            elif not path.is_symlink() and path.is_file():
                yield PassedOver(suffix_of(path))
    for failure in failures:
        if Path(failure.filename) == root:
            raise LibraryError(f"The folder {str(root)!r} cannot be read; check its permissions.") from failure
        yield Failure(_relative(Path(failure.filename), root), "the folder cannot be read", "unreadable")


def suffix_of(path: Path) -> str:
    """The kind of a file, as people are told it."""
    return inert_line(path.suffix.lower())[:20]


def is_known(path: Path) -> bool:
    return path.suffix.lower() in _LOADERS


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that is being read, and the name that it goes by."""

    path: Path
    name: Path

    def content(self) -> bytes:
        size = self.path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DocumentUnreadable(f"it is larger than {MAX_FILE_BYTES // 1024 // 1024} MB; split it", "too large")
        return self.path.read_bytes()

    def document(self, text: str, *, title: str = "", **more: Any) -> LoadedDocument:
        """The one document of this file."""
        if not text.strip():
            raise DocumentUnreadable("there is no text in it", "no text")
        return LoadedDocument(title=_title(title) or _title(self.name.stem), text=text, **more)


def load(path: Path, name: str = "") -> Loaded:
    """The documents of a file. What is wrong with it becomes `DocumentUnreadable`; with a line, a `Failure`.

    `name` tells its kind where that is not its path's. A hostile file may take any time and memory here: `Loader`
    calls this in a process of its own.
    """
    source = _Source(path, Path(name or path.name))
    try:
        yield from _LOADERS[source.name.suffix.lower()](source)
    except (DocumentUnreadable, MemoryError):
        raise
    except OSError as exc:
        raise DocumentUnreadable(f"it cannot be read: {exc.strerror or 'the system refuses'}", "unreadable") from exc
    except Exception as exc:  # a parser may raise anything at all on a hostile file
        raise DocumentUnreadable(f"it is damaged, or not what its suffix says ({type(exc).__name__})") from exc


_LINK_OUT = "it is a link out of the folder; name its target to index it"


def _found(path: Path, root: Path) -> Iterator[FoundFile | Failure]:
    """No link is followed: inside the folder its target is found anyway, and outside nobody named it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:  # Python reads the bytes that are no UTF-8 as lone surrogates, which nobody can store
        yield Failure(_relative(path, root), "its path is not UTF-8; rename it", "unreadable")
        return
    try:
        if path.is_symlink():
            target = path.resolve(strict=True)
            if not target.is_relative_to(root):
                yield Failure(_relative(path, root), _LINK_OUT, "unreadable")
            return
        status = path.stat()
    except (OSError, RuntimeError):
        yield Failure(_relative(path, root), "it is a link that leads nowhere, or cannot be read", "unreadable")
        return
    if stat.S_ISREG(status.st_mode):
        yield FoundFile(path, root, status.st_size)


def _relative(path: Path, root: Path) -> str:
    return inert_line(path.relative_to(root.parent).as_posix())


def _clean(text: str) -> str:
    """The same text without what no database stores, NUL and lone halves of surrogate pairs, nor what reorders it.

    Here, so that it is gone from every answer that quotes it, whoever shows that.
    """
    text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    return in_reading_order(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _title(title: str) -> str:
    return inert_line(_clean(" ".join(title.split())[:_MAX_TITLE_CHARS]))


def _load_text(source: _Source) -> Loaded:
    text, note = decode(source.content())
    yield source.document(_clean(text), note=note)


def _load_markdown(source: _Source) -> Loaded:
    text, note = decode(source.content())
    text = _clean(text)
    body = _FRONT_MATTER.match(text)
    outline = _markdown_outline(text, body.end() if body else 0)
    title = outline[0].title if outline and outline[0].level == 1 else ""
    yield source.document(text, title=title, outline=outline, note=note)


_FRONT_MATTER = re.compile(r"\A---\r?\n.*?\r?\n---\r?\n", re.DOTALL)


def _markdown_outline(text: str, begins: int) -> tuple[Heading, ...]:
    starts = [begins]
    starts += [match.end() for match in re.compile("\r\n|\r|\n").finditer(text, begins)]
    tokens = MarkdownIt("commonmark").parse(text[begins:])
    return tuple(
        Heading(start=starts[token.map[0]], level=int(token.tag[1:]), title=_title(tokens[number + 1].content))
        for number, token in enumerate(tokens)
        if token.type == "heading_open" and token.map and tokens[number + 1].content
    )


class _Writer:
    """Builds a text from blocks and remembers where headings and pages begin."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.outline: list[Heading] = []
        self.pages: list[int] = []

    def block(self, text: str, *, level: int | None = None) -> None:
        if not (text := _clean(text).strip()):
            return
        if self._parts:
            self._write("\n\n")
        if level:
            self.outline.append(Heading(start=self._length, level=level, title=_title(text)))
        self._write(text)

    def page(self, text: str) -> None:
        self.pages.append(self._length)
        self.block(text)

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    @property
    def text(self) -> str:
        return "".join(self._parts)


_HIDDEN_TAGS = ("script", "style", "template", "noscript", "svg", "head", "nav")
_INLINE_TAG = re.compile(
    r"a|abbr|b|bdi|bdo|cite|code|data|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|time|u|var"
)
_HEADING_TAG = re.compile(r"h[1-6]")


def _load_html(source: _Source) -> Loaded:
    content = source.content()
    # Left to itself, the parser takes a page with one bad byte for Windows-1252.
    text, note = decode(content, declared=EncodingDetector.find_declared_encoding(content, is_html=True) or "")
    soup = BeautifulSoup(text, "html.parser")
    title = soup.title.get_text(" ") if soup.title else ""
    for hidden in soup.find_all(_HIDDEN_TAGS):
        hidden.decompose()
    _join_rows(soup)
    writer = _Writer()
    for level, text in _html_blocks(soup):
        writer.block(text, level=level)
    if not title and writer.outline:
        title = writer.outline[0].title
    yield source.document(writer.text, title=title, outline=tuple(writer.outline), note=note)


def _join_rows(soup: BeautifulSoup) -> None:
    """Make a line of each row of a table, or its values would lose what belongs to them; layout tables hold others.

    Cells and rows may be left open, as HTML allows: what follows then lies in them, and each text is its nearest one's.
    """
    for table in soup.find_all("table"):
        if table.find("table"):
            continue
        rows: dict[int, dict[int, list[str]]] = {}
        for cell in table.find_all(_CELLS):
            rows.setdefault(id(cell.find_parent("tr")), {})[id(cell)] = []
        for string in table.find_all(string=True):
            if (holder := string.find_parent(_CELLS)) is not None:
                rows[id(holder.find_parent("tr"))][id(holder)].append(str(string))
        beside = [" ".join(caption.get_text(" ").split()) for caption in table.find_all("caption")]
        flat = [[" ".join(" ".join(texts).split()) for texts in cells.values()] for cells in rows.values()]
        table.clear()
        for line in (*beside, *(" | ".join(cells) for cells in flat if any(cells))):
            row = soup.new_tag("tr")
            row.append(line)
            table.append(row)


_CELLS = ("td", "th")


def _html_blocks(soup: BeautifulSoup) -> Iterator[tuple[int | None, str]]:
    """The runs of text that share their nearest block element; a heading's level with them."""
    owner: Tag | None = None
    run: list[str] = []
    for node in soup.descendants:
        if isinstance(node, Tag):
            if not _INLINE_TAG.fullmatch(node.name):
                yield _heading_level(owner), "".join(run)
                run = []
        elif type(node) is NavigableString:
            block = _block_of(node)
            if block is not owner:
                yield _heading_level(owner), "".join(run)
                owner, run = block, []
            run.append(str(node) if block and block.name == "pre" else re.sub(r"\s+", " ", node))
    yield _heading_level(owner), "".join(run)


def _block_of(node: NavigableString) -> Tag | None:
    parent = node.parent
    while parent is not None and _INLINE_TAG.fullmatch(parent.name):
        parent = parent.parent
    return parent


def _heading_level(tag: Tag | None) -> int | None:
    return int(tag.name[1]) if tag is not None and _HEADING_TAG.fullmatch(tag.name) else None


def _load_pdf(source: _Source) -> Loaded:
    reader = pypdf.PdfReader(io.BytesIO(source.content()))
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted")
    writer = _Writer()
    for page in reader.pages:
        writer.page(page.extract_text())
    title = reader.metadata.title if reader.metadata else None
    yield source.document(writer.text, title=title or "", pages=tuple(writer.pages))


def _check_archive(content: bytes) -> None:
    """Refuse an archive before any of its members is unpacked: each of them is, whatever its name says of its kind."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if any(member.flag_bits & 1 for member in members):
        raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted")
    markup = sum(member.file_size for member in members if member.filename.endswith((".xml", ".rels")))
    everything = sum(member.file_size for member in members)
    if len(members) > _MAX_MEMBERS or markup > MAX_FILE_BYTES or everything > _MAX_UNPACKED_BYTES:
        raise DocumentUnreadable("it unpacks to far more than its size", "too large")


def _load_docx(source: _Source) -> Loaded:
    content = source.content()
    if content.startswith(_OLE):
        raise DocumentUnreadable("it is encrypted, or of Word before 2007; save it anew as .docx", "encrypted")
    _check_archive(content)
    document = docx.Document(io.BytesIO(content))
    writer = _Writer()
    for block in document.iter_inner_content():
        if isinstance(block, docx.table.Table):
            for row in block.rows:
                # Each cell as it lies in the file: `row.cells` gives merged ones once for each column that they span.
                cells = [docx.table._Cell(cell, block).text.strip() for cell in row._tr.tc_lst]  # noqa: SLF001
                writer.block(" | ".join(cells) if any(cells) else "")
        else:
            style = (block.style.name if block.style else None) or ""
            writer.block(block.text, level=_docx_level(style))
    title = document.core_properties.title or (writer.outline[0].title if writer.outline else "")
    yield source.document(writer.text, title=title, outline=tuple(writer.outline))


def _docx_level(style: str) -> int | None:
    if style == "Title":
        return 1
    name, _, number = style.rpartition(" ")
    return min(int(number), _DEEPEST_HEADING) if name == "Heading" and re.fullmatch("[1-9][0-9]?", number) else None


_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How Office keeps a document with a password, and kept all of them once."""


def _load_json_lines(source: _Source) -> Loaded:
    found = False
    with source.path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), start=1):
            if not line.strip():
                continue
            found = True
            try:
                yield _json_document(line, number)
            except DocumentUnreadable as exc:
                yield Failure(f"line {number}", str(exc), exc.kind)
            if len(line) > MAX_LINE_BYTES:
                _skip_line(file)
    if not found:
        raise DocumentUnreadable("there is no text in it", "no text")


def _skip_line(file: io.BufferedReader) -> None:
    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _json_document(line: bytes, number: int) -> LoadedDocument:
    if len(line) > MAX_LINE_BYTES:
        raise DocumentUnreadable(f"the line is longer than {MAX_LINE_BYTES // 1024 // 1024} MB", "too large")
    text, note = decode(line)
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise DocumentUnreadable("the line is not JSON") from exc
    if not isinstance(entry, dict):
        raise DocumentUnreadable("the line is not a JSON object")
    text = next((entry[name] for name in _TEXT_FIELDS if isinstance(entry.get(name), str)), "")
    if not text.strip():
        fields = " or ".join(map(repr, _TEXT_FIELDS))
        raise DocumentUnreadable(f"the line has no text: no field {fields}", "no text")
    own = next((entry[name] for name in _ID_FIELDS if isinstance(entry.get(name), str | int)), number)
    key = inert_line(_clean(str(own))[:_MAX_ID_CHARS])
    title = entry.get("title")
    return LoadedDocument(
        title=_title(title if isinstance(title, str) and title.strip() else key),
        text=_clean(text),
        key=key,
        note=note and f"line {number}: {note}",
        metadata={"id": key} | _scalars(entry) | _scalars(entry.get("metadata")),
    )


_TEXT_FIELDS = ("text", "content", "page_content", "contents", "body")
_ID_FIELDS = ("_id", "id", "docid", "doc_id")


def _scalars(entry: object) -> dict[str, str | int | float | bool]:
    """The values by which one can filter."""
    if not isinstance(entry, Mapping):
        return {}
    return {
        _clean(name): _clean(value) if isinstance(value, str) else value
        for name, value in cast("Mapping[str, Any]", entry).items()
        if name not in {*_TEXT_FIELDS, *_ID_FIELDS, "title", "metadata"}
        and isinstance(value, str | int | float | bool)
        and (isinstance(value, str) or abs(value) < 1 << 63)
    }


_LOADERS: dict[str, Callable[[_Source], Loaded]] = {
    ".md": _load_markdown,
    ".markdown": _load_markdown,
    ".txt": _load_text,
    ".text": _load_text,
    ".rst": _load_text,
    ".html": _load_html,
    ".htm": _load_html,
    ".pdf": _load_pdf,
    ".docx": _load_docx,
    ".jsonl": _load_json_lines,
    ".ndjson": _load_json_lines,
}
