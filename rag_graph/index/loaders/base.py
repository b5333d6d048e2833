"""What every loader takes and gives: a file's bytes, and a text with its headings, tables and places."""

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lxml import etree

from rag_graph.documents import Heading, Metadata, Place
from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.tables import Cell, Table, read_table
from rag_graph.index.loading import MAX_FILE_BYTES, LoadedDocument
from rag_graph.text.controls import in_reading_order, inert_line

_MAX_UNPACKED_BYTES = 2 * MAX_FILE_BYTES
"""Of an archive: as much XML as a file may have bytes, and as many pictures, which hardly pack."""
_MAX_MEMBERS = 10_000
_MAX_TITLE_CHARS = 300
"""Each passage repeats the title and the headings above it."""
DEEPEST_HEADING = 9
PAGE_NUMBER: Final = re.compile(
    r"\W*(?:(?:page|seite|página|pagina|p\.|s\.)\s*)?\d{1,4}(?:\s*(?:/|of|von|de|di|sur)\s*\d{1,4})?\W*", re.IGNORECASE
)
"""A page's number and nothing else, as it stands above or below the page."""
_MOST_DIGITS: Final = 9
OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How Office keeps a document with a password, and kept all of them once."""
_EMBEDDED = re.compile(
    r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,[A-Za-z0-9+/=%]*|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{1000,}={0,2}"
)
"""Pictures and fonts inside a text. No word of any language has a thousand such letters."""
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)", re.DOTALL)
_MINIFIED_CHARS = 5_000
_MINIFIED_SPACES = 0.03
_MINIFIED_SIGNS = 0.08
"""Prose has a space in six letters and code more; scripts without spaces have few of these signs."""


@dataclass(frozen=True, slots=True)
class Source:
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
        return LoadedDocument(title=as_title(title) or as_title(self.name.stem), text=text, **more)

    def written(
        self, writer: "Writer", *, title: str = "", note: str = "", metadata: Metadata | None = None
    ) -> LoadedDocument:
        """The one document of this file, as a writer has built it; its first heading is its title if need be."""
        title = title.strip() or next((heading.title for heading in writer.outline if heading.title), "")
        return self.document(
            writer.text,
            title=title,
            outline=tuple(writer.outline),
            places=tuple(writer.places),
            note=note,
            metadata=metadata or {},
        )


@dataclass(slots=True)
class Writer:
    """Builds a text from blocks and remembers where headings and places begin."""

    outline: list[Heading] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _length: int = 0
    _is_section_over: bool = False

    def block(self, text: str, *, level: int | None = None, gap: str = "\n\n") -> None:
        if not (text := clean(text).strip()):
            return
        if self._parts:
            self._write(gap)
        if self._is_section_over and level != 1:
            self.outline.append(Heading(start=self._length, level=1, title=""))
        self._is_section_over = False
        if level:
            self.outline.append(Heading(start=self._length, level=min(level, DEEPEST_HEADING), title=as_title(text)))
        self._write(text)

    def add(self, aside: "Writer") -> None:
        """What another one has written, under its own headings."""
        start = self._length + (2 if self._parts else 0)
        self.block(aside.text)
        self.outline += [replace(one, start=start + one.start) for one in aside.outline]

    def place(self, **where: str | int) -> None:
        """What follows stands there, such as on a page."""
        start = self._length + (2 if self._parts else 0)
        if self.places and self.places[-1].start == start:
            self.places.pop()  # nothing stood there
        self.places.append(Place(start, where))

    def end_section(self) -> None:
        """What follows, if anything does, stands under none of the headings before it."""
        self._is_section_over = bool(self.outline)

    def table(self, rows: Sequence[Sequence[Cell | str]], *, headers: int | None = None) -> None:
        """Each row becomes a line, under a line that names the columns.

        In how many rows the table does that is found out if it is not known.
        """
        self.write_table(read_table(rows, headers))

    def write_table(self, table: Table) -> list[str]:
        """Return the names of its columns."""
        for title in table.titles:
            self.block(title)
        self.block("\n".join(table.lines()))
        return table.names

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    @property
    def text(self) -> str:
        return "".join(self._parts)


def clean(text: str) -> str:
    """The same text without what no database stores, NUL and lone halves of surrogate pairs, nor what reorders it.

    Nor with the places where a word may be broken, which would keep it from being found.
    Here, so that it is gone from every answer that quotes it, whoever shows that.
    """
    text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    return in_reading_order(text.replace("\u00ad", "")).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def without_noise(text: str) -> tuple[str, str]:
    """A text without what nobody reads, embedded pictures and minified lines; and what was left out."""
    told = []
    if "base64," in text or len(text) > _MINIFIED_CHARS:
        found = [one for one in _EMBEDDED.finditer(text) if one[0].startswith("data:") or _MIXED.match(one[0])]
        ends = [0, *(one.end() for one in found)]
        starts = [*(one.start() for one in found), len(text)]
        text = "".join(text[end:start] for end, start in zip(ends, starts, strict=True))
        if pictures := len(found):
            told.append(f"{pictures} embedded picture{'s' if pictures > 1 else ''} or other base64 data")
    lines = text.splitlines(keepends=True)
    kept = [line if len(line) < _MINIFIED_CHARS or not _is_minified(line) else "\n" for line in lines]
    if minified := sum(1 for line, left in zip(lines, kept, strict=True) if line is not left):
        told.append(f"{minified} minified line{'s' if minified > 1 else ''}")
        text = "".join(kept)
    return text, f"left out: {', '.join(told)}" if told else ""


def _is_minified(line: str) -> bool:
    signs = sum(line.count(sign) for sign in ";:{}()=,.")
    return line.count(" ") < len(line) * _MINIFIED_SPACES and signs > len(line) * _MINIFIED_SIGNS


def notes(*told: str) -> str:
    return "; ".join(filter(None, told))


def of_comments(count: int) -> str:
    return f"{count} comment{'s were' if count > 1 else ' was'} left out" if count else ""


def as_title(title: str) -> str:
    return inert_line(clean(" ".join(title.split())[:_MAX_TITLE_CHARS]))


def check_archive(content: bytes) -> zipfile.ZipFile:
    """Open an archive; refuse it before any of its members is unpacked: each of them is, whatever its name says."""
    if content.startswith(OLE):
        raise DocumentUnreadable(
            "it is encrypted, or of Office before 2007; save it anew without a password", "encrypted"
        )
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = archive.infolist()
    if any(member.flag_bits & 1 for member in members):
        raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted")
    markup = sum(member.file_size for member in members if member.filename.endswith((".xml", ".rels", "html", ".htm")))
    everything = sum(member.file_size for member in members)
    if len(members) > _MAX_MEMBERS or markup > MAX_FILE_BYTES or everything > _MAX_UNPACKED_BYTES:
        raise DocumentUnreadable("it unpacks to far more than its size", "too large")
    return archive


def parse_xml(content: bytes) -> etree._Element:
    """Nothing is fetched and no entity is filled in."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    return etree.fromstring(content, parser)


def local_name(element: etree._Element) -> str:
    """An element's name without its namespace: strict and transitional documents differ in nothing else."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: etree._Element, name: str) -> str:
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return ""


def whole_number(text: str, otherwise: int = 0) -> int:
    """What an attribute counts; a file may say anything at all there, also more digits than Python reads."""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else otherwise


def child(element: etree._Element, name: str) -> etree._Element | None:
    return next((one for one in element if local_name(one) == name), None)
