"""The documents over HTTP: their texts, and, where it is allowed, adding to them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, FastAPI, File, Query, Request, UploadFile
from fastapi import Path as PathParameter
from pydantic import BaseModel

from rag_graph.errors import DocumentNotFound, DocumentUnreadable, IndexBusy, IndexNotFound, InvalidRequest
from rag_graph.http.problems import documented
from rag_graph.http.state import documents_of, index_of
from rag_graph.index import Failure, Index, IndexReport
from rag_graph.index.guide import copy_guide
from rag_graph.index.indexing import index_paths
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loading import FoundFile, LoadedDocument
from rag_graph.index.uploads import ReadFile, UploadFolder
from rag_graph.text.controls import inert_line

NO_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL takes a NUL in no text, and no document has one in its id."""
READERS: Final = 4
"""Files that are read at a time, each in a process: so many hostile ones may stand beside one that is none."""
MAX_UPLOADS: Final = 64
"""Uploads that this process has at a time; nearly all of them wait."""
_BUSY_S: Final = 30.0
"""How long an upload waits for another process that indexes."""
_ASK_AGAIN_S: Final = 0.25
_SHOWN_NAME_CHARS: Final = 100
T = TypeVar("T")
_LEFT: Final = "who sent it has left"


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


class Skipped(BaseModel):
    """A file that was not indexed, and why."""

    uri: str
    reason: str


class FileFate(BaseModel):
    """What became of one file; `reason` says why it was skipped, `note` what to know of how it was read."""

    name: str
    outcome: Literal["added", "replaced", "unchanged", "skipped"]
    documents: int = 0
    passages: int = 0
    reason: str = ""
    note: str = ""


class Added(BaseModel):
    """What became of the files that were sent, one after the other, and of no others.

    `skipped` names what is not in the library: files, and lines of files.
    """

    documents: int
    passages: int
    skipped: list[Skipped]
    files: list[FileFate]


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


