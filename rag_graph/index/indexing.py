"""Bringing an index up to date with the files it is made of: what changed, and nothing else."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rag_graph.documents import Document, Metadata
from rag_graph.errors import DocumentUnreadable
from rag_graph.index.base import Index, IndexedFile, IndexWriter
from rag_graph.index.chunking import Chunk, chunk
from rag_graph.index.loading import Failure, FoundFile, LoadedDocument, find_files, load
from rag_graph.models.embeddings import Embedder

_EMBED_AT_ONCE = 128
_EMBEDDERS = min(4, os.cpu_count() or 1)
"""Threads that embed at the same time, each its share of a batch."""
COMMIT_PASSAGES = 16_000
"""Fewer than fill a segment, so that each commit leaves one. The embedded embedder makes 37 passages per CPU-second: on
one core a killed run loses seven minutes at most."""
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
    index: Index,
    paths: Sequence[Path],
    *,
    on_progress: Callable[[IndexProgress], None] = lambda _: None,
    rebuild: bool = False,
    commit_passages: int = COMMIT_PASSAGES,
) -> IndexReport:
    """Bring an index up to date with files and folders: documents under `paths` that are gone are removed.

    Those from elsewhere stay. Commits each time that so many passages were added, between documents: a search meanwhile
    finds what is in so far, and a run that was killed goes on from there when it is started again. With `rebuild` only
    at the end, so that until then all is found as before. Raises `LibraryError` and its kinds.
    """
    started = time.monotonic()
    with (
        index.writer(rebuild=rebuild) as writer,
        ThreadPoolExecutor(_EMBEDDERS, thread_name_prefix="embed") as pool,
    ):
        known = {} if rebuild else {file.path: file for file in index.files()}
        run = _Run(writer, index.embedder, on_progress, pool, known, None if rebuild else commit_passages)
        run.sync(paths)
    return IndexReport(
        added=run.added,
        replaced=run.replaced,
        removed=run.removed,
        unchanged=run.unchanged,
        passages=run.passages,
        failures=tuple(run.failures),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Pending:
    """A document that waits to be embedded together with others."""

    document: Document
    chunks: Sequence[Chunk]
    path: str
    content_hash: str

    @property
    def texts(self) -> list[str]:
        document = self.document
        return [
            embedded_text(document.title, chunk.heading, document.text[chunk.start : chunk.end])
            for chunk in self.chunks
        ]


@dataclass(slots=True)
class _Run:
    """One indexing run, while it has the index's writer."""

    writer: IndexWriter
    embedder: Embedder
    on_progress: Callable[[IndexProgress], None]
    pool: Executor
    files: dict[str, IndexedFile]
    commit_passages: int | None
    added: int = 0
    replaced: int = 0
    removed: int = 0
    unchanged: int = 0
    passages: int = 0
    failures: list[Failure] = field(default_factory=list)
    _pending: list[_Pending] = field(default_factory=list)
    _pending_chunks: int = 0
    _uncommitted: int = 0
    _bytes_done: int = 0
    _bytes_total: int = 0
    _roots: dict[Path, str] = field(init=False)

    def __post_init__(self) -> None:
        self._roots = roots_of(self.files.values())

    def sync(self, paths: Sequence[Path]) -> None:
        found: dict[Path, FoundFile] = {}
        for root in paths:
            for item in find_files(root):
                if isinstance(item, Failure):
                    self.failures.append(item)
                else:
                    found.setdefault(item.path, item)
        self._bytes_total = sum(item.size for item in found.values())
        for item in found.values():
            done_before = self._bytes_done
            uri = self._uri(item)
            try:
                self._sync_file(item, uri)
            except (DocumentUnreadable, OSError) as exc:
                # What cannot be read any more is not kept as if it could.
                reason = str(exc) if isinstance(exc, DocumentUnreadable) else f"it cannot be read: {exc}"
                self.failures.append(Failure(uri, reason))
                self._flush()
                self.removed += self.writer.remove_file(str(item.path))
                self.files.pop(str(item.path), None)
            self._bytes_done = done_before + item.size
            self._tell(uri)
        self._flush()
        roots = [path.resolve() for path in paths]
        for name in self.files:
            path = Path(name)
            if path not in found and any(path.is_relative_to(root) for root in roots) and _is_gone(path):
                self.removed += self.writer.remove_file(name)

    def _sync_file(self, item: FoundFile, uri: str) -> None:
        path, content_hash = str(item.path), _file_hash(item.path)
        known = self.files.get(path)
        if known is not None and known.hash == content_hash:
            self.unchanged += sum(1 for _ in self.writer.document_ids(path))
            return
        # Without a hash until all of it was read: what is committed in between must not pass for the whole file.
        self._put(IndexedFile(path, uri))
        seen: set[str] = set()
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
            self._sync_document(loaded, seen, path=path, uri=f"{uri}#{loaded.key}" if loaded.key else uri)
        if failed > _MAX_FAILURES_PER_FILE:
            self.failures.append(Failure(uri, f"{failed - _MAX_FAILURES_PER_FILE} more lines could not be read"))
        if known is not None:
            gone = [name for name in self.writer.document_ids(path) if name not in seen]
            self.writer.remove(gone)
            self.removed += len(gone)
        self._put(IndexedFile(path, uri, content_hash))

    def _sync_document(self, loaded: LoadedDocument, seen: set[str], *, path: str, uri: str) -> None:
        document = Document(
            id=hashlib.blake2b(uri.encode(), digest_size=10).hexdigest(),
            uri=uri,
            title=loaded.title,
            text=loaded.text,
            metadata=loaded.metadata,
        )
        if document.id in seen:
            self.failures.append(Failure(uri, "another document of that file has the same id"))
            return
        seen.add(document.id)
        content_hash = _document_hash(loaded)
        known_hash = self.writer.document_hash(document.id)
        if known_hash == content_hash:
            self.unchanged += 1
            return
        if known_hash is None:
            self.added += 1
        else:
            self.replaced += 1
        chunks = [
            replace(piece, metadata=_page(loaded, piece.start)) if loaded.pages else piece
            for piece in chunk(document.text, loaded.outline)
        ]
        self._pending.append(_Pending(document, chunks, path, content_hash))
        self._pending_chunks += len(chunks)
        if self._pending_chunks >= _EMBED_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        """Embed what waits and write it; then is the moment to commit, since no document is half written."""
        pending, self._pending, self._pending_chunks = self._pending, [], 0
        texts = [text for waiting in pending for text in waiting.texts]
        vectors = np.empty((len(texts), self.embedder.dims), dtype=np.float32)
        # Each thread takes every so-manyth text, so that long documents are spread over all of them.
        shares = -(-len(texts) // _EMBED_AT_ONCE) * _EMBEDDERS
        for number, embedded in enumerate(self.pool.map(self.embedder.embed, _shares(texts, shares))):
            vectors[number::shares] = embedded
            self.passages += len(embedded)
            self._tell(pending[0].document.uri)
        start = 0
        for waiting in pending:
            end = start + len(waiting.chunks)
            self.writer.add(
                waiting.document,
                waiting.chunks,
                vectors[start:end],
                path=waiting.path,
                content_hash=waiting.content_hash,
            )
            start = end
        self._uncommitted += len(texts)
        if self.commit_passages is not None and self._uncommitted >= self.commit_passages:
            self.writer.commit()
            self._uncommitted = 0

    def _put(self, file: IndexedFile) -> None:
        self.files[file.path] = file
        self.writer.put_file(file)

    def _uri(self, item: FoundFile) -> str:
        """A path as people are shown it: from the folder that was named, not from the disk's root.

        A folder's label is its name; of two folders with one name, the second is told apart by a number.
        """
        if known := self.files.get(str(item.path)):
            return known.uri
        roots = self._roots
        outer = next((path for path in roots if item.path.is_relative_to(path)), None)
        if outer is None:
            outer = item.root
            label, taken, number = outer.name or "files", set(roots.values()), 1
            while label in taken:
                number += 1
                label = f"{outer.name}-{number}"
            roots[outer] = label
        return f"{roots[outer]}/{item.path.relative_to(outer).as_posix()}"

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


def roots_of(files: Iterable[IndexedFile]) -> dict[Path, str]:
    """The folders that were named when these files were indexed, outermost first, and their labels.

    A file's uri is the label of its folder and the way from there.
    """
    roots = {}
    for file in files:
        label, _, inside = file.uri.partition("/")
        root = Path(file.path)
        for _ in Path(inside).parts:
            root = root.parent
        roots[root] = label
    return dict(sorted(roots.items()))


def _shares(texts: Sequence[str], count: int) -> list[Sequence[str]]:
    return [texts[number::count] for number in range(min(count, len(texts)))]


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
