"""Workbooks as Excel writes them in records, byte by byte: no library that is kept writes XLS or XLSB."""

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

Rows = Sequence[Sequence[str | tuple[float, str]]]
"""Of each cell its words, or a number and how it is shown."""
_END, _FREE, _TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def xls(path: Path, rows: Rows, *, hidden_row: int = -1) -> None:
    codes = _codes(rows)
    opened = struct.pack("<HHHHII", 0x0600, 5, 0x0DBB, 0x07CC, 0, 0x0600)
    head = _old(0x0809, opened)
    head += b"".join(
        _old(0x041E, struct.pack("<HHB", 164 + at, len(code), 1) + code.encode("utf-16-le"))
        for at, code in enumerate(codes)
    )
    head += b"".join(_old(0xE0, struct.pack("<HH16x", 0, 164 + at)) for at in range(len(codes)))
    name = b"Pumps"
    begins = len(head) + 4 + 8 + len(name) + 4
    head += _old(0x85, struct.pack("<IBBBB", begins, 0, 0, len(name), 0) + name) + _old(0x0A)
    sheet = _old(0x0809, struct.pack("<HHHHII", 0x0600, 0x10, 0x0DBB, 0x07CC, 0, 0x0600))
    for at, row in enumerate(rows):
        sheet += _old(0x0208, struct.pack("<HHHHHHHH", at, 0, len(row), 255, 0, 0, 0x20 * (at == hidden_row), 0))
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                words = cell.encode("utf-16-le")
                sheet += _old(0x0204, struct.pack("<HHHHB", at, column, 0, len(cell), 1) + words)
            else:
                sheet += _old(0x0203, struct.pack("<HHHd", at, column, codes.index(cell[1]), cell[0]))
    path.write_bytes(compound("Workbook", head + sheet + _old(0x0A)))


def _codes(rows: Rows) -> list[str]:
    return ["General", *dict.fromkeys(cell[1] for row in rows for cell in row if not isinstance(cell, str))]


def _old(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def compound(name: str, stream: bytes) -> bytes:
    """A file of OLE with one stream (MS-CFB): a header, a sector that says how sectors follow, one of names."""
    stream = stream.ljust(4096, b"\0")  # shorter ones would be kept in another way
    count = -(-len(stream) // 512)
    following = [_TABLE, _END, *range(3, count + 2), _END]
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, _END, 0, _END, 0)
    head += struct.pack("<109I", 0, *[_FREE] * 108)
    table = struct.pack("<128I", *following, *[_FREE] * (128 - len(following)))
    names = _entry("Root Entry", 5, 1, _END, 0) + _entry(name, 2, _FREE, 2, len(stream)) + bytes(256)
    return head + table + names + stream.ljust(512 * count, b"\0")


def _entry(name: str, kind: int, inside: int, begins: int, size: int) -> bytes:
    written = name.encode("utf-16-le")
    said = written.ljust(64, b"\0") + struct.pack("<HBBIII", len(written) + 2, kind, 1, _FREE, _FREE, inside)
    return said + bytes(36) + struct.pack("<IQ", begins, size)


def xlsb(path: Path, rows: Rows, *, hidden_row: int = -1) -> None:
    codes = _codes(rows)
    book = _new(156, struct.pack("<II", 0, 1) + _words("rId1") + _words("Pumps"))
    styles = _new(615, struct.pack("<I", len(codes)))
    styles += b"".join(_new(44, struct.pack("<H", 164 + at) + _words(code)) for at, code in enumerate(codes))
    styles += _new(616)
    styles += _new(626, struct.pack("<I", 1)) + _new(47, bytes(16)) + _new(627)  # those of named styles
    styles += _new(617, struct.pack("<I", len(codes)))
    styles += b"".join(_new(47, struct.pack("<HH12x", 0, 164 + at)) for at in range(len(codes))) + _new(618)
    width = max(map(len, rows))
    sheet = _new(129) + _new(148, struct.pack("<IIII", 0, len(rows) - 1, 0, width - 1)) + _new(145)
    for at, row in enumerate(rows):
        sheet += _new(0, struct.pack("<IIHBBBI", at, 0, 300, 0, 0x10 * (at == hidden_row), 0, 0))
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                sheet += _new(6, struct.pack("<II", column, 0) + _words(cell))
            else:  # in the last byte stands whether the reading of the cell is shown beside it
                sheet += _new(5, struct.pack("<IId", column, codes.index(cell[1]) | 1 << 24, cell[0]))
    sheet += _new(146) + _new(130)
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(path, "w") as archive:
        for name, relations in {
            "_rels/.rels": [("officeDocument", "xl/workbook.bin")],
            "xl/_rels/workbook.bin.rels": [("worksheet", "worksheets/sheet1.bin"), ("styles", "styles.bin")],
        }.items():
            said = "".join(
                f'<Relationship Id="rId{at}" Type="{office}/{kind}" Target="{target}"/>'
                for at, (kind, target) in enumerate(relations, start=1)
            )
            space = "http://schemas.openxmlformats.org/package/2006/relationships"
            archive.writestr(name, f'<Relationships xmlns="{space}">{said}</Relationships>')
        archive.writestr("xl/workbook.bin", _new(131) + _new(143) + book + _new(144) + _new(132))
        archive.writestr("xl/styles.bin", styles)
        archive.writestr("xl/worksheets/sheet1.bin", sheet)


def _words(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _new(kind: int, data: bytes = b"") -> bytes:
    written = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    length = len(data)
    while True:
        length, low = length >> 7, length & 0x7F
        written += bytes([low | 0x80 if length else low])
        if not length:
            return written + data
