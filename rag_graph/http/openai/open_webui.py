"""What Open WebUI understands beside OpenAI's chunks: sources, status lines, and its requests for titles and tags."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rag_graph.events import Citation, ClaimFate, ClaimStated, NumberedPassage
from rag_graph.http.sources import address

Line = dict[str, Any]

TITLE_CHARS = 60
INSTRUCTION_CHARS = 8_000
"""Its own are shorter, but an operator may have written another."""
# The title is the first thing that was asked, so that the beginning of the talk will do.
TALK_CHARS = 50_000
_WANTED = re.compile(r'\{\s*\\?"(?P<key>title|tags|follow_ups|queries|text)\\?"\s*:')


def task_reply(prompt: str) -> str | None:
    """Answer a request for a title, tags, follow-up questions, searches or the rest of a line; None for any other.

    Every prompt comes by here, however long and whatever is in it: nothing may look at a place twice.
    """
    if not prompt[:INSTRUCTION_CHARS].lstrip().startswith("### Task:"):
        return None
    # By plain finds: a pattern over the whole prompt is quadratic, and 80 kB of it held the event loop for 14 s.
    end = prompt.rfind("</chat_history>")
    begin = prompt.rfind("<chat_history>", 0, end) if end >= 0 else -1
    wanted = _WANTED.search(prompt, 0, min(begin, INSTRUCTION_CHARS)) if begin >= 0 else None
    if wanted is None:
        return None
    talk = prompt[begin + len("<chat_history>") : end]
    # The rest of a line is asked for at every pause of the user's typing, and may be empty.
    value = _title(talk[:TALK_CHARS]) if wanted["key"] == "title" else "" if wanted["key"] == "text" else []
    return json.dumps({wanted["key"]: value}, ensure_ascii=False)


def status_line(description: str, *, done: bool) -> Line:
    return {"event": {"type": "status", "data": {"description": description, "done": done}}}


def source_lines(passages: Iterable[NumberedPassage], citations: Iterable[Citation]) -> Iterator[Line]:
    """One source a passage, by the exact words cited of it where there are any.

    Names carry their number, because sources of one name are taken for one.
    """
    quotes: dict[int, list[str]] = {}
    for citation in citations:
        quotes.setdefault(citation.marker, []).append(citation.quote)
    for passage in passages:
        yield _source_line(passage, quotes.get(passage.number) or [passage.content])


def claims_line(claims: Iterable[ClaimStated], fates: Iterable[ClaimFate]) -> Line:
    """How the sentences of the answer stand, and what became of those before; its page passes such a line by."""
    data = {
        "claims": [told.model_dump(mode="json", exclude={"type"}) for told in claims],
        "fates": [fate.model_dump(mode="json", exclude={"type"}) for fate in fates],
    }
    return {"event": {"type": "claims", "data": data}}


def _source_line(passage: NumberedPassage, quotes: list[str]) -> Line:
    name = f"{passage.number}. {passage.title}"
    metadata = {"source": address(passage), "name": name, "url": passage.uri}
    source = {"id": metadata["source"], "name": name, "url": passage.uri}
    data = {"source": source, "document": quotes, "metadata": [metadata] * len(quotes)}
    return {"event": {"type": "source", "data": data}}


def _title(talk: str) -> str:
    """What the user asked first, cut between words."""
    lines = filter(None, map(str.strip, talk.splitlines()))
    turn = next((line for line in lines if line[:5].upper() == "USER:"), "")
    # A message may begin on the line below its role.
    said = turn[5:].strip() or (next(lines, "") if turn else "")
    words = " ".join((said or "Conversation").split())
    return words if len(words) <= TITLE_CHARS else f"{words[: TITLE_CHARS - 1].rsplit(' ', 1)[0]}…"
