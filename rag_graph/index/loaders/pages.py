"""A page of a PDF: how it looks, and where on it words stand.

A mark in the wrong place is worse than none: the boxes that were found are read again, and must hold the words that
were looked for, all of them and no others.
"""

import base64
import re
import struct
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from ctypes import c_int
from dataclasses import dataclass
from itertools import chain, groupby, pairwise, repeat
from statistics import median
from typing import Any, Final

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.loaders.base import Source
from rag_graph.index.loaders.pdf import mended
from rag_graph.index.loading import hash_of

MAX_WIDTH: Final = 1_400
MAX_HEIGHT: Final = 2_000
"""Of a picture in pixels: two to each point of the common sizes of paper, as sharp screens show them."""
_MAX_CHARS: Final = 100_000
_MAX_BOXES: Final = 400
_MAX_STEPS: Final = 2_000
_LEAST_GATHERED: Final = 20
"""Letters; fewer could be put together from lines that have nothing to do with each other."""
_GRID: Final = 1 << 20
"""The device on which PDFium places boxes, in whole steps."""
_GAP: Final = 2.0
"""Times a line's height: words that stand farther apart are in two columns."""
_SHIFT: Final = 0.7
_NOT_READ: Final = frozenset("|¦•·▪◦●○■□‣*\\\"'“”„‟‘’‚‛´`")
"""What a text has for the lines of a table, the marks of a list and of quotations, whatever is drawn there."""
_LEADERS: Final = re.compile(r"(?:\.\s?){3,}")
"""Dots that lead from a name to its number; a text may be without them."""

Rectangle = tuple[float, float, float, float]
"""Left, bottom, right and top, in the page's points."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """A letter as it is drawn: what it reads as, and where; `loose` is as high as its line."""

    text: str
    tight: Rectangle
    loose: Rectangle
    begins_word: bool

    @property
    def middle(self) -> tuple[float, float]:
        left, bottom, right, top = self.tight
        return (left + right) / 2, (bottom + top) / 2


def look(source: Source, asked: dict[str, Any]) -> dict[str, Any]:
    """A page as a picture, or, of a quote with the text around it, its boxes in shares of the page.

    Raises `DocumentUnreadable`, also where the file is not the one that was indexed.
    """
    content = _unchanged(source, asked["hash"])
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError:
        document = pdfium.PdfDocument(mended(content))
    with closing(document):
        number, count = asked["number"], len(document)
        if number > count:
            raise DocumentUnreadable(f"the document has {count} page{'s' if count > 1 else ''}")
        with closing(document[number - 1]) as page:
            quote = asked["quote"]
            seen = (
                {"image": base64.b64encode(_picture(page)).decode()}
                if quote is None
                else {"boxes": _boxes(page, quote)}
            )
            width, height = page.get_size()
            return {"pages": count, "width": width, "height": height, **seen}


def _unchanged(source: Source, known: str) -> bytes:
    try:
        content = source.content()
    except FileNotFoundError as exc:
        raise DocumentUnreadable("the file is gone", "unreadable") from exc
    if hash_of([content]) != known:
        raise DocumentUnreadable("the file has changed since it was indexed", "unreadable")
    return content


def _picture(page: pdfium.PdfPage) -> bytes:
    width, height = page.get_size()
    scale = min(MAX_WIDTH / max(1.0, width), MAX_HEIGHT / max(1.0, height))
    with closing(page.render(scale=scale, rev_byteorder=True)) as drawn:
        if drawn.n_channels != 3:  # noqa: PLR2004 - red, green, blue
            raise DocumentUnreadable("the page cannot be drawn")
        held = bytes(drawn.buffer)
        # Each row begins with the filter that was used on it, here none.
        rows = b"".join(b"\0" + held[at : at + 3 * drawn.width] for at in range(0, len(held), drawn.stride))
        return _png(drawn.width, drawn.height, rows)


def _png(width: int, height: int, rows: bytes) -> bytes:
    """As https://www.w3.org/TR/png-3/#5DataRep says."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _boxes(page: pdfium.PdfPage, quote: Sequence[str]) -> list[list[float]]:
    """A box for each stretch of a line, none where reading them again gives anything but the quote."""
    before, words, after = map(_reading, quote)
    with closing(page.get_textpage()) as text:
        lines = list(_lines(text))
    ways = (_find(lines, words, before, after), _gather(lines, words)) if words else ()
    for found in filter(None, ways):
        for way in (_line_of, _ink_of, _core_of):
            boxes = [way(piece) for piece in found]
            if len(boxes) <= _MAX_BOXES and _are_right(boxes, found, lines):
                return [_share(page, box) for box in boxes]
    rows = [row for row in _gather_rows(lines, quote[1]) if _are_right([_line_of(row)], [row], lines)]
    # Of two rows that read the same, nobody could say which is meant.
    return [_share(page, _line_of(rows[0]))] if len(rows) == 1 else []


