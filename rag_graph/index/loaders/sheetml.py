"""SpreadsheetML of Excel 2003, in which web programs still export tables: XML, and mostly called `.xls`."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from lxml import etree

from rag_graph.index.loaders.base import attribute, child, parse_xml, whole_number
from rag_graph.index.loaders.formats import NumberFormat, plain_number, read_format
from rag_graph.index.loaders.odf import MOST_COLUMNS, MOST_ROWS, Sheet

NAMESPACE: Final = b"urn:schemas-microsoft-com:office:spreadsheet"
_NAMED_FORMATS: Final = {"Percent": "0.00%", "Euro Currency": '"€"0.00'}
_NUMBER: Final = re.compile(r"[-+]?\d{1,20}(?:\.\d{1,20})?(?:[eE][-+]?\d{1,3})?")


def read_sheets(content: bytes) -> Iterator[Sheet]:
    root = parse_xml(content)
    formats: dict[str, NumberFormat | None] = {}
    for style in root.iter("{*}Style"):
        code = attribute(said, "Format") if (said := child(style, "NumberFormat")) is not None else ""
        formats[attribute(style, "ID")] = read_format(_NAMED_FORMATS.get(code, code))
    for held in root.iter("{*}Worksheet"):
        lines = [*held.iter("{*}Row", "{*}Column")]
        hides = any(attribute(line, "Hidden") == "1" for line in lines)
        seen = next(held.iter("{*}Visible"), None)
        sheet = Sheet(attribute(held, "Name"), seen is not None and (seen.text or "").startswith("SheetH"), hides)
        for row in held.iter("{*}Row"):
            at = max(len(sheet.rows), whole_number(attribute(row, "Index")) - 1)
            if at < MOST_ROWS:
                sheet.rows.extend([] for _ in range(at - len(sheet.rows)))
                sheet.rows.append(_row(row, at, sheet, formats))
        yield sheet


def _row(row: etree._Element, at: int, sheet: Sheet, formats: Mapping[str, NumberFormat | None]) -> list[str]:
    texts: list[str] = []
    for cell in row.iterchildren("{*}Cell"):
        column = max(len(texts), whole_number(attribute(cell, "Index")) - 1)
        if column >= MOST_COLUMNS:
            break
        across, down = (whole_number(attribute(cell, name)) for name in ("MergeAcross", "MergeDown"))
        across = min(across, MOST_COLUMNS - column - 1)
        texts += [""] * (column - len(texts)) + [_value(cell, formats)] + [""] * across
        if across or down:
            sheet.merged[at, column] = (at + down, column + across)
    return texts


def _value(cell: etree._Element, formats: Mapping[str, NumberFormat | None]) -> str:
    data = child(cell, "Data")
    if data is None:
        return ""
    text = "".join(map(str, data.itertext())).strip()
    match attribute(data, "Type"):
        case "Number" if _NUMBER.fullmatch(text):
            known = formats.get(attribute(cell, "StyleID"))
            return known.show(float(text)) if known is not None else plain_number(float(text))
        case "DateTime":
            return text.replace("T", " ").removesuffix(".000").removesuffix(" 00:00:00")
        case "Boolean":
            return "TRUE" if text == "1" else "FALSE"
        case _:
            return text
