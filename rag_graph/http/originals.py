"""The files that documents were read from, over HTTP: as they were indexed, to be saved and not opened in place."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from starlette.responses import StreamingResponse

from rag_graph.errors import DocumentNotFound
from rag_graph.http.library import NO_NUL
from rag_graph.http.problems import documented
from rag_graph.http.state import index_of
from rag_graph.index import Index
from rag_graph.index.loading import hash_of

_BLOCK: Final = 1 << 20
_HEADERS: Final = {
    "cache-control": "private, no-cache",
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
}
"""What somebody has put into a library must not run as a page of this server."""

router = APIRouter(tags=["library"])


@router.get(
    "/documents/{document_id}/original",
    response_class=StreamingResponse,
    responses={
        **documented(404, 422, 503),
        200: {"content": {"application/octet-stream": {}}, "description": "The file."},
    },
)
async def original(request: Request, document_id: Annotated[str, PathParameter(pattern=NO_NUL)]) -> StreamingResponse:
    """The file that a document was read from, as long as it is there and as it was when it was indexed."""
    index = index_of(request)
    if index is None:
        raise DocumentNotFound("This server answers from a store of its own, whose files it does not know.")
    file, name, size = await asyncio.to_thread(_opened, index, document_id)
    headers = _HEADERS | {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "content-length": str(size),
    }
    return StreamingResponse(_blocks(file, size), media_type="application/octet-stream", headers=headers)


def _opened(index: Index, document_id: str) -> tuple[BinaryIO, str, int]:
    """The file, its name and its size. Only by the hash is it known to be what was put into the library."""
    known = index.file_of(document_id)
    if known is None:
        raise DocumentNotFound("The library has no document with this id; it may have been indexed anew.")
    gone = DocumentNotFound("The file of this document is not there any more as it was indexed.")
    path = Path(known.path)
    if not path.is_file():  # what is none may never end
        raise gone
    try:
        file = path.open("rb")
    except OSError as exc:
        raise gone from exc
    is_known = False
    try:
        # The open file is hashed and then sent, so that what takes its name in between is neither.
        is_known = hash_of(iter(partial(file.read, _BLOCK), b"")) == known.hash.rpartition(" ")[2]
        size = file.tell()
        file.seek(0)
    finally:
        if not is_known:
            file.close()
    if not is_known:
        raise gone
    return file, PurePosixPath(known.uri).name, size


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """As many bytes as were hashed: it may have grown since."""
    with file:
        while size > 0 and (block := file.read(min(_BLOCK, size))):
            size -= len(block)
            yield block
