"""Segments of words as rows: one for each term of a segment, of which a search reads a handful."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from struct import pack
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from rag_graph.index.lexical import Postings
from rag_graph.index.postgres.tables import Db

_CACHE_BYTES = 256 << 20
_BYTES = 6
"""Of one posting: four for the ordinal, one each for how often the term is in the title and in the text."""


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment without its terms: its passages, and how long their texts are."""

    id: int
    ids: NDArray[np.int64]
    postings: Postings

    @classmethod
    def read(cls, db: Db, number: int) -> "StoredSegment":
        row = db.execute("SELECT ids, title_lengths, body_lengths FROM segments WHERE id = %s", (number,)).fetchone()
        if row is None:
            raise LookupError(number)
        ids, title_lengths, body_lengths = row
        empty = Postings(
            terms=np.empty(0, dtype=np.uint64),
            starts=np.zeros(1, dtype=np.int64),
            ordinals=np.empty(0, dtype=np.int32),
            title_counts=np.empty(0, dtype=np.uint8),
            body_counts=np.empty(0, dtype=np.uint8),
            title_lengths=np.frombuffer(title_lengths, dtype=np.uint16),
            body_lengths=np.frombuffer(body_lengths, dtype=np.uint16),
        )
        return cls(number, np.frombuffer(ids, dtype=np.int64), empty)

    def with_terms(self, held: Iterable[tuple[int, bytes]]) -> Postings:
        """The postings of some terms, given by key."""
        held = sorted((number, data) for number, data in held if data)
        if not held:
            return self.postings
        counts = [len(data) // _BYTES for _, data in held]
        columns = [_columns(data) for _, data in held]
        ordinals, in_title, in_body = (np.concatenate(column) for column in zip(*columns, strict=True))
        return Postings(
            terms=np.array([number for number, _ in held], dtype=np.uint64),
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            ordinals=ordinals,
            title_counts=in_title,
            body_counts=in_body,
            title_lengths=self.postings.title_lengths,
            body_lengths=self.postings.body_lengths,
        )


def _columns(data: bytes) -> "tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8]]":
    count = len(data) // _BYTES
    counts = np.frombuffer(data, dtype=np.uint8, offset=4 * count)
    return np.frombuffer(data, dtype=np.int32, count=count), counts[:count], counts[count:]


def packed(postings: Postings, row: int) -> bytes:
    """A term's postings as they are stored."""
    span = postings.span(row)
    columns = (postings.ordinals[span], postings.title_counts[span], postings.body_counts[span])
    return b"".join(column.tobytes() for column in columns)


def signed(number: int) -> int:
    """A key as PostgreSQL's bigint holds it."""
    return number - (1 << 64) if number >= 1 << 63 else number


def as_text(vector: "NDArray[np.float32]") -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector.tolist()))}]"


def as_binary(vector: "NDArray[np.float32]") -> bytes:
    """A vector as pgvector's `halfvec_recv` reads it: the dimensions, two bytes of nothing, the halves."""
    return pack(">HH", len(vector), 0) + vector.astype(">f2").tobytes()


@dataclass(slots=True)
class PostingsCache:
    """The terms that were read last; segments never change, so they stay true."""

    _kept: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def read(self, db: Db, segments: Sequence[int], numbers: Sequence[int]) -> dict[int, list[tuple[int, bytes]]]:
        """For each segment these terms, with their postings: none is empty bytes."""
        wanted = [(segment, number) for segment in segments for number in numbers]
        with self._lock:
            found = {name: self._kept[name] for name in wanted if name in self._kept}
            for name in found:
                self._kept.move_to_end(name)
        if missing := {number for segment, number in wanted if (segment, number) not in found}:
            # As text, each byte of the postings would come as two digits.
            rows = db.cursor(binary=True).execute(
                "SELECT segment, term, data FROM postings WHERE segment = ANY(%s) AND term = ANY(%s)",
                (list(segments), [signed(number) for number in missing]),
            )
            fetched = {(segment, number): b"" for segment in segments for number in missing}
            fetched |= {(segment, term % (1 << 64)): data for segment, term, data in rows}
            self._keep(fetched)
            found |= fetched
        held: dict[int, list[tuple[int, bytes]]] = {segment: [] for segment in segments}
        for segment, number in wanted:
            held[segment].append((number, found[segment, number]))
        return held

    def _keep(self, fetched: dict[tuple[int, int], bytes]) -> None:
        with self._lock:
            for name, data in fetched.items():
                self._bytes += len(data) - len(self._kept.get(name, b""))
                self._kept[name] = data
            while self._bytes > _CACHE_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])