def _reading(text: str) -> str:
    """What of a text is drawn wherever its lines end: no spaces, hyphens, or characters of two units."""
    folded = _LEADERS.sub("", unicodedata.normalize("NFKC", text))
    return "".join(
        letter
        for letter in folded
        if letter <= "\uffff" and letter not in _NOT_READ and unicodedata.category(letter)[0] not in "ZC"
        if unicodedata.category(letter) != "Pd"
    )


def _lines(text: pdfium.PdfTextPage) -> Iterator[list[_Sign]]:
    """The stretches of lines, in the order in which they are drawn: columns and cells apart from each other."""
    line: list[_Sign] = []
    begins_word = True
    drawn = "".join(chr(pdfium_c.FPDFText_GetUnicode(text, at)) for at in range(min(text.count_chars(), _MAX_CHARS)))
    leaders = {at for found in _LEADERS.finditer(drawn) for at in range(*found.span())}
    for at, letter in enumerate(drawn):
        if at in leaders or not (read := _reading(letter)):
            begins_word = begins_word or at in leaders or letter.isspace()
            continue
        sign = _Sign(read, text.get_charbox(at), text.get_charbox(at, loose=True), begins_word)
        begins_word = False
        if line and _is_apart(line[-1].loose, sign.loose):
            yield line
            line = []
        line.append(sign)
    if line:
        yield line


def _is_apart(one: Rectangle, other: Rectangle) -> bool:
    height = max(one[3] - one[1], other[3] - other[1], 1.0)
    shift = abs((one[1] + one[3]) - (other[1] + other[3])) / 2
    return shift > _SHIFT * height or not -height < other[0] - one[2] < _GAP * height


def _find(lines: Sequence[list[_Sign]], words: str, before: str, after: str) -> list[list[_Sign]]:
    """Where the words stand; of several places, the one with the most of the text before and after them around it."""
    signs = [sign for line in lines for sign in line]
    owners = [number for number, line in enumerate(lines) for _ in line]
    drawn = "".join(sign.text for sign in signs)
    # A ligature is one sign and several letters.
    sign_at = [number for number, sign in enumerate(signs) for _ in sign.text]

    def agreement(at: int) -> int:
        end = at + len(words)
        return _common(drawn[:at][::-1], before[::-1]) + _common(drawn[end : end + len(after)], after)

    places = [found.start() for found in re.finditer(f"(?={re.escape(words)})", drawn)]
    if not places:
        return []
    at = max(places, key=agreement)
    numbers = range(sign_at[at], sign_at[at + len(words) - 1] + 1)
    return [[signs[number] for number in piece] for _, piece in groupby(numbers, key=owners.__getitem__)]


