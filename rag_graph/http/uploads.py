"""Files that are sent to be added: many are read at a time, each in its turn is written; and what became of each."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Final, Literal, TypeVar

from fastapi import UploadFile
from pydantic import BaseModel

from rag_graph.errors import DocumentUnreadable, IndexBusy, InvalidRequest
from rag_graph.index import Failure, Index, IndexReport
from rag_graph.index.guide import copy_guide
from rag_graph.index.indexing import OnFile, index_paths, unobserved
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loading import FoundFile, LoadedDocument
from rag_graph.index.uploads import ReadFile, UploadFolder
from rag_graph.text.controls import inert_line

READERS: Final = 4
"""Files that are read at a time, each in a process: so many hostile ones may stand beside one that is none."""
MAX_UPLOADS: Final = 64
"""Uploads that this process has at a time; nearly all of them wait."""
_BUSY_S: Final = 30.0
"""How long an upload waits for another process that indexes."""
_ASK_AGAIN_S: Final = 0.25
_SHOWN_NAME_CHARS: Final = 100
_LEFT_OUT: Final = "left out: "
T = TypeVar("T")
_LEFT: Final = "who sent it has left"


class Skipped(BaseModel):
    """A file that was not indexed, and why."""

    uri: str
    reason: str


class FileFate(BaseModel):
    """What became of one file; `reason` says why it was skipped, `note` what to know of how it was read.

    `left_out` is what of it nobody means to ask about, such as embedded pictures and minified lines.
    """

    name: str
    outcome: Literal["added", "replaced", "unchanged", "skipped"]
    documents: int = 0
    passages: int = 0
    reason: str = ""
    note: str = ""
    left_out: str = ""


class Added(BaseModel):
    """What became of the files that were sent, one after the other, and of no others.

    `skipped` names what is not in the library: files, and lines of files.
    """

    documents: int
    passages: int
    skipped: list[Skipped]
    files: list[FileFate]


class Uploads:
    """The uploads of this process."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = UploadFolder(folder)
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
        held: dict[int, FoundFile] = {}
        with self.admitted():
            try:
                held, fates = await asyncio.to_thread(self.receive, sent)
                read: dict[int, ReadFile] = {}
                for number, file in held.items():
                    try:
                        read[number] = file, await self.read(file, left)
                    except DocumentUnreadable as exc:
                        fates[number] = skipped(shown(sent[number].filename), exc)
                if not read:
                    raise nothing_added(fates)
                reports = await self.add(index, list(read.values()))
            finally:
                await asyncio.to_thread(self.folder.drop, list(held.values()))
        for number, report in zip(read, reports, strict=True):
            fates[number] = fate_of(shown(sent[number].filename), report)
        return self.added([fates[number] for number in range(len(sent))], reports)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold the place of an upload. Raises `IndexBusy`."""
        if self._count >= MAX_UPLOADS:
            raise too_many()
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    def receive(self, sent: Sequence[UploadFile]) -> tuple[dict[int, FoundFile], dict[int, FileFate]]:
        """Keep what is sent, by its number, until it is added or dropped; and the fates of what cannot be."""
        held: dict[int, FoundFile] = {}
        fates: dict[int, FileFate] = {}
        taken: set[Path] = set()
        for number, upload in enumerate(sent):
            try:
                file = self.folder.receive(upload.filename or "", upload.file)
                held[number] = file
                # Both would take the same place, and the answer would tell of two documents where there is one.
                if file.path in taken:
                    self.folder.drop([held.pop(number)])
                    raise DocumentUnreadable("another file of this request has the same name")  # noqa: TRY301
                taken.add(file.path)
            except DocumentUnreadable as exc:
                fates[number] = skipped(shown(upload.filename), exc)
        return held, fates

    async def read(self, file: FoundFile, left: asyncio.Event) -> list[LoadedDocument | Failure]:
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

    async def add(
        self,
        index: Index,
        read: Sequence[ReadFile],
        on_file: OnFile = unobserved,
        *,
        may_wait: Callable[[float], bool] = lambda waited_s: waited_s < _BUSY_S,
    ) -> list[IndexReport]:
        """Bring what was read into the library. Raises `IndexBusy` if another process indexes and it may not wait."""
        return await self._write(lambda: self.folder.add(index, read, on_file), may_wait)

    async def add_guide(self, index: Index) -> IndexReport:
        """Index the documents that come along. Raises `InvalidRequest` where the library has others, `IndexBusy`."""
        return await self._write(lambda: self._index_guide(index), lambda waited_s: waited_s < _BUSY_S)

    def _index_guide(self, index: Index) -> IndexReport:
        if index.files():
            raise InvalidRequest("The guide is for an empty library, and this one holds documents.")
        return index_paths(index, [copy_guide(self._data_dir)], limits=self._limits)

    async def remove(self, index: Index, document_id: str) -> int:
        """Take a document out, and the file that was sent with it when it held no other. Raises `IndexBusy`."""
        return await self._write(lambda: self.folder.remove(index, document_id), lambda waited_s: waited_s < _BUSY_S)

    async def _write(self, change: Callable[[], T], may_wait: Callable[[float], bool]) -> T:
        # Those of this process wait here, in order and without a
        # thread each; only another process is asked again and again.
        async with self._writing:
            since = monotonic()
            while True:
                try:
                    return await asyncio.to_thread(change)
                except IndexBusy as exc:
                    if not may_wait(monotonic() - since):
                        raise IndexBusy(str(exc), retry_after_s=_BUSY_S) from exc
                await asyncio.sleep(_ASK_AGAIN_S)

    def added(self, fates: Sequence[FileFate], reports: Sequence[IndexReport]) -> Added:
        """What became of all of them."""
        unread = [
            Skipped(uri=f"{self._label}/{fate.name}", reason=fate.reason) for fate in fates if fate.outcome == "skipped"
        ]
        unread += [Skipped(uri=one.uri, reason=one.reason) for report in reports for one in report.failures]
        return Added(
            documents=sum(fate.documents for fate in fates),
            passages=sum(fate.passages for fate in fates),
            skipped=unread,
            files=list(fates),
        )

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def shown(name: str | None) -> str:
    """A file's name as it is told."""
    return inert_line(name or "")[:_SHOWN_NAME_CHARS] or "a file"


