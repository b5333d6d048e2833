"""The library in PostgreSQL, open for searching; each search sees one state of it, whoever indexes meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Error as _Error
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from rag_graph.documents import Document, Passage
from rag_graph.errors import IndexNotFound, RetrievalFailed
from rag_graph.index.base import Ranking
from rag_graph.index.catalogue import check_builder
from rag_graph.index.lexical import Averages, LexicalScorer, Mask, Postings, idf, together
from rag_graph.index.postgres.filters import conditions
from rag_graph.index.postgres.segments import PostingsCache, Stored, as_text, signed
from rag_graph.index.postgres.tables import Db, fact
from rag_graph.models.embeddings import Embedder, Vectors
from rag_graph.query import Filters
from rag_graph.text.terms import keys

_KEPT_FILTERS = 16
_EXACT_UP_TO = 10_000
"""Under filters that allow no more, vectors are compared one by one."""
_MAX_EF = 1_000

_PASSAGE = """
SELECT p.id, p.document, d.uri, d.title, p.start, p.stop, coalesce(p.content, d.text), p.heading, d.metadata, p.metadata
FROM passages p JOIN documents d ON d.id = p.document WHERE p.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment as it is searched: which of its passages live, and the scorer of its words."""

    segment: Stored
    alive: Mask
    scorer: LexicalScorer


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The library at one generation."""

    generation: int
    vectors: str
    parts: tuple[_Part, ...]
    size: int


class PostgresLibrary:
    """A library in PostgreSQL. Calls block; any thread may make them."""

    def __init__(self, pool: "ConnectionPool[Db]", embedder: Embedder) -> None:
        self._pool = pool
        self._embedder = embedder
        self._lock = Lock()
        self._cache = PostingsCache()
        self._snapshot: _Snapshot | None = None
        self._filtered: dict[tuple[int, str], NDArray[np.int64]] = {}
        with self._reading() as db:
            self._newest(db)

    @property
    def embedder(self) -> Embedder:
        return self._embedder

    @property
    def generation(self) -> int:
        """Counts the indexing runs; whoever keeps results can tell by it that they are old."""
        with self._reading() as db:
            return self._newest(db).generation

    @property
    def size(self) -> int:
        """How many passages there are."""
        with self._reading() as db:
            return self._newest(db).size

    def close(self) -> None:
        self._pool.close()

    @contextmanager
    def view(self, filters: Filters | None = None) -> Iterator["PostgresView"]:
        """The library as it is now, narrowed to what the filters allow."""
        with self._reading() as db:
            snapshot = self._newest(db)
            allowed = self._allowed(db, snapshot, filters) if filters else None
            yield PostgresView(db, snapshot, self._cache, allowed)

    def document(self, document_id: str) -> Document | None:
        with self._reading() as db:
            query = "SELECT id, uri, title, text, metadata FROM documents WHERE id = %s"
            row = db.execute(query, (document_id,)).fetchone()
        return Document(*row) if row else None

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """These passages, in this order, without those that are gone."""
        with self._reading() as db:
            return _passages(db, ids)

    def counts(self) -> tuple[int, int]:
        """How many documents and passages there are."""
        with self._reading() as db:
            documents = db.execute("SELECT count(*) FROM documents").fetchone()
            return (documents[0] if documents else 0), self._newest(db).size

    @contextmanager
    def _reading(self) -> Iterator[Db]:
        """One state of the database."""
        try:
            with self._pool.connection() as db, db.transaction():
                db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield db
        except (_Error, PoolTimeout) as exc:
            raise RetrievalFailed("The PostgreSQL of RAG_POSTGRES_URL does not answer; ask again in a moment.") from exc

    def _newest(self, db: Db) -> _Snapshot:
        row = db.execute("SELECT to_regclass('facts')").fetchone()
        generation = fact(db, "generation") if row and row[0] else None
        if generation is None:
            raise IndexNotFound("Nothing has been indexed yet; run: rag-graph index PATH")
        known = self._snapshot
        if known is None or known.generation != int(generation):
            known = self._snapshot = self._read(db, int(generation), known)
        return known

    def _read(self, db: Db, generation: int, former: _Snapshot | None) -> _Snapshot:
        built_by = (fact(db, "format"), fact(db, "embedder"), fact(db, "dims"))
        check_builder(built_by, embedder=self._embedder.name, dims=self._embedder.dims)
        known = {part.segment.id: part.segment for part in former.parts} if former else {}
        numbers = [row[0] for row in db.execute("SELECT id FROM segments ORDER BY first")]
        found = [known.get(number) or Stored.read(db, number) for number in numbers]
        segments = [segment for segment in found if segment]
        gone = np.array([row[0] for row in db.execute("SELECT passage FROM dead")], dtype=np.int64)
        empty = [segment.postings([]) for segment in segments]
        averages = Averages.of(empty)
        parts = tuple(
            _Part(segment, ~_mask(segment, gone), LexicalScorer(postings, averages))
            for segment, postings in zip(segments, empty, strict=True)
        )
        size = sum(len(segment.ids) for segment in segments) - len(gone)
        return _Snapshot(generation, fact(db, "vectors") or "", parts, size)

    def _allowed(self, db: Db, snapshot: _Snapshot, filters: Filters) -> NDArray[np.int64]:
        """The passages that filters allow, in order; the last few filters are remembered."""
        name = (snapshot.generation, repr(sorted(filters.items())))
        if (known := self._filtered.get(name)) is not None:
            return known
        where, parameters = conditions(filters)
        query = b"SELECT p.id FROM passages p JOIN documents d ON d.id = p.document WHERE " + where + b" ORDER BY p.id"
        rows = db.cursor(binary=True).execute(query, parameters)
        ids = np.fromiter((row[0] for row in rows), dtype=np.int64)
        with self._lock:
            while len(self._filtered) >= _KEPT_FILTERS:
                self._filtered.pop(next(iter(self._filtered)))
            self._filtered[name] = ids
        return ids


