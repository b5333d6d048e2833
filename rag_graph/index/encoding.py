"""Bytes to text: as UTF-8 where they are mostly that, else in the older encoding that they most likely have."""

import codecs
import re
from contextlib import suppress
from typing import Final

import chardet

from rag_graph.errors import DocumentUnreadable

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PROBE_BYTES: Final = 8192
_LAST_ASCII: Final = 0x7F
_FIRST_IN_TEXT: Final = 8
_STRANGE: Final = frozenset({*range(14, 27), *range(28, 32), 127})
"""What stands in no text but colours of a terminal and marks of a page, besides the bytes before those."""
_MOST_STRANGE: Final = 0.01
_LEAST_SPOILT: Final = 8
_MORE_THAN_CUT: Final = 2
_REPLACED: Final = "\ufffd".encode()
_EAST_ASIAN: Final = re.compile("[ -~\\s\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]+")
_EAST_ASIAN_STOPS: Final = frozenset("、。，．！？：；")
_SUPERSETS: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
}
"""What browsers take these for: texts that are said to be in them do not keep to them."""


def decode(content: bytes, *, declared: str = "") -> tuple[str, str]:
    """A text, and what people should know of how it was read: "" if nothing. Raises `DocumentUnreadable`.

    `declared` is the encoding that the file names itself. A place that is no text becomes U+FFFD.
    """
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    if marked:
        return content.decode(marked, "replace"), ""
    probe = content[:_PROBE_BYTES]
    if b"\x1b$" in probe or (b"\0" in probe and not _is_spoilt(probe)):
        return _decode_by_guess(content, only=("utf", "iso2022", "iso-2022"))
    text = content.decode("utf-8", "replace").replace("\0", "\ufffd")
    bad = text.count("\ufffd") - content.count(_REPLACED)
    if not bad:
        return text, ""
    # Texts in older encodings hardly ever have bytes that happen to be UTF-8. One stray byte in a text that has no
    # other letter beyond ASCII is no UTF-8 either: there it is most likely an apostrophe of Windows.
    if 2 * bad <= len(text) - len(text.encode("ascii", "ignore")) or _is_utf8(content):
        by_line = _decode_lines(content, wholly=True)
        if by_line is not None:
            return by_line
        return text, f"{bad} place{'s' if bad > 1 else ''} in it that {'are' if bad > 1 else 'is'} not UTF-8 became �"
    if declared and (codec := _codec(declared)):
        return content.decode(codec, "replace"), ""
    return _decode_lines(content) or _decode_by_guess(content)


def has_wide_letters(head: bytes) -> bool:
    """Whether a text that begins so has two or four bytes for each letter, so that no byte ends a line."""
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head


def _is_spoilt(probe: bytes) -> bool:
    """Whether bytes that no text has are so rare in it that they are damage; letters of two bytes have many."""
    strange = sum(byte < _FIRST_IN_TEXT or byte in _STRANGE for byte in probe)
    return strange <= max(1, _MOST_STRANGE * len(probe)) and len(probe) >= _LEAST_SPOILT


