"""The documents over HTTP: their texts, and, where it is allowed, adding to them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, File, Header, Query, Request, Response, UploadFile
from fastapi import Path as PathParameter
from pydantic import BaseModel

from rag_graph.errors import BadCursor, DocumentNotFound, IndexNotFound, InvalidRequest, UploadsClosed
from rag_graph.http.encoding import EVENT_STREAM
from rag_graph.http.jobs import JOBS, UploadJobs, UploadState
from rag_graph.http.native.encoding import EventFrames
from rag_graph.http.native.routes import MAX_CURSOR
from rag_graph.http.problems import documented
from rag_graph.http.state import caller_of, documents_of, heartbeat_s_of, index_of, write_timeout_s_of
from rag_graph.http.stream import FrameStream
from rag_graph.http.uploads import Added, Uploads
from rag_graph.index import Index
from rag_graph.index.loader import Limits
from rag_graph.runs.ids import Cursor

NO_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL takes a NUL in no text, and no document has one in its id."""
_FOLLOWED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "What became of them, or events as they come.", "content": {EVENT_STREAM: {}}}
}


class DocumentText(BaseModel):
    """A document as citations point into it: spans count code points of `content`."""

    id: str
    uri: str
    title: str
    content: str
    metadata: dict[str, Any]


class Listed(BaseModel):
    """A document in a list: no text, but how much there is of it."""

    id: str
    uri: str
    title: str
    characters: int
    passages: int


class DocumentList(BaseModel):
    """One page of the library; `next` is the `after` of the one that follows, null on the last."""

    documents: list[Listed]
    total: int
    passages: int
    next: str | None


class Removed(BaseModel):
    """How many documents were taken out."""

    removed: int


router = APIRouter(tags=["library"])


