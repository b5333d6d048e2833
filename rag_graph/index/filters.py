"""What a person's filters mean: a tree of comparisons, which each store prints in its own SQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from rag_graph.documents import Passage
from rag_graph.errors import InvalidRequest
from rag_graph.query import Filter, Filters, Scalar, check_filters

COLUMNS = {"uri": "d.uri", "title": "d.title", "document": "d.id"}
"""What is no metadata: columns of the documents, which both stores' SQL calls `d` (and the passages `p`)."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A text is never equal to, or between, numbers, nor a number to texts; `~` is a shell pattern."""

    name: str
    sign: Literal["=", "~", ">=", "<="]
    value: Scalar


Tree = list[list[list[Comparison]]]
"""All of these must hold: any of those, in which all comparisons hold."""


def tree(filters: Filters) -> Tree:
    """An empty list or range of values allows nothing. Raises InvalidRequest for what no store can compare with."""
    try:
        check_filters(filters)
    except ValueError as exc:
        raise InvalidRequest(f"filters: {exc}.") from None
    return [_alternatives(name, wanted) for name, wanted in filters.items()]


def _alternatives(name: str, wanted: Filter) -> list[list[Comparison]]:
    match wanted:
        case list():
            return [tests for item in wanted for tests in _alternatives(name, item)]
        case Mapping():
            ends = [Comparison(name, ">=" if end == "from" else "<=", value) for end, value in wanted.items()]
            return [ends] if ends else []
        case str() if "*" in wanted or "?" in wanted:
            return [[Comparison(name, "~", wanted)]]
        case _:
            return [[Comparison(name, "=", wanted)]]


def where(filters: Filters, print_one: Callable[[Comparison], tuple[str, list[Any]]]) -> tuple[str, list[Any]]:
    """A WHERE clause, and its parameters; `print_one` knows the dialect."""
    parameters: list[Any] = []

    def printed(test: Comparison) -> str:
        clause, values = print_one(test)
        parameters.extend(values)
        return clause

    clauses = [
        f"({' OR '.join(' AND '.join(map(printed, tests)) for tests in alternatives) or '1 = 0'})"
        for alternatives in tree(filters)
    ]
    return " AND ".join(clauses) or "1 = 1", parameters


def allows(filters: Filters, passage: Passage) -> bool:
    """The same for a passage that no database holds."""
    own = {"uri": passage.uri, "title": passage.title, "document": passage.document_id}

    def holds(test: Comparison) -> bool:
        value = own.get(test.name, passage.metadata.get(test.name))
        if value is None or isinstance(test.value, str) != isinstance(value, str):
            return False
        match test.sign:
            case "=":
                return value == test.value
            case "~":
                return fnmatchcase(str(value), str(test.value))
            case ">=":
                return value >= test.value  # type: ignore[operator]  # both are texts, or both numbers
            case "<=":
                return value <= test.value  # type: ignore[operator]  # both are texts, or both numbers

    return all(any(all(map(holds, tests)) for tests in alternatives) for alternatives in tree(filters))