def _decode_lines(content: bytes, *, wholly: bool = False) -> tuple[str, str] | None:
    """Logs and lists that were put together of files in two encodings change it at a line's end.

    `wholly` where most of a text is UTF-8: a line that is that but for a place is a damaged one, in no other encoding.
    """
    lines = content.splitlines(keepends=True)
    older = [line for line in lines if not _is_utf8(line)]
    if not any(_is_utf8(line) and not line.isascii() for line in lines):
        return None
    if wholly:
        strange = [sum(byte > _LAST_ASCII for byte in line) for line in older]
        # A single byte may be what is left of a letter where a line was cut off.
        if max(strange, default=0) < _MORE_THAN_CUT or not all(
            line.decode(errors="ignore").isascii() for line in older
        ):
            return None
    found = _guess(b"".join(older))
    if found is None or not found.startswith(_ONE_BYTE):  # two bytes of Chinese may look like UTF-8
        return None
    text = "".join(line.decode() if _is_utf8(line) else line.decode(found, "replace") for line in lines)
    return text, f"{len(older)} of its {len(lines)} lines are not UTF-8; their encoding was taken for {found}"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_by_guess(content: bytes, *, only: tuple[str, ...] = ("",)) -> tuple[str, str]:
    found = _guess(content) or _short_utf16(content)
    if found == "ascii" or (found == "utf-8" and b"\0" not in content[:_PROBE_BYTES]):
        return content.decode("utf-8", "replace"), ""
    if found is None or not found.startswith(only):
        raise DocumentUnreadable("it is binary, not text")
    if found in {"utf-16-le", "utf-16-be"}:
        found = max((found, "utf-16-le", "utf-16-be"), key=lambda order: _likeness(content[:_PROBE_BYTES], order))
    return content.decode(found, "replace"), f"it is not UTF-8; its encoding was taken for {found}"


def _short_utf16(content: bytes) -> str | None:
    """In which order of bytes a short text has letters of East Asia and ASCII alone; chardet asks for more of it."""
    for order in ("utf-16-le", "utf-16-be"):
        with suppress(UnicodeDecodeError):
            text = content.decode(order)
            if _EAST_ASIAN.fullmatch(text) and any(letter in _EAST_ASIAN_STOPS for letter in text):
                return order
    return None


def _likeness(content: bytes, order: str) -> int:
    """How much it looks like text: in the wrong order of bytes, digits and spaces are rare characters of Chinese."""
    text = content.decode(order, "replace")
    return sum(
        (letter.isascii() and letter.isprintable()) or letter.isspace() or letter in "、。，：（）" for letter in text
    )


def _guess(content: bytes) -> str | None:
    """The encoding that is most likely; Windows's where little speaks for another."""
    guessed = chardet.detect(content, prefer_superset=False, compat_names=False)
    found = guessed["encoding"]
    if found is None or found.startswith(("ascii", "utf")):
        return found
    found = _SUPERSETS.get(found, found)
    beyond = [byte for byte in content if byte > _LAST_ASCII]
    is_sure = found.startswith(_COMMON) and guessed["confidence"] >= _LEAST_SURE
    is_rare = (
        found.startswith("mac")
        and len(beyond) >= _ENOUGH
        and 2 * sum(byte < _FIRST_LETTER for byte in beyond) > len(beyond)
    )
    if not is_sure and not is_rare and len(beyond) < _MOSTLY_ASCII * len(content) and not _UNUSED.intersection(beyond):
        return "cp1252"
    return found


def _codec(name: str) -> str:
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        return ""
    # Those that are no encodings of text, such as base64, cannot decode to it.
    return _SUPERSETS.get(codec, codec) if codec.startswith(_TEXT_CODECS) else ""


_COMMON: Final = (
    "utf",
    "cp125",
    "cp874",
    "cp866",
    "cp93",
    "cp949",
    "iso",
    "koi8",
    "gb",
    "big5",
    "euc",
    "tis",
    "hz",
    "johab",
)
"""Others are guessed for a few letters or signs that are Windows's; those of Macintosh only from many."""
_ENOUGH: Final = 40
_LEAST_SURE: Final = 0.03
"""Of one letter beyond ASCII, chardet makes one of the Baltic, with a confidence of 0.02."""
_ONE_BYTE: Final = ("cp125", "cp866", "cp874", "iso8859", "koi8", "mac")
_FIRST_LETTER: Final = 0xC0
"""Of Windows and of ISO 8859; nearly all letters of Macintosh stand before it."""
_MOSTLY_ASCII: Final = 0.5
_UNUSED: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")
"""What no text in the encoding of Windows has."""
_TEXT_CODECS: Final = ("ascii", "big5", "cp", "euc", "gb", "hz", "iso", "johab", "koi8", "mac", "shift", "tis", "utf")
"""How Python's names of them begin."""