class PostgresView:
    """One state of the library under one filter."""

    def __init__(self, db: Db, snapshot: _Snapshot, cache: PostingsCache, allowed: NDArray[np.int64] | None) -> None:
        self._db = db
        self._snapshot = snapshot
        self._cache = cache
        self._allowed = allowed

    @property
    def size(self) -> int:
        return self._snapshot.size

    def nearest(self, vectors: Vectors, *, limit: int) -> Ranking:
        if not len(vectors):
            return Ranking.empty()
        few = self._allowed is not None and len(self._allowed) <= _EXACT_UP_TO
        self._db.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(min(limit, _MAX_EF)),))
        self._db.execute(
            "SELECT set_config('hnsw.iterative_scan', %s, true)", ("off" if not self._filtered else "strict_order",)
        )
        query = sql.SQL(_NEAREST).format(
            vectors=sql.Identifier(self._snapshot.vectors),
            only=sql.SQL("WHERE v.passage = ANY(%(allowed)s)" if self._filtered else ""),
            exactly=sql.SQL("+ 0" if few else ""),
        )
        parameters = {
            "asked": [as_text(vector) for vector in vectors],
            "allowed": self._allowed.tolist() if self._allowed is not None else None,
            "limit": limit,
        }
        rows = self._db.cursor(binary=True).execute(query, parameters).fetchall()
        by_asked: dict[int, list[tuple[int, float]]] = {}
        for place, passage, score in rows:
            by_asked.setdefault(place, []).append((passage, score))
        return Ranking.best_of([_ranking(its) for its in by_asked.values()], limit=limit)

    def matching(self, queries: Sequence[Mapping[str, float]], *, limit: int) -> Ranking:
        words = list(dict.fromkeys(term for query in queries for term in query))
        known = dict(zip(words, keys(words).tolist(), strict=True))
        found = self._postings(list(known.values()))
        counts = {
            number: sum(postings.frequency(row) for postings, row in _rows(found, number)) for number in known.values()
        }
        weighted = [
            {known[term]: weight * idf(counts[known[term]], self.size) for term, weight in query.items()}
            for query in queries
        ]
        rankings = []
        for part, postings in zip(self._snapshot.parts, found, strict=True):
            ordinals, scores = part.scorer.over(postings).search(weighted, limit=limit, allowed=self._mask(part))
            rankings.append(Ranking(part.segment.ids[ordinals], scores))
        return Ranking.best_of(rankings, limit=limit)

    def frequencies(self, phrases: Sequence[Sequence[str]]) -> list[int]:
        words = list(dict.fromkeys(term for phrase in phrases for term in phrase))
        numbers = keys(words)
        counts = [0] * len(phrases)
        for postings in self._postings(numbers.tolist()):
            rows = dict(zip(words, postings.rows(numbers).tolist(), strict=True))
            for place, phrase in enumerate(phrases):
                counts[place] += together(postings, {rows[term] for term in phrase})
        return counts

    def titled(self, names: Sequence[str]) -> dict[str, list[int]]:
        asked = {signed(number): name for number, name in zip(keys(names).tolist(), names, strict=True)}
        rows = self._db.execute(
            "SELECT name, passage FROM titles WHERE name = ANY(%s) ORDER BY passage", (list(asked),)
        ).fetchall()
        inside = self._inside([passage for _, passage in rows])
        found: dict[str, list[int]] = {}
        for number, passage in rows:
            if passage in inside:
                found.setdefault(asked[number], []).append(passage)
        return found

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        inside = self._inside(ids)
        return _passages(self._db, [number for number in ids if number in inside])

    @property
    def _filtered(self) -> bool:
        return self._allowed is not None

    def _inside(self, ids: Sequence[int]) -> set[int]:
        if self._allowed is None:
            return set(ids)
        return set(np.intersect1d(self._allowed, np.array(ids, dtype=np.int64)).tolist())

    def _mask(self, part: _Part) -> Mask:
        return part.alive if self._allowed is None else part.alive & _mask(part.segment, self._allowed)

    def _postings(self, numbers: Sequence[int]) -> list[Postings]:
        """These terms' postings, one for each part."""
        segments = [part.segment for part in self._snapshot.parts]
        held = self._cache.read(self._db, [segment.id for segment in segments], dict.fromkeys(numbers))
        return [segment.postings(held[segment.id]) for segment in segments]


