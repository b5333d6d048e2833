"""Segments of words in PostgreSQL: written by indexing, merged when there are too many, read a few terms at a time."""

import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from rag_graph.index.embedded import SEGMENT_PASSAGES, to_merge
from rag_graph.index.lexical import Mask, Postings, PostingsBuilder, merge_postings
from rag_graph.index.postgres.records import PostgresRecords
from rag_graph.index.postgres.tables import HNSW_FROM, Db, fact
from rag_graph.models.embeddings import Vectors
from rag_graph.text.terms import key, terms, title_name

_CACHE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment without its terms: its passages in ascending order, and how long their texts are."""

    id: int
    ids: NDArray[np.int64]
    title_lengths: NDArray[np.uint16]
    body_lengths: NDArray[np.uint16]

    @classmethod
    def read(cls, db: Db, number: int) -> "Stored | None":
        row = db.execute("SELECT ids, title_lengths, body_lengths FROM segments WHERE id = %s", (number,)).fetchone()
        if row is None:
            return None
        ids, *lengths = row
        title_lengths, body_lengths = (np.frombuffer(part, dtype=np.uint16) for part in lengths)
        return cls(number, np.frombuffer(ids, dtype=np.int64), title_lengths, body_lengths)

    def ordinals(self, passage_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where those of these passages that are here stand."""
        places = np.searchsorted(self.ids, passage_ids)
        inside = places < len(self.ids)
        places, passage_ids = places[inside], passage_ids[inside]
        found: NDArray[np.int64] = places[self.ids[places] == passage_ids]
        return found

    def postings(self, held: Sequence[tuple[int, bytes]]) -> Postings:
        """The postings of some terms, given by key."""
        held = sorted((number, data) for number, data in held if data)
        counts = [len(data) // _BYTES for _, data in held]
        columns = [_columns(data) for _, data in held]
        ordinals, in_title, in_body = (
            np.concatenate([column[place] for column in columns]) if columns else np.empty(0, dtype=dtype)
            for place, dtype in enumerate((np.int32, np.uint8, np.uint8))
        )
        return Postings(
            terms=np.array([number for number, _ in held], dtype=np.uint64),
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            ordinals=ordinals,
            title_counts=in_title,
            body_counts=in_body,
            title_lengths=self.title_lengths,
            body_lengths=self.body_lengths,
        )


_BYTES = 6


def _columns(data: bytes) -> "tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8]]":
    count = len(data) // _BYTES
    counts = np.frombuffer(data, dtype=np.uint8, offset=4 * count)
    return np.frombuffer(data, dtype=np.int32, count=count), counts[:count], counts[count:]


def _packed(postings: Postings, row: int) -> bytes:
    span = postings.span(row)
    columns = (postings.ordinals[span], postings.title_counts[span], postings.body_counts[span])
    return b"".join(column.tobytes() for column in columns)


def signed(number: int) -> int:
    """A key as PostgreSQL's bigint holds it."""
    return number - (1 << 64) if number >= 1 << 63 else number


@dataclass(slots=True)
class PostingsCache:
    """The terms that were read last; segments never change, so they stay true."""

    _kept: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def read(self, db: Db, segments: Sequence[int], numbers: Iterable[int]) -> dict[int, list[tuple[int, bytes]]]:
        """For each segment its terms among these, with their postings."""
        wanted = [(segment, number) for segment in segments for number in numbers]
        with self._lock:
            found = {name: self._kept[name] for name in wanted if name in self._kept}
            for name in found:
                self._kept.move_to_end(name)
        missing = {number for segment, number in wanted if (segment, number) not in found}
        if missing:
            fetched = self._fetch(db, segments, missing)
            self._keep(fetched)
            found |= fetched
        held: dict[int, list[tuple[int, bytes]]] = {segment: [] for segment in segments}
        for segment, number in wanted:
            held[segment].append((number, found[segment, number]))
        return held

    def _fetch(self, db: Db, segments: Sequence[int], numbers: set[int]) -> dict[tuple[int, int], bytes]:
        rows = db.cursor(binary=True).execute(
            "SELECT segment, term, data FROM postings WHERE segment = ANY(%s) AND term = ANY(%s)",
            (list(segments), [signed(number) for number in numbers]),
        )
        found = {(segment, number): b"" for segment in segments for number in numbers}
        return found | {(segment, term % (1 << 64)): data for segment, term, data in rows}

    def _keep(self, fetched: dict[tuple[int, int], bytes]) -> None:
        with self._lock:
            for name, data in fetched.items():
                self._bytes += len(data) - len(self._kept.get(name, b""))
                self._kept[name] = data
            while self._bytes > _CACHE_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])