@router.get("/documents", responses=documented(404, 422, 503))
async def listing(
    request: Request,
    matching: Annotated[str, Query(max_length=200, pattern=NO_NUL, description="In the uri or title.")] = "",
    after: Annotated[str, Query(max_length=4_000, pattern=NO_NUL, description="Go on after this uri.")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> DocumentList:
    """The documents of the library, by uri; an empty list while nothing was indexed."""
    index = index_of(request)
    if index is None:
        raise DocumentNotFound("This server answers from a store of its own, which cannot be listed here.")
    try:
        total, passages = await asyncio.to_thread(index.counts)
        # One more than is shown tells whether there is a next page.
        found = await asyncio.to_thread(index.documents, matching=matching, after=after, limit=limit + 1)
    except IndexNotFound:
        return DocumentList(documents=[], total=0, passages=0, next=None)
    shown = found[:limit]
    return DocumentList(
        documents=[
            Listed(id=one.id, uri=one.uri, title=one.title, characters=one.characters, passages=one.passages)
            for one in shown
        ],
        total=total,
        passages=passages,
        next=shown[-1].uri if len(found) > limit else None,
    )


@router.get("/documents/{document_id}", responses=documented(404, 422, 503))
async def document(request: Request, document_id: Annotated[str, PathParameter(pattern=NO_NUL)]) -> DocumentText:
    """A document's whole text."""
    found = await asyncio.to_thread(documents_of(request).document, document_id)
    if found is None:
        raise DocumentNotFound("The library has no document with this id; it may have been indexed anew.")
    return DocumentText(
        id=found.id, uri=found.uri, title=found.title, content=found.text, metadata=dict(found.metadata)
    )


closed = APIRouter(include_in_schema=False)
"""In the place of `upload_routes` where the library is not changed over HTTP."""


@closed.post("/documents")
@closed.post("/library/guide")
@closed.delete("/documents/{document_id}")
async def refuse() -> None:
    """Say why, and how documents come in."""
    raise UploadsClosed(
        "This server's library is not changed over HTTP: use `rag-graph index` and `rag-graph library`, or start it"
        " with RAG_UPLOADS=true."
    )


def upload_routes(*, folder: Path, limits: Limits, kept_s: float) -> APIRouter:
    """Routes that keep what is sent in `folder` and index it. A file of the same name is replaced."""
    uploads = Uploads(folder, limits)
    jobs = UploadJobs(uploads, folder.absolute() / JOBS, kept_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        index = app.state.answerer.parts.index
        if index is not None:
            await jobs.go_on(index)
        yield
        await jobs.close()
        await asyncio.to_thread(uploads.close)

    routes = APIRouter(tags=["library"], lifespan=lifespan)

    @routes.post(
        "/documents",
        response_model=Added,
        responses=_FOLLOWED
        | {202: {"description": "It goes on by itself; `Location` says where to look.", "model": UploadState}}
        | documented(413, 415, 422, 503, 507),
    )
    async def upload(
        request: Request,
        files: Annotated[list[UploadFile], File()],
        prefer: Annotated[str, Header(description="With `respond-async`, 202 at once; it goes on by itself.")] = "",
    ) -> Any:
        """Add documents to the library: with `Accept: text/event-stream`, what happens to them as it does."""
        index = _index_for_uploads(request)
        if is_streamed := EVENT_STREAM in request.headers.get("accept", ""):
            prefer = "respond-async"
        if "respond-async" not in prefer.lower():
            left = asyncio.Event()
            watching = asyncio.create_task(_watch(request, left))
            try:
                return await uploads.take(index, files, left)
            finally:
                watching.cancel()
        caller = caller_of(request)
        job_id = await jobs.start(index, files, caller=caller)
        headers = {"location": f"/documents/jobs/{job_id}"}
        if is_streamed:
            return _stream(request, jobs, job_id, after=0, headers=headers)
        state = await jobs.state(index, job_id, caller=caller)
        return Response(state.model_dump_json(), 202, headers, media_type="application/json")

    @routes.post("/library/guide", responses=documented(422, 503, 507))
    async def add_guide(request: Request) -> Added:
        """Add the guide that comes along to a library that is empty."""
        report = await uploads.add_guide(_index_for_uploads(request))
        return Added(documents=report.added, passages=report.passages, skipped=[], files=[])

    @routes.delete("/documents/{document_id}", responses=documented(404, 422, 503))
    async def remove(request: Request, document_id: Annotated[str, PathParameter(pattern=NO_NUL)]) -> Removed:
        """Take a document out of the library: it is not found any more, by questions that are being answered either."""
        index = index_of(request)
        removed = await uploads.remove(index, document_id) if index is not None else 0
        if not removed:
            raise DocumentNotFound("The library has no document with this id; it may have been removed already.")
        return Removed(removed=removed)

    routes.include_router(_job_routes(jobs))
    return routes


def _job_routes(jobs: UploadJobs) -> APIRouter:
    """Routes that tell of uploads that go on by themselves."""
    routes = APIRouter(tags=["library"])

    @routes.get("/documents/jobs/{job_id}", responses=documented(404, 422, 503))
    async def job(request: Request, job_id: Annotated[str, PathParameter(pattern=NO_NUL)]) -> UploadState:
        """How an upload stands."""
        return await jobs.state(_index_for_uploads(request), job_id, caller=caller_of(request))

    @routes.get(
        "/documents/jobs/{job_id}/events",
        response_model=None,
        responses=_FOLLOWED | {204: {"description": "It has ended and all was seen."}} | documented(404, 422, 503),
    )
    async def job_events(
        request: Request,
        job_id: Annotated[str, PathParameter(pattern=NO_NUL)],
        after: Annotated[int, Query(ge=0, le=MAX_CURSOR, description="Go on after this event number.")] = 0,
        last_event_id: Annotated[str, Header(description="Go on after this event, written `upload:seq`.")] = "",
    ) -> Response:
        """Follow an upload from its start, or from where a reader stopped. 204 when there is nothing more to come."""
        cursor = Cursor.parse(last_event_id) if last_event_id else Cursor(job_id, after)
        if cursor.run_id != job_id:
            raise BadCursor("The last event id belongs to another upload: follow this one from its beginning.")
        if await jobs.is_over(_index_for_uploads(request), job_id, cursor.seq, caller=caller_of(request)):
            return Response(status_code=204)
        return _stream(request, jobs, job_id, after=cursor.seq)

    return routes


def _index_for_uploads(request: Request) -> Index:
    index = index_of(request)
    if index is None:
        raise InvalidRequest("This server answers from a store of its own, to which nothing can be uploaded.")
    return index


def _stream(
    request: Request, jobs: UploadJobs, job_id: str, *, after: int, headers: Mapping[str, str] | None = None
) -> FrameStream:
    return FrameStream(
        job_id,
        jobs.reading(job_id, after),
        EventFrames(job_id, reconnects=request.method == "GET"),
        headers=headers or {},
        heartbeat_s=heartbeat_s_of(request),
        write_timeout_s=write_timeout_s_of(request),
    )


async def _watch(request: Request, left: asyncio.Event) -> None:
    """Say when the client has left: its files have come, so that it has nothing else to say."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()
