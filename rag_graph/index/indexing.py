"""Bringing an index up to date with the files it is made of: what changed, and nothing else."""

import hashlib
import os
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from itertools import chain, pairwise, takewhile
from pathlib import Path
from typing import Final, cast, get_args

import numpy as np

from rag_graph.documents import Document, Metadata, Place, RowsFrom
from rag_graph.errors import DocumentUnreadable, Unreadable
from rag_graph.index.base import Index, IndexedFile, IndexWriter, StoredDocument
from rag_graph.index.chunking import Chunk, chunk
from rag_graph.index.loader import Limits, Loader
from rag_graph.index.loading import (
    Failure,
    FoundFile,
    Loaded,
    LoadedDocument,
    PassedOver,
    find_files,
    hash_of,
)
from rag_graph.models.embeddings import Embedder, readable_parts

_EMBED_AT_ONCE = 128
EMBEDDERS = min(4, os.cpu_count() or 1)
"""Threads that embed at the same time, each its share of a batch."""
COMMIT_PASSAGES = 4_000
"""Fewer than fill a segment, so that each commit leaves one. Of 486 pages of documentation the embedder of ours made 18
passages a second on two cores without AVX-512: there a killed run loses four minutes at most."""
_MAX_FAILURES_PER_FILE = 20
_MAX_NOTES_PER_FILE = 3
_LIMITS: Final = Limits()
_HASH_BLOCK = 1 << 20


Load = Callable[[Path, str], Loaded]
"""Gives the documents of a file, which goes by this name."""


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an indexing run is: bytes of all files, unchanged ones included."""

    bytes_done: int
    bytes_total: int
    documents: int
    passages: int
    uri: str


@dataclass(frozen=True, slots=True)
class Note:
    """What people should know of a document that was indexed, such as that its encoding was guessed."""

    uri: str
    text: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an indexing run did: documents added, replaced, removed, unchanged; passages embedded; what failed.

    `passed_over` counts the files of kinds that cannot be read, by suffix; `left_out` those that nobody means to ask
    about, by the reason; `kinds` those that were read anew, by suffix. `notes` are of files that were indexed.
    """

    added: int
    replaced: int
    removed: int
    unchanged: int
    passages: int
    failures: tuple[Failure, ...]
    seconds: float
    passed_over: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    @property
    def is_all_well(self) -> bool:
        """Whether every file is in the library as it should be; files that are all of unknown kinds are no success."""
        documents = self.added + self.replaced + self.removed + self.unchanged
        return not self.failures and (documents > 0 or not self.passed_over)


def index_paths(
    index: Index,
    paths: Sequence[Path],
    *,
    on_progress: Callable[[IndexProgress], None] = lambda _: None,
    rebuild: bool = False,
    commit_passages: int = COMMIT_PASSAGES,
    limits: Limits = _LIMITS,
    read_by: str = "",
) -> IndexReport:
    """Bring an index up to date with files and folders: documents under `paths` that are gone are removed.

    Those from elsewhere stay. Commits each time that so many passages were added, between documents: a search meanwhile
    finds what is in so far, and a run that was killed goes on from there when it is started again. With `rebuild` only
    at the end, so that until then all is found as before. A file that breaks the `limits` of reading one is not tried
    again until it or they have changed. `read_by` names a loader of your own, such as a LangChain `BaseLoader`, as
    `module:name`; it reads every file, and what it has read stays until it reads it again or the file is gone. Raises
    `LibraryError` and its kinds.
    """
    with (
        index.writer(rebuild=rebuild) as writer,
        ThreadPoolExecutor(EMBEDDERS, thread_name_prefix="embed") as pool,
        closing(Loader(limits, read_by)) as loader,
    ):
        known = {} if rebuild else {file.path: file for file in index.files()}
        run = _Run(
            writer,
            index.embedder,
            pool,
            known,
            load=loader.load,
            limits=limits,
            read_by=read_by,
            on_progress=on_progress,
            commit_passages=None if rebuild else commit_passages,
        )
        run.sync(paths)
    return run.report()


OnFile = Callable[[FoundFile, int], None]
"""Is told which of some files is being embedded, and how many passages of them all are done. What it raises ends it."""


def unobserved(_: FoundFile, __: int) -> None:
    """Nobody looks on."""