_NEAREST = """
SELECT asked.place::int4, near.passage, near.score
FROM unnest(%(asked)s::text[]::halfvec[]) WITH ORDINALITY asked (vector, place)
CROSS JOIN LATERAL (
    SELECT v.passage, -(v.embedding <#> asked.vector) AS score
    FROM {vectors} v {only} ORDER BY (v.embedding <#> asked.vector) {exactly} LIMIT %(limit)s
) near
"""


def _rows(found: Sequence[Postings], number: int) -> Iterator[tuple[Postings, int]]:
    wanted = np.array([number], dtype=np.uint64)
    for postings in found:
        yield postings, int(postings.rows(wanted)[0])


def _ranking(scores: Sequence[tuple[int, float]]) -> Ranking:
    ids, values = zip(*scores, strict=True)
    return Ranking.of(np.array(ids, dtype=np.int64), np.array(values, dtype=np.float32))


def _mask(segment: Stored, ids: NDArray[np.int64]) -> Mask:
    mask = np.zeros(len(segment.ids), dtype=np.bool_)
    mask[segment.ordinals(ids)] = True
    return mask


def _passages(db: Db, ids: Sequence[int]) -> list[Passage]:
    found = {row[0]: _passage(row) for row in db.execute(_PASSAGE, (list(ids),))}
    return [found[number] for number in ids if number in found]


def _passage(row: Sequence[Any]) -> Passage:
    number, document, uri, title, start, stop, content, heading, of_document, of_passage = row
    return Passage(
        id=number,
        document_id=document,
        uri=uri,
        title=title,
        start=start,
        end=stop,
        content=content,
        heading=tuple(heading),
        metadata=of_document | of_passage,
    )
