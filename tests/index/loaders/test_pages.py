"""Where a quote stands on a page of a PDF: the boxes hold its words and no others, or there are none."""

import base64
import struct
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loaders import look
from rag_graph.index.loaders.pdf import mended
from rag_graph.index.loading import hash_of
from tests.index.pdfs import pdf, words

WIDTH, HEIGHT = 600, 800


def seen(path: Path, number: int, quote: str | None, *, before: str = "", after: str = "") -> dict[str, Any]:
    known = hash_of([path.read_bytes()])
    return look(path, {"hash": known, "number": number, "quote": None if quote is None else (before, quote, after)})


def marked(path: Path, quote: str, **around: str) -> list[str]:
    """What another reading of the file finds in each box."""
    found = []
    with closing(pdfium.PdfDocument(mended(path.read_bytes()))) as document:
        text = document[0].get_textpage()
        for left, top, width, height in seen(path, 1, quote, **around)["boxes"]:
            bottom = HEIGHT * (1 - top - height)
            right = WIDTH * (left + width)
            found.append(text.get_text_bounded(WIDTH * left, bottom, right, HEIGHT * (1 - top)).strip())
    return found


def test_a_quote_is_marked_line_by_line(tmp_path: Path) -> None:
    lines = ("The basin is small. It was", "built in 1931 and holds", "ninety litres. It leaks.")
    path = pdf(tmp_path / "a.pdf", "".join(words(50, 700 - 14 * n, line) for n, line in enumerate(lines)))
    assert marked(path, "It was built in 1931 and holds\nninety litres.") == [
        "It was",
        "built in 1931 and holds",
        "ninety litres.",
    ]


def test_columns_that_are_drawn_line_by_line_are_marked_as_they_are_read(tmp_path: Path) -> None:
    left = ("The north basin was built in", "1931 and holds ninety million", "litres of water every day.")
    right = ("The south basin was built in", "1958 and holds forty million", "litres of water every week.")
    drawn = "".join(
        words(50, 700 - 14 * n, one) + words(330, 700 - 14 * n, two)
        for n, (one, two) in enumerate(zip(left, right, strict=True))
    )
    assert marked(pdf(tmp_path / "a.pdf", drawn), " ".join(right)) == list(right)


def test_a_row_whose_cells_have_several_lines_is_marked_in_one_piece(tmp_path: Path) -> None:
    cells = [(50, 700, "Pump A10"), (112, 700, "60"), (134, 700, "new"), (50, 688, "with a filter")]
    below = [(50, 660, "Pump B20"), (112, 660, "70"), (134, 660, "old")]
    path = pdf(tmp_path / "a.pdf", "".join(words(*cell) for cell in cells + below))
    [row] = marked(path, "Pump A10 with a filter | 60 | new |")
    assert sorted(row.split()) == sorted(["Pump", "A10", "with", "a", "filter", "60", "new"])


def test_a_line_is_marked_though_another_begins_between_its_tails(tmp_path: Path) -> None:
    below = "BT /F 5 Tf 60 696 Td (2022) Tj ET "
    path = pdf(tmp_path / "a.pdf", words(50, 700, "August 28, noon") + below)
    assert marked(path, "August 28, noon") == ["August 28, noon"]


def test_the_dots_that_lead_to_a_number_are_no_words(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", words(50, 700, "Total liabilities ........ 6,369"))
    assert marked(path, "| Total liabilities | 6,369 |") == ["Total liabilities", "6,369"]


def test_of_the_same_words_those_between_the_same_neighbours_are_marked(tmp_path: Path) -> None:
    lines = ("Pump A10 has a flow of 60 litres.", "Pump B20 has a flow of 60 litres.")
    path = pdf(tmp_path / "a.pdf", "".join(words(50, 700 - 100 * n, line) for n, line in enumerate(lines)))
    boxes = seen(path, 1, "a flow of 60 litres", before="Pump B20 has ", after=".")["boxes"]
    assert [round(top * HEIGHT, -2) for _, top, _, _ in boxes] == [200]


@pytest.mark.parametrize("quote", ["The pump is blue.", "The pump is", "| red | The |", "—", "pump red. is The green"])
def test_what_does_not_stand_there_is_not_marked(tmp_path: Path, quote: str) -> None:
    path = pdf(tmp_path / "a.pdf", words(50, 700, "The fan") + words(50, 600, "is red.") + words(50, 500, "The pump"))
    assert marked(path, quote) == []


def test_words_under_other_words_are_not_marked(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", words(50, 700, "The pump is red.") + words(51, 701, "Nobody has seen it."))
    assert marked(path, "The pump is red.") == []


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_boxes_are_where_the_picture_shows_the_words(tmp_path: Path, turned: int) -> None:
    path = pdf(tmp_path / "a.pdf", words(50, 700, "The pump is red."))
    with closing(pdfium.PdfDocument(mended(path.read_bytes()))) as document:
        document[0].set_rotation(turned)
        document.save(tmp_path / "turned.pdf")
    found = seen(tmp_path / "turned.pdf", 1, "The pump is red.")
    [(left, top, width, height)] = found["boxes"]
    picture = base64.b64decode(seen(tmp_path / "turned.pdf", 1, None)["image"])
    columns, rows, dark = darkness(picture)
    assert all(left <= x / columns <= left + width and top <= y / rows <= top + height for x, y in dark)
    assert dark


def darkness(picture: bytes) -> tuple[int, int, list[tuple[int, int]]]:
    """The size of a picture and its dark points."""
    width, height = struct.unpack(">II", picture[16:24])
    size = int.from_bytes(picture[33:37])
    rows = zlib.decompress(picture[41 : 41 + size])
    stride = 1 + 3 * width
    dark = [(x, y) for y in range(height) for x in range(0, width, 3) if rows[y * stride + 1 + 3 * x] < 64]
    return width, height, dark


def test_a_picture_is_bounded_whatever_the_size_of_its_page(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", words(50, 700, "x"))
    for box in ("[0 0 14400 14400]", "[0 0 1 14400]", "[0 0 14400 1]"):
        path.write_text(path.read_text().replace("[0 0 600 800]", box))
        width, height, _ = darkness(base64.b64decode(seen(path, 1, None)["image"]))
        assert width <= 1_400
        assert height <= 2_000
        path.write_text(path.read_text().replace(box, "[0 0 600 800]"))


def test_a_hostile_page_costs_itself_only(tmp_path: Path) -> None:
    bad = pdf(tmp_path / "bad.pdf", "0 0 m 600 800 l 0 700 l S\n" * 1_000_000)
    good = pdf(tmp_path / "good.pdf", words(50, 700, "The pump is red."))
    with closing(Loader(Limits(seconds=1, memory_mb=4_000))) as loader:
        with pytest.raises(DocumentUnreadable) as told:
            loader.look(bad, known=hash_of([bad.read_bytes()]), number=1)
        assert told.value.kind == "time limit"
        assert loader.look(good, known=hash_of([good.read_bytes()]), number=1)["image"]