class Uploads:
    """The uploads of this process: many are read at a time, each in its turn is written."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = UploadFolder(folder)
        self._label = folder.name
        self._data_dir = folder.parent
        self._limits = limits
        self._count = 0
        self._reading = asyncio.Semaphore(READERS)
        self._writing = asyncio.Lock()
        self._idle: list[Loader] = []

    async def take(self, index: Index, sent: Sequence[UploadFile], left: asyncio.Event) -> Added:
        """Bring files into the library. Raises `InvalidRequest` if none of them can be, `IndexBusy`, `LibraryError`.

        With `left` set, nobody waits for the answer: what is not read yet is dropped.
        """
        if self._count >= MAX_UPLOADS:
            raise IndexBusy("As many uploads wait as this server takes; send it again in a moment.", retry_after_s=5)
        self._count += 1
        fates: dict[int, FileFate] = {}
        held: dict[int, FoundFile] = {}
        try:
            await asyncio.to_thread(self._receive, sent, held, fates)
            read: dict[int, ReadFile] = {}
            for number, file in held.items():
                try:
                    read[number] = file, await self._read(file, left)
                except DocumentUnreadable as exc:
                    fates[number] = FileFate(name=_shown(sent[number]), outcome="skipped", reason=str(exc))
            if not read:
                told = "; ".join(f"{fates[number].name}: {fates[number].reason}" for number in sorted(fates))
                raise InvalidRequest(f"files: nothing was added. {told}.")
            reports = await self._add(index, list(read.values()))
        finally:
            self._count -= 1
            await asyncio.to_thread(self._folder.drop, list(held.values()))
        for number, report in zip(read, reports, strict=True):
            fates[number] = _fate(_shown(sent[number]), report)
        return self._added([fates[number] for number in range(len(sent))], reports)

    def _receive(self, sent: Sequence[UploadFile], held: dict[int, FoundFile], fates: dict[int, FileFate]) -> None:
        taken: set[Path] = set()
        for number, upload in enumerate(sent):
            try:
                file = self._folder.receive(upload.filename or "", upload.file)
                held[number] = file
                if file.path in taken:
                    self._folder.drop([held.pop(number)])
                    raise DocumentUnreadable("another file of this request has the same name")  # noqa: TRY301
                taken.add(file.path)
            except DocumentUnreadable as exc:
                fates[number] = FileFate(name=_shown(upload), outcome="skipped", reason=str(exc))

    async def _read(self, file: FoundFile, left: asyncio.Event) -> list[LoadedDocument | Failure]:
        """What is in a file. Raises `DocumentUnreadable`, also when nobody waits for it any more."""
        async with self._reading:
            if left.is_set():
                raise DocumentUnreadable(_LEFT)
            loader = self._idle.pop() if self._idle else Loader(self._limits)
            reading = asyncio.ensure_future(asyncio.to_thread(_read, loader, file))
            leaving = asyncio.ensure_future(left.wait())
            try:
                await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    raise DocumentUnreadable(_LEFT)
                return reading.result()
            finally:
                leaving.cancel()
                if reading.done():
                    self._idle.append(loader)
                else:  # its thread ends with the process that it hears
                    await asyncio.to_thread(loader.close)
                    with suppress(DocumentUnreadable):
                        await reading

    async def _add(self, index: Index, read: Sequence[ReadFile]) -> list[IndexReport]:
        return await self._write(lambda: self._folder.add(index, read))

    async def add_guide(self, index: Index) -> IndexReport:
        """Index the documents that come along. Raises `InvalidRequest` where the library has others, `IndexBusy`."""
        return await self._write(lambda: self._index_guide(index))

    def _index_guide(self, index: Index) -> IndexReport:
        if index.files():
            raise InvalidRequest("The guide is for an empty library, and this one holds documents.")
        return index_paths(index, [copy_guide(self._data_dir)], limits=self._limits)

    async def remove(self, index: Index, document_id: str) -> int:
        """Take a document out, and the file that was sent with it when it held no other. Raises `IndexBusy`."""
        return await self._write(lambda: self._folder.remove(index, document_id))

    async def _write(self, change: Callable[[], T]) -> T:
        async with self._writing:
            give_up_at = monotonic() + _BUSY_S
            while True:
                try:
                    return await asyncio.to_thread(change)
                except IndexBusy as exc:
                    if monotonic() > give_up_at:
                        raise IndexBusy(str(exc), retry_after_s=_BUSY_S) from exc
                await asyncio.sleep(_ASK_AGAIN_S)

    def _added(self, fates: list[FileFate], reports: Sequence[IndexReport]) -> Added:
        skipped = [
            Skipped(uri=f"{self._label}/{fate.name}", reason=fate.reason) for fate in fates if fate.outcome == "skipped"
        ]
        skipped += [Skipped(uri=one.uri, reason=one.reason) for report in reports for one in report.failures]
        return Added(
            documents=sum(fate.documents for fate in fates),
            passages=sum(fate.passages for fate in fates),
            skipped=skipped,
            files=fates,
        )

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def upload_routes(*, folder: Path, limits: Limits) -> APIRouter:
    """Routes that keep what is sent in `folder` and index it. A file of the same name is replaced."""
    uploads = Uploads(folder, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(uploads.close)

    routes = APIRouter(tags=["library"], lifespan=lifespan)

    @routes.post("/documents", responses=documented(413, 415, 422, 503, 507))
    async def upload(request: Request, files: Annotated[list[UploadFile], File()]) -> Added:
        """Add documents to the library."""
        index = index_of(request)
        if index is None:
            raise InvalidRequest("This server answers from a store of its own, to which nothing can be uploaded.")
        left = asyncio.Event()
        watching = asyncio.create_task(_watch(request, left))
        try:
            return await uploads.take(index, files, left)
        finally:
            watching.cancel()

    @routes.post("/library/guide", responses=documented(422, 503, 507))
    async def add_guide(request: Request) -> Added:
        """Add the guide that comes along to a library that is empty."""
        index = index_of(request)
        if index is None:
            raise InvalidRequest("This server answers from a store of its own, to which nothing can be added.")
        report = await uploads.add_guide(index)
        return Added(documents=report.added, passages=report.passages, skipped=[], files=[])

    @routes.delete("/documents/{document_id}", responses=documented(404, 422, 503))
    async def remove(request: Request, document_id: Annotated[str, PathParameter(pattern=NO_NUL)]) -> Removed:
        """Take a document out of the library: it is not found any more, by questions that are being answered either."""
        index = index_of(request)
        removed = await uploads.remove(index, document_id) if index is not None else 0
        if not removed:
            raise DocumentNotFound("The library has no document with this id; it may have been removed already.")
        return Removed(removed=removed)

    return routes


async def _watch(request: Request, left: asyncio.Event) -> None:
    """Say when the client has left: its files have come, so that it has nothing else to say."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()


def _read(loader: Loader, file: FoundFile) -> list[LoadedDocument | Failure]:
    found = list(loader.load(file.content, file.path.name))
    if not any(isinstance(one, LoadedDocument) for one in found):
        reasons = [one.reason for one in found if isinstance(one, Failure)]
        raise DocumentUnreadable(f"none of its {len(reasons)} lines can be read: {reasons[0]}")
    return found


def _shown(upload: UploadFile) -> str:
    return inert_line(upload.filename or "")[:_SHOWN_NAME_CHARS] or "a file"


def _fate(name: str, report: IndexReport) -> FileFate:
    documents = report.added + report.replaced
    changed: Literal["added", "replaced"] = "added" if report.added and not report.replaced else "replaced"
    return FileFate(
        name=name,
        outcome=changed if documents or report.removed else "unchanged",
        documents=documents,
        passages=report.passages,
        note="; ".join(note.text for note in report.notes),
    )
