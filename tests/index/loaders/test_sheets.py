"""Sheets and files of separated values: what stands in a cell is what its sheet shows, and where that is is known."""

import zipfile
from datetime import timedelta
from pathlib import Path

import openpyxl
import pytest
from openpyxl.comments import Comment

from rag_graph.documents import Hit, Passage
from rag_graph.index.chunking import chunk
from rag_graph.index.indexing import where
from rag_graph.index.loaders import load
from rag_graph.index.loaders.formats import read_format
from rag_graph.index.loading import LoadedDocument
from rag_graph.research.contract import numbered


def only(path: Path) -> LoadedDocument:
    [document] = load(path)
    assert isinstance(document, LoadedDocument)
    return document


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("0%", 0.25, "25%"),
        ("0.0%", 1 / 3, "33.33%"),
        ("0.000%", 0.5, "50.000%"),
        ('#,##0.00 "€"', 1234.5, "1234.50 €"),
        ("[$€-407] #,##0", -12, "-€ 12"),
        ('_-* #,##0.00\\ "kr"_-;-* #,##0.00\\ "kr"_-;_-* "-"??\\ "kr"_-', 7, "7.00 kr"),
        ('0.0" kg";[Red]-0.0" kg"', -5, "-5.0 kg"),
        ("00000", 1234, "01234"),
        ('General" l/min"', 40.5, "40.5 l/min"),
        ("000-00-0000", 23456789, "023-45-6789"),
        ("(000) 000\\-0000", 15551234567, "(1555) 123-4567"),
        ("##\\ ##\\ ##", -1234, "- 12 34"),
    ],
)
def test_a_number_keeps_the_unit_that_its_format_adds(code: str, value: float, shown: str) -> None:
    known = read_format(code)
    assert known is not None
    assert known.show(value) == shown


@pytest.mark.parametrize(
    "code", ["General", "0.00", "#,##0", "yyyy-mm-dd", "[h]:mm", '0,,"M"', "# ?/?", "0.00E+00", "@"]
)
def test_a_format_that_adds_nothing_or_that_we_cannot_show_leaves_the_number(code: str) -> None:
    assert read_format(code) is None