def skipped(name: str, why: DocumentUnreadable) -> FileFate:
    return FileFate(name=name, outcome="skipped", reason=str(why))


def too_many() -> IndexBusy:
    return IndexBusy("As many uploads wait as this server takes; send it again in a moment.", retry_after_s=5)


def nothing_added(fates: dict[int, FileFate]) -> InvalidRequest:
    told = "; ".join(f"{fates[number].name}: {fates[number].reason}" for number in sorted(fates))
    return InvalidRequest(f"files: nothing was added. {told}.")


def fate_of(name: str, report: IndexReport) -> FileFate:
    """What became of a file that was read."""
    documents = report.added + report.replaced
    changed: Literal["added", "replaced"] = "added" if report.added and not report.replaced else "replaced"
    told = [part for note in report.notes for part in note.text.split("; ")]
    return FileFate(
        name=name,
        outcome=changed if documents or report.removed else "unchanged",
        documents=documents,
        passages=report.passages,
        note="; ".join(note.text for note in report.notes),
        left_out=", ".join(part.removeprefix(_LEFT_OUT) for part in told if part.startswith(_LEFT_OUT)),
    )


def _read(loader: Loader, file: FoundFile) -> list[LoadedDocument | Failure]:
    found = list(loader.load(file.content, file.path.name))
    if not any(isinstance(one, LoadedDocument) for one in found):
        reasons = [one.reason for one in found if isinstance(one, Failure)]
        raise DocumentUnreadable(f"none of its {len(reasons)} lines can be read: {reasons[0]}")
    return found
