"""The folder of files that came from outside: each is read beside its place, and takes it together with its documents.

So a file that cannot be read leaves nothing behind, and one that was to be replaced stays as it was.
"""

import os
import shutil
import time
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Final

from rag_graph.errors import DocumentUnreadable
from rag_graph.index.base import Index
from rag_graph.index.embedded.storage import sync, writing
from rag_graph.index.indexing import IndexReport, OnFile, index_files, unobserved
from rag_graph.index.loading import Failure, FoundFile, LoadedDocument, is_known, unknown_kind

_INCOMING: Final = ".incoming"
"""Hidden, so that who indexes the folder meanwhile passes over it."""
_MAX_NAME_BYTES: Final = 255
_NOT_IN_NAMES: Final = frozenset('<>:"|?*/\\')
# Long after any upload has had its turn: one that waits for it holds its files here, too.
_LEFT_OVER_S: Final = 24 * 3600.0

ReadFile = tuple[FoundFile, list[LoadedDocument | Failure]]


class UploadFolder:
    """Where uploads are kept; all calls block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def receive(self, name: str, content: BinaryIO) -> FoundFile:
        """Take a file in, beside its place. Raises `DocumentUnreadable` of what no document can be."""
        name = _safe(name)
        path = self._folder.absolute() / name
        if not is_known(path):
            raise DocumentUnreadable(unknown_kind(path), "unknown kind")
        held = self._folder.absolute() / _INCOMING / uuid.uuid4().hex
        with writing():
            for folder in (self._folder, held.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._drop_left_overs()
            try:
                with open(os.open(held, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - its mode
                    shutil.copyfileobj(content, file)
                    file.flush()
                    os.fsync(file.fileno())
                size = held.stat().st_size
            except OSError:
                held.unlink(missing_ok=True)
                raise
        if not size:
            held.unlink()
            raise DocumentUnreadable("it is empty", "no text")
        return FoundFile(path, path.parent, size, held_at=held)

    def add(self, index: Index, read: Sequence[ReadFile], on_file: OnFile = unobserved) -> list[IndexReport]:
        """Index files that were read, and put each in its place, all of them or none. Raises `LibraryError`."""
        documents = {file.content: found for file, found in read}
        with ExitStack() as undoing:

            def place(file: FoundFile) -> None:
                with writing():
                    former = file.content.with_suffix(".former")
                    if file.path.exists():
                        _copy(file.path, former)
                    undoing.callback(_put_back, file.path, former)
                    file.content.replace(file.path)
                    sync(file.path.parent)

            reports = index_files(
                index, [file for file, _ in read], lambda path, _: iter(documents[path]), place=place, on_file=on_file
            )
            # All is committed: from here on nothing is put back.
            undoing.pop_all()
        self.drop(file for file, _ in read)
        return reports

    def remove(self, index: Index, document_id: str) -> int:
        """Take a document out of the index, and its file out of this folder where it was the last of it."""
        file = index.file_of(document_id)
        if file is None:
            return 0
        path = Path(file.path)
        is_ours = path.parent == self._folder.absolute()
        with index.writer() as writer:
            writer.remove([document_id])
            is_empty = is_ours and next(iter(writer.document_ids(file.path)), None) is None
            if is_empty:
                writer.remove_file(file.path)
        if is_empty:
            with writing():
                path.unlink(missing_ok=True)
        return 1

    def hold_again(self, file: FoundFile) -> bool:
        """Hold what a process had taken in that is gone; it may have put the file in its place already."""
        if not file.content.exists() and file.path.exists():
            with writing():
                file.content.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                shutil.copy2(file.path, file.content)
        return file.content.exists()

    def drop(self, files: Iterable[FoundFile]) -> None:
        """Remove what is still held of these files."""
        for file in files:
            for path in (file.content, file.content.with_suffix(".former")):
                path.unlink(missing_ok=True)

    def _drop_left_overs(self) -> None:
        """What a process held that was killed."""
        for path in (self._folder / _INCOMING).iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - _LEFT_OVER_S:
                    path.unlink()


def _safe(name: str) -> str:
    """The last part of a path from outside, as a name that no system and no terminal takes for anything else."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    safe = "".join(letter if letter.isprintable() and letter not in _NOT_IN_NAMES else "_" for letter in last).strip(
        ". "
    )
    if not safe:
        raise DocumentUnreadable("it has no name", "unreadable")
    if len(safe.encode()) > _MAX_NAME_BYTES:
        raise DocumentUnreadable(f"its name is longer than {_MAX_NAME_BYTES} bytes", "unreadable")
    return safe


def _copy(path: Path, to: Path) -> None:
    try:
        # A second name costs nothing, where a copy of a large file costs its size.
        os.link(path, to)
    except OSError:  # not every file system has links
        shutil.copy2(path, to)


def _put_back(path: Path, former: Path) -> None:
    if former.exists():
        former.replace(path)
    else:
        path.unlink(missing_ok=True)
