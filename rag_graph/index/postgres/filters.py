"""What a person's filters mean, as SQL over the tables in PostgreSQL."""

import re
from collections.abc import Mapping
from typing import Any

from rag_graph.query import Filter, Filters, Scalar

_COLUMNS = {"uri": "d.uri", "title": "d.title", "document": "d.id"}
_META = "coalesce(p.metadata -> %s, d.metadata -> %s)"
_GLOB = re.compile(r"\*|\?|\[([!^]?)(\]?[^\]]*)\]|(.)", re.DOTALL)


def conditions(filters: Filters) -> tuple[bytes, list[Any]]:
    """A WHERE clause over documents `d` and passages `p`, and its parameters. All filters must hold."""
    clauses, parameters = ["true"], list[Any]()
    for name, wanted in filters.items():
        clause, more = _condition(name, wanted)
        clauses.append(clause)
        parameters += more
    return " AND ".join(clauses).encode(), parameters


def _condition(name: str, wanted: Filter) -> tuple[str, list[Any]]:
    match wanted:
        case list():
            parts = [_one(name, item) for item in wanted]
            return f"({' OR '.join(clause for clause, _ in parts) or 'false'})", [p for _, more in parts for p in more]
        case Mapping():
            return _range(name, wanted)
        case _:
            return _one(name, wanted)


def _one(name: str, wanted: Scalar) -> tuple[str, list[Any]]:
    column, values = _column(name, wanted)
    if isinstance(wanted, str) and ("*" in wanted or "?" in wanted):
        return f"{column} ~ %s", [*values, _pattern(wanted)]
    return f"{column} = %s", [*values, _bound(wanted)]


def _range(name: str, wanted: Mapping[Any, str | int | float]) -> tuple[str, list[Any]]:
    """Both ends count as inside; a text is never between numbers, nor a number between texts."""
    clauses, parameters = [], list[Any]()
    for end, sign in (("from", ">="), ("to", "<=")):
        if end in wanted:
            column, values = _column(name, wanted[end])
            clauses.append(f"{column} {sign} %s")
            parameters += [*values, _bound(wanted[end])]
    return f"({' AND '.join(clauses) or 'false'})", parameters


def _column(name: str, wanted: Scalar) -> tuple[str, list[Any]]:
    """The value to compare with: a text for a text, a number for a number or a truth value; else null."""
    if name in _COLUMNS:
        return (f'{_COLUMNS[name]} COLLATE "C"', []) if isinstance(wanted, str) else ("null::numeric", [])
    pairs = [name, name]
    if isinstance(wanted, str):
        return f"(CASE WHEN jsonb_typeof({_META}) = 'string' THEN {_META} #>> '{{}}' END) COLLATE \"C\"", pairs * 2
    number = f"WHEN 'number' THEN ({_META})::numeric WHEN 'boolean' THEN ({_META})::boolean::int::numeric"
    return f"(CASE jsonb_typeof({_META}) {number} END)", pairs * 3


def _bound(wanted: Scalar) -> str | int | float:
    return int(wanted) if isinstance(wanted, bool) else wanted


def _pattern(glob: str) -> str:
    """A shell pattern as a regular expression of PostgreSQL's."""
    return f"^(?:{_GLOB.sub(_translated, glob)})$"


def _translated(found: re.Match[str]) -> str:
    match found[0]:
        case "*":
            return ".*"
        case "?":
            return "."
    if found[2] is None:
        return re.escape(found[0])
    inside = re.sub(r"([\[\]\\^])", r"\\\1", found[2])
    return f"[{'^' if found[1] else ''}{inside}]"
