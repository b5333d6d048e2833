"""Uploads that outlive who sent them: what happens to one is a list of numbered events, kept in a file.

So it is followed as a run is, from any process that has the folder; and one whose process has died is gone on with by
the next that is asked about it, or starts.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time
from typing import Any, Final, Literal

from fastapi import UploadFile
from filelock import FileLock, Timeout
from pydantic import BaseModel, TypeAdapter

from rag_graph.errors import BadCursor, DocumentNotFound, DocumentUnreadable, RagGraphError
from rag_graph.events import Fact
from rag_graph.http.uploads import (
    MAX_UPLOADS,
    READERS,
    Added,
    FileFate,
    Uploads,
    fate_of,
    nothing_added,
    shown,
    skipped,
    too_many,
)
from rag_graph.index import Index
from rag_graph.index.chunking import chunk
from rag_graph.index.embedded.storage import sync, writing
from rag_graph.index.loading import FoundFile, LoadedDocument
from rag_graph.index.uploads import ReadFile
from rag_graph.runs.ids import RUN_ID, digest, new_run_id
from rag_graph.runs.log import Batch, Entry, line_safe

JOBS: Final = ".jobs"
"""In the folder of uploads; hidden, so that who indexes that passes over it."""
LOOK_AGAIN_S: Final = 0.2
"""A file tells nobody that it has grown: its readers look."""
# Each is a line that stays in the file, and nobody reads faster.
_TELL_S: Final = 0.5
_FIRST_ESTIMATE_S: Final = 2.0
"""The first passages take longer than others: the model is loaded meanwhile."""
_WAIT_FOR_OTHERS_S: Final = 3_600.0
"""Another process that indexes may take long, and nobody has to wait for this upload."""

log = logging.getLogger(__name__)


class UploadQueued(Fact):
    """The files have come; from here on they are added whether anybody follows or not."""

    type: Literal["upload_queued"] = "upload_queued"
    files: tuple[str, ...]


class UploadProgress(Fact):
    """How far it is: which file is read or embedded, and of how many passages those that were read are made.

    `remaining_s` is an estimate by the passages so far; null until there are some.
    """

    type: Literal["upload_progress"] = "upload_progress"
    stage: Literal["reading", "waiting", "embedding"]
    file: str = ""
    files_done: int
    files_total: int
    passages_done: int = 0
    passages_total: int = 0
    remaining_s: float | None = None


class FileFinished(Fact):
    """What became of one file, `number` counting from 0 in the order they were sent."""

    type: Literal["file_finished"] = "file_finished"
    number: int
    fate: FileFate


class UploadFinished(Fact):
    """The last event: what became of them all."""

    type: Literal["upload_finished"] = "upload_finished"
    added: Added


class UploadFailed(Fact):
    """The last event of one of which nothing was added, and why."""

    type: Literal["upload_failed"] = "upload_failed"
    code: str
    message: str
    retryable: bool = False


JobEvent = UploadQueued | UploadProgress | FileFinished | UploadFinished | UploadFailed
_JobEvents: Final[TypeAdapter[JobEvent]] = TypeAdapter(JobEvent)
_LAST: Final = frozenset({"upload_finished", "upload_failed"})


class UploadState(BaseModel):
    """How an upload stands."""

    id: str
    status: Literal["running", "finished", "failed"]
    files: list[FileFate]
    progress: UploadProgress | None = None
    added: Added | None = None
    error: UploadFailed | None = None


@dataclass(slots=True)
class _Job:
    """An upload as this process works at it."""

    id: str
    caller: str
    names: list[str]
    held: dict[int, FoundFile]
    fates: dict[int, FileFate]
    lock: FileLock
    told_at: float = 0.0
    since: float | None = None
    passages_total: int = 0

    def progress(
        self, stage: Literal["reading", "waiting", "embedding"], file: str = "", done: int = 0
    ) -> UploadProgress:
        now = monotonic()
        if stage == "embedding" and self.since is None:
            self.since = now
        elapsed = now - self.since if self.since is not None else 0.0
        left = max(0, self.passages_total - done)
        return UploadProgress(
            stage=stage,
            file=file,
            files_done=len(self.fates),
            files_total=len(self.names),
            passages_done=done,
            passages_total=self.passages_total,
            remaining_s=round(left * elapsed / done, 1) if done and elapsed > _FIRST_ESTIMATE_S else None,
        )


class _Stopped(Exception):
    """The server stops; whoever starts next goes on."""


@dataclass(slots=True)
class UploadJobs:
    """The uploads of a folder that were sent to be followed."""

    uploads: Uploads
    folder: Path
    kept_s: float
    _tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _working: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READERS))
    """So many hold what they have read; the others wait with their files on the disk."""

    async def start(self, index: Index, sent: Sequence[UploadFile], *, caller: str) -> str:
        """Take files in and begin with them; give the id. Raises `InvalidRequest` if none can be read, `IndexBusy`."""
        if len(self._tasks) >= MAX_UPLOADS:
            raise too_many()
        held, fates = await asyncio.to_thread(self.uploads.receive, sent)
        if not held:
            raise nothing_added(fates)
        names = [shown(one.filename) for one in sent]
        try:
            job = await asyncio.to_thread(self._create, names, held, fates, digest(caller))
        # A sender who leaves cancels this too, and nobody else would drop what was held for them.
        except BaseException:
            await asyncio.to_thread(self.uploads.folder.drop, list(held.values()))
            raise
        self._begin(index, job)
        return job.id

    async def go_on(self, index: Index) -> None:
        """Go on with what a process that is gone has left."""
        for job_id in await asyncio.to_thread(self._unfinished):
            await self._take_over(index, job_id)

    async def state(self, index: Index, job_id: str, *, caller: str) -> UploadState:
        """How it stands. Raises `DocumentNotFound`."""
        entries = await self._checked(index, job_id, caller)
        state = UploadState(id=job_id, status="running", files=[])
        for entry in entries:
            match _JobEvents.validate_json(entry.data):
                case UploadProgress() as progress:
                    state.progress = progress
                case FileFinished(fate=fate):
                    state.files.append(fate)
                case UploadFinished(added=added):
                    state.status, state.added, state.files = "finished", added, added.files
                case UploadFailed() as error:
                    state.status, state.error = "failed", error
        return state

    async def is_over(self, index: Index, job_id: str, after: int, *, caller: str) -> bool:
        """Whether nothing follows that event. Raises `DocumentNotFound`, `BadCursor`."""
        entries = await self._checked(index, job_id, caller)
        if after > len(entries):
            raise BadCursor(f"Upload {job_id} has {len(entries)} events, not {after}: follow it from 0.")
        return after == len(entries) and entries[-1].kind in _LAST

    @asynccontextmanager
    async def reading(self, job_id: str, after: int) -> AsyncIterator[AsyncIterator[Batch]]:
        """What follows an event, as it comes, to the last one."""

        async def batches() -> AsyncIterator[Batch]:
            seen = at = 0
            while True:
                lines = await asyncio.to_thread(self._lines, job_id, at)
                at += sum(len(line) + 1 for line in lines)
                entries = [entry for entry in _numbered(lines, seen) if entry.seq > after]
                seen += len(lines)
                if entries:
                    yield entries
                    if entries[-1].kind in _LAST:
                        return
                await asyncio.sleep(LOOK_AGAIN_S)

        yield batches()

    async def close(self) -> None:
        """Stop working, at once: what is not committed is dropped, and done by whoever starts next."""
        self._stopping.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _checked(self, index: Index, job_id: str, caller: str) -> list[Entry]:
        known = await asyncio.to_thread(self._record, job_id) if RUN_ID.fullmatch(job_id) else None
        entries = await asyncio.to_thread(self._read, job_id) if known is not None else []
        if known is None or not entries or known["caller"] != digest(caller):
            raise DocumentNotFound("There is no upload with this id, or it ended long ago.")
        if entries[-1].kind not in _LAST:
            await self._take_over(index, job_id)
        return entries

    async def _take_over(self, index: Index, job_id: str) -> None:
        """Go on with it if no process does."""
        if job_id in self._tasks or self._stopping.is_set():
            return
        job = await asyncio.to_thread(self._reopen, job_id)
        # Looked at again: several may ask for the same upload while the first one opens it.
        if job is not None and job_id not in self._tasks:
            self._begin(index, job)

    def _begin(self, index: Index, job: _Job) -> None:
        task = self._tasks[job.id] = asyncio.create_task(self._work(index, job))
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def _work(self, index: Index, job: _Job) -> None:
        """All of an upload, to its last event."""
        try:
            async with self._working:
                failed = await self._carry_out(index, job)
            if failed is not None:
                await asyncio.to_thread(self._append, job.id, failed)
            # Last of all: until the last event is written, another process may have to go on with these files.
            await asyncio.to_thread(self.uploads.folder.drop, list(job.held.values()))
        except _Stopped:
            return
        except RagGraphError as exc:  # not even that can be written: who looks at it next goes on with it
            log.warning("an upload could not be noted: %s", exc)
        finally:
            job.lock.release()

    async def _carry_out(self, index: Index, job: _Job) -> UploadFailed | None:
        """Add the files, or give why none of them was."""
        try:
            await self._add(index, job)
        except _Stopped:
            raise
        except RagGraphError as exc:
            if self._stopping.is_set():
                raise _Stopped from exc
            return UploadFailed(code=exc.code, message=str(exc), retryable=exc.retryable)
        except Exception:
            log.exception("an upload broke")
            told = "The upload could not be carried out, for a fault of this server's; its log says more."
            return UploadFailed(code="internal", message=told)
        return None

    async def _add(self, index: Index, job: _Job) -> None:
        read: dict[int, ReadFile] = {}
        for number, file in job.held.items():
            if number in job.fates:  # told before, by a process that is gone
                continue
            await asyncio.to_thread(self._append, job.id, job.progress("reading", job.names[number]))
            try:
                read[number] = file, await self.uploads.read(file, self._stopping)
            except DocumentUnreadable as exc:
                if self._stopping.is_set():
                    raise _Stopped from exc
                await self._finish(job, number, skipped(job.names[number], exc))
        job.passages_total = await asyncio.to_thread(_passages, list(read.values()))
        await asyncio.to_thread(self._append, job.id, job.progress("waiting"))
        by_file = {file.path: number for number, (file, _) in read.items()}

        def tell(file: FoundFile, done: int) -> None:
            if self._stopping.is_set():
                raise _Stopped
            if monotonic() - job.told_at > _TELL_S:
                job.told_at = monotonic()
                self._append(job.id, job.progress("embedding", job.names[by_file[file.path]], done))

        def may_wait(waited_s: float) -> bool:
            return waited_s < _WAIT_FOR_OTHERS_S and not self._stopping.is_set()

        reports = await self.uploads.add(index, list(read.values()), tell, may_wait=may_wait) if read else []
        for number, report in zip(read, reports, strict=True):
            await self._finish(job, number, fate_of(job.names[number], report))
        fates = [job.fates[number] for number in range(len(job.names))]
        await asyncio.to_thread(self._append, job.id, UploadFinished(added=self.uploads.added(fates, reports)))

    async def _finish(self, job: _Job, number: int, fate: FileFate) -> None:
        job.fates[number] = fate
        await asyncio.to_thread(self._append, job.id, FileFinished(number=number, fate=fate))

    # Its files: `ID.json` says what was sent and where that is held, `ID.jsonl` has the events, `ID.lock` is held by
    # the process that works at it.

    def _create(self, names: list[str], held: dict[int, FoundFile], fates: dict[int, FileFate], caller: str) -> _Job:
        with writing():
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._drop_old()
            job_id = new_run_id(time())
            lock = self._lock(job_id)
            lock.acquire(blocking=False)
            files = {
                str(number): {"path": str(file.path), "held": str(file.content), "size": file.size}
                for number, file in held.items()
            }
            record = json.dumps({"caller": caller, "names": names, "files": files})
            with open(os.open(self._path(job_id, "json"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:  # noqa: PTH123 - its mode
                file.write(record)
                file.flush()
                # On the disk before the sender hears of it: from then on the upload outlives this process.
                os.fsync(file.fileno())
            self._append(job_id, UploadQueued(files=tuple(names)))
            for number, fate in fates.items():
                self._append(job_id, FileFinished(number=number, fate=fate))
            sync(self.folder)
        return _Job(job_id, caller, names, held, dict(fates), lock)

    def _reopen(self, job_id: str) -> _Job | None:
        """A job that no process works at."""
        lock = self._lock(job_id)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        entries, record = self._read(job_id), self._record(job_id)
        with suppress(FileNotFoundError):  # a line that is not whole would spoil the next
            os.truncate(self._path(job_id, "jsonl"), sum(len(entry.data) + 1 for entry in entries))
        if record is None or not entries or entries[-1].kind in _LAST:
            lock.release()
            return None
        events = [_JobEvents.validate_json(entry.data) for entry in entries]
        fates = {event.number: event.fate for event in events if isinstance(event, FileFinished)}
        held: dict[int, FoundFile] = {}
        for number, told in record["files"].items():
            path = Path(told["path"])
            file = FoundFile(path, path.parent, told["size"], held_at=Path(told["held"]))
            if int(number) not in fates and self.uploads.folder.hold_again(file):
                held[int(number)] = file
            elif int(number) not in fates:
                lost = DocumentUnreadable("it was lost when the server stopped; send it again")
                fates[int(number)] = skipped(record["names"][int(number)], lost)
        return _Job(job_id, record["caller"], record["names"], held, fates, lock)

    def _unfinished(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        self._drop_old()
        found = sorted(path.stem for path in self.folder.glob("*.jsonl"))
        return [job_id for job_id in found if (entries := self._read(job_id)) and entries[-1].kind not in _LAST]

    def _drop_old(self) -> None:
        """Those that ended long ago, and what is left of those that never began."""
        for path in self.folder.iterdir():
            # Another process may drop the same file at the same time.
            with suppress(OSError):
                if path.stat().st_mtime < time() - self.kept_s and self._is_idle(path.stem):
                    path.unlink()

    def _is_idle(self, job_id: str) -> bool:
        entries = self._read(job_id)
        return job_id not in self._tasks and (not entries or entries[-1].kind in _LAST)

    def _append(self, job_id: str, event: JobEvent) -> None:
        line = event.model_dump_json().encode()
        # One call for the whole line: a reader sees all of it or none, but for the end of a full disk.
        with writing():
            number = os.open(self._path(job_id, "jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(number, "ab", buffering=0) as file:  # noqa: PTH123 - its mode
                file.write((line if line.isascii() else line_safe(line)) + b"\n")

    def _read(self, job_id: str) -> list[Entry]:
        """All events so far."""
        return _numbered(self._lines(job_id))

    def _lines(self, job_id: str, begin: int = 0) -> list[bytes]:
        """The lines from this byte on, without one that is not whole."""
        try:
            with self._path(job_id, "jsonl").open("rb") as file:
                file.seek(begin)
                return file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    def _record(self, job_id: str) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(self._path(job_id, "json").read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):  # one that was killed while it was written never began
            return None
        return record

    def _path(self, job_id: str, suffix: str) -> Path:
        return self.folder / f"{job_id}.{suffix}"

    def _lock(self, job_id: str) -> FileLock:
        # Not of a thread: it is taken in a thread of the pool, and given back from the event loop's.
        return FileLock(self._path(job_id, "lock"), mode=0o600, thread_local=False)


def _numbered(lines: Sequence[bytes], seen: int = 0) -> list[Entry]:
    return [Entry(number, 0.0, None, line) for number, line in enumerate(lines, start=seen + 1)]


def _passages(read: Sequence[ReadFile]) -> int:
    documents = [one for _, found in read for one in found if isinstance(one, LoadedDocument)]
    return sum(1 for document in documents for _ in chunk(document.text, document.outline))
