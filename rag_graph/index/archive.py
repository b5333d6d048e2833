"""A whole library in one file: texts, passages and vectors, so that another store takes it without embedding anew.

A ZIP of parts that are bounded each: `documents-N.jsonl` and the `vectors-N.f32` of their passages, `files.jsonl`, and
at its end `manifest.json` with the checksum of each. It is checked to its end before anything is changed.
"""

import hashlib
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Final, Literal, TypeVar

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag_graph.documents import Document
from rag_graph.errors import LibraryError
from rag_graph.index.base import Index, IndexedFile, IndexWriter, StoredDocument
from rag_graph.index.chunking import Chunk
from rag_graph.index.embedded.storage import sync
from rag_graph.index.indexing import EMBEDDERS, embed_and_add
from rag_graph.models.embeddings import Vectors, unit

VERSION: Final = 1
_PART_PASSAGES: Final = 1_000
_PART_BYTES: Final = 8 << 20
_MAX_PART_BYTES: Final = 512 << 20
"""A document has at most 64 MB of text, and a part ends with the document that fills it."""
_MAX_MEMBERS: Final = 200_000
_MAX_RATIO: Final = 200
"""Of what texts unpack to; those of documentation to four times their size."""
_MANIFEST: Final = "manifest.json"
_FILES: Final = "files.jsonl"
_BLOCK: Final = 1 << 20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Member(_Strict):
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Manifest(_Strict):
    format: Literal["rag-graph library"] = "rag-graph library"
    version: int
    embedder: str
    dims: int = Field(ge=1, le=100_000)
    documents: int = Field(ge=0)
    passages: int = Field(ge=0)
    parts: int = Field(ge=0, le=_MAX_MEMBERS)
    members: dict[str, _Member]


class _File(_Strict):
    path: str
    uri: str
    hash: str = ""
    failure: str = ""


Value = str | int | float | bool


class _Passage(_Strict):
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    heading: list[str] = []
    metadata: dict[str, Value] = {}
    vectors: int = Field(ge=1, le=100_000)


class _Document(_Strict):
    id: Annotated[str, Field(min_length=1, max_length=200)]
    uri: str
    title: str
    text: str
    metadata: dict[str, Value] = {}
    path: str
    hash: str
    passages: list[_Passage]


@dataclass(frozen=True, slots=True)
class Copied:
    """What an archive holds; `embedded` says that its vectors were not used, and made anew."""

    documents: int
    passages: int
    embedded: bool = False


