"""The things a library is made of: documents, the passages they are cut into, and the hits of a search."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_CELLS = re.compile(r"[A-Z]{1,3}\d+(?::[A-Z]{1,3}\d+)?")
_ROWS_FROM = re.compile(r"(?P<start>\d{1,9}),(?P<row>\d{1,9}),(?P<columns>[A-Z:]{0,7})(?!\S)")

Metadata = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Document:
    """A text that was given to us; every span in the project is an offset into `text`, in code points."""

    id: str
    uri: str
    title: str
    text: str
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of one document that is searched and cited: `content == document.text[start:end]`, always."""

    id: int
    document_id: str
    uri: str
    title: str
    start: int
    end: int
    content: str
    heading: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, where its line begins in the text, and how deep it is: 1 is the highest.

    One without a title ends what stands under those before it.
    """

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its file a text is from `start` on: `where` names a page, slide, sheet and row, chapter or line."""

    start: int
    where: Metadata


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found; higher scores are better, and comparable within one search only."""

    passage: Passage
    score: float


def place_of(known: Metadata) -> tuple[int | None, str]:
    """The page or slide on which a passage begins, and where that is, as people are told it; from its metadata."""
    page = known.get("page", known.get("slide"))
    told = [f"p. {known['page']}" if "page" in known else ""]
    told += [f"{name} {known[name]}" for name in ("slide", "chapter", "sheet") if name in known]
    cells = str(known.get("cells", ""))
    if _CELLS.fullmatch(cells):
        told.append(cells)
    else:
        told += [f"{name} {known[name]}" for name in ("row", "line") if name in known]
    # Metadata may be anybody's, where the store is one of LangChain's.
    return page if isinstance(page, int) else None, ", ".join(filter(None, told))


def page_breaks(known: Metadata) -> tuple[int, ...]:
    """The offsets in a passage at which another page begins."""
    return tuple(int(offset) for offset in str(known.get("page_breaks", "")).split() if offset.isdecimal())


def first_line(known: Metadata) -> int | None:
    """The line of its file, or row of its sheet, at which a passage begins."""
    line = known.get("row", known.get("line"))
    return line if isinstance(line, int) else None


@dataclass(frozen=True, slots=True)
class RowsFrom:
    """From `start` on each line of a passage is a row of a table: the first is `row`, in `columns` such as "A:D"."""

    start: int
    row: int
    columns: str = ""

    def cells(self, first: int, last: int) -> str:
        """How people are told of some of these rows."""
        left, _, right = self.columns.partition(":")
        if not left:
            return f"row {first}" if first == last else f"rows {first} to {last}"
        return f"{left}{first}" if (left, first) == (right, last) else f"{left}{first}:{right}{last}"

    def row_at(self, text: str, offset: int) -> int:
        """The row that stands there in a passage; the line that marks the header of a table is none."""
        return self.row + text.count("\n", self.start, offset) - text.count("\n| --- |", self.start, offset)


def rows_of(known: Metadata) -> tuple[RowsFrom, ...]:
    """Where in a passage the rows of tables begin; from its metadata, as `indexing.where` writes it."""
    found = _ROWS_FROM.finditer(str(known.get("row_starts", "")))
    return tuple(RowsFrom(int(one["start"]), int(one["row"]), one["columns"]) for one in found)