def index_files(
    index: Index,
    files: Sequence[FoundFile],
    load: Load,
    *,
    place: Callable[[FoundFile], None],
    on_file: OnFile = unobserved,
) -> list[IndexReport]:
    """Bring an index up to date with these files and no others; give a report for each.

    `load` gives their documents, which have been read already. `place` is called of each when all else is done but for
    the commit, so that it comes into its place together with its documents. Raises `LibraryError` and its kinds.
    """
    reports: list[IndexReport] = []
    with index.writer() as writer, ThreadPoolExecutor(EMBEDDERS, thread_name_prefix="embed") as pool:
        known = {file.path: file for file in index.files()}
        for file in files:
            before = sum(report.passages for report in reports)

            def tell(done: IndexProgress, file: FoundFile = file, before: int = before) -> None:
                on_file(file, before + done.passages)

            run = _Run(writer, index.embedder, pool, known, load=load, on_progress=tell)
            run.sync_file(file)
            run.flush()
            reports.append(run.report())
        for file in files:
            place(file)
    return reports


def embed_and_add(embedder: Embedder, writer: IndexWriter, pool: Executor, stored: Sequence[StoredDocument]) -> None:
    """Add documents with new vectors, as those that they have are another model's."""
    run = _Run(writer, embedder, pool, {}, load=lambda _, __: iter(()))
    for one in stored:
        run.add(_Pending(one.document, one.chunks, one.path, one.hash))
    run.flush()


def forget(index: Index, named: Sequence[str]) -> int:
    """Remove the documents of files and folders, whether those are still there or not, or by their ids.

    Returns how many those were. The files stay; when one changes, or is indexed again by a rebuild, it is read again.
    """
    roots = [Path(name).resolve() for name in named]
    with index.writer() as writer:
        names = [file.path for file in index.files() if any(Path(file.path).is_relative_to(root) for root in roots)]
        removed = sum(writer.remove_file(name) for name in names)
        ids = [name for name in named if writer.document_hash(name) is not None]
        writer.remove(ids)
        return removed + len(ids)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A document that waits to be embedded together with others."""

    document: Document
    chunks: Sequence[Chunk]
    path: str
    content_hash: str

    def texts(self, embedder: Embedder) -> list[list[str]]:
        """What is embedded of each passage: its text under its document's title and its headings, in readable parts."""
        document = self.document
        return [
            readable_parts(
                embedder,
                " > ".join(dict.fromkeys((document.title, *chunk.heading))),
                document.text[chunk.start : chunk.end],
            )
            for chunk in self.chunks
        ]