def export_library(index: Index, path: Path) -> Copied:
    """Write all of it into a file, in place of one that is there. Raises `LibraryError` and its kinds."""
    index.counts()  # says what is wrong with it, before anything is written
    held = path.with_name(f"{path.name}.part")
    try:
        with _writing(path), open(os.open(held, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 - its mode
            copied = _Writing(file, index).write()
            file.flush()
            os.fsync(file.fileno())
        with _writing(path):
            held.replace(path)
            sync(path.absolute().parent)
    finally:
        with suppress(OSError):
            held.unlink(missing_ok=True)
    return copied


class _Writing:
    """An archive that is being written."""

    def __init__(self, file: IO[bytes], index: Index) -> None:
        self._zip = zipfile.ZipFile(file, "w")
        self._index = index
        self._members: dict[str, _Member] = {}
        self._parts = self._documents = self._passages = 0

    def write(self) -> Copied:
        with self._zip, self._index.stored() as (files, stored):
            told = (_File(path=file.path, uri=file.uri, hash=file.hash, failure=file.failure) for file in files)
            self._add(_FILES, [orjson.dumps(file.model_dump()) + b"\n" for file in told])
            lines, vectors, passages, size = list[bytes](), list[Vectors](), 0, 0
            for one in stored:
                line = orjson.dumps(_document(one).model_dump()) + b"\n"
                lines.append(line)
                vectors += one.vectors
                passages, size = passages + len(one.chunks), size + len(line)
                if passages >= _PART_PASSAGES or size >= _PART_BYTES:
                    self._part(lines, vectors, passages)
                    lines, vectors, passages, size = [], [], 0, 0
            if lines:
                self._part(lines, vectors, passages)
            manifest = _Manifest(
                version=VERSION,
                embedder=self._index.embedder.name,
                dims=self._index.embedder.dims,
                documents=self._documents,
                passages=self._passages,
                parts=self._parts,
                members=self._members,
            )
            self._zip.writestr(_MANIFEST, manifest.model_dump_json(indent=1))
        return Copied(self._documents, self._passages)

    def _part(self, lines: list[bytes], vectors: list[Vectors], passages: int) -> None:
        self._add(_documents(self._parts), lines)
        rows = [np.ascontiguousarray(its, dtype="<f4").tobytes() for its in vectors]
        # Not packed, for digits of floats hardly get smaller.
        self._add(_vectors(self._parts), rows, packing=zipfile.ZIP_STORED)
        self._parts += 1
        self._documents += len(lines)
        self._passages += passages

    def _add(self, name: str, pieces: Iterable[bytes], *, packing: int = zipfile.ZIP_DEFLATED) -> None:
        member = zipfile.ZipInfo(name)
        member.compress_type = packing
        digest, size = hashlib.sha256(), 0
        with self._zip.open(member, "w", force_zip64=True) as file:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                file.write(piece)
        self._members[name] = _Member(size=size, sha256=digest.hexdigest())


def import_library(index: Index, path: Path, *, replace: bool = False) -> Copied:
    """Take all of an archive in place of what the library holds, at once: until then it is found as before.

    Its vectors are taken where the same model made them; else all is embedded anew. Raises `LibraryError` and its
    kinds, also for a library that holds something where it is not to be replaced.
    """
    if not replace and index.files():
        raise LibraryError("The library holds documents, which an import replaces; say --replace if they may go.")
    with _reading(path) as (archive, manifest):
        is_same = (manifest.embedder, manifest.dims) == (index.embedder.name, index.embedder.dims)
        with index.writer(rebuild=True) as writer:
            files = {file.path: file for file in _lines(archive, _FILES, _File)}
            if len({file.uri for file in files.values()}) < len(files):
                raise _damaged("two of its files have one name")
            for file in files.values():
                writer.put_file(IndexedFile(file.path, file.uri, file.hash, file.failure))
            documents, passages = _take(archive, manifest, index, writer, files, is_same=is_same)
            if (documents, passages) != (manifest.documents, manifest.passages):
                raise _damaged("it holds other documents than it says")
    return Copied(documents, passages, embedded=not is_same)


def _take(
    archive: zipfile.ZipFile,
    manifest: _Manifest,
    index: Index,
    writer: IndexWriter,
    files: Mapping[str, _File],
    *,
    is_same: bool,
) -> tuple[int, int]:
    ids, uris, passages = set[str](), set[str](), 0
    with ThreadPoolExecutor(EMBEDDERS, thread_name_prefix="embed") as pool:
        for number in range(manifest.parts):
            rows = _rows(archive, number, manifest.dims)
            stored = []
            for one in _lines(archive, _documents(number), _Document):
                if one.id in ids or one.uri in uris or one.path not in files:
                    raise _damaged("a document is there twice, or of no file")
                ids.add(one.id)
                uris.add(one.uri)
                passages += len(one.passages)
                stored.append(_stored(one, rows))
            if next(rows, None) is not None:
                raise _damaged("it has vectors of no passage")
            if is_same:
                for document in stored:
                    writer.add(
                        document.document,
                        document.chunks,
                        document.vectors,
                        path=document.path,
                        content_hash=document.hash,
                    )
            else:
                embed_and_add(index.embedder, writer, pool, stored)
    return len(ids), passages


def _stored(one: _Document, rows: Iterator[Vectors]) -> StoredDocument:
    chunks, vectors = [], []
    for passage in one.passages:
        if not passage.start <= passage.end <= len(one.text):
            raise _damaged("a passage is not in its document")
        chunks.append(Chunk(passage.start, passage.end, tuple(passage.heading), passage.metadata))
        its = [row for _, row in zip(range(passage.vectors), rows, strict=False)]
        if len(its) < passage.vectors:
            raise _damaged("a passage has no vector")
        vectors.append(unit(np.stack(its)))
    document = Document(one.id, one.uri, one.title, one.text, one.metadata)
    return StoredDocument(document, one.path, one.hash, chunks, vectors)


def _rows(archive: zipfile.ZipFile, number: int, dims: int) -> Iterator[Vectors]:
    """The vectors of a part, one after the other."""
    with archive.open(_vectors(number)) as file:
        while row := file.read(4 * dims):
            if len(row) < 4 * dims:
                raise _damaged("a vector is cut off")
            vector = np.frombuffer(row, dtype="<f4").astype(np.float32)
            if not np.isfinite(vector).all():
                raise _damaged("a vector has no numbers")
            yield vector


T = TypeVar("T", bound=_Strict)


def _lines(archive: zipfile.ZipFile, name: str, kind: type[T]) -> Iterator[T]:
    with archive.open(name) as file:
        for line in file:
            try:
                yield kind.model_validate_json(line)
            except ValidationError as exc:
                raise _damaged(f"{name} has a line that is none of this format") from exc


def _checked(archive: zipfile.ZipFile, path: Path) -> _Manifest:
    """Read all of it once. Raises `LibraryError`."""
    held = {member.filename: member for member in archive.infolist()}
    if len(held) != len(archive.infolist()) or len(held) > _MAX_MEMBERS or _MANIFEST not in held:
        raise LibraryError(f"{path.name!r} is no library that `rag-graph library export` has written.")
    if held[_MANIFEST].file_size > _MAX_PART_BYTES:
        raise _damaged("its list is too long")
    told = orjson.loads(archive.read(_MANIFEST))
    if isinstance(told, dict) and told.get("format") == "rag-graph library" and told.get("version") != VERSION:
        raise LibraryError(f"{path.name!r} was written by a newer version; update rag-graph to read it.")
    manifest = _Manifest.model_validate_json(archive.read(_MANIFEST))
    names = {_FILES} | {name(number) for number in range(manifest.parts) for name in (_documents, _vectors)}
    if set(manifest.members) != names or set(held) != names | {_MANIFEST}:
        raise _damaged("a part is missing, or is none of it")
    if sum(held[name].file_size for name in names) > _MAX_RATIO * path.stat().st_size:
        raise _damaged("it unpacks to far more than its size")
    for name, expected in manifest.members.items():
        if name.endswith(".jsonl") and expected.size > _MAX_PART_BYTES:
            raise _damaged(f"{name} is too large")
        digest, size = hashlib.sha256(), 0
        with archive.open(name) as file:
            # No further than it says, whatever it would unpack to.
            while size <= expected.size and (block := file.read(_BLOCK)):
                digest.update(block)
                size += len(block)
        if (size, digest.hexdigest()) != (expected.size, expected.sha256):
            raise _damaged(f"{name} is not as it was written")
    return manifest


@contextmanager
def _reading(path: Path) -> Iterator[tuple[zipfile.ZipFile, _Manifest]]:
    """Open an archive and read all of it once: from then on it is what was written. Raises `LibraryError`."""
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise LibraryError(f"There is no file {str(path)!r}.") from None
    except zipfile.BadZipFile as exc:
        raise LibraryError(f"{path.name!r} is no library, or is cut off.") from exc
    except OSError as exc:
        raise LibraryError(f"{path.name!r} cannot be read: {exc.strerror}.") from exc
    with archive:
        try:
            manifest = _checked(archive, path)
        except (NotImplementedError, RuntimeError) as exc:  # encrypted, or packed in a way that nobody has
            raise _damaged("it is packed in another way") from exc
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as exc:
            raise _damaged("it cannot be read") from exc
        yield archive, manifest


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say what keeps a file from being written."""
    try:
        yield
    except OSError as exc:
        raise LibraryError(f"{str(path)!r} cannot be written: {exc.strerror or exc}.") from exc


def _damaged(how: str) -> LibraryError:
    return LibraryError(f"The archive is damaged: {how}. The library is as it was.")


def _document(one: StoredDocument) -> _Document:
    document = one.document
    return _Document(
        id=document.id,
        uri=document.uri,
        title=document.title,
        text=document.text,
        metadata=dict(document.metadata),
        path=one.path,
        hash=one.hash,
        passages=[
            _Passage(
                start=chunk.start,
                end=chunk.end,
                heading=list(chunk.heading),
                metadata=dict(chunk.metadata),
                vectors=len(its),
            )
            for chunk, its in zip(one.chunks, one.vectors, strict=True)
        ],
    )


def _documents(number: int) -> str:
    return f"documents-{number:06}.jsonl"


def _vectors(number: int) -> str:
    return f"vectors-{number:06}.f32"