def test_a_sheet_is_read_as_it_is_shown(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Item", "Share", "Price", "Sum"])
    sheet.append(["Pump", 0.255, 19.9, 0.1 + 0.2])
    sheet.append(["All", 1, 20, "=C2+C3"])
    for row in (2, 3):
        sheet.cell(row, 2).number_format = "0%"
        sheet.cell(row, 3).number_format = '0.00 "EUR"'
    book.save(tmp_path / "a.xlsx")
    document = only(tmp_path / "a.xlsx")
    assert document.text.splitlines()[4:] == [
        "| Pump | 25.5% | 19.90 EUR | 0.3 |",
        "| All | 100% | 20.00 EUR | =C2+C3 |",
    ]
    assert document.note == "1 formula has no saved value: open the file and save it anew"


def test_errors_hours_and_what_is_not_seen_are_told(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Item", "Share", "Time"])
    sheet.append(["Pump", "#DIV/0!", timedelta(hours=30, minutes=5)])
    sheet["A2"].comment = Comment("Really?", "Ann")
    sheet.row_dimensions[2].hidden = True
    book.save(tmp_path / "a.xlsx")
    document = only(tmp_path / "a.xlsx")
    assert document.text.endswith("| Pump | #DIV/0! | 30:05:00 |")
    assert document.note == "rows or columns that are hidden were read, too: Sheet; 1 comment was left out"


def test_a_citation_of_a_sheet_names_the_cells(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices, net"
    tables: list[tuple[str, int, list[list[str | int]]]] = [
        ("B", 2, [["Prices of 2024"], ["Item", "Cost"], ["Pump", 40], ["Valve", 5]]),
        ("F", 3, [["City", "People"], ["Bonn", 300], ["Ulm", 120]]),
        ("A", 9, [["Model", "Flow", "Mass"], ["A10", "40 l", "5 kg"], ["B20", "60 l", "7 kg"]]),
    ]
    for column, row, cells in tables:
        for down, line in enumerate(cells):
            for right, value in enumerate(line):
                sheet.cell(row + down, ord(column) - ord("A") + 1 + right, value)
    book.save(tmp_path / "a.xlsx")
    document = only(tmp_path / "a.xlsx")
    [held] = chunk(document.text, document.outline)
    metadata = where(document.places, document.text, held)
    content = document.text[held.start : held.end]
    [passage] = numbered([Hit(Passage(1, "d", "u", "t", held.start, held.end, content, (), metadata), 1.0)])

    def cited(quote: str) -> str:
        start = passage.content.index(quote)
        return passage.place_at(start, start + len(quote))

    assert cited("Prices of 2024") == "sheet Prices, net, B2:C2"
    assert cited("| Pump | 40 |") == "sheet Prices, net, B4:C4"
    assert cited("| Pump | 40 |\n| Valve | 5 |") == "sheet Prices, net, B4:C5"
    assert cited("Ulm") == "sheet Prices, net, F5:G5"
    assert cited("B20 | 60 l") == "sheet Prices, net, A11:C11"
    assert passage.place == "sheet Prices, net, B2:C11"


def test_a_citation_of_separated_values_names_the_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Exported by X\n\nItem;Cost\nPump;40\nValve;5\n")
    document = only(tmp_path / "a.csv")
    [held] = chunk(document.text)
    content = document.text[held.start : held.end]
    metadata = where(document.places, document.text, held)
    [passage] = numbered([Hit(Passage(1, "d", "u", "t", held.start, held.end, content, (), metadata), 1.0)])
    start = content.index("| Pump")
    assert passage.place_at(start) == "row 4"
    assert passage.place_at(start, len(content)) == "rows 4 to 5"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Name,Val,Note\nA,1\nB,2,x,more\n", "| Name | Val | Note |  |\n|=|\n| A | 1 |  |  |\n| B | 2 | x | more |"),
        ('Name, Val\n"B, or C", "5, 6"\n', "| Name | Val |\n|=|\n| B, or C | 5, 6 |"),
        ("Name^Val\nA^1\nB^2\n", "| Name | Val |\n|=|\n| A | 1 |\n| B | 2 |"),
        ('Name,Val\n"A,1\nB,2\n"C, D",3\n', '| Name | Val |\n|=|\n| "A | 1 |\n| B | 2 |\n| C, D | 3 |'),
        (
            "Region,Sales,Sales,Cost\n,2020,2021,2021\nNorth,1,2,3\n",
            "| Region | Sales 2020 | Sales 2021 | Cost 2021 |\n|=|\n| North | 1 | 2 | 3 |",
        ),
    ],
)
def test_separated_values_keep_their_columns_however_they_were_written(text: str, read: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    names = read.partition("\n")[0]
    assert only(tmp_path / "a.csv").text == read.replace("|=|", "|" + " --- |" * (names.count("|") - 1))


@pytest.mark.parametrize(
    "text",
    [
        "sep=|\nItem|Cost|Note\nPump|40|a, b\n",
        "Item;Cost;Note\nPump;40;a, b\n",
        'Item,Cost,Note\nPump,40,"a, b"\n',
        "\ufeffItem\tCost\tNote\r\nPump\t40\ta, b\r\n",
        "Exported by X, Y, Z on May 5\nItem;Cost;Note\nPump;40;a, b\n",
    ],
)
def test_columns_are_told_apart_by_the_sign_that_parts_every_row(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert only(tmp_path / "a.csv").text.endswith("| Item | Cost | Note |\n| --- | --- | --- |\n| Pump | 40 | a, b |")


def test_rows_below_a_blank_one_keep_the_names_of_their_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,city\nAnn,Ulm\n\nBob,Bonn\n")
    document = only(tmp_path / "a.csv")
    names = "| name | city |\n| --- | --- |\n"
    assert document.text == f"{names}| Ann | Ulm |\n\n{names}| Bob | Bonn |"
    assert document.places[-1].where == {"row": 3}  # of the names, so that the row below is the fourth


def test_a_sum_below_a_blank_row_stands_under_the_name_of_its_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pump,city,hours\nA10,Ulm,4\nB20,Bonn,5\n,,\n,,9\n\n,Counted in May\n")
    text = only(tmp_path / "a.csv").text
    assert "| pump | city | hours |\n| --- | --- | --- |\n|  |  | 9 |" in text
    assert text.endswith("\n\n| Counted in May |")


def test_cells_of_open_documents_are_as_they_are_shown_with_all_their_digits(tmp_path: Path) -> None:
    def cell(shown: str, about: str = "") -> str:
        return f"<table:table-cell {about}><text:p>{shown}</text:p></table:table-cell>"

    def number(kind: str, value: str, shown: str) -> str:
        return cell(shown, f'office:value-type="{kind}" office:value="{value}"')

    blank = '<table:table-cell table:number-columns-repeated="16380"/>'
    rows = [
        cell("Item", 'table:number-columns-spanned="2"')
        + "<table:covered-table-cell><text:p>covered</text:p></table:covered-table-cell>"
        + "".join(map(cell, ("Price", "Share", "Since", "Weight", "Factor"))),
        cell("Bolt", 'table:number-rows-spanned="2"')
        + cell("M8")
        + number("currency", "1234.5", "1.234,50 €")
        + number("percentage", "0.2531", "25%")
        + cell("01.03.26", 'office:value-type="date" office:date-value="2026-03-01"')
        + number("float", "12.25", "12 kg")
        + number("float", "150000", "1.5E+05"),
        f"<table:covered-table-cell/>{cell('M9')}"
        + number("currency", "-5", "-$5.00")
        + cell("yes", 'office:value-type="boolean" office:boolean-value="true" table:number-columns-repeated="3"')
        + cell("<office:annotation><text:p>note</text:p></office:annotation>12:30", 'office:value-type="time"'),
    ]
    written = "".join(f"<table:table-row>{row}{blank}</table:table-row>" for row in rows)
    hidden = '<table:table table:name="Old" table:style-name="h"><table:table-row>' + cell("x") + "</table:table-row>"
    content = (
        '<office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="b" xmlns:style="s">'
        '<style:style style:name="h"><style:table-properties table:display="false"/></style:style><office:body>'
        f'<office:spreadsheet><table:table table:name="Prices">{written}<table:table-row '
        f'table:number-rows-repeated="1048570">{blank}</table:table-row><table:table-row>{cell("")}</table:table-row>'
        f"</table:table>{hidden}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(tmp_path / "a.ods", "w") as archive:
        archive.writestr("META-INF/manifest.xml", "<m/>")
        archive.writestr("content.xml", content)
    (document,) = load(tmp_path / "a.ods")
    assert isinstance(document, LoadedDocument)
    assert document.text.split("\n\n") == [
        "Prices",
        (
            "| Item | Item | Price | Share | Since | Weight | Factor |\n| --- | --- | --- | --- | --- | --- | --- |\n"
            "| Bolt | M8 | 1234.50 € | 25.31% | 2026-03-01 | 12.25 kg | 150000 |\n"
            "| Bolt | M9 | -$5.00 | TRUE | TRUE | TRUE | 12:30 |"
        ),
    ]
    assert document.note == "1 hidden sheet was left out"
    assert document.places[-1].where == {"sheet": "Prices", "row": 1, "columns": "A:G"}