@dataclass(slots=True)
class _Run:
    """One indexing run, while it has the index's writer."""

    writer: IndexWriter
    embedder: Embedder
    pool: Executor
    files: dict[str, IndexedFile]
    load: Load
    limits: Limits = _LIMITS
    read_by: str = ""
    on_progress: Callable[[IndexProgress], None] = lambda _: None
    commit_passages: int | None = None
    added: int = 0
    replaced: int = 0
    removed: int = 0
    unchanged: int = 0
    passages: int = 0
    failures: list[Failure] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    notes: list[Note] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    _pending: list[_Pending] = field(default_factory=list)
    _pending_chunks: int = 0
    _uncommitted: int = 0
    _bytes_done: int = 0
    _bytes_total: int = 0
    _roots: dict[Path, str] = field(init=False)

    def __post_init__(self) -> None:
        self._roots = roots_of(self.files.values())

    def sync(self, paths: Sequence[Path]) -> None:
        roots = [path.resolve() for path in paths]
        found = self._find(paths)
        for name, file in self.files.items():
            path = Path(name)
            root = next((root for root in roots if path.is_relative_to(root)), None)
            # Of a kind that only a loader of somebody's own can read.
            if root is not None and path not in found and self._is_others(file) and path.is_file():
                found[path] = FoundFile(path, root, path.stat().st_size)
        self._bytes_total = sum(item.size for item in found.values())
        for item in found.values():
            done_before = self._bytes_done
            uri = self.sync_file(item)
            self._bytes_done = done_before + item.size
            self._tell(uri)
        self.flush()
        for name in self.files:
            path = Path(name)
            if path not in found and any(path.is_relative_to(root) for root in roots) and _is_gone(path):
                self.removed += self.writer.remove_file(name)

    def _find(self, paths: Sequence[Path]) -> dict[Path, FoundFile]:
        """The files to read; what is left out and passed over is counted."""
        found: dict[Path, FoundFile] = {}
        for root in paths:
            for item in find_files(root, every_kind=bool(self.read_by)):
                match item:
                    case Failure():
                        self.failures.append(item)
                    case PassedOver(reason=reason) if reason:
                        self.left_out[reason] += 1
                    case PassedOver(suffix=suffix):
                        self.passed_over[suffix] += 1
                    case FoundFile():
                        found.setdefault(item.path, item)
        return found

    def report(self) -> IndexReport:
        return IndexReport(
            added=self.added,
            replaced=self.replaced,
            removed=self.removed,
            unchanged=self.unchanged,
            passages=self.passages,
            failures=tuple(self.failures),
            seconds=time.monotonic() - self.started,
            passed_over=dict(sorted(self.passed_over.items())),
            left_out=dict(sorted(self.left_out.items())),
            kinds=dict(sorted(self.kinds.items())),
            notes=tuple(self.notes),
        )

    def sync_file(self, item: FoundFile) -> str:
        """Bring the index up to date with one file; return its uri."""
        path, uri = str(item.path), self._uri(item)
        try:
            with item.content.open("rb") as file:
                content_hash = hash_of(iter(partial(file.read, _HASH_BLOCK), b""))
        except OSError as exc:
            self._fail(path, Failure(uri, f"it cannot be read: {exc.strerror or 'the system refuses'}", "unreadable"))
            return uri
        known = self.files.get(path)
        if known is not None and self._is_others(known):
            self._leave(known, content_hash)
            return uri
        content_hash = f"{self.read_by} {content_hash}".strip()
        attempt = _attempt(content_hash, self.limits)
        if known is not None and known.failure and known.hash == attempt:
            self.failures.append(_recalled(uri, known.failure))
        elif known is not None and known.hash == content_hash:
            self.unchanged += sum(1 for _ in self.writer.document_ids(path))
        else:
            try:
                self._read_file(item, uri, content_hash)
            except DocumentUnreadable as exc:
                self._fail(path, Failure(uri, str(exc), exc.kind), attempt)
        return uri

    def _is_others(self, file: IndexedFile) -> bool:
        """Whether a loader of somebody's own has read it, and none is given now: its hash names that one."""
        return not self.read_by and " " in file.hash

    def _leave(self, file: IndexedFile, content_hash: str) -> None:
        """Keep what a loader of somebody's own has read: ours may see nothing, or something else, in that file."""
        by, _, known_hash = file.hash.rpartition(" ")
        self.unchanged += sum(1 for _ in self.writer.document_ids(file.path))
        if known_hash != content_hash:
            reason = f"it has changed since {by} read it; index it again with --loader {by}"
            self.failures.append(Failure(file.uri, reason, "unreadable"))

    def _fail(self, path: str, failure: Failure, attempt: str = "") -> None:
        """What cannot be read any more is not kept as if it could; that it was tried is, unless it may be readable."""
        self.failures.append(failure)
        self.flush()
        self.removed += self.writer.remove_file(path)
        self.files.pop(path, None)
        if attempt and failure.kind != "unreadable":
            self._put(IndexedFile(path, failure.uri, attempt, f"{failure.kind}: {failure.reason}"))

    def _read_file(self, item: FoundFile, uri: str, content_hash: str) -> None:
        path = str(item.path)
        known = self.files.get(path)
        # Without a hash until all of it was read: what is committed in between must not pass for the whole file.
        self._put(IndexedFile(path, uri))
        seen: set[str] = set()
        failed, length = 0, 0
        for loaded in self.load(item.content, item.path.name):
            if isinstance(loaded, Failure):
                failed += 1
                if failed <= _MAX_FAILURES_PER_FILE:
                    self.failures.append(Failure(f"{uri}, {loaded.uri}", loaded.reason, loaded.kind))
                continue
            if loaded.note and sum(note.uri == uri for note in self.notes[-_MAX_NOTES_PER_FILE:]) < _MAX_NOTES_PER_FILE:
                self.notes.append(Note(uri, loaded.note))
            before = length
            length += len(loaded.text)
            # Told for each 64 kB of text, as one file of JSON Lines may hold a library.
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
        self.kinds[item.path.suffix.lower()] += 1
        self._put(IndexedFile(path, uri, content_hash))

    def _sync_document(self, loaded: LoadedDocument, seen: set[str], *, path: str, uri: str) -> None:
        # By its uri, so that a citation of an earlier answer finds its document after it was indexed anew.
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
            replace(piece, metadata=where(loaded.places, loaded.text, piece)) if loaded.places else piece
            for piece in chunk(document.text, loaded.outline)
        ]
        self.add(_Pending(document, chunks, path, content_hash))

    def add(self, waiting: _Pending) -> None:
        """Embed and write a document, together with those that come next."""
        self._pending.append(waiting)
        self._pending_chunks += len(waiting.chunks)
        if self._pending_chunks >= _EMBED_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Embed what waits and write it; then is the moment to commit, since no document is half written."""
        pending, self._pending, self._pending_chunks = self._pending, [], 0
        parts = [its for waiting in pending for its in waiting.texts(self.embedder)]
        texts = [text for its in parts for text in its]
        # Where the texts of each passage begin.
        starts = np.cumsum([0, *map(len, parts)])
        vectors = np.empty((len(texts), self.embedder.dims), dtype=np.float32)
        # Each thread takes every so-manyth text, so that long documents are spread over all of them.
        shares = -(-len(texts) // _EMBED_AT_ONCE) * EMBEDDERS
        of_threads = [texts[number::shares] for number in range(min(shares, len(texts)))]
        for number, embedded in enumerate(self.pool.map(self.embedder.embed, of_threads)):
            vectors[number::shares] = embedded
            self.passages += int(np.count_nonzero(starts[:-1] % shares == number))
            self._tell(pending[0].document.uri)
        of_passages = iter(np.split(vectors, starts[1:-1]) if parts else ())
        for waiting in pending:
            self.writer.add(
                waiting.document,
                waiting.chunks,
                [next(of_passages) for _ in waiting.chunks],
                path=waiting.path,
                content_hash=waiting.content_hash,
            )
        self._uncommitted += len(parts)
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
        if item.uri:
            return item.uri
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
        if "://" in file.uri:  # a page of the web: its file is ours
            continue
        label, _, inside = file.uri.partition("/")
        root = Path(file.path)
        for _ in Path(inside).parts:
            root = root.parent
        roots[root] = label
    return dict(sorted(roots.items()))


def _is_gone(path: Path) -> bool:
    """Whether a file that was not found is away for good, and not in a folder that cannot be read just now."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return True


