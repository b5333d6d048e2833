from pathlib import Path

import pytest

from rag_graph.index.loaders import load
from rag_graph.index.loading import LoadedDocument

BOOK = """<?xml version="1.0"?>
<?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">
<Styles><Style ss:ID="share"><NumberFormat ss:Format="0.0%"/></Style></Styles>
<Worksheet ss:Name="Stock"><Table>
<Row><Cell><Data ss:Type="String">Pump</Data></Cell><Cell><Data ss:Type="String">Share</Data></Cell>
<Cell><Data ss:Type="String">Bought</Data></Cell><Cell><Data ss:Type="String">Mass</Data></Cell></Row>
<Row><Cell ss:MergeDown="1"><Data ss:Type="String">B20</Data></Cell>
<Cell ss:StyleID="share"><Data ss:Type="Number">0.125</Data></Cell>
<Cell><Data ss:Type="DateTime">2026-03-01T00:00:00.000</Data></Cell><Cell><Data ss:Type="Number">15</Data></Cell></Row>
<Row ss:Hidden="1"><Cell ss:Index="4"><Data ss:Type="Number">16.50</Data></Cell></Row>
</Table></Worksheet></Workbook>
"""


@pytest.mark.parametrize("name", ["stock.xls", "stock.xlsx"])
def test_a_table_that_a_web_program_exports_as_xml_of_excel_has_its_rows(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(BOOK)
    [document] = load(tmp_path / name)
    assert isinstance(document, LoadedDocument)
    names = "| Pump | Share | Bought | Mass |\n| --- | --- | --- | --- |"
    assert document.text == f"Stock\n\n{names}\n| B20 | 12.5% | 2026-03-01 | 15 |\n| B20 |  |  | 16.5 |"
    assert document.places[-1].where == {"sheet": "Stock", "row": 1, "columns": "A:D"}
    assert document.note == "rows or columns that are hidden were read, too: Stock"
