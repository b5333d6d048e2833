"""Tables of every kind of file: each value stays under the names of its column and in its row."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest

from rag_graph.index.loaders import load
from rag_graph.index.loaders.tables import Cell, read_table
from rag_graph.index.loading import LoadedDocument

MERGED = [
    [Cell("Region", rows=2), Cell("2023", columns=2), Cell("2024", columns=2)],
    [Cell("Q1"), Cell("Q2"), Cell("Q1"), Cell("Q2")],
    [Cell("North", rows=2), Cell("1"), Cell("2"), Cell("3"), Cell("4")],
    [Cell("5"), Cell("6", columns=2), Cell("7")],
    [Cell("All", columns=4), Cell("8")],
]
LINES = """\
| Region | 2023 Q1 | 2023 Q2 | 2024 Q1 | 2024 Q2 |
| --- | --- | --- | --- | --- |
| North | 1 | 2 | 3 | 4 |
| North | 5 | 6 |  | 7 |
| All |  |  |  | 8 |"""


def placed(rows: list[list[Cell]]) -> list[tuple[int, int, Cell]]:
    """Each cell with its row and column."""
    taken: set[tuple[int, int]] = set()
    found = []
    for row, cells in enumerate(rows):
        column = 0
        for cell in cells:
            while (row, column) in taken:
                column += 1
            found.append((row, column, cell))
            taken |= {(row + down, column + right) for down in range(cell.rows) for right in range(cell.columns)}
    return found


def as_html(rows: list[list[Cell]]) -> bytes:
    lines = ["".join(f"<td colspan={c.columns} rowspan={c.rows}><b>{c.text}</b>" for c in row) for row in rows]
    return f"<table><tr>{'<tr>'.join(lines)}</table>".encode()


def as_docx(rows: list[list[Cell]]) -> bytes:
    document = docx.Document()
    table = document.add_table(len(rows), 5)
    for row, column, cell in placed(rows):
        table.cell(row, column).text = cell.text
        table.cell(row, column).merge(table.cell(row + cell.rows - 1, column + cell.columns - 1))
    held = io.BytesIO()
    document.save(held)
    return held.getvalue()


def as_pptx(rows: list[list[Cell]]) -> bytes:
    deck = pptx.Presentation()
    table = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_table(len(rows), 5, 0, 0, 9, 9).table
    for row, column, cell in placed(rows):
        table.cell(row, column).text = cell.text
        if cell.rows > 1 or cell.columns > 1:
            table.cell(row, column).merge(table.cell(row + cell.rows - 1, column + cell.columns - 1))
    held = io.BytesIO()
    deck.save(held)
    return held.getvalue()


def as_odt(rows: list[list[Cell]]) -> bytes:
    def cell(one: Cell) -> str:
        reach = f"t:number-columns-spanned='{one.columns}' t:number-rows-spanned='{one.rows}'"
        return f"<t:table-cell {reach}><p>{one.text}</p></t:table-cell>" + "<t:covered-table-cell/>" * (one.columns - 1)

    lines = "".join(f"<t:table-row>{''.join(map(cell, row))}</t:table-row>" for row in rows)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("content.xml", f"<body xmlns:t='t'><t:table>{lines}</t:table></body>")
        archive.writestr("META-INF/manifest.xml", "<m/>")
    return held.getvalue()


def as_xlsx(rows: list[list[Cell]]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row, column, cell in placed(rows):
        sheet.cell(row + 1, column + 1, int(cell.text) if cell.text.isdecimal() else cell.text)
        if cell.rows > 1 or cell.columns > 1:
            sheet.merge_cells(None, row + 1, column + 1, row + cell.rows, column + cell.columns)
    held = io.BytesIO()
    book.save(held)
    return held.getvalue()


@pytest.mark.parametrize(
    ("suffix", "write"),
    [(".html", as_html), (".docx", as_docx), (".pptx", as_pptx), (".odt", as_odt), (".xlsx", as_xlsx)],
)
def test_values_of_merged_cells_stay_in_their_rows_and_under_their_names(
    suffix: str, write: Callable[[list[list[Cell]]], bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(write(MERGED))
    [document] = load(path)
    assert isinstance(document, LoadedDocument)
    assert document.text.removeprefix("Sheet\n\n") == LINES


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([["Region", "2023", "2024"], ["N", "5", "6"]], ["Region", "2023", "2024"]),
        ([["", "Flow", "Mass"], ["A10", "40 l", "5 kg"]], ["", "Flow", "Mass"]),
        ([["Item", "Cost", "", "Note"], ["A", "5", "x", ""], ["B", "6", "", "y"]], ["Item", "Cost", "", "Note"]),
        ([["Pumps of 2024", ""], ["Item", "Cost"], ["A", "5"]], ["Item", "Cost"]),
        ([["Flow", "40"], ["Mass", "5"]], []),
        ([["2021", "2022", "2023"], ["2024", "2025", "2026"]], []),
        ([["Warranty", "two years"], ["Colour", "red"]], []),
        ([["A", "", "", "x"], ["B", "y", "", ""]], []),
        (
            [["Site", "2024", "", "2025", ""], ["", "Open", "Shut", "Open", "Shut"], ["Ulm", "1", "2", "", "4"]],
            ["Site", "2024 Open", "2024 Shut", "2025 Open", "2025 Shut"],
        ),
        (
            [["", "2024", "", "2025", ""], ["Site", "Open", "Shut", "Open", "Shut"], ["Ulm", "1", "2", "", "4"]],
            ["Site", "2024 Open", "2024 Shut", "2025 Open", "2025 Shut"],
        ),
        ([["Pump", "Flow", "Mass"], ["", "l/min", "kg"], ["A10", "40", "5"]], ["Pump", "Flow l/min", "Mass kg"]),
        ([["Pump", "Flow", "Mass"], ["", "none", "none"], ["A10", "all", "5"]], ["Pump", "Flow", "Mass"]),
        ([["Site", "Item", "Count"], ["", "Hose", "5"], ["Ulm", "Pump", "6"]], ["Site", "Item", "Count"]),
    ],
)
def test_a_row_of_names_is_told_from_one_of_values(rows: list[list[str]], names: list[str]) -> None:
    assert read_table(rows).names == names


@pytest.mark.parametrize("rows", [[], [[]], [[Cell("", columns=2)]], [[Cell("", rows=3)], [], [Cell("")]]])
def test_a_table_without_a_word_is_none(rows: list[list[Cell]]) -> None:
    assert read_table(rows).lines() == []
