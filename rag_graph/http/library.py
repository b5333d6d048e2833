"""The documents over HTTP: their texts, and, where it is allowed, adding to them."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Request, UploadFile
from fastapi import Path as PathParameter
from pydantic import BaseModel

from rag_graph.errors import DocumentNotFound, InvalidRequest
from rag_graph.http.problems import documented
from rag_graph.http.state import documents_of, index_of
from rag_graph.index import IndexReport, index_paths

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL takes a NUL in no text, and no document has one in its id."""
_UNSAFE = re.compile(r"[^\w.()-]+")


class DocumentText(BaseModel):
    """A document as citations point into it: spans count code points of `content`."""

    id: str
    uri: str
    title: str
    content: str
    metadata: dict[str, Any]


class Skipped(BaseModel):
    """A file that was not indexed, and why."""

    uri: str
    reason: str


class Added(BaseModel):
    """What became of the files that were sent."""

    documents: int
    passages: int
    skipped: list[Skipped]


router = APIRouter(tags=["library"])


@router.get("/documents/{document_id}", responses=documented(404, 422, 503))
async def document(request: Request, document_id: Annotated[str, PathParameter(pattern=NO_NUL)]) -> DocumentText:
    """A document's whole text."""
    found = await asyncio.to_thread(documents_of(request).document, document_id)
    if found is None:
        raise DocumentNotFound("The library has no document with this id; it may have been indexed anew.")
    return DocumentText(
        id=found.id, uri=found.uri, title=found.title, content=found.text, metadata=dict(found.metadata)
    )


def upload_routes(*, folder: Path) -> APIRouter:
    """Routes that keep what is sent in `folder` and index it. A file of the same name is replaced."""
    uploads = APIRouter(tags=["library"])

    @uploads.post("/documents", responses=documented(413, 415, 422, 503))
    async def upload(request: Request, files: Annotated[list[UploadFile], File()]) -> Added:
        """Add documents to the library."""
        index = index_of(request)
        if index is None:
            raise InvalidRequest("This server answers from a store of its own, to which nothing can be uploaded.")

        def keep_and_index() -> IndexReport:
            for file in files:
                _keep(file, folder)
            return index_paths(index, [folder])

        report = await asyncio.to_thread(keep_and_index)
        skipped = [Skipped(uri=failure.uri, reason=failure.reason) for failure in report.failures]
        return Added(documents=report.added + report.replaced, passages=report.passages, skipped=skipped)

    return uploads


def _keep(file: UploadFile, folder: Path) -> None:
    name = _UNSAFE.sub("_", Path((file.filename or "").replace("\\", "/")).name).lstrip(".")
    if not name:
        raise InvalidRequest("files: a file has no name; send each with its file name.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("wb") as kept:
        shutil.copyfileobj(file.file, kept)
