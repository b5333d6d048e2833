"""The numbers of Word's lists, headings and clauses, which a document does not hold but counts."""

from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from rag_graph.index.loaders.base import attribute, child, local_name, whole_number

_ROMAN: Final = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_MOST_ROMAN: Final = 4_000
_LEVELS: Final = 9


@dataclass(frozen=True, slots=True)
class _Level:
    """How a level of a list counts: from which number, in which letters, and what stands around them."""

    start: int
    letters: str
    text: str
    style: str


@dataclass(slots=True)
class Numbering:
    """What a document says of its lists, and how far each has been counted."""

    _lists: dict[str, dict[int, _Level]] = field(default_factory=dict)
    _list_of: dict[str, str] = field(default_factory=dict)
    _restarts: dict[tuple[str, int], int] = field(default_factory=dict)
    _counted: dict[str, dict[int, int]] = field(default_factory=dict)

    def read(self, root: etree._Element) -> None:
        """Take in the part of a document that describes its lists."""
        linked: dict[str, str] = {}
        named: dict[str, str] = {}
        for item in root:
            if local_name(item) == "abstractNum":
                own = attribute(item, "abstractNumId")
                self._lists[own] = {whole_number(attribute(one, "ilvl")): _level(one) for one in _all(item, "lvl")}
                for link, found in (("numStyleLink", linked), ("styleLink", named)):
                    if (said := child(item, link)) is not None:
                        found[own] = attribute(said, "val")
            elif local_name(item) == "num":
                own = attribute(item, "numId")
                self._list_of[own] = _value(item, "abstractNumId")
                for override in _all(item, "lvlOverride"):
                    if (start := child(override, "startOverride")) is not None:
                        self._restarts[own, whole_number(attribute(override, "ilvl"))] = whole_number(
                            attribute(start, "val")
                        )
        for own, style in linked.items():
            self._lists[own] = next((self._lists[it] for it, name in named.items() if name == style), {})

    def next(self, number_id: str, level: int | None, style: str) -> str | None:
        """Count on in a list; return what stands before the paragraph, "-" for a mark, None if it is in none."""
        name = self._list_of.get(number_id)
        if name is None:
            return None
        levels = self._lists.get(name, {})
        if level is None:
            level = next((at for at, known in levels.items() if style and known.style == style), 0)
        known = levels.get(level)
        if known is None or known.letters == "bullet":
            return "-"
        counted = self._counted.setdefault(name, {})
        restart = self._restarts.pop((number_id, level), None)
        counted[level] = counted.get(level, known.start - 1) + 1 if restart is None else restart
        for deeper in range(level + 1, _LEVELS):
            counted.pop(deeper, None)
        text = known.text
        for at in range(level + 1):
            of = levels.get(at, known)
            text = text.replace(f"%{at + 1}", in_letters(counted.get(at, of.start), of.letters))
        return text.strip()


def _level(item: etree._Element) -> _Level:
    text = _value(item, "lvlText")
    return _Level(whole_number(_value(item, "start") or "1"), _value(item, "numFmt"), text, _value(item, "pStyle"))


def in_letters(number: int, letters: str) -> str:
    match letters:
        case "none":
            return ""
        case "decimalZero":
            return f"{number:02}"
        case "lowerLetter" | "upperLetter" if number > 0:
            written = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, _LEVELS)
        case "lowerRoman" | "upperRoman" if 0 < number < _MOST_ROMAN:
            written = ""
            for value, sign in _ROMAN:
                times, number = divmod(number, value)
                written += sign * times
        case _:
            return str(number)
    return written.upper() if letters.startswith("upper") else written


def _all(item: etree._Element, name: str) -> list[etree._Element]:
    return [one for one in item if local_name(one) == name]


def _value(item: etree._Element, name: str) -> str:
    found = child(item, name)
    return attribute(found, "val") if found is not None else ""