def where(places: Sequence[Place], text: str, chunk: Chunk) -> Metadata:
    """Where in its file a passage begins; `page_breaks` are the offsets in it at which further pages begin.

    Of a sheet, `cells` are those that it holds, and `row_starts` the offsets at which rows begin: see `RowsFrom`.
    """
    at = bisect_right(places, chunk.start, key=lambda place: place.start) - 1
    if at < 0:
        return {}
    place = dict(places[at].where)
    later = list(takewhile(lambda one: one.start < chunk.end, places[at + 1 :]))
    if "line" in place:
        place["line"] = int(place["line"]) + text.count("\n", places[at].start, chunk.start)
    elif "page" in place:
        if later:
            # A page without words begins where the next one does.
            pairs = pairwise([places[at], *later])
            starts = [[one.start - chunk.start] * _pages_on(before, one) for before, one in pairs]
            place["page_breaks"] = " ".join(map(str, chain.from_iterable(starts)))
    elif rows := list(_rows([places[at], *later], text, chunk)):
        sheet = place.get("sheet")
        place = ({"sheet": sheet} if sheet is not None else {}) | {"row": rows[0].row}
        place["row_starts"] = " ".join(f"{one.start},{one.row},{one.columns}" for one in rows)
        if rows[0].columns:
            content = text[chunk.start : chunk.end]
            ends = [one.start for one in rows[1:]] + [len(content)]
            last = max(one.row_at(content, max(one.start, end - 1)) for one, end in zip(rows, ends, strict=True))
            place["cells"] = rows[0].cells(rows[0].row, last)
    return place


def _pages_on(before: Place, after: Place) -> int:
    one, other = before.where["page"], after.where.get("page")
    return max(1, other - one) if isinstance(one, int) and isinstance(other, int) else 1


def _rows(places: Iterable[Place], text: str, chunk: Chunk) -> Iterator[RowsFrom]:
    """Where in a passage rows are counted from, of those places of its sheet that are rows."""
    sheet = next(iter(places)).where.get("sheet")
    for place in places:
        row, columns = place.where.get("row"), str(place.where.get("columns", ""))
        if isinstance(row, int) and place.where.get("sheet") == sheet:
            from_here = RowsFrom(0, row, columns)
            start = max(place.start, chunk.start)
            yield RowsFrom(
                start - chunk.start, from_here.row_at(text[place.start : start], start - place.start), columns
            )


def _attempt(content_hash: str, limits: Limits) -> str:
    """Names an attempt to read a file: its content, and by what it was read."""
    # With our version, since a newer one may read what this one could not.
    by = f"{content_hash} {version('rag-graph')} {limits}"
    return hashlib.blake2b(by.encode(), digest_size=16).hexdigest()


def _recalled(uri: str, failure: str) -> Failure:
    """How a file failed when it was tried."""
    kind, _, reason = failure.partition(": ")
    return Failure(uri, reason, cast("Unreadable", kind) if kind in get_args(Unreadable) else "damaged")


def _document_hash(loaded: LoadedDocument) -> str:
    parts = (loaded.title, loaded.text, repr(sorted(loaded.metadata.items())))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
