"""Tables that are files: CSV and TSV, and the sheets of Excel and OpenDocument."""

import csv
import io
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

import python_calamine

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.encoding import decode
from rag_graph.index.loaders import odf, sheetml
from rag_graph.index.loaders.base import OLE, Source, Writer, as_title, check_archive, clean, notes, of_comments
from rag_graph.index.loaders.formats import NumberFormat, Workbook, column_name, plain_number, read_workbook
from rag_graph.index.loaders.package import Package
from rag_graph.index.loaders.records import (
    BinaryWorkbook,
    OldWorkbook,
    is_encrypted,
    read_binary_workbook,
    read_old_workbook,
)
from rag_graph.index.loaders.tables import Cell, is_number, read_table
from rag_graph.index.loading import Loaded, LoadedDocument

_SNIFFED_ROWS: Final = 50
_DELIMITERS: Final = ",;\t|"
_RARE_DELIMITERS: Final = "^~"
"""Signs that stand in texts too: where none of the others parts anything."""
_HEAD_BYTES: Final = 4096
_FEWEST_ALIKE: Final = 2
"""Rows of a width that is no accident."""
_MOST_UNCLOSED: Final = 20
"""Quotation marks; the rest of a file that has more is read as the library takes it."""
_Place = tuple[int, int]


def load(source: Source) -> Loaded:
    suffix = source.name.suffix.lower()
    if suffix in {".csv", ".tsv", ".tab"}:
        text, note = decode(source.content())
        writer = Writer()
        _write_rows(writer, _csv_rows(clean(text), "\t" if suffix != ".csv" else _DELIMITERS), {})
        yield source.document(writer.text, places=tuple(writer.places), note=note)
        return
    content = source.content()
    if sheetml.NAMESPACE in content[:_HEAD_BYTES] and content.lstrip()[:1] == b"<":
        yield _of_sheets(source, sheetml.read_sheets(content))
        return
    archive = nullcontext() if content.startswith(OLE) else check_archive(content)
    with archive as opened:
        if suffix == ".ods" and opened is not None:
            yield _of_sheets(source, odf.read_sheets(opened))
            return
        yield _workbook(source, content, opened)


def _workbook(source: Source, content: bytes, archive: zipfile.ZipFile | None) -> LoadedDocument:
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except python_calamine.CalamineError as exc:
        is_locked = isinstance(exc, python_calamine.PasswordError) or (archive is None and is_encrypted(content))
        if is_locked:
            raise DocumentUnreadable("it is encrypted; remove its password first", "encrypted") from exc
        raise
    about_cells = _about_cells(source, content, archive)
    parts = about_cells.sheets() if about_cells is not None else {}
    writer = Writer()
    hidden = formulas = comments = 0
    unseen: list[str] = []
    for about in book.sheets_metadata:
        if about.typ != python_calamine.SheetTypeEnum.WorkSheet:
            continue
        if about.visible != python_calamine.SheetVisibleEnum.Visible:
            hidden += 1
            continue
        sheet = book.get_sheet_by_name(about.name)
        part = parts.get(about.name, "")
        shown = about_cells.shown(part) if about_cells is not None else {}
        formulas += sum(isinstance(how, str) and how.startswith("=") for how in shown.values())
        if about_cells is not None:
            comments += about_cells.comments(part)
            unseen += [as_title(about.name)] if about_cells.hides(part) else []
        rows = _sheet_rows(sheet.to_python(skip_empty_area=False), shown)
        if any(any(row) for row in rows):
            _write_sheet(writer, about.name, rows, dict(sheet.merged_cell_ranges or ()))
    unsaved = f"{formulas} formula{'s have' if formulas > 1 else ' has'} no saved value: open the file and save it anew"
    unformatted = "" if about_cells is not None else "numbers are without their formats, such as %; .xlsx keeps them"
    note = notes(
        _of_hidden(hidden),
        _of_unseen(unseen),
        of_comments(comments),
        unsaved if formulas else "",
        unformatted,
    )
    return source.document(writer.text, outline=tuple(writer.outline), places=tuple(writer.places), note=note)


def _about_cells(
    source: Source, content: bytes, archive: zipfile.ZipFile | None
) -> Workbook | BinaryWorkbook | OldWorkbook | None:
    """How the cells are shown, since calamine gives a per cent's value as the number that it is; None if not known."""
    if archive is not None:
        package = Package(archive)
        return read_binary_workbook(package) if source.name.suffix.lower() == ".xlsb" else read_workbook(package)
    try:
        return read_old_workbook(content)
    except (OSError, struct.error, IndexError):  # what calamine could read all the same
        return None


