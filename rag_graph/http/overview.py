"""What the library holds at a glance: how much of which kinds, what came last, and what it can be asked."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel

from rag_graph.errors import DocumentNotFound, IndexNotFound
from rag_graph.http.problems import documented
from rag_graph.http.state import index_of
from rag_graph.index import DocumentEntry, Index

QUESTIONS: Final = 3
NEWEST: Final = 3
_MAX_LISTED: Final = 2_000
"""Of a larger library kinds and dates are not told: somebody waits for this."""
_MAX_READ_CHARS: Final = 100_000
_HEADING: Final = re.compile(r"^#{2,3}[ \t]+(.{4,80}?)[ \t]*(?:\{[^}\n]*\})?[ \t]*$", re.MULTILINE)
_MARKUP: Final = re.compile(r"[*_`]|\[(?P<words>[^\]]*)\]\([^)]*\)|<[^>]*>")


class Recent(BaseModel):
    """A document whose file was changed last."""

    id: str
    title: str
    uri: str


class Overview(BaseModel):
    """`kinds` counts documents by suffix; it and `newest` are empty where the library is too large to look through.

    `questions` are made of titles and headings, so that the documents speak of what they ask.
    """

    documents: int = 0
    passages: int = 0
    kinds: dict[str, int] = {}
    newest: list[Recent] = []
    questions: list[str] = []


router = APIRouter(tags=["library"])


@router.get("/library", responses=documented(404, 503))
async def overview(request: Request) -> Overview:
    """What the library holds, and questions that it can answer; nothing while nothing was indexed."""
    index = index_of(request)
    if index is None:
        raise DocumentNotFound("This server answers from a store of its own, which cannot be looked through here.")
    try:
        return await asyncio.to_thread(_look, index)
    except IndexNotFound:
        return Overview()


def _look(index: Index) -> Overview:
    documents, passages = index.counts()
    is_small = documents <= _MAX_LISTED
    listed = index.documents(limit=_MAX_LISTED if is_small else QUESTIONS)
    kinds = Counter(PurePosixPath(one.uri.partition("#")[0]).suffix.removeprefix(".").lower() for one in listed)
    return Overview(
        documents=documents,
        passages=passages,
        kinds=kinds if is_small else {},
        newest=[Recent(id=one.id, title=one.title, uri=one.uri) for one in _newest(listed)] if is_small else [],
        questions=_questions(index, listed),
    )


def _newest(listed: Sequence[DocumentEntry]) -> list[DocumentEntry]:
    dated = []
    for one in listed:
        try:
            dated.append((Path(one.path).stat().st_mtime, one))
        except (OSError, ValueError):  # it was sent, or is gone
            continue
    return [one for _, one in sorted(dated, key=lambda pair: (-pair[0], pair[1].uri))[:NEWEST]]


def _questions(index: Index, listed: Sequence[DocumentEntry]) -> list[str]:
    """One for each of a few documents from all over the library, those that have most to say of their part of it."""
    width = max(1, -(-len(listed) // QUESTIONS))
    parts = [listed[start : start + width] for start in range(0, len(listed), width)]
    return [_question(index, max(part, key=lambda one: one.passages)) for part in parts if part]


def _question(index: Index, entry: DocumentEntry) -> str:
    title = entry.title or PurePosixPath(entry.uri).name
    document = index.document(entry.id)
    headings = list(_headings(document.text[:_MAX_READ_CHARS])) if document else []
    asked = next((heading for heading in headings if heading.endswith("?")), None)
    named = next((heading for heading in headings if heading != title and " " in heading), None)
    return asked or (f"What does “{title}” say about “{named}”?" if named else f"What is “{title}” about?")


def _headings(text: str) -> Iterator[str]:
    for match in _HEADING.finditer(text):
        heading = _MARKUP.sub(lambda markup: markup["words"] or "", match[1]).strip()
        if heading:
            yield heading
