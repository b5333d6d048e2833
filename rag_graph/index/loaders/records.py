"""How the workbooks of Excel that are written in records show their cells: XLS, of before 2007, and XLSB.

The values are calamine's; only what stands beside them is read here, record by record, and the rest is passed over.
https://learn.microsoft.com/openspecs/office_file_formats/ms-xls and ms-xlsb
"""

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import olefile

from rag_graph.index.loaders.formats import BUILT_IN_FORMATS, NumberFormat, read_format
from rag_graph.index.loaders.package import Package

Formats = tuple[NumberFormat | None, ...]
"""By number of a style."""
_Record = tuple[int, memoryview]
_STREAMS: Final = ("Workbook", "Book")
_OF_1997: Final = 0x0600
_HEAD: Final = struct.Struct("<HH")
_CELL: Final = struct.Struct("<HHH")
_CELL_OF_2007: Final = struct.Struct("<II")
_STYLE: Final = 0xFFFFFF
"""The rest of those four bytes is another thing's."""

# What the records of XLS are called there.
_FORMULA, _EOF, _NOTE, _COLINFO, _BOUNDSHEET, _MULRK, _XF = 0x06, 0x0A, 0x1C, 0x7D, 0x85, 0xBD, 0xE0
_NUMBER, _ROW, _RK, _FORMAT, _BOF = 0x0203, 0x0208, 0x027E, 0x041E, 0x0809
# And those of XLSB.
_ROW_OF_2007, _CELL_RK, _CELL_REAL, _FORMULA_NUMBER, _FORMAT_OF_2007, _XF_OF_2007, _COLUMN = 0, 2, 5, 9, 44, 47, 60
_SHEET, _BEGIN_STYLES, _END_STYLES, _COMMENT = 156, 617, 618, 635
_HIDDEN_ROW: Final = {_ROW: (12, 0x20), _ROW_OF_2007: (11, 0x10)}
_HIDDEN_COLUMN: Final = {_COLINFO: (8, 1), _COLUMN: (16, 1)}
"""In which byte of a record which bit says so."""


