"""Tables that are files: CSV and TSV, and the sheets of Excel and OpenDocument."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import python_calamine

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.encoding import decode
from rag_graph.index.loaders.base import OLE, Source, Writer, as_title, check_archive, clean
from rag_graph.index.loading import Loaded

_SNIFFED_CHARS = 16_384
_EXACT = 1e15
"""Whole numbers below it are what the sheet shows."""


def load(source: Source) -> Loaded:
    if source.name.suffix.lower() in {".csv", ".tsv", ".tab"}:
        text, note = decode(source.content())
        writer = Writer()
        _write_rows(writer, list(_csv_rows(clean(text), source.name.suffix.lower())), {})
        yield source.document(writer.text, places=tuple(writer.places), note=note)
        return
    content = source.content()
    if not content.startswith(OLE):
        check_archive(content).close()
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except python_calamine.PasswordError as exc:
        raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted") from exc
    writer = Writer()
    hidden = 0
    for about in book.sheets_metadata:
        if about.typ != python_calamine.SheetTypeEnum.WorkSheet:
            continue
        if about.visible != python_calamine.SheetVisibleEnum.Visible:
            hidden += 1
            continue
        rows = [
            [_as_text(cell) for cell in row]
            for row in book.get_sheet_by_name(about.name).to_python(skip_empty_area=False)
        ]
        if any(any(row) for row in rows):
            name = as_title(about.name)
            writer.place(sheet=name, row=1)
            writer.block(name, level=1)
            _write_rows(writer, rows, {"sheet": name})
    note = f"{hidden} hidden sheet{'s were' if hidden > 1 else ' was'} left out" if hidden else ""
    yield source.document(writer.text, outline=tuple(writer.outline), places=tuple(writer.places), note=note)


def _csv_rows(text: str, suffix: str) -> Iterable[list[str]]:
    csv.field_size_limit(len(text) + 1)
    sample = text[:_SNIFFED_CHARS]
    delimiter = "\t" if suffix != ".csv" else max(",;\t|", key=sample.partition("\n")[0].count)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _write_rows(writer: Writer, rows: Sequence[Sequence[str]], where: dict[str, str]) -> None:
    """What stands between blank rows is a table of its own; each line is one row, so that rows can be counted."""
    begins, width = 0, 0
    for number in range(len(rows) + 1):
        if number < len(rows) and any(cell.strip() for cell in rows[number]):
            width = max(width, *(at for at, cell in enumerate(rows[number], 1) if cell.strip()))
            continue
        if number > begins:
            held = [[*row[:width], *[""] * (width - len(row))] for row in rows[begins:number]]
            first = next((at for at in range(width) if any(row[at].strip() for row in held)), 0)
            writer.place(**where, row=begins + 1)
            writer.table([row[first:] for row in held])
        begins, width = number + 1, 0


def _as_text(value: Any) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
        case datetime():
            return value.isoformat(" ").removesuffix(" 00:00:00")
        case date() | time() | timedelta():
            return str(value)
        case _:
            return str(value)
