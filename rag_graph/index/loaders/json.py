"""JSON Lines, of which each line is a document if it is an object, and JSON, of which each value is a line."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from itertools import groupby
from typing import Any, BinaryIO, cast

from rag_graph.documents import Place
from rag_graph.errors import DocumentUnreadable
from rag_graph.index.encoding import decode, has_wide_letters
from rag_graph.index.loaders.base import Source, Writer, as_title, clean, notes, without_noise
from rag_graph.index.loading import MAX_LINE_BYTES, Failure, Loaded, LoadedDocument
from rag_graph.text.controls import inert_line

_MAX_ID_CHARS = 200
_MAX_DEPTH = 100
_HEAD_BYTES = 16
_LEAST_ALIKE = 0.5
"""Of the cells of a table; objects that would fill fewer are not alike."""
_Rows = tuple[str, list[list[str]], int | None]
"""Under which path they stand, and how many of them name the columns, if that is known."""


def load(source: Source) -> Loaded:
    if source.name.suffix.lower() == ".json":
        yield from _load_json(source)
    else:
        yield from _load_json_lines(source)


def _load_json(source: Source) -> Loaded:
    """A list of objects that have text gives a document each; all else is one document.

    That has a line for each value, and a table for each list of objects that are alike.
    """
    text, note = decode(source.content())
    try:
        held = _parsed(text)
    except (ValueError, RecursionError) as exc:
        if _is_object(text.partition("\n")[0]):
            yield from _load_json_lines(source)
            return
        # Settings have comments and commas at the end; whatever it is, its words can be read.
        whole, left_out = without_noise(clean(text))
        told = f"it is no JSON ({_told(exc)}), and was read as it is written"
        yield source.document(whole, places=(Place(0, {"line": 1}),), note=notes(note, told, left_out))
        return
    if isinstance(held, list) and held and all(isinstance(item, dict) and _text_of(item) for item in held):
        for number, item in enumerate(held, start=1):
            yield _document(item, number, note)
        return
    whole, left_out = without_noise(_written(held))
    title = held.get("title") if isinstance(held, dict) else None
    yield source.document(whole, title=title if isinstance(title, str) else "", note=notes(note, left_out))


def _told(why: Exception) -> str:
    return f"see line {why.lineno}" if isinstance(why, json.JSONDecodeError) else "it nests too deep"


def _written(held: Any) -> str:
    writer = Writer()
    for is_table, values in groupby(_values(held), key=lambda value: not isinstance(value, str)):
        if is_table:
            for path, rows, headers in cast("Iterator[_Rows]", values):
                writer.block(path)
                writer.table(rows, headers=headers)
        else:
            writer.block("\n".join(cast("Iterator[str]", values)))
    return writer.text


def _parsed(text: str) -> Any:
    """Numbers keep their digits: 1.50 is a price, and floats have no more than seventeen."""
    return json.loads(text, parse_float=_number, parse_int=_number)


def _number(digits: str) -> int | str | Decimal:
    """Python reads an int of 4,300 digits at most, and no exponent of nineteen."""
    with suppress(ValueError, ArithmeticError):
        return int(digits) if digits.lstrip("-").isdecimal() else Decimal(digits)
    return digits


def _is_object(line: str) -> bool:
    try:
        return isinstance(_parsed(line), dict)
    except (ValueError, RecursionError):
        return False


def _values(held: Any, path: str = "", depth: int = 0) -> Iterator["str | _Rows"]:
    if isinstance(held, dict) and depth < _MAX_DEPTH:
        for name, value in held.items():
            yield from _values(value, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(held, list) and depth < _MAX_DEPTH and any(isinstance(item, dict | list) for item in held):
        if rows := _as_table(held):
            yield path, rows, 1
            return
        if len(held) > 1 and isinstance(held[0], list) and all(_is_row(item, len(held[0])) for item in held):
            yield path, [list(map(_shown, row)) for row in held], None
            return
        for number, value in enumerate(held, start=1):
            yield from _values(value, f"{path}[{number}]", depth + 1)
    elif (shown := _shown(held)).strip():
        yield f"{path}: {shown}" if path else shown


def _as_table(items: list[Any]) -> list[list[str]]:
    """A row for each of some objects, under the names of their values; nothing where few of them have the same ones."""
    entries = [dict(_fields(item)) for item in items if isinstance(item, dict)]
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    held = sum(map(len, entries))
    is_alike = len(entries) == len(items) > 1 and held >= _LEAST_ALIKE * len(names) * len(items)
    if not is_alike or any(isinstance(value, dict | list) for entry in entries for value in entry.values()):
        return []
    return [names, *([_shown(entry.get(name)) for name in names] for entry in entries)]


def _is_row(item: Any, width: int) -> bool:
    return isinstance(item, list) and len(item) == width > 1 and not any(isinstance(one, dict | list) for one in item)


def _fields(entry: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Each value of an object and of those in it, by its path; lists of such as they are, other lists as their text."""
    for name, value in entry.items():
        own = f"{path}.{name}" if path else str(name)
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            yield from _fields(value, own, depth + 1)
        elif isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
            yield own, _shown(value)
        else:
            yield own, value


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case str() | Decimal():
            return str(value)
        case list():
            return ", ".join(map(_shown, value))
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def _load_json_lines(source: Source) -> Loaded:
    found = False
    with _opened(source) as file:
        if _begins_with_no_object(file):
            yield from _load_values(source, file)
            return
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), start=1):
            if not line.strip():
                continue
            found = True
            try:
                yield _json_document(line, number)
            except DocumentUnreadable as exc:
                yield Failure(f"line {number}", str(exc), exc.kind)
            if len(line) > MAX_LINE_BYTES:
                _skip_line(file)
    if not found:
        raise DocumentUnreadable("there is no text in it", "no text")


def _begins_with_no_object(file: BinaryIO) -> bool:
    """Whether its lines are rows or texts, of which one alone would be no document."""
    begins = file.tell()
    line = next((line for line in iter(lambda: file.readline(MAX_LINE_BYTES), b"") if line.strip()), b"")
    file.seek(begins)
    with suppress(ValueError, RecursionError, DocumentUnreadable):
        return isinstance(_parsed(decode(line)[0]), list | str)
    return False


def _load_values(source: Source, file: BinaryIO) -> Loaded:
    source.content()  # for its bound
    values: list[Any] = []
    for number, line in enumerate(file, start=1):
        try:
            values += [_parsed(decode(line)[0])] if line.strip() else []
        except (ValueError, RecursionError, DocumentUnreadable):
            yield Failure(f"line {number}", "the line is not JSON", "damaged")
    texts = [value for value in values if isinstance(value, str)]
    yield source.document(clean("\n\n".join(texts) if len(texts) == len(values) else _written(values)))


def _opened(source: Source) -> BinaryIO:
    file = source.path.open("rb")
    if not has_wide_letters(file.read(_HEAD_BYTES)):
        file.seek(0)
        return file
    file.close()
    return io.BytesIO(decode(source.content())[0].encode())


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _json_document(line: bytes, number: int) -> LoadedDocument:
    if len(line) > MAX_LINE_BYTES:
        raise DocumentUnreadable(f"the line is longer than {MAX_LINE_BYTES // 1024 // 1024} MB", "too large")
    text, note = decode(line)
    try:
        entry = _parsed(text)
    except (ValueError, RecursionError) as exc:
        raise DocumentUnreadable("the line is not JSON") from exc
    if not isinstance(entry, dict):
        raise DocumentUnreadable("the line is not a JSON object")
    return _document(entry, number, note and f"line {number}: {note}")


def _text_of(entry: Mapping[str, Any]) -> str | None:
    """What an object says; None if it has no field for that."""
    return next((entry[name] for name in _TEXT_FIELDS if isinstance(entry.get(name), str)), None)


def _document(entry: Mapping[str, Any], number: int, note: str) -> LoadedDocument:
    text = _text_of(entry)
    if text is None:  # such as a line of a log
        text = _written({name: value for name, value in entry.items() if name != "title"})
    if not text.strip():
        fields = " or ".join(map(repr, _TEXT_FIELDS))
        raise DocumentUnreadable(f"the line has no text: no field {fields}", "no text")
    own = next((entry[name] for name in _ID_FIELDS if isinstance(entry.get(name), str | int)), number)
    key = inert_line(clean(str(own))[:_MAX_ID_CHARS])
    title = entry.get("title")
    return LoadedDocument(
        title=as_title(title if isinstance(title, str) and title.strip() else key),
        text=clean(text),
        key=key,
        note=note,
        metadata={"id": key} | _scalars(entry) | _scalars(entry.get("metadata")),
    )


_TEXT_FIELDS = ("text", "content", "page_content", "contents", "body")
_ID_FIELDS = ("_id", "id", "docid", "doc_id")


def _scalars(entry: object) -> dict[str, str | int | float | bool]:
    """The values by which one can filter."""
    if not isinstance(entry, Mapping):
        return {}
    values = {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in cast("Mapping[str, Any]", entry).items()
    }
    return {
        clean(name): clean(value) if isinstance(value, str) else value
        for name, value in values.items()
        if name not in {*_TEXT_FIELDS, *_ID_FIELDS, "title", "metadata"}
        and isinstance(value, str | int | float | bool)
        and (isinstance(value, str) or abs(value) < 1 << 63)
    }