def _of_sheets(source: Source, sheets: Iterable[odf.Sheet]) -> LoadedDocument:
    writer = Writer()
    hidden = 0
    unseen: list[str] = []
    for sheet in sheets:
        hidden += sheet.is_hidden
        unseen += [as_title(sheet.name)] if sheet.hides and not sheet.is_hidden else []
        if sheet.rows and not sheet.is_hidden:
            _write_sheet(writer, sheet.name, sheet.rows, sheet.merged)
    note = notes(_of_hidden(hidden), _of_unseen(unseen))
    return source.document(writer.text, outline=tuple(writer.outline), places=tuple(writer.places), note=note)


def _write_sheet(writer: Writer, name: str, rows: Sequence[Sequence[str]], merged: Mapping[_Place, _Place]) -> None:
    name = as_title(name)
    writer.place(sheet=name)
    writer.block(name, level=1)
    _write_rows(writer, rows, {"sheet": name}, merged)


def _of_hidden(count: int) -> str:
    return f"{count} hidden sheet{'s were' if count > 1 else ' was'} left out" if count else ""


def _of_unseen(sheets: Sequence[str]) -> str:
    return f"rows or columns that are hidden were read, too: {', '.join(sheets)}" if sheets else ""


def _sheet_rows(values: Sequence[Sequence[Any]], shown: Mapping[_Place, NumberFormat | str]) -> list[list[str]]:
    rows = [[_as_text(value) for value in row] for row in values]
    for (row, column), how in shown.items():
        if isinstance(how, str):  # calamine passes over cells at the end that have no values
            rows += [[] for _ in range(row + 1 - len(rows))]
            rows[row] += [""] * (column + 1 - len(rows[row]))
            rows[row][column] = how
        elif row < len(values) and column < len(values[row]) and isinstance(value := values[row][column], int | float):
            rows[row][column] = how.show(value)
    return rows


def _csv_rows(text: str, delimiters: str) -> list[list[str]]:
    """The rows of a file, apart at the sign that gives most of its first rows as many columns as each other."""
    csv.field_size_limit(max(len(text) + 1, csv.field_size_limit()))
    said, _, rest = text.partition("\n")
    if said[:4].lower() == "sep=" and len(said.strip()) == len("sep=,"):
        return [[], *_separated(rest, said.strip()[-1])]

    def evenness(delimiter: str) -> tuple[int, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        widths = Counter(len(row) for row, _ in zip(reader, range(_SNIFFED_ROWS), strict=False) if row)
        width, count = max(widths.items(), key=lambda it: (it[0] > 1 and it[1], it[0]), default=(0, 0))
        return (count, width) if width > 1 else (0, 0)

    delimiter = max(delimiters, key=evenness)
    if evenness(delimiter) == (0, 0):
        delimiter = max(_RARE_DELIMITERS, key=evenness)
    rows = _separated(text, delimiter)
    count, width = evenness(delimiter)
    for number, row in enumerate(rows):  # what an export says of itself before its first row
        if len(row) >= width or count < _FEWEST_ALIKE:
            break
        rows[number] = [f"{delimiter} ".join(map(str.strip, row))] if row else []
    return rows


def _separated(text: str, delimiter: str) -> list[list[str]]:
    """A quotation mark that does not close at a cell's end is a sign of its line: else rows below would be one cell."""
    rows: list[list[str]] = []
    for tries in range(_MOST_UNCLOSED + 1):
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            skipinitialspace=True,
            strict=tries < _MOST_UNCLOSED,
        )
        ends = 0
        try:
            for row in reader:
                ends = reader.line_num
                rows.append(row)
        except csv.Error:
            lines = io.StringIO(text, newline="").readlines()
            rows += csv.reader(lines[ends : ends + 1], delimiter=delimiter, quoting=csv.QUOTE_NONE)
            text = "".join(lines[ends + 1 :])
        else:
            break
    return rows


def _write_rows(
    writer: Writer,
    rows: Sequence[Sequence[str]],
    where: Mapping[str, str],
    merged: Mapping[_Place, _Place] = {},
) -> None:
    names = _Names([], 0)
    for corner, held in _tables(rows, (0, 0)):
        names = _write_table(writer, held, corner, where, merged, names)


def _tables(rows: Sequence[Sequence[str]], corner: _Place) -> Iterator[tuple[_Place, Sequence[Sequence[str]]]]:
    """What stands between blank rows is a table of its own, and so is what stands beside another."""
    above, left = corner
    begins = 0
    for number in range(len(rows) + 1):
        if number < len(rows) and any(cell.strip() for cell in rows[number]):
            continue
        if number > begins:
            held = rows[begins:number]
            beside = _side_by_side(held)
            for first, last in beside:
                at = (above + begins, left + first)
                part = [row[first:last] for row in held]
                if len(beside) > 1:
                    yield from _tables(part, at)
                else:
                    yield at, part
        begins = number + 1


