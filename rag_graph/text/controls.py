"""Characters that do something instead of standing for something: kept from terminals, logs and pages.

Names, titles, answers and errors come from outside. Whoever shows one passes it through `inert` or `inert_line`.
"""

from typing import Final

BIDI: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Embeddings, overrides and isolates: by them `gpj.exe` reads `exe.jpg`. Marks such as U+200F reorder no letters."""
_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0))
_SURROGATES: Final = range(0xD800, 0xE000)
"""Alone they cannot be written at all: as UTF-8 they are an error."""

_SHOWN: Final[dict[int, str | None]] = {
    **dict.fromkeys(_CONTROLS, "\ufffd"),
    **dict.fromkeys(_SURROGATES, "?"),
    **dict.fromkeys(BIDI, None),
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): None,
}
_SHOWN_IN_A_LINE: Final[dict[int, str | None]] = {**_SHOWN, **dict.fromkeys(map(ord, "\n\t\r\u2028\u2029\x85"), " ")}
_UNBIASED: Final = dict.fromkeys(BIDI)
_AS_JSON: Final = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *_SURROGATES, *BIDI)}


def inert(text: str) -> str:
    """The same to read, over several lines, but nothing in it steers a terminal or reorders what is read."""
    return text.translate(_SHOWN)


def inert_line(text: str) -> str:
    """The same, in one line: for names, titles and errors, which must not look like a line of ours."""
    return text.translate(_SHOWN_IN_A_LINE)


def in_reading_order(text: str) -> str:
    """The same characters in the order in which they are read: without what reorders them."""
    return text if text.isascii() else text.translate(_UNBIASED)


def inert_json(json: str) -> str:
    """The same data, with such characters written as JSON's escapes."""
    return json.translate(_AS_JSON)
