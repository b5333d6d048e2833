"""What Open WebUI understands beside OpenAI's chunks: sources, status lines, and its requests for titles and tags."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rag_graph.events import Citation, NumberedPassage

Line = dict[str, Any]

TITLE_CHARS = 60
_TASK = re.compile(r"\s*### Task:.*<chat_history>(?P<talk>.*)</chat_history>", re.DOTALL)
_WANTED = re.compile(r'\{\s*\\?"(?P<key>title|tags|follow_ups|queries)\\?"\s*:')
_ASKED = re.compile(r"^\s*USER:\s*(?P<question>.+?)\s*$", re.MULTILINE | re.IGNORECASE)


def task_reply(prompt: str) -> str | None:
    """Answer a request for a title, tags, follow-up questions or searches; None for any other question."""
    task, wanted = _TASK.match(prompt), _WANTED.search(prompt)
    if task is None or wanted is None:
        return None
    value = _title(task["talk"]) if wanted["key"] == "title" else []
    return json.dumps({wanted["key"]: value}, ensure_ascii=False)


def status_line(description: str, *, done: bool) -> Line:
    return {"event": {"type": "status", "data": {"description": description, "done": done}}}


def source_lines(passages: Iterable[NumberedPassage], citations: Iterable[Citation]) -> Iterator[Line]:
    """One source a number, from 1 to the highest cited, since `[n]` means the n-th source that was sent.

    Names carry their number, because sources of one name are taken for one.
    """
    quotes: dict[int, list[str]] = {}
    for citation in citations:
        quotes.setdefault(citation.marker, []).append(citation.quote)
    last = max(quotes, default=0)
    for passage in sorted(passages, key=lambda passage: passage.number):
        if passage.number <= last:
            yield _source_line(passage, quotes.get(passage.number) or [passage.content])


def _source_line(passage: NumberedPassage, quotes: list[str]) -> Line:
    name = f"{passage.number}. {passage.title}"
    metadata = {"source": f"{passage.uri}#{passage.start}-{passage.end}", "name": name, "url": passage.uri}
    source = {"id": metadata["source"], "name": name, "url": passage.uri}
    data = {"source": source, "document": quotes, "metadata": [metadata] * len(quotes)}
    return {"event": {"type": "source", "data": data}}


def _title(talk: str) -> str:
    asked = _ASKED.search(talk)
    words = " ".join((asked["question"] if asked else "Conversation").split())
    return words if len(words) <= TITLE_CHARS else f"{words[: TITLE_CHARS - 1].rsplit(' ', 1)[0]}…"
