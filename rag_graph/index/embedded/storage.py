"""The files of an index on the disk: whole, their owner's alone, and what is wrong with them in words.

What a commit counts on has reached the disk before it; with the size and the checksum of each file, a later reader
knows that it finds what was written.
"""

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import xxhash

from rag_graph.errors import IndexDamaged, LibraryError, StorageFull

CATALOGUE: Final = "library.sqlite"
_CATALOGUE_SUM: Final = "library.sum"
_BLOCK: Final = 1 << 20
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None}
"""None is NumPy's: it says how much it could write, and not why that was less."""
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
_READ_ERRORS: Final = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}
_CORRUPT: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True, slots=True)
class FileSum:
    """A file as it was written."""

    name: str
    size: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> "FileSum":
        digest, size = xxhash.xxh3_128(), 0
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
        return cls(path.name, size, digest.hexdigest())


def seal(folder: Path) -> tuple[FileSum, ...]:
    """Bring the files of a folder to the disk for good; return what they are."""
    paths = sorted(folder.iterdir())
    for path in paths:
        path.chmod(0o600)
        sync(path)
    sync(folder)
    # A name is on the disk only when the folder that it stands in is.
    sync(folder.parent)
    return tuple(FileSum.of(path) for path in paths)


def check(folder: Path, sums: Iterable[FileSum]) -> None:
    """Raises `IndexDamaged`, and `FileNotFoundError` of what is not there."""
    for expected in sums:
        path = folder / expected.name
        with reading(path, within=folder.parent.parent):
            size = path.stat().st_size
            if size != expected.size:
                raise _damaged(path, folder.parent.parent, f"has {size} bytes in place of {expected.size}")
            if FileSum.of(path) != expected:
                raise _damaged(path, folder.parent.parent, "is not as it was written")


def seal_catalogue(directory: Path, generation: int) -> None:
    """Note what the SQLite file is after this generation, when nothing of it is in its log any more."""
    found = FileSum.of(directory / CATALOGUE)
    written = directory / f"{_CATALOGUE_SUM}.new"
    with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 - its mode
        json.dump({"generation": generation, "size": found.size, "digest": found.digest}, file)
        file.flush()
        os.fsync(file.fileno())
    # A whole note or the old one: half a note would read as damage.
    written.replace(directory / _CATALOGUE_SUM)
    sync(directory)


def check_catalogue(directory: Path, generation: int) -> None:
    """Raises `IndexDamaged`. Who calls it is in a transaction that read this generation.

    As long as the log is empty, that transaction keeps SQLite from writing into the file. With a log, or of another
    generation, as after a run that was killed, nothing is known.
    """
    path, log = directory / CATALOGUE, directory / f"{CATALOGUE}-wal"
    if log.exists() and log.stat().st_size:
        return
    with reading(path, within=directory):
        noted = _noted(directory)
        if noted.get("generation") != generation:
            return
        found = FileSum.of(path)
        if (found.size, found.digest) != (noted.get("size"), noted.get("digest")):
            raise _damaged(path, directory, "is not as it was written")


def has_been_sealed(directory: Path) -> bool:
    """Whether an index was once complete here, so that a missing or empty catalogue is damage and no beginning."""
    return (directory / _CATALOGUE_SUM).exists()


def is_sealed(directory: Path, generation: int) -> bool:
    """Whether that note is there: it is not written again of a file that nothing has changed."""
    return _noted(directory).get("generation") == generation


def drop_catalogue(directory: Path) -> None:
    """Remove a catalogue that cannot be read."""
    for name in (CATALOGUE, f"{CATALOGUE}-wal", f"{CATALOGUE}-shm", _CATALOGUE_SUM):
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def make_private(directory: Path) -> None:
    """Let nobody but the owner in, nor read what older versions left open."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(PermissionError):  # another owner's, who has let us in
        directory.chmod(0o700)
        for folder, _, names in os.walk(directory):
            Path(folder).chmod(0o700)
            for name in names:
                Path(folder, name).chmod(0o600)
    catalogue = directory / CATALOGUE
    if not catalogue.exists():  # SQLite gives its log the rights that its file has
        os.close(os.open(catalogue, os.O_RDWR | os.O_CREAT, 0o600))


def sync(path: Path) -> None:
    """Return when the disk has it."""
    if os.name == "nt" and path.is_dir():
        return  # Windows knows no such thing
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def reading(path: Path, *, within: Path) -> Iterator[None]:
    """Say of a file what keeps it from being read. Raises `IndexDamaged`; what is not there stays as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as exc:
        message = f"The index's file {_name(path, within)} may not be read by this process: give it the right to."
        raise LibraryError(message) from exc
    except (OSError, ValueError, EOFError, RuntimeError) as exc:
        raise _damaged(path, within, "cannot be read") from exc


@contextmanager
def writing() -> Iterator[None]:
    """Say what keeps an index from being written. Raises `LibraryError`."""
    try:
        yield
    except OSError as exc:
        raise _unwritten(full=exc.errno in _FULL, forbidden=exc.errno in _FORBIDDEN) from exc
    except sqlite3.Error as exc:
        code = _code(exc)
        if is_corrupt(exc):
            raise damaged_catalogue() from exc
        could_not_read = getattr(exc, "sqlite_errorcode", 0) in _READ_ERRORS
        full = code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR} and not could_not_read
        raise _unwritten(full=full, forbidden=code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}) from exc


def is_corrupt(exc: sqlite3.Error) -> bool:
    # An SQLite file without our tables is whole, and stands in the place of ours.
    return _code(exc) in _CORRUPT or str(exc).startswith("no such table")


def damaged_catalogue() -> IndexDamaged:
    return _damaged(Path(CATALOGUE), Path(), "is not as it was written")


def missing(path: Path, within: Path) -> IndexDamaged:
    return _damaged(path, within, "is missing")


def _unwritten(*, full: bool, forbidden: bool) -> LibraryError:
    stands = "What was indexed before is still found."
    if full:
        return StorageFull(f"There is no room left where the index is kept: make some, and index again. {stands}")
    if forbidden:
        return LibraryError(f"The folder of the index may not be written by this process: give it the right. {stands}")
    return LibraryError(f"The folder of the index cannot be written: look at its disk. {stands}")


def _damaged(path: Path, within: Path, how: str) -> IndexDamaged:
    return IndexDamaged(f"The index's file {_name(path, within)} {how}; index anew: rag-graph index --rebuild PATH")


def _name(path: Path, within: Path) -> str:
    return path.relative_to(within).as_posix()


def _noted(directory: Path) -> dict[str, object]:
    path = directory / _CATALOGUE_SUM
    if not path.exists():
        return {}
    with reading(path, within=directory):
        noted = json.loads(path.read_bytes())
    if not isinstance(noted, dict):
        raise _damaged(path, directory, "is not as it was written")
    return noted


def _code(exc: sqlite3.Error) -> int:
    # The primary code: the lower eight bits of an extended one.
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF
