"""What a model says on what to search next, read from whatever form it chose to say it in."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_SEARCHES: Final = 3
"""So many of what is missing are searched in one round."""
LONGEST_ITEM_CHARS: Final = 300
MOST_ITEMS: Final = 8
LONGEST_REPLY_CHARS: Final = 20_000
"""What a model says beyond this is not read."""

_PLAN = frozenset(["plan", "steps", "sub_questions", "subquestions", "questions", "decomposition"])
_FOUND = frozenset(["found", "findings", "facts", "known", "established", "answers"])
_MISSING = frozenset(["missing", "search", "searches", "queries", "query", "next", "needed"])

_ITEM = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):]|[Qq]\d{1,2}[.):])\s+(.+)$")
_FENCE = re.compile(r"^\s*```.*$", re.MULTILINE)
_DONE = re.compile(r"\W*(?:none|nothing(?: (?:is|else is))?(?: missing| more)?|complete|done|enough)\W*", re.IGNORECASE)
_JSON_START = re.compile(r"[{\[]")
_PLACEHOLDER = re.compile(r"#\d|\[[^\]]*\]|<[^>]*>|\{[^}]*\}")
_LABEL = re.compile(r"^(?:search(?: for)?|query|missing|next)\s*:\s*", re.IGNORECASE)
_LONG_WORD_CHARS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """Sub-questions, what the sources answer already, and what to search for now; none of it is trusted."""

    steps: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def read_plan(reply: str, question: str) -> Plan | None:
    """Read JSON in any wrapping, a numbered or bulleted list, or plain lines; None when it is none of these.

    An item that still waits for another one's answer ("#1") cannot be searched for, so it is left out.
    """
    reply = reply[:LONGEST_REPLY_CHARS]
    plan = next(filter(None, map(_from_json, _json_values(reply))), None)
    return plan or _from_lines(reply, question)


def _json_values(reply: str) -> Iterator[Any]:
    """Every JSON object or list that the reply holds, whatever stands around it."""
    decoder = json.JSONDecoder(strict=False)
    at = 0
    while match := _JSON_START.search(reply, at):
        try:
            value, at = decoder.raw_decode(reply, match.start())
        except ValueError:
            at = match.end()
        except RecursionError:
            return
        else:
            yield value


def _from_json(value: Any) -> Plan | None:
    if isinstance(value, list):
        texts = _texts(value)
        return Plan(missing=_searchable(texts)) if texts else None
    if not isinstance(value, dict):
        return None
    fields = {str(name).strip().lower().replace(" ", "_").replace("-", "_"): given for name, given in value.items()}
    steps, found, missing = (_field(fields, names) for names in (_PLAN, _FOUND, _MISSING))
    if steps is None and missing is None:
        return None
    wanted = (missing if missing is not None else steps) or []
    searches = _searchable(wanted)
    if _items(wanted) and not searches:
        return None
    return Plan(steps=_items(steps or ()), found=_items(found or ()), missing=searches)


def _field(fields: dict[str, Any], names: frozenset[str]) -> list[str] | None:
    given = [value for name, value in fields.items() if name in names]
    return _texts(given) if given else None


def _texts(value: Any) -> list[str]:
    """The strings in a value, however they are nested; of an object, the first."""
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in _texts(item)]
        case dict():
            return next(filter(None, map(_texts, value.values())), [])
        case _:
            return []


def _from_lines(reply: str, question: str) -> Plan | None:
    lines = [line for line in _FENCE.sub("", reply).splitlines() if line.strip()]
    if len(lines) == 1 and _DONE.fullmatch(lines[0]):
        return Plan()
    listed = [match[1] for match in map(_ITEM.match, lines) if match]
    plain = [line for line in lines if _may_be_search(line, question)]
    items = _searchable(listed or plain)
    return Plan(missing=items) if items else None


def _may_be_search(line: str, question: str) -> bool:
    """A line without a list's mark is believed when it asks, or speaks of what was asked."""
    line = line.strip()
    if line[0] in '{}[]"':
        return False
    if line.endswith("?"):
        return True
    return line[-1] not in ".:!," and not _long_words(line).isdisjoint(_long_words(question))


def _long_words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.casefold()) if len(word) >= _LONG_WORD_CHARS}


def _searchable(texts: Sequence[str]) -> tuple[str, ...]:
    return _items(text for text in texts if not _PLACEHOLDER.search(text))


def _items(texts: Iterable[str]) -> tuple[str, ...]:
    cleaned = (_bare(_LABEL.sub("", _bare(" ".join(text.split())))) for text in texts)
    kept = [text[:LONGEST_ITEM_CHARS] for text in cleaned if re.search(r"\w", text) and not _DONE.fullmatch(text)]
    return tuple(dict.fromkeys(kept))[:MOST_ITEMS]


def _bare(text: str) -> str:
    return text.strip(" *_`\"'“”")
