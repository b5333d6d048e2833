"""What a person's filters mean, as SQL over the library's tables."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from rag_graph.documents import Passage
from rag_graph.query import Filter, Filters, Scalar

_COLUMNS = {"uri": "d.uri", "title": "d.title", "document": "d.id"}


def conditions(filters: Filters) -> tuple[str, list[Any]]:
    """A WHERE clause over documents `d` and passages `p`, and its parameters. All filters must hold."""
    clauses, parameters = [], []
    for name, wanted in filters.items():
        column, values = _column(name)
        clause, more = _condition(column, values, wanted)
        clauses.append(clause)
        parameters += more
    return " AND ".join(clauses) or "1", parameters


def _column(name: str) -> tuple[str, list[Any]]:
    if name in _COLUMNS:
        return _COLUMNS[name], []
    one = "(SELECT value FROM json_each({table}.metadata) WHERE key = ?)"
    return f"coalesce({one.format(table='p')}, {one.format(table='d')})", [name, name]


def _condition(column: str, values: list[Any], wanted: Filter) -> tuple[str, list[Any]]:
    match wanted:
        case list():
            parts = [_one(column, values, item) for item in wanted]
            return f"({' OR '.join(clause for clause, _ in parts) or '0'})", [p for _, more in parts for p in more]
        case Mapping():
            return _range(column, values, wanted)
        case _:
            return _one(column, values, wanted)


def _one(column: str, values: list[Any], wanted: Scalar) -> tuple[str, list[Any]]:
    if isinstance(wanted, str) and ("*" in wanted or "?" in wanted):
        return f"{column} GLOB ?", [*values, wanted]
    return f"{column} = ?", [*values, wanted]


def _range(column: str, values: list[Any], wanted: Mapping[Any, str | int | float]) -> tuple[str, list[Any]]:
    """Both ends count as inside; a text is never between numbers, nor a number between texts."""
    clauses, parameters = [], []
    for end, sign in (("from", ">="), ("to", "<=")):
        if end in wanted:
            kind = "=" if isinstance(wanted[end], str) else "<>"
            clauses.append(f"(typeof({column}) {kind} 'text' AND {column} {sign} ?)")
            parameters += [*values, *values, wanted[end]]
    return f"({' AND '.join(clauses) or '0'})", parameters


def allows(filters: Filters, passage: Passage) -> bool:
    """The same for a passage that no database holds."""
    own = {"uri": passage.uri, "title": passage.title, "document": passage.document_id}
    return all(_allows(wanted, own.get(name, passage.metadata.get(name))) for name, wanted in filters.items())


def _allows(wanted: Filter, value: Scalar | None) -> bool:
    if value is None:
        return False
    match wanted:
        case list():
            return any(_allows(item, value) for item in wanted)
        case Mapping():
            return bool(wanted) and all(
                isinstance(end, str) == isinstance(value, str) and (end <= value if name == "from" else value <= end)  # type: ignore[operator]  # both are texts, or both numbers
                for name, end in wanted.items()
            )
        case str() if "*" in wanted or "?" in wanted:
            return isinstance(value, str) and fnmatchcase(value, wanted)
        case _:
            return isinstance(wanted, str) == isinstance(value, str) and wanted == value
