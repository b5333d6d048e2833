"""The pages of PDF documents over HTTP: as pictures, and where on them a quote stands."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel

from rag_graph.errors import DocumentNotFound, DocumentUnreadable, IndexBusy, InvalidRequest, PageNotFound
from rag_graph.http.library import NO_NUL
from rag_graph.http.problems import documented
from rag_graph.http.state import index_of
from rag_graph.index import Index
from rag_graph.index.loader import Limits, Loader

READERS: Final = 2
"""Processes that look at pages: a hostile file holds up one."""
MAX_WAITING: Final = 32
"""Who looks at pages at a time; of more, nearly all would wait for long."""
_BUSY_S: Final = 2.0
_MAX_QUOTE_CHARS: Final = 8_000
_AROUND_CHARS: Final = 200
"""Of the text before and after a quote, by which it is told from the same words elsewhere on its page."""
# Kept by this browser only, and per key: what one caller may see is not for the next.
_HEADERS: Final = {"cache-control": "private, max-age=300", "vary": "authorization"}

DocumentId = Annotated[str, PathParameter(pattern=NO_NUL)]
PageNumber = Annotated[int, PathParameter(ge=1, le=1_000_000, description="Counted from 1.")]
Offset = Annotated[int, Query(ge=0, description="In the document's `content`, in code points.")]


class Box(BaseModel):
    """A stretch of a line, in shares of the page's width and height."""

    left: float
    top: float
    width: float
    height: float


class DocumentPage(BaseModel):
    """A page's size in points, and where on it the quote stands: nowhere, if what is there could not be read again."""

    page: int
    pages: int
    width: float
    height: float
    boxes: list[Box]


class Pages:
    """Looks at pages in processes of their own, a few at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turns = asyncio.Semaphore(READERS)
        self._count = 0
        self._idle: list[Loader] = []

    async def look(
        self, index: Index, document_id: str, number: int, span: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """A page as `loaders.pages.look` gives it: a picture, or with a span of the document's text its boxes.

        Raises `PageNotFound`, `DocumentNotFound`, `InvalidRequest` and `IndexBusy`.
        """
        if self._count >= MAX_WAITING:
            raise IndexBusy("As many pages are looked at as this server can; ask again.", retry_after_s=_BUSY_S)
        self._count += 1
        try:
            path, known, quote = await asyncio.to_thread(_asked, index, document_id, span)
            async with self._turns:
                loader = self._idle.pop() if self._idle else Loader(self._limits)
                try:
                    return await asyncio.to_thread(loader.look, path, known=known, number=number, quote=quote)
                finally:
                    self._idle.append(loader)
        except DocumentUnreadable as exc:
            raise PageNotFound(f"This page cannot be shown: {exc}.") from exc
        finally:
            self._count -= 1

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _asked(index: Index, document_id: str, span: tuple[int, int] | None) -> tuple[Path, str, Sequence[str] | None]:
    """The file of a document as the index knows it, its hash, and the quote with the text around it."""
    document, file = index.document(document_id), index.file_of(document_id)
    if document is None or file is None:
        raise DocumentNotFound("The library has no document with this id; it may have been indexed anew.")
    if Path(file.path).suffix.lower() != ".pdf":
        raise PageNotFound("Only the pages of PDF files can be shown; this document is none.")
    if span is None:
        return Path(file.path), file.hash, None
    start, end = span
    if not start < end <= len(document.text):
        raise InvalidRequest(f"end: a span lies in the document, which has {len(document.text)} characters.")
    if end - start > _MAX_QUOTE_CHARS:
        raise InvalidRequest(f"end: a quote has at most {_MAX_QUOTE_CHARS} characters.")
    text = document.text
    around = (text[max(0, start - _AROUND_CHARS) : start], text[start:end], text[end : end + _AROUND_CHARS])
    return Path(file.path), file.hash, around


def page_routes(limits: Limits) -> APIRouter:
    """Routes that show the pages of the PDF files that were indexed, as long as those are there and unchanged."""
    pages = Pages(limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(pages.close)

    routes = APIRouter(tags=["library"], lifespan=lifespan)
    refusals = documented(404, 422, 503)

    @routes.get(
        "/documents/{document_id}/pages/{number}.png",
        response_class=Response,
        responses={**refusals, 200: {"content": {"image/png": {}}, "description": "The page."}},
    )
    async def picture(request: Request, document_id: DocumentId, number: PageNumber) -> Response:
        """A page of a PDF document as a picture."""
        seen = await pages.look(_index(request), document_id, number)
        return Response(base64.b64decode(seen["image"]), media_type="image/png", headers=_HEADERS)

    @routes.get("/documents/{document_id}/pages/{number}", responses=refusals)
    async def page(
        request: Request,
        response: Response,
        document_id: DocumentId,
        number: PageNumber,
        start: Offset,
        end: Offset,
    ) -> DocumentPage:
        """Where on a page of a PDF document a quote stands, that from `start` to `end` of its text."""
        seen = await pages.look(_index(request), document_id, number, (start, end))
        response.headers.update(_HEADERS)
        boxes = [Box(left=left, top=top, width=width, height=height) for left, top, width, height in seen["boxes"]]
        return DocumentPage(page=number, pages=seen["pages"], width=seen["width"], height=seen["height"], boxes=boxes)

    return routes


def _index(request: Request) -> Index:
    index = index_of(request)
    if index is None:
        raise PageNotFound("This server answers from a store of its own, whose files it does not know.")
    return index
