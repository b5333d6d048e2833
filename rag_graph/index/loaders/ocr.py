"""Pictures and scanned pages, where the extra `ocr` is installed."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import liteparse

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import Source, Writer
from rag_graph.index.loading import Loaded

HINT: Final = "it is scanned: install rag-graph[ocr] to read it"
_DPI: Final = 200
_LEAST_CONFIDENCE: Final = 0.5
_SAME_LINE: Final = 0.6
"""Of a line's height: boxes whose middles are closer stand in one line."""


@cache
def is_installed() -> bool:
    return find_spec("rapidocr") is not None


def load(source: Source) -> Loaded:
    """A picture."""
    if not is_installed():
        raise DocumentUnreadable("it is a picture: install rag-graph[ocr] to read it", "no text")
    writer = Writer()
    writer.block(_read(source.content()))
    yield source.written(writer, note="its text was recognised in a picture")


def read_page(pdf: Path, number: int) -> str:
    """What can be recognised on a page of a PDF; "" without the extra."""
    if not is_installed():
        return ""
    shots = liteparse.LiteParse(ocr_enabled=False, quiet=True, dpi=_DPI).screenshot(pdf, page_numbers=[number])
    return "\n\n".join(_read(shot.image_bytes) for shot in shots)


def _read(picture: bytes) -> str:
    try:
        found = _engine()(picture)
    except OSError as exc:  # Pillow's word for a picture that is cut off, or none
        raise DocumentUnreadable("it is damaged, or not what its suffix says") from exc
    lines: list[tuple[float, float, list[tuple[float, str]]]] = []
    named = () if found.boxes is None else zip(found.boxes.tolist(), found.txts, found.scores, strict=True)
    for box, text, confidence in named:
        if float(confidence) < _LEAST_CONFIDENCE:
            continue
        top, bottom = min(y for _, y in box), max(y for _, y in box)
        middle, height, left = (top + bottom) / 2, bottom - top, min(x for x, _ in box)
        line = next((line for line in lines if abs(line[0] - middle) < _SAME_LINE * max(line[1], height)), None)
        if line is None:
            lines.append((middle, height, [(left, text)]))
        else:
            line[2].append((left, text))
    return "\n".join(
        " ".join(text for _, text in sorted(words)) for _, _, words in sorted(lines, key=lambda line: line[0])
    )


@cache
def _engine() -> Any:
    return import_module("rapidocr").RapidOCR()