class PostgresShelf:
    """`Shelf` over the connection of one indexing run."""

    def __init__(self, db: Db, records: PostgresRecords) -> None:
        self._db = db
        self._records = records
        self._postings = PostingsBuilder()
        self._ids: list[int] = []
        self._titles: list[tuple[int, int]] = []
        self._waiting: list[int] = []

    def add(self, passage_id: int, *, title: str, heading: Sequence[str], content: str, opens: bool) -> None:
        if opens and (name := title_name(title)):
            self._titles.append((signed(key(name)), passage_id))
        self._ids.append(passage_id)
        self._waiting.append(passage_id)
        self._postings.add(terms(" ".join((title, *heading))), terms(content))

    def add_vectors(self, vectors: Vectors) -> None:
        self._records.flush()
        copying = sql.SQL("COPY {} FROM STDIN").format(self._vectors)
        with self._db.cursor().copy(copying) as copy:
            for number, vector in zip(self._waiting, vectors, strict=True):
                copy.write_row((number, as_text(vector)))
        with self._db.cursor().copy("COPY titles FROM STDIN") as copy:
            for row in self._titles:
                copy.write_row(row)
        self._waiting.clear()
        self._titles.clear()
        if len(self._ids) >= SEGMENT_PASSAGES:
            self._close_segment()

    def finish(self) -> None:
        self._records.flush()
        self._close_segment()
        self._merge()
        name = f"{fact(self._db, 'vectors')}_nearest"
        known = self._db.execute("SELECT to_regclass(%s)", (name,)).fetchone()
        row = self._db.execute(sql.SQL("SELECT count(*) FROM {}").format(self._vectors)).fetchone()
        if known == (None,) and row and row[0] >= HNSW_FROM:
            making = sql.SQL("CREATE INDEX {} ON {} USING hnsw (embedding halfvec_ip_ops)")
            self._db.execute(making.format(sql.Identifier(name), self._vectors))

    @property
    def _vectors(self) -> sql.Identifier:
        return sql.Identifier(fact(self._db, "vectors") or "")

    def _close_segment(self) -> None:
        if self._ids:
            self._write(np.array(self._ids, dtype=np.int64), self._postings.build())
        self._ids, self._postings = [], PostingsBuilder()

    def _write(self, ids: NDArray[np.int64], postings: Postings) -> None:
        lengths = (postings.title_lengths.tobytes(), postings.body_lengths.tobytes())
        row = self._db.execute(
            "INSERT INTO segments (first, ids, title_lengths, body_lengths) VALUES (%s, %s, %s, %s) RETURNING id",
            (int(ids[0]), ids.tobytes(), *lengths),
        ).fetchone()
        number = row[0] if row else 0
        with self._db.cursor().copy("COPY postings (segment, term, data) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "int8", "bytea"])
            for place, term in enumerate(postings.terms.tolist()):
                copy.write_row((number, signed(term), _packed(postings, place)))

    def _merge(self) -> None:
        rows = self._db.execute("SELECT id FROM segments ORDER BY first").fetchall()
        segments = [segment for (number,) in rows if (segment := Stored.read(self._db, number))]
        gone = self._db.execute("SELECT passage FROM dead ORDER BY passage").fetchall()
        dead = np.array([number for (number,) in gone], dtype=np.int64)
        count = to_merge([len(segment.ids) for segment in segments], len(dead))
        if not count:
            return
        merging = segments[-count:]
        parts, ids, buried = [], [], list[int]()
        for segment in merging:
            alive = np.ones(len(segment.ids), dtype=np.bool_)
            alive[segment.ordinals(dead)] = False
            parts.append((self._whole(segment), alive))
            ids.append(segment.ids[alive])
            buried += segment.ids[~alive].tolist()
        self._replace(merging, np.concatenate(ids), parts)
        self._db.execute("DELETE FROM dead WHERE passage = ANY(%s)", (buried,))

    def _replace(
        self, merged: Sequence[Stored], ids: NDArray[np.int64], parts: Sequence[tuple[Postings, Mask]]
    ) -> None:
        if len(ids):
            with tempfile.TemporaryDirectory() as folder:
                merge_postings(parts, Path(folder))
                self._write(ids, Postings.open(Path(folder)))
        self._db.execute("DELETE FROM segments WHERE id = ANY(%s)", ([segment.id for segment in merged],))

    def _whole(self, segment: Stored) -> Postings:
        rows = self._db.cursor(binary=True).execute("SELECT term, data FROM postings WHERE segment = %s", (segment.id,))
        return segment.postings([(term % (1 << 64), data) for term, data in rows])


def as_text(vector: "NDArray[np.float32]") -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector.tolist()))}]"
