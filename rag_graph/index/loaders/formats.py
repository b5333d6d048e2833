"""How a workbook of Excel shows its cells, where that says more than their values: units, currencies, formulas."""

import io
import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from rag_graph.index.loaders.base import attribute, child, local_name, whole_number
from rag_graph.index.loaders.package import Package

_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]|\[(?P<condition>[^\]]*)\]'
    r"|(?P<space>_.|\*.)|(?P<number>[#0?][#0?,.]*)|(?P<general>General)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
BUILT_IN_FORMATS: Final = {9: "0%", 10: "0.00%"}
"""Those for currencies mean the one of whoever looks on."""
_DIGITS: Final = re.compile(r"[0#?]+")
_LITERAL: Final = frozenset("$€£¥%+- ()°'")
_SHOWN_SHARE: Final = 2
"""Decimals of a per cent that are kept where the sheet shows fewer."""
_MOST_ROWS: Final = 1_048_576
"""Of a sheet of Excel; up to the row of a formula without a value, blank ones are made."""
_NOT_PLAIN: Final = re.compile(rb"""<f|:f>|\bt=["']e["']""")
_HIDDEN: Final = re.compile(rb"""<(?:\w+:)?(?:row|col)\s[^>]*\bhidden=["'](?:1|true)["']""")
_CELL: Final = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})")


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """What stands around a number, and how many digits it has at least; `groups` are those that signs part."""

    before: str = ""
    after: str = ""
    digits: int = 1
    decimals: int = 0
    groups: tuple[str, ...] = ()
    """Digits, what parts them, digits, and so on."""

    def show(self, value: float) -> str:
        if self.groups:
            return f"{'-' if value < 0 else ''}{self.before}{self._parted(round(abs(value)))}{self.after}"
        is_share = "%" in self.before + self.after
        text = plain_number(round(100 * abs(value), max(self.decimals, _SHOWN_SHARE)) if is_share else abs(value))
        if "e" not in text:
            whole, _, rest = text.partition(".")
            rest = rest.ljust(self.decimals, "0")
            text = whole.zfill(self.digits) + (f".{rest}" if rest else "")
        return f"{'-' if value < 0 else ''}{self.before}{text}{self.after}"

    def _parted(self, value: int) -> str:
        """From its last digit on; the first group has all that are left."""
        left, parts = str(value), list[str]()
        for at in range(len(self.groups) - 1, -1, -1):
            group = self.groups[at]
            if at % 2:
                parts.append(group)
                continue
            width = len(group) if at else len(left)
            parts.append(left[max(0, len(left) - width) :].zfill(group.count("0")))
            left = left[: max(0, len(left) - width)]
        return "".join(reversed(parts))


def plain_number(value: float) -> str:
    """As many digits as a sheet keeps: 0.1 + 0.2 is 0.3 there."""
    return f"{value:.15g}" if abs(value) < 1e15 or not value.is_integer() else str(int(value))  # noqa: PLR2004


def read_format(code: str) -> NumberFormat | None:
    """None where nothing but the number is shown, or what we do not know to show, such as fractions and thousands."""
    before, after, number = "", "", ""
    groups: tuple[str, ...] = ()
    for token in _TOKEN.finditer(code):
        if token["other"] == ";":  # what follows is for negative numbers and zero
            break
        if (token["other"] or "$") not in _LITERAL:
            return None
        literal = token["quoted"] or token["escaped"] or token["currency"] or token["other"] or ""
        if token["number"] or token["general"]:
            if number and not (_DIGITS.fullmatch(number) and _DIGITS.fullmatch(token[0])):
                return None
            groups = (*groups, after, token[0]) if number else (token[0],)
            number, after = token[0], ""
        elif token["condition"] in {"h", "m", "s", "hh", "mm", "ss"}:
            return None
        elif number:
            after += literal
        else:
            before += literal
    if not number or number.endswith(","):
        return None
    if len(groups) > 1:
        return NumberFormat(before.lstrip(" "), after.rstrip(" "), groups=groups)
    whole, _, decimals = number.partition(".")
    is_padded = set(whole) == {"0"}
    found = NumberFormat(
        before.lstrip(" "),
        after.rstrip(" "),
        len(whole) if is_padded else 1,
        0 if number == "General" else decimals.count("0"),
    )
    return None if found == NumberFormat(decimals=found.decimals) else found


