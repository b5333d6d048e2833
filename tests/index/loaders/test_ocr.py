"""Text in pictures and scans, where the extra `ocr` is installed: pictures are drawn from known words."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loading import LoadedDocument

pytest.importorskip("rapidocr")

from PIL import Image, ImageDraw, ImageFont

LINES = ("The lighthouse of Ras Nungwi", "was first lit in 1886 and is", "built of coral stone: 324 m.")


def drawn() -> Any:
    """A picture of the lines, as a scanner makes one of a page."""
    picture = Image.new("RGB", (1_200, 1_600), "white")
    for number, line in enumerate(LINES):
        ImageDraw.Draw(picture).text((80, 120 + 90 * number), line, fill="black", font=ImageFont.load_default(size=40))
    return picture


def only(path: Path) -> LoadedDocument:
    with closing(Loader(Limits(seconds=600, memory_mb=4096))) as loader:
        (document,) = loader.load(path)
    assert isinstance(document, LoadedDocument)
    return document


def test_a_picture_of_words_is_read_line_by_line_and_that_is_said(tmp_path: Path) -> None:
    drawn().save(tmp_path / "page.png")
    document = only(tmp_path / "page.png")
    assert document.text.splitlines() == list(LINES)
    assert "recognised" in document.note


def test_a_scanned_pdf_is_read_and_its_page_told(tmp_path: Path) -> None:
    drawn().save(tmp_path / "scan.pdf", resolution=150)
    document = only(tmp_path / "scan.pdf")
    assert document.text.splitlines() == list(LINES)
    assert [dict(place.where) for place in document.places] == [{"page": 1}]
    assert "1 of 1 pages are pictures" in document.note


def test_a_picture_that_is_cut_off_is_damaged(tmp_path: Path) -> None:
    drawn().save(tmp_path / "page.png")
    (tmp_path / "page.png").write_bytes((tmp_path / "page.png").read_bytes()[:200])
    with pytest.raises(DocumentUnreadable, match="damaged"):
        only(tmp_path / "page.png")
