"""Bringing the library up to date with the files it is made of: what changed, and nothing else."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rag_graph.documents import Document, Metadata
from rag_graph.errors import DocumentUnreadable
from rag_graph.index.base import Place, Records, Shelf
from rag_graph.index.catalogue import FORMAT
from rag_graph.index.chunking import chunk
from rag_graph.index.embedded import EmbeddedPlace
from rag_graph.index.loading import Failure, FoundFile, LoadedDocument, find_files, load
from rag_graph.models.embeddings import Embedder

_EMBED_AT_ONCE = 128
_EMBEDDERS = min(4, os.cpu_count() or 1)
"""Threads that embed at the same time, each its share of a batch."""
_MAX_FAILURES_PER_FILE = 20
_HASH_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an indexing run is: bytes of all files, unchanged ones included."""

    bytes_done: int
    bytes_total: int
    documents: int
    passages: int
    uri: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an indexing run did: documents added, replaced, removed, unchanged; passages embedded; what failed."""

    added: int
    replaced: int
    removed: int
    unchanged: int
    passages: int
    failures: tuple[Failure, ...]
    seconds: float


def index_paths(
    place: Path | Place,
    paths: Sequence[Path],
    *,
    embedder: Embedder,
    on_progress: Callable[[IndexProgress], None] = lambda _: None,
    rebuild: bool = False,
) -> IndexReport:
    """Index files and folders into the library at `place`, which is readable as it was until the end.

    Documents under `paths` that are gone are removed; those from elsewhere stay.
    """
    started = time.monotonic()
    with (
        _at(place).grow(embedder) as growth,
        ThreadPoolExecutor(_EMBEDDERS, thread_name_prefix="embed") as pool,
    ):
        run = _Run(growth.records, growth.shelf, embedder, on_progress, pool)
        run.prepare(rebuild=rebuild)
        run.index(paths)
        run.finish()
    return IndexReport(
        added=run.added,
        replaced=run.replaced,
        removed=run.removed,
        unchanged=run.unchanged,
        passages=run.passages,
        failures=tuple(run.failures),
        seconds=time.monotonic() - started,
    )


def indexed_roots(place: Path | Place) -> list[Path]:
    """The folders and files whose contents are in the library at `place`."""
    return _at(place).roots()


def _at(place: Path | Place) -> Place:
    return EmbeddedPlace(place) if isinstance(place, Path) else place


@dataclass(slots=True)
class _Run:
    """One indexing run, inside its transaction."""

    catalogue: Records
    shelf: Shelf
    embedder: Embedder
    on_progress: Callable[[IndexProgress], None]
    pool: Executor
    added: int = 0
    replaced: int = 0
    removed: int = 0
    unchanged: int = 0
    passages: int = 0
    failures: list[Failure] = field(default_factory=list)
    _number: int = 0
    _waiting: list[str] = field(default_factory=list)
    _bytes_done: int = 0
    _bytes_total: int = 0

    def prepare(self, *, rebuild: bool) -> None:
        catalogue, embedder = self.catalogue, self.embedder
        self._number = catalogue.generation() + 1
        if rebuild or catalogue.fact("format") is None:
            catalogue.clear()
            catalogue.set_fact("format", FORMAT)
            catalogue.set_fact("embedder", embedder.name)
            catalogue.set_fact("dims", str(embedder.dims))
        catalogue.check(embedder=embedder.name, dims=embedder.dims)
        catalogue.set_fact("generation", str(self._number))

    def index(self, paths: Sequence[Path]) -> None:
        found: dict[Path, FoundFile] = {}
        for root in paths:
            for item in find_files(root):
                if isinstance(item, Failure):
                    self.failures.append(item)
                else:
                    found.setdefault(item.path, item)
        self._bytes_total = sum(item.size for item in found.values())
        for item in found.values():
            self._index_file(item)
        self._remove_vanished(paths)

    def _remove_vanished(self, paths: Sequence[Path]) -> None:
        roots = [path.resolve() for path in paths]
        for file, path in self.catalogue.files_not_seen(self._number):
            if any(Path(path).is_relative_to(root) for root in roots) and _is_gone(Path(path)):
                self.removed += self.catalogue.remove_file(file)

    def _index_file(self, item: FoundFile) -> None:
        known = self.catalogue.file(str(item.path))
        uri = known.uri if known else self._uri(item)
        done_before = self._bytes_done
        try:
            content_hash = _file_hash(item.path)
            if known and known.hash == content_hash:
                self.unchanged += self.catalogue.count_documents(known.id)
                self.catalogue.see_file(known.id, content_hash, run=self._number)
            else:
                file = known.id if known else self.catalogue.add_file(str(item.path), uri)
                self._index_documents(item, file, uri)
                self.catalogue.see_file(file, content_hash, run=self._number)
        except (DocumentUnreadable, OSError) as exc:
            self._forget(str(item.path), uri, exc)
        self._bytes_done = done_before + item.size
        self._tell(uri)

    def _forget(self, path: str, uri: str, exc: Exception) -> None:
        """What cannot be read any more is not kept as if it could."""
        reason = str(exc) if isinstance(exc, DocumentUnreadable) else f"it cannot be read: {exc}"
        self.failures.append(Failure(uri, reason))
        if known := self.catalogue.file(path):
            self.removed += self.catalogue.remove_file(known.id)

    def _index_documents(self, item: FoundFile, file: int, uri: str) -> None:
        failed, length = 0, 0
        for loaded in load(item.path):
            if isinstance(loaded, Failure):
                failed += 1
                if failed <= _MAX_FAILURES_PER_FILE:
                    self.failures.append(Failure(f"{uri}, {loaded.uri}", loaded.reason))
                continue
            before = length
            length += len(loaded.text)
            if before >> 16 != length >> 16:
                self._bytes_done += min((length >> 16 << 16) - (before >> 16 << 16), item.size)
                self._tell(uri)
            self._index_document(loaded, file, f"{uri}#{loaded.key}" if loaded.key else uri)
        if failed > _MAX_FAILURES_PER_FILE:
            self.failures.append(Failure(uri, f"{failed - _MAX_FAILURES_PER_FILE} more lines could not be read"))
        self.removed += self.catalogue.remove_documents_not_seen(file, run=self._number)

    def _index_document(self, loaded: LoadedDocument, file: int, uri: str) -> None:
        document = Document(
            id=hashlib.blake2b(uri.encode(), digest_size=10).hexdigest(),
            uri=uri,
            title=loaded.title,
            text=loaded.text,
            metadata=loaded.metadata,
        )
        content_hash = _document_hash(loaded)
        match self.catalogue.seen(document.id):
            case (_, run) if run == self._number:
                self.failures.append(Failure(uri, "another document of that file has the same id"))
                return
            case (known_hash, _) if known_hash == content_hash:
                self.catalogue.see_document(document.id, run=self._number)
                self.unchanged += 1
                return
            case None:
                self.added += 1
            case _:
                self.catalogue.remove_document(document.id)
                self.replaced += 1
        self.catalogue.add_document(document, file=file, content_hash=content_hash, run=self._number)
        self._add_passages(document, loaded)

    def _add_passages(self, document: Document, loaded: LoadedDocument) -> None:
        for place, piece in enumerate(chunk(document.text, loaded.outline)):
            content = document.text[piece.start : piece.end]
            passage_id = self.catalogue.add_passage(
                document, piece.start, piece.end, heading=piece.heading, metadata=_page(loaded, piece.start)
            )
            self.shelf.add(passage_id, title=document.title, heading=piece.heading, content=content, opens=place == 0)
            self._waiting.append(embedded_text(document.title, piece.heading, content))
            self.passages += 1
            if len(self._waiting) >= _EMBED_AT_ONCE:
                self._embed()
                self._tell(document.uri)

    def _embed(self) -> None:
        if not self._waiting:
            return
        workers = min(_EMBEDDERS, len(self._waiting))
        shares = [self._waiting[place::workers] for place in range(workers)]
        vectors = np.empty((len(self._waiting), self.embedder.dims), dtype=np.float32)
        for place, share in enumerate(self.pool.map(self.embedder.embed, shares)):
            vectors[place::workers] = share
        self.shelf.add_vectors(vectors)
        self._waiting.clear()

    def finish(self) -> None:
        """Make the new passages count."""
        self._embed()
        self.shelf.finish()

    def _uri(self, item: FoundFile) -> str:
        """A path as people are shown it: from the folder that was named, not from the disk's root."""
        roots = self.catalogue.roots()
        outer = next((path for path in map(Path, roots) if item.path.is_relative_to(path)), None)
        if outer is None:
            outer = item.root
            label, taken, number = outer.name or "files", set(roots.values()), 1
            while label in taken:
                number += 1
                label = f"{outer.name}-{number}"
            self.catalogue.add_root(str(outer), label)
            roots[str(outer)] = label
        inside = item.path.relative_to(outer).as_posix()
        return roots[str(outer)] if inside == "." else f"{roots[str(outer)]}/{inside}"

    def _tell(self, uri: str) -> None:
        self.on_progress(
            IndexProgress(
                bytes_done=min(self._bytes_done, self._bytes_total),
                bytes_total=self._bytes_total,
                documents=self.added + self.replaced + self.unchanged,
                passages=self.passages,
                uri=uri,
            )
        )


def embedded_text(title: str, heading: Sequence[str], content: str) -> str:
    """What a passage's vector is made of."""
    return "\n".join((" > ".join(dict.fromkeys((title, *heading))), content))


def _is_gone(path: Path) -> bool:
    """Whether a file that was not found is away for good, and not in a folder that cannot be read just now."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return True


def _page(loaded: LoadedDocument, start: int) -> Metadata:
    if not loaded.pages:
        return {}
    return {"page": int(np.searchsorted(np.array(loaded.pages), start, side="right"))}


def _file_hash(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _document_hash(loaded: LoadedDocument) -> str:
    parts = (loaded.title, loaded.text, repr(sorted(loaded.metadata.items())))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
