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
from bs4.element import NavigableString, Tag
from markdown_it import MarkdownIt

from rag_graph.documents import Metadata
from rag_graph.errors import DocumentUnreadable, LibraryError
from rag_graph.index.chunking import Heading

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A file that is read as a whole; JSON Lines are read line by line and have no limit."""
MAX_LINE_BYTES = 8 * 1024 * 1024
_MAX_XML_BYTES = MAX_FILE_BYTES
_MAX_ID_CHARS = 200
_BINARY_PROBE_BYTES = 8192


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


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be indexed, and why, in words for people."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may hold documents, and the folder from which its path is shown."""

    path: Path
    root: Path
    size: int


Loaded = Iterator[LoadedDocument | Failure]


def find_files(root: Path) -> Iterator[FoundFile | Failure]:
    """The files of a folder, or the file itself. In folders, hidden files and unknown kinds are passed over."""
    try:
        root = root.resolve(strict=True)
    except (OSError, RuntimeError) as exc:
        raise LibraryError(f"There is no file or folder {str(root)!r}.") from exc
    if root.is_file():
        if is_known(root):
            yield from _found(root, root.parent)
        else:
            yield Failure(
                _printable(root.name), f"files of the kind {root.suffix or 'without a suffix'!r} cannot be read"
            )
        return
    if not root.is_dir():
        yield Failure(_printable(root.name), "it is neither a file nor a folder")
        return
    failures: list[OSError] = []
    for folder, names, files in os.walk(root, onerror=failures.append):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and is_known(path):
                yield from _found(path, root)
    for failure in failures:
        if Path(failure.filename) == root:
            raise LibraryError(f"The folder {str(root)!r} cannot be read; check its permissions.") from failure
        yield Failure(_relative(Path(failure.filename), root), "the folder cannot be read")


def is_known(path: Path) -> bool:
    return path.suffix.lower() in _LOADERS


def load(path: Path) -> Loaded:
    """The documents of a file. What is wrong with it becomes `DocumentUnreadable`; with a line, a `Failure`."""
    try:
        yield from _LOADERS[path.suffix.lower()](path)
    except DocumentUnreadable:
        raise
    except OSError as exc:
        raise DocumentUnreadable(f"it cannot be read: {exc.strerror or exc}") from exc
    except Exception as exc:  # a parser may raise anything at all on a hostile file
        raise DocumentUnreadable(f"it is damaged, or not what its suffix says ({type(exc).__name__})") from exc