@dataclass(frozen=True, slots=True)
class OldWorkbook:
    """XLS: one stream, in which a sheet's records begin where its name says."""

    stream: memoryview
    formats: Formats
    starts: Mapping[str, str]

    def sheets(self) -> Mapping[str, str]:
        return self.starts

    def comments(self, part: str) -> int:
        return sum(kind == _NOTE for kind, _ in self._records(part))

    def hides(self, part: str) -> bool:
        return any(_is_hidden(kind, data) for kind, data in self._records(part))

    def shown(self, part: str) -> dict[tuple[int, int], NumberFormat | str]:
        found: dict[tuple[int, int], NumberFormat | str] = {}
        if not any(self.formats):
            return found
        for kind, data in self._records(part):
            if kind == _MULRK:
                row, first = struct.unpack_from("<HH", data)
                for at in range((len(data) - 6) // 6):
                    _show(found, self.formats, (row, first + at), struct.unpack_from("<H", data, 4 + 6 * at)[0])
            elif kind in {_NUMBER, _RK, _FORMULA}:
                row, column, style = _CELL.unpack_from(data)
                _show(found, self.formats, (row, column), style)
        return found

    def _records(self, part: str) -> Iterator[_Record]:
        """Of a sheet, without those of what stands in it, such as charts."""
        depth = 0
        for kind, data in _old_records(self.stream, int(part) if part else len(self.stream)):
            depth += (kind == _BOF) - (kind == _EOF)
            if not depth:
                return
            if depth == 1:
                yield kind, data


@dataclass(frozen=True, slots=True)
class BinaryWorkbook:
    """XLSB: the parts of XLSX, each written in records."""

    package: Package
    main: str
    formats: Formats

    def sheets(self) -> Mapping[str, str]:
        relations = self.package.relations(self.main)
        found = {}
        for kind, data in self._records(self.main):
            if kind == _SHEET:
                key, at = _wide(data, 8)
                found[_wide(data, at)[0]] = relations.get(key, ("", ""))[1]
        return found

    def comments(self, part: str) -> int:
        names = self.package.related(part, "comments")
        return sum(kind == _COMMENT for name in names for kind, _ in self._records(name))

    def hides(self, part: str) -> bool:
        return any(_is_hidden(kind, data) for kind, data in self._records(part))

    def shown(self, part: str) -> dict[tuple[int, int], NumberFormat | str]:
        found: dict[tuple[int, int], NumberFormat | str] = {}
        row = -1
        for kind, data in self._records(part) if any(self.formats) else ():
            if kind == _ROW_OF_2007:
                row = struct.unpack_from("<I", data)[0]
            elif kind in {_CELL_RK, _CELL_REAL, _FORMULA_NUMBER}:
                column, style = _CELL_OF_2007.unpack_from(data)
                _show(found, self.formats, (row, column), style & _STYLE)
        return found

    def _records(self, part: str) -> Iterator[_Record]:
        yield from _records(memoryview(self.package.content(part) or b""))


def _show(
    found: dict[tuple[int, int], NumberFormat | str], formats: Formats, place: tuple[int, int], style: int
) -> None:
    if style < len(formats) and (known := formats[style]) is not None:
        found[place] = known


def _is_hidden(kind: int, data: memoryview) -> bool:
    at, bit = _HIDDEN_ROW.get(kind) or _HIDDEN_COLUMN.get(kind, (0, 0))
    return at < len(data) and bool(data[at] & bit)


def is_encrypted(content: bytes) -> bool:
    """Whether it is a workbook of any later way with a password: calamine knows that of XLSX alone."""
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as held:
            return bool(held.exists("EncryptedPackage"))
    except OSError:  # it is damaged
        return False


def read_old_workbook(content: bytes) -> OldWorkbook | None:
    """Nothing where it is written in another way than Excel has done since 1993."""
    with olefile.OleFileIO(io.BytesIO(content)) as held:
        name = next((name for name in _STREAMS if held.exists(name)), "")
        stream = memoryview(held.openstream(name).read() if name else b"")
    codes: dict[int, str] = dict(BUILT_IN_FORMATS)
    styles: list[int] = []
    starts: dict[str, str] = {}
    is_wide = False
    for kind, data in _old_records(stream):
        if kind == _BOF:
            is_wide = struct.unpack_from("<H", data)[0] == _OF_1997
        elif kind == _FORMAT:
            codes[struct.unpack_from("<H", data)[0]] = _short(data, 2, is_wide=is_wide, is_long=is_wide)
        elif kind == _XF:
            styles.append(struct.unpack_from("<H", data, 2)[0])
        elif kind == _BOUNDSHEET:
            starts[_short(data, 6, is_wide=is_wide)] = str(struct.unpack_from("<I", data)[0])
        elif kind == _EOF:
            break
    return OldWorkbook(stream, _read_formats(codes, styles), starts) if starts else None


def read_binary_workbook(package: Package) -> BinaryWorkbook:
    main = next(package.related("", "officeDocument"), "")
    codes: dict[int, str] = dict(BUILT_IN_FORMATS)
    styles: list[int] = []
    for name in package.related(main, "styles"):
        is_cells = False
        for kind, data in _records(memoryview(package.content(name) or b"")):
            if kind == _FORMAT_OF_2007:
                codes[struct.unpack_from("<H", data)[0]] = _wide(data, 2)[0]
            elif kind in {_BEGIN_STYLES, _END_STYLES}:
                is_cells = kind == _BEGIN_STYLES
            elif kind == _XF_OF_2007 and is_cells:
                styles.append(struct.unpack_from("<H", data, 2)[0])
    return BinaryWorkbook(package, main, _read_formats(codes, styles))


def _read_formats(codes: Mapping[int, str], styles: list[int]) -> Formats:
    known = {number: read_format(codes[number]) if number in codes else None for number in set(styles)}
    return tuple(known[number] for number in styles)


def _old_records(stream: memoryview, at: int = 0) -> Iterator[_Record]:
    while at + _HEAD.size <= len(stream):
        kind, length = _HEAD.unpack_from(stream, at)
        at += _HEAD.size
        yield kind, stream[at : at + length]
        at += length


def _records(part: memoryview) -> Iterator[_Record]:
    at = 0
    while at < len(part):
        kind = part[at]
        at += 1
        if kind & 0x80 and at < len(part):  # two bytes, of seven bits each
            kind = (kind & 0x7F) | part[at] << 7
            at += 1
        length = 0
        for place in range(4):
            more = part[at] if at < len(part) else 0
            at += 1
            length |= (more & 0x7F) << 7 * place
            if not more & 0x80:
                break
        yield kind, part[at : at + length]
        at += length


def _short(data: memoryview, at: int, *, is_wide: bool, is_long: bool = False) -> str:
    """A text behind its length; `is_wide` of the years in which a byte told whether its letters have one or two."""
    count = struct.unpack_from("<H" if is_long else "<B", data, at)[0]
    at += 2 if is_long else 1
    if not is_wide:
        return bytes(data[at : at + count]).decode("cp1252", "replace")
    letters = 2 if data[at] & 1 else 1
    return bytes(data[at + 1 : at + 1 + letters * count]).decode("utf-16-le" if letters > 1 else "latin-1", "replace")


def _wide(data: memoryview, at: int) -> tuple[str, int]:
    """A text behind its length, and where it ends."""
    count = struct.unpack_from("<I", data, at)[0]
    end = at + 4 + 2 * count
    return bytes(data[at + 4 : end]).decode("utf-16-le", "replace"), end