def _common(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _gather(lines: Sequence[list[_Sign]], words: str) -> list[list[_Sign]]:
    """The words from lines that are drawn in another order than they are read in, as those of columns may be.

    They begin in a line and go on to its end, then through whole lines, and end in one.
    """
    if len(words) < _LEAST_GATHERED:
        return []
    texts = ["".join(sign.text for sign in line) for line in lines]
    starts = (
        (number, at)
        for number, text in enumerate(texts)
        for at in range(len(text))
        if text[at] == words[0] and words.startswith(text[at:])
    )
    # Each way: its lines, where it begins in the first, and how many letters it has.
    ways: list[tuple[tuple[int, ...], int, int]] = []
    ways += [((number,), at, len(texts[number]) - at) for number, at in starts][::-1]
    for _ in range(_MAX_STEPS):
        if not ways:
            break
        way, at, length = ways.pop()
        if length >= len(words):
            ends = [len(texts[number]) for number in way]
            ends[-1] -= length - len(words)
            return [
                _letters(lines[number], start, end)
                for number, start, end in zip(way, chain([at], repeat(0)), ends)  # noqa: B905
            ]
        rest = words[length:]
        following = [
            number
            for number, text in enumerate(texts)
            if (rest.startswith(text) or text.startswith(rest)) and number not in way
        ]
        # The next one that is drawn is tried first.
        following.sort(key=lambda number: (number < way[-1], number), reverse=True)
        ways += [((*way, number), at, length + len(texts[number])) for number in following]
    return []


def _gather_rows(lines: Sequence[list[_Sign]], quote: str) -> Iterator[list[_Sign]]:
    """Where the words of the quote stand together in any order, as those of a row do whose cells have several lines."""
    asked = Counter(filter(None, map(_reading, quote.split())))
    if not (count := asked.total()) > 1:
        return
    found = [word for line in lines for word in _split(line) if "".join(sign.text for sign in word) in asked]
    found.sort(key=lambda word: -word[0].middle[1])
    texts = ["".join(sign.text for sign in word) for word in found]
    for at in range(len(found) - count + 1):
        if Counter(texts[at : at + count]) == asked:
            yield [sign for word in found[at : at + count] for sign in word]


def _split(line: Sequence[_Sign]) -> list[list[_Sign]]:
    starts = [at for at, sign in enumerate(line) if sign.begins_word or not at]
    return [list(line[start:end]) for start, end in pairwise([*starts, len(line)])]


def _letters(line: list[_Sign], start: int, end: int) -> list[_Sign]:
    """The signs of a line that have these of its letters."""
    sign_at = [sign for sign in line for _ in sign.text]
    return list(dict.fromkeys(sign_at[start:end]))


def _line_of(signs: Sequence[_Sign]) -> Rectangle:
    """As high as their line."""
    return _around([sign.loose for sign in signs])


def _ink_of(signs: Sequence[_Sign]) -> Rectangle:
    return _around([sign.tight for sign in signs])


def _core_of(signs: Sequence[_Sign]) -> Rectangle:
    """As high as most of them, which passes by a tight line below their tails."""
    left, _, right, _ = _ink_of(signs)
    middles = [sign.middle[1] for sign in signs]
    bottom = min(*middles, median(sign.tight[1] for sign in signs))
    return left, bottom, right, max(*middles, median(sign.tight[3] for sign in signs))


def _around(signs: Sequence[Rectangle]) -> Rectangle:
    lefts, bottoms, rights, tops = zip(*signs, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _are_right(boxes: Sequence[Rectangle], found: Sequence[Sequence[_Sign]], lines: Sequence[list[_Sign]]) -> bool:
    """Whether reading the boxes gives these letters and no others: of all of the page, those whose middle is inside."""
    wanted = {sign for piece in found for sign in piece}
    read = {sign for line in lines for sign in line if any(_is_inside(sign.middle, box) for box in boxes)}
    # What is to look bold may be drawn twice.
    return wanted <= read and all(
        any(other.text == sign.text and _is_inside(sign.middle, other.tight) for other in wanted)
        for sign in read - wanted
    )


def _is_inside(point: tuple[float, float], box: Rectangle) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _share(page: pdfium.PdfPage, box: Rectangle) -> list[float]:
    """Left, top, width and height in shares of the picture, whichever way the page is turned and cut."""
    xs, ys = zip(_place(page, box[0], box[1]), _place(page, box[2], box[3]), strict=True)
    return [round(share, 5) for share in (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))]


def _place(page: pdfium.PdfPage, x: float, y: float) -> tuple[float, float]:
    across, down = c_int(), c_int()
    if not pdfium_c.FPDF_PageToDevice(page, 0, 0, _GRID, _GRID, 0, x, y, across, down):
        raise DocumentUnreadable("the page cannot be drawn")
    return across.value / _GRID, down.value / _GRID