def _found(path: Path, root: Path) -> Iterator[FoundFile | Failure]:
    """No link is followed: inside the folder its target is found anyway, and outside nobody named it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:  # Python reads the bytes that are no UTF-8 as lone surrogates, which nobody can store
        yield Failure(_relative(path, root), "its path is not UTF-8; rename it")
        return
    try:
        if path.is_symlink():
            target = path.resolve(strict=True)
            if not target.is_relative_to(root):
                yield Failure(_relative(path, root), "it is a link out of the folder; name its target to index it")
            return
        status = path.stat()
    except (OSError, RuntimeError):
        yield Failure(_relative(path, root), "it is a link that leads nowhere, or cannot be read")
        return
    if stat.S_ISREG(status.st_mode):
        yield FoundFile(path, root, status.st_size)


def _relative(path: Path, root: Path) -> str:
    return _printable(path.relative_to(root.parent).as_posix())


def _printable(name: str) -> str:
    """A name without the lone surrogates by which Python keeps bytes that are not UTF-8."""
    return name.encode("utf-8", "replace").decode()


def _bytes(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise DocumentUnreadable(f"it is larger than {MAX_FILE_BYTES // 1024 // 1024} MB; split it")
    return path.read_bytes()


def _text(content: bytes) -> str:
    """Text in the encoding it most likely has; what is no text in it becomes U+FFFD."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _clean(content.decode("utf-16", errors="replace"))
    if b"\0" in content[:_BINARY_PROBE_BYTES]:
        raise DocumentUnreadable("it is binary, not text")
    try:
        return _clean(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _clean(content.decode("cp1252", errors="replace"))


def _clean(text: str) -> str:
    """The same text without what no database stores: NUL and lone halves of surrogate pairs."""
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _one(path: Path, text: str, *, title: str = "", **more: Any) -> LoadedDocument:
    if not text.strip():
        raise DocumentUnreadable("there is no text in it")
    return LoadedDocument(title=" ".join(title.split())[:300] or path.stem, text=text, **more)


def _load_text(path: Path) -> Loaded:
    yield _one(path, _text(_bytes(path)))


def _load_markdown(path: Path) -> Loaded:
    text = _text(_bytes(path))
    body = _FRONT_MATTER.match(text)
    outline = _markdown_outline(text, body.end() if body else 0)
    title = outline[0].title if outline and outline[0].level == 1 else ""
    yield _one(path, text, title=title, outline=outline)


_FRONT_MATTER = re.compile(r"\A---\r?\n.*?\r?\n---\r?\n", re.DOTALL)


def _markdown_outline(text: str, begins: int) -> tuple[Heading, ...]:
    starts = [begins]
    starts += [match.end() for match in re.compile("\r\n|\r|\n").finditer(text, begins)]
    tokens = MarkdownIt("commonmark").parse(text[begins:])
    return tuple(
        Heading(start=starts[token.map[0]], level=int(token.tag[1:]), title=tokens[number + 1].content)
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
            self.outline.append(Heading(start=self._length, level=level, title=" ".join(text.split())))
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


def _load_html(path: Path) -> Loaded:
    soup = BeautifulSoup(_bytes(path), "html.parser")
    title = soup.title.get_text(" ") if soup.title else ""
    for hidden in soup.find_all(_HIDDEN_TAGS):
        hidden.decompose()
    writer = _Writer()
    for level, text in _html_blocks(soup):
        writer.block(text, level=level)
    if not title and writer.outline:
        title = writer.outline[0].title
    yield _one(path, writer.text, title=title, outline=tuple(writer.outline))


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


def _load_pdf(path: Path) -> Loaded:
    reader = pypdf.PdfReader(io.BytesIO(_bytes(path)))
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentUnreadable("it is encrypted; remove its password first")
    writer = _Writer()
    for page in reader.pages:
        writer.page(page.extract_text())
    title = reader.metadata.title if reader.metadata else None
    yield _one(path, writer.text, title=title or "", pages=tuple(writer.pages))


def _load_docx(path: Path) -> Loaded:
    content = _bytes(path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(entry.file_size for entry in archive.infolist() if entry.filename.endswith(".xml")) > _MAX_XML_BYTES:
            raise DocumentUnreadable("it unpacks to far more than its size")
    document = docx.Document(io.BytesIO(content))
    writer = _Writer()
    for block in document.iter_inner_content():
        if isinstance(block, docx.table.Table):
            for row in block.rows:
                writer.block(" | ".join(dict.fromkeys(cell.text.strip() for cell in row.cells)))
        else:
            style = (block.style.name if block.style else None) or ""
            writer.block(block.text, level=_docx_level(style))
    title = document.core_properties.title or (writer.outline[0].title if writer.outline else "")
    yield _one(path, writer.text, title=title, outline=tuple(writer.outline))


def _docx_level(style: str) -> int | None:
    if style == "Title":
        return 1
    name, _, number = style.rpartition(" ")
    return int(number) if name == "Heading" and number.isdigit() else None


def _load_json_lines(path: Path) -> Loaded:
    found = False
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), start=1):
            if not line.strip():
                continue
            found = True
            try:
                yield _json_document(line, number)
            except DocumentUnreadable as exc:
                yield Failure(f"line {number}", str(exc))
            if len(line) > MAX_LINE_BYTES:
                _skip_line(file)
    if not found:
        raise DocumentUnreadable("there is no text in it")


def _skip_line(file: io.BufferedReader) -> None:
    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _json_document(line: bytes, number: int) -> LoadedDocument:
    if len(line) > MAX_LINE_BYTES:
        raise DocumentUnreadable(f"the line is longer than {MAX_LINE_BYTES // 1024 // 1024} MB")
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise DocumentUnreadable("the line is not JSON") from exc
    if not isinstance(entry, dict):
        raise DocumentUnreadable("the line is not a JSON object")
    text = next((entry[name] for name in _TEXT_FIELDS if isinstance(entry.get(name), str)), "")
    if not text.strip():
        raise DocumentUnreadable(f"the line has no text: no field {' or '.join(map(repr, _TEXT_FIELDS))}")
    own = next((entry[name] for name in _ID_FIELDS if isinstance(entry.get(name), str | int)), number)
    key = _clean(str(own))[:_MAX_ID_CHARS]
    title = entry.get("title")
    return LoadedDocument(
        title=_clean(" ".join(title.split())) if isinstance(title, str) and title.strip() else key,
        text=_clean(text),
        key=key,
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


_LOADERS: dict[str, Callable[[Path], Loaded]] = {
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