def _side_by_side(rows: Sequence[Sequence[str]]) -> Sequence[_Place]:
    """The columns of each table: a blank one parts two where both have names of their own columns."""
    width = max(at for row in rows for at, cell in enumerate(row, 1) if cell.strip())
    filled = [any(at < len(row) and row[at].strip() for row in rows) for at in range(width)]
    starts = [at for at in range(width) if filled[at] and not (at and filled[at - 1])]
    ends = [at + 1 for at in range(width) if filled[at] and not (at + 1 < width and filled[at + 1])]
    spans = list(zip(starts, ends, strict=True))
    if len(spans) > 1 and all(read_table([row[first:last] for row in rows]).names for first, last in spans):
        return spans
    return [(starts[0], width)]


class _Names(NamedTuple):
    """The names of a table's columns, and the column of the sheet in which they begin."""

    names: list[str]
    left: int

    def above(self, left: int, rows: Sequence[Sequence[str]]) -> bool:
        """Whether they name the columns of rows that have no names of their own, as a part of the same table has."""
        width = len(rows[0]) if rows else 0
        is_sum = width == 1 and self.left < left and all(is_number(row[0]) for row in rows)
        return (width > 1 or is_sum) and self.left <= left and left + width <= self.left + len(self.names)


def _write_table(
    writer: Writer,
    rows: Sequence[Sequence[str]],
    corner: _Place,
    where: Mapping[str, str],
    merged: Mapping[_Place, _Place],
    before: _Names,
) -> _Names:
    """A table whose first cell stands in that row and column of its sheet, or the next part of the one before."""
    above, left = corner
    width = max(at for row in rows for at, cell in enumerate(row, 1) if cell.strip())
    table = read_table(_cells(rows, corner, width, merged))
    if not where and not table.names and _are_names(table.rows):
        table = table._replace(names=table.rows[0], rows=table.rows[1:])
    columns = {"columns": f"{column_name(left)}:{column_name(left + width - 1)}"} if where else {}
    for number, title in enumerate(table.titles, start=above + 1):
        writer.place(**where, row=number, **columns)
        writer.block(title)
    first = above + len(table.titles)
    if table.names:
        # The last row of names, as each line under it is a row further.
        named, first = _Names(table.names, left), first + len(rows) - len(table.titles) - len(table.rows)
    elif before.above(left, table.rows):
        named = before
        pad, more = [""] * (left - before.left), [""] * (before.left + len(before.names) - left - width)
        table = table._replace(names=before.names, rows=[[*pad, *row, *more] for row in table.rows])
    else:
        named, first = before, first + 1
    writer.place(**where, row=first, **columns)
    writer.block("\n".join(table.lines()))
    return named


def _cells(
    rows: Sequence[Sequence[str]], corner: _Place, width: int, merged: Mapping[_Place, _Place]
) -> list[list[Cell]]:
    above, left = corner
    covered = {
        (row, column)
        for (top, start), (bottom, end) in merged.items()
        if above <= top < above + len(rows) and left <= start < left + width
        for row in range(top, min(bottom, above + len(rows) - 1) + 1)
        for column in range(start, min(end, left + width - 1) + 1)
        if (row, column) != (top, start)
    }
    cells: list[list[Cell]] = []
    for row, held in enumerate(rows, start=above):
        line = []
        for column, text in enumerate([*held[:width], *[""] * (width - len(held))], start=left):
            bottom, end = merged.get((row, column), (row, column))
            if (row, column) not in covered:
                line.append(Cell(text, end - column + 1, bottom - row + 1))
        cells.append(line)
    return cells


def _are_names(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row of a file of separated values may name its columns, as nearly all of them do."""
    first = [cell.strip() for cell in rows[0]] if len(rows) > 1 else []
    while first and not first[-1]:  # some row below says more than has a name
        first.pop()
    return len(first) > 1 and all(first) and len(set(first)) == len(first) and not any(map(is_number, first))


def _as_text(value: Any) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return plain_number(value)
        case datetime():
            return value.isoformat(" ").removesuffix(" 00:00:00")
        case timedelta():  # as sheets show it: hours go on beyond a day
            minutes, seconds = divmod(round(abs(value).total_seconds()), 60)
            return f"{'-' if value < timedelta() else ''}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        case date() | time():
            return str(value)
        case _:
            return str(value)
