"""What a model says on what to search next, read from whatever form it chose to say it in."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

MOST_SEARCHES: Final = 3
"""So many of what is missing are searched in one round; the prompt asks for no more."""
LONGEST_ITEM_CHARS: Final = 300
MOST_ITEMS: Final = 8
LONGEST_REPLY_CHARS: Final = 20_000
"""What a model says beyond this is not read."""

# What models call the three fields, whatever they were asked to call them.
_PLAN = frozenset(["plan", "steps", "sub_questions", "subquestions", "questions", "decomposition"])
_FOUND = frozenset(["found", "findings", "facts", "known", "established", "answers"])
_MISSING = frozenset(["missing", "search", "searches", "queries", "query", "next", "needed"])

_ITEM = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):]|[Qq]\d{1,2}[.):])\s+(.+)$")
_FENCE = re.compile(r"^\s*```.*$", re.MULTILINE)
_DONE = re.compile(r"\W*(?:none|nothing(?: (?:is|else is))?(?: missing| more)?|complete|done|enough)\W*", re.IGNORECASE)
_JSON_START = re.compile(r"[{\[]")
_PLACEHOLDER = re.compile(r"#\d|\[[^\]]*\]|<[^>]*>|\{[^}]*\}")
_LABEL = re.compile(r"^(?:search(?: for)?|query|missing|next)\s*:\s*", re.IGNORECASE)
_LONG_WORD = re.compile(r"\w{4,}")
_MARKUP = " *_`\"'“”"


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """Sub-questions, what the sources answer already, and what to search for now; none of it is trusted."""

    steps: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        """The plan as those who follow the run read it, a line for each part."""
        parts = (("To find out", self.steps), ("Found", self.found), ("Still missing", self.missing))
        lines = [f"{name}: {'; '.join(item.rstrip(' .;') for item in items)}" for name, items in parts if items]
        return "\n".join(lines if self.missing else [*lines, "Nothing is missing."])


def read_plan(reply: str, question: str) -> SearchPlan | None:
    """Read JSON in any wrapping, a numbered or bulleted list, or plain lines; None when it is none of these.

    An item that still waits for another one's answer ("#1") cannot be searched for, so it is left out.
    """
    reply = reply[:LONGEST_REPLY_CHARS]
    plan = next(filter(None, map(_from_json, _json_values(reply))), None)
    return plan or _from_lines(reply, question)


def _json_values(reply: str) -> Iterator[Any]:
    """Every JSON object or list that the reply holds, whatever stands around it."""
    decoder = json.JSONDecoder(strict=False)  # models put line breaks into strings
    at = 0
    while match := _JSON_START.search(reply, at):
        try:
            value, at = decoder.raw_decode(reply, match.start())
        except ValueError:
            at = match.end()
        except RecursionError:  # brackets nested by the thousand are no plan
            return
        else:
            yield value


def _from_json(value: Any) -> SearchPlan | None:
    if isinstance(value, list):
        listed = _texts(value)
        return SearchPlan(missing=_searchable(listed)) if listed else None
    if not isinstance(value, dict):
        return None
    fields = {str(name).strip().lower().replace(" ", "_").replace("-", "_"): given for name, given in value.items()}
    steps, found, missing = (
        [given for name, given in fields.items() if name in names] for names in (_PLAN, _FOUND, _MISSING)
    )
    if not steps and not missing:
        return None
    wanted = _texts(missing or steps)
    searches = _searchable(wanted)
    if _items(wanted) and not searches:
        # All of it waits for other answers: that is no plan, though nothing can be searched for.
        return None
    return SearchPlan(steps=_items(_texts(steps)), found=_items(_texts(found)), missing=searches)


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


def _from_lines(reply: str, question: str) -> SearchPlan | None:
    lines = [line.strip() for line in _FENCE.sub("", reply).splitlines() if line.strip()]
    if len(lines) == 1 and _DONE.fullmatch(lines[0]):
        return SearchPlan()
    searches = [match[1] for match in map(_ITEM.match, lines) if match]
    if not searches:
        # A line without a list's mark is believed when it asks, or speaks of what was asked.
        asked = set(_LONG_WORD.findall(question.casefold()))
        for line in lines:
            speaks_of_it = line[-1] not in ".:!," and not asked.isdisjoint(_LONG_WORD.findall(line.casefold()))
            if line[0] not in '{}[]"' and (line.endswith("?") or speaks_of_it):
                searches.append(line)
    items = _searchable(searches)
    return SearchPlan(missing=items) if items else None


def _searchable(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that wait for no other one's answer."""
    return _items(text for text in texts if not _PLACEHOLDER.search(text))


def _items(texts: Iterable[str]) -> tuple[str, ...]:
    """Each once, without labels and markup, short and few."""
    cleaned = (_LABEL.sub("", " ".join(text.split()).strip(_MARKUP)).strip(_MARKUP) for text in texts)
    kept = [text[:LONGEST_ITEM_CHARS] for text in cleaned if re.search(r"\w", text) and not _DONE.fullmatch(text)]
    return tuple(dict.fromkeys(kept))[:MOST_ITEMS]
