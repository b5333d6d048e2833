"""A comparison of a filter in PostgreSQL's words."""

import re
from collections.abc import Iterator
from typing import Any

from rag_graph.index.filters import COLUMNS, Comparison
from rag_graph.query import Scalar

_META = "coalesce(p.metadata -> %s, d.metadata -> %s)"
_NEVER = "(?=a)b"
_GLOB = re.compile(r"\*|\?|\[([!^]?)(\]?[^\]]*)\]|(.)", re.DOTALL)


def printed(test: Comparison) -> tuple[str, list[Any]]:
    column, values = _column(test.name, test.value)
    if test.sign == "~":
        # A shell pattern as a regular expression of PostgreSQL's.
        return f"{column} ~ %s", [*values, f"^(?:{_GLOB.sub(_translated, str(test.value))})$"]
    # As SQLite's JSON has it, where true is 1: both stores allow the same passages.
    value = int(test.value) if isinstance(test.value, bool) else test.value
    return f"{column} {test.sign} %s", [*values, value]


def _column(name: str, wanted: Scalar) -> tuple[str, list[Any]]:
    """The value to compare with: a text for a text, a number for a number or a truth value; else null."""
    if name in COLUMNS:
        # By code points, as SQLite compares: the database's own collation would give other ranges.
        return (f'{COLUMNS[name]} COLLATE "C"', []) if isinstance(wanted, str) else ("null::numeric", [])
    pairs = [name, name]
    if isinstance(wanted, str):
        return f"(CASE WHEN jsonb_typeof({_META}) = 'string' THEN {_META} #>> '{{}}' END) COLLATE \"C\"", pairs * 2
    number = f"WHEN 'number' THEN ({_META})::numeric WHEN 'boolean' THEN ({_META})::boolean::int::numeric"
    return f"(CASE jsonb_typeof({_META}) {number} END)", pairs * 3


def _translated(found: re.Match[str]) -> str:
    match found[0]:
        case "*":
            return ".*"
        case "?":
            return "."
    if found[2] is None:
        return re.escape(found[0])
    members = "".join(_members(found[2]))
    if not members:
        return "." if found[1] else _NEVER
    return f"[{'^' if found[1] else ''}{members}]"


def _members(inside: str) -> Iterator[str]:
    """What a shell pattern has between brackets; a range from z to a has no member, where PostgreSQL sees a fault."""
    place = 0
    while place < len(inside):
        low, high = inside[place], inside[place + 2 : place + 3] if inside[place + 1 : place + 2] == "-" else ""
        if not high:
            yield _literal(low)
            place += 1
            continue
        if low <= high:
            yield f"{_literal(low)}-{_literal(high)}"
        place += 3


def _literal(char: str) -> str:
    return f"\\{char}" if char in "[]\\^-" else char
