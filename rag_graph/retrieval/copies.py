"""Passages that say the same, as versions of a page do: copies take one place, of versions the newest comes first."""

import re
from collections.abc import Sequence
from dataclasses import replace

from rag_graph.documents import Hit, Passage
from rag_graph.text.terms import terms

_LEAST_COPIED_CHARS = 40
_LEAST_SHARED = 0.8
"""Of the words of two passages so many are in both, where they are versions of one: a fifth may have changed."""
_DATED_BY = ("modified", "updated", "date", "published", "created", "added")
"""Where metadata say how old a document is, the first that is there."""
_DATE = re.compile(r"\d{4}(?:-\d\d){0,2}(?:[T ][\d:.]+)?")


def distinct(hits: Sequence[Hit]) -> list[Hit]:
    """The hits without those that say word for word what another says, the newest in the place of the best of them.

    Passages that are nearly the same change places until the newest comes first, where their metadata date them.
    """
    kept: dict[str, Hit] = {}
    for hit in hits:
        words = " ".join(hit.passage.content.split()).casefold()
        # "Yes." under two headings is two answers.
        name = words if len(words) >= _LEAST_COPIED_CHARS else f"{hit.passage.id}"
        best = kept.setdefault(name, hit)
        if _age(hit.passage) > _age(best.passage):
            kept[name] = replace(best, passage=hit.passage)
    return _newest_first(list(kept.values()))


def _newest_first(hits: list[Hit]) -> list[Hit]:
    dated = [place for place, hit in enumerate(hits) if _date(hit.passage)]
    for at, place in enumerate(dated):
        for later in dated[at + 1 :]:
            first, second = hits[place].passage, hits[later].passage
            if _date(second) > _date(first) and _are_versions(first, second):
                hits[place], hits[later] = (
                    replace(hits[place], passage=second),
                    replace(hits[later], passage=first),
                )
    return hits


def _are_versions(one: Passage, other: Passage) -> bool:
    """Whether two passages are versions of one: of one title but for numbers, and nearly in the same words."""
    titles = {"".join(filter(str.isalpha, passage.title.casefold())) for passage in (one, other)}
    if len(titles) > 1 or one.document_id == other.document_id:
        return False
    first, second = set(terms(one.content)), set(terms(other.content))
    return len(first & second) >= _LEAST_SHARED * len(first | second)


def _age(passage: Passage) -> tuple[str, int]:
    """Greater for what is newer; of passages without a date those are that were indexed last."""
    return _date(passage), passage.id


def _date(passage: Passage) -> str:
    found = (str(passage.metadata[name]) for name in _DATED_BY if name in passage.metadata)
    date = next(found, "")
    return date if _DATE.match(date) else ""
