from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loaders import load
from rag_graph.index.loading import LoadedDocument
from tests.index.loaders import workbooks

ROWS: workbooks.Rows = [
    ["Pump", "Share", "Price", "Flow", "Article", "Bought", "Mass"],
    [
        "B20",
        (0.125, "0.0%"),
        (1250, '#,##0.00 "€"'),
        (40, '0" l/min"'),
        (123, "00000"),
        (46082, "yyyy-mm-dd"),
        (15, "General"),
    ],
    ["C30", (0.5, "0.0%"), (99.5, '#,##0.00 "€"'), (7, '0" l/min"'), (7, "00000"), (46083, "yyyy-mm-dd"), (1, "0.00")],
]
WRITERS = [(".xls", workbooks.xls), (".xlsb", workbooks.xlsb)]


def only(path: Path) -> LoadedDocument:
    [document] = load(path)
    assert isinstance(document, LoadedDocument)
    return document


@pytest.mark.parametrize(("suffix", "write"), WRITERS)
def test_cells_of_old_and_of_binary_workbooks_are_read_as_they_are_shown(
    suffix: str, write: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / f"pumps{suffix}"
    write(path, ROWS)
    document = only(path)
    assert "| B20 | 12.5% | 1250.00 € | 40 l/min | 00123 | 2026-03-01 | 15 |" in document.text
    assert "| C30 | 50.0% | 99.50 € | 7 l/min | 00007 | 2026-03-02 | 1 |" in document.text
    assert document.note == ""


@pytest.mark.parametrize(("suffix", "write"), WRITERS)
def test_a_hidden_row_of_a_workbook_in_records_is_told(suffix: str, write: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / f"pumps{suffix}"
    write(path, ROWS, hidden_row=2)
    assert only(path).note == "rows or columns that are hidden were read, too: Pumps"


@pytest.mark.parametrize("suffix", [".xlsx", ".xlsb"])
def test_a_workbook_with_a_password_is_told_as_that(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pumps{suffix}"
    path.write_bytes(workbooks.compound("EncryptedPackage", bytes(4096)))
    with pytest.raises(DocumentUnreadable, match="it is encrypted"):
        list(load(path))


@pytest.mark.parametrize(("suffix", "write"), WRITERS)
def test_a_workbook_that_is_cut_off_anywhere_is_read_or_called_damaged(
    suffix: str, write: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / f"pumps{suffix}"
    write(path, ROWS)
    whole = path.read_bytes()
    with closing(Loader(Limits())) as loader:  # as calamine ends its process over some of them
        for end in range(600, len(whole), 331):
            path.write_bytes(whole[:end])
            with suppress(DocumentUnreadable):
                list(loader.load(path))
                continue
            with pytest.raises(DocumentUnreadable, match="damaged"):
                list(loader.load(path))