@dataclass(frozen=True, slots=True)
class Workbook:
    """The parts of a workbook that say how its cells are shown."""

    package: Package
    main: str
    formats: tuple[NumberFormat | None, ...]

    def sheets(self) -> dict[str, str]:
        """By name of a sheet the name of its part."""
        relations = self.package.relations(self.main)
        root = self.package.part(self.main)
        found = {}
        for sheet in root.iter("{*}sheet") if root is not None else ():
            key = next((str(value) for name, value in sheet.attrib.items() if str(name).endswith("}id")), "")
            found[attribute(sheet, "name")] = relations.get(key, ("", ""))[1]
        return found

    def comments(self, part: str) -> int:
        """How many remarks people have left on the cells of a sheet."""
        names = self.package.related(part, "comments")
        return sum(
            1 for name in names if (root := self.package.part(name)) is not None for _ in root.iter("{*}comment")
        )

    def hides(self, part: str) -> bool:
        """Whether any of its rows or columns is hidden, as also those are that a filter passes over."""
        return bool(_HIDDEN.search(self.package.content(part) or b""))

    def shown(self, part: str) -> dict[tuple[int, int], NumberFormat | str]:
        """By row and column, from 0: how a cell shows its number, its error, or the formula of one without a value."""
        content = self.package.content(part)
        if content is None or not (any(self.formats) or _NOT_PLAIN.search(content)):
            return {}
        found: dict[tuple[int, int], NumberFormat | str] = {}
        row = column = -1
        for event, element in etree.iterparse(
            io.BytesIO(content),
            events=("start", "end"),
            tag=("{*}row", "{*}c"),
            resolve_entities=False,
            no_network=True,
        ):
            is_row = local_name(element) == "row"
            if event == "start":
                if is_row:
                    said = element.get("r", "")
                    row, column = whole_number(said, row + 2) - 1, -1
                continue
            if is_row:
                element.clear()
                continue
            column = _column(element.get("r", ""), column + 1)
            style = whole_number(element.get("s", "0"))
            known = self.formats[style] if style < len(self.formats) else None
            formula, value = child(element, "f"), child(element, "v")
            if row >= _MOST_ROWS:
                continue
            if formula is not None and formula.text and (value is None or not value.text):
                found[row, column] = f"={formula.text}"
            elif element.get("t") == "e" and value is not None:
                found[row, column] = value.text or ""
            elif known is not None and element.get("t", "n") == "n":
                found[row, column] = known
        return found


def _column(said: str, otherwise: int) -> int:
    found = _CELL.fullmatch(said)
    if found is None:
        return otherwise
    number = 0
    for letter in found[1]:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def column_name(number: int) -> str:
    """As sheets call a column, counted from 0: A, B … Z, AA."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def read_workbook(package: Package) -> Workbook:
    main = next(package.related("", "officeDocument"), "")
    codes = dict(BUILT_IN_FORMATS)
    styles: list[int] = []
    for name in package.related(main, "styles"):
        root = package.part(name)
        if root is None:
            continue
        for held in root.iter("{*}numFmts"):
            codes |= {whole_number(attribute(one, "numFmtId")): attribute(one, "formatCode") for one in held}
        for held in root.iter("{*}cellXfs"):
            styles = [whole_number(attribute(one, "numFmtId")) for one in held]
    formats = {number: read_format(codes[number]) if number in codes else None for number in set(styles)}
    return Workbook(package, main, tuple(formats[number] for number in styles))
