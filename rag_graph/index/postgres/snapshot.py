"""One state of an index in PostgreSQL, over one connection."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from psycopg import sql

from rag_graph.documents import Passage
from rag_graph.index.base import Ranking
from rag_graph.index.lexical import LexicalScorer, Mask
from rag_graph.index.postgres.segments import PostingsCache, StoredSegment, as_text, signed
from rag_graph.index.postgres.tables import HNSW_FROM, PARTED, Db
from rag_graph.index.segmented import Generation, SegmentedSearch
from rag_graph.models.embeddings import Vectors
from rag_graph.text.terms import Keys, keys

_EXACT_SHARE, _EXACT_UP_TO = 1 / 5, 50_000
"""Where a filter allows less of all passages, up to so many, their vectors are compared one by one: of a tenth of
100,000, which were about other things than the question, the index found 86 % of the ten nearest, in more time."""
_MAX_EF = 1_000
"""pgvector's own limit on `hnsw.ef_search`."""

_PASSAGE = """
SELECT p.id, p.document, d.uri, d.title, p.start, p.stop, coalesce(p.content, d.text), p.heading, d.metadata, p.metadata
FROM passages p JOIN documents d ON d.id = p.document WHERE p.id = ANY(%s)
"""
# `+ 0` keeps the planner from taking the index of vectors: few are compared faster, and exactly.
_NEAREST = """
SELECT asked.number::int4, near.passage, near.score
FROM unnest(%(asked)s::text[]::halfvec[]) WITH ORDINALITY asked (vector, number)
CROSS JOIN LATERAL (
    SELECT v.passage, -(v.embedding <#> asked.vector) AS score
    FROM {vectors} v {only} ORDER BY (v.embedding <#> asked.vector) {exactly} LIMIT %(limit)s
) near
"""
_AMONG_FEW = "WHERE v.passage = ANY(%(few)s)"
# A bit for each passage: as a list of numbers, half a million that a filter allows would be sent with each search.
_AMONG_MANY = """
WHERE CASE WHEN v.passage BETWEEN %(first)s AND %(last)s THEN get_bit(%(bits)b, v.passage - %(first)s) = 1 END
"""


class PostgresSnapshot(SegmentedSearch[StoredSegment]):
    """`Snapshot` of a `PostgresIndex`; it has the connection while it is open."""

    def __init__(
        self, db: Db, generation: Generation[StoredSegment], masks: tuple[Mask, ...] | None, cache: PostingsCache
    ) -> None:
        super().__init__(generation, masks)
        self._db = db
        self._cache = cache

    def nearest(self, vectors: Vectors, *, limit: int) -> Ranking:
        if not len(vectors):
            return Ranking.empty()
        facts = self._db.execute("SELECT name, value FROM facts WHERE name IN ('vectors', %s)", (PARTED,))
        known: dict[str, str] = {name: value for name, value in facts}  # noqa: C416 - a cursor gives tuples
        rows = 2 * limit if known[PARTED] == "yes" else limit  # twice as many, for some are of the same passage
        allowed, only, parameters = self._allowed()
        scan = partial(self._scan, table=known["vectors"], only=only, parameters=parameters | {"limit": rows})
        few = max(HNSW_FROM, min(_EXACT_SHARE * self.size, _EXACT_UP_TO))
        found = scan(vectors, exactly=self._filtered and allowed <= few)
        # The index gives up after `hnsw.max_scan_tuples`: where what a filter allows is far from what is asked, too
        # early. To rank a few as if they were all would also mislead the fusion with words.
        short = [number for number, its in enumerate(found) if len(its) < min(rows, allowed)]
        for number, its in zip(short, scan(vectors[short], exactly=True), strict=True):
            found[number] = its
        return Ranking.best_of([_ranking(its, limit) for its in found], limit=limit)

    def _allowed(self) -> tuple[int, str, dict[str, Any]]:
        """How many passages the filter allows, and a condition that does."""
        if not self._filtered:
            return self.size, "", {}
        ids = np.concatenate([part.segment.ids[mask] for part, mask in self._parts])
        if len(ids) <= HNSW_FROM:
            return len(ids), _AMONG_FEW, {"few": ids.tolist()}
        first, last = int(ids.min()), int(ids.max())
        bits = np.zeros(last - first + 1, dtype=np.bool_)
        bits[ids - first] = True
        packed = np.packbits(bits, bitorder="little").tobytes()
        return len(ids), _AMONG_MANY, {"first": first, "last": last, "bits": packed}

    def _scan(
        self, vectors: Vectors, *, exactly: bool, table: str, only: str, parameters: dict[str, Any]
    ) -> list[list[tuple[int, float]]]:
        """For each vector the closest ones' passages with their scores, by the index of vectors or by comparing all."""
        if not len(vectors):
            return []
        # Until the transaction ends only, as the connection goes back to the pool. HNSW drops what a filter does not
        # allow, and what was removed, behind the scan: it has to go on until there are enough.
        self._db.execute(
            "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'strict_order', true)",
            (str(min(parameters["limit"], _MAX_EF)),),
        )
        query = sql.SQL(_NEAREST).format(
            vectors=sql.Identifier(table), only=sql.SQL(only), exactly=sql.SQL("+ 0" if exactly else "")
        )
        given = parameters | {"asked": [as_text(vector) for vector in vectors]}
        found: list[list[tuple[int, float]]] = [[] for _ in vectors]
        for number, passage, score in self._db.cursor(binary=True).execute(query, given):
            found[number - 1].append((passage, score))
        return found

    def titled(self, names: Sequence[str]) -> dict[str, list[int]]:
        asked = {signed(number): name for number, name in zip(keys(names).tolist(), names, strict=True)}
        rows = self._db.execute(
            "SELECT name, passage FROM titles WHERE name = ANY(%s) ORDER BY passage", (list(asked),)
        ).fetchall()
        inside = set(self._inside([passage for _, passage in rows]))
        found: dict[str, list[int]] = {}
        for number, passage in rows:
            if passage in inside:
                found.setdefault(asked[number], []).append(passage)
        return found

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        inside = self._inside(ids)
        found = {row[0]: _passage(row) for row in self._db.execute(_PASSAGE, (inside,))}
        return [found[number] for number in inside if number in found]

    def _scorers(self, numbers: Keys) -> list[LexicalScorer]:
        held = self._cache.read(self._db, [segment.id for segment in self._generation.segments], numbers.tolist())
        return [part.scorer.over(part.segment.with_terms(held[part.segment.id])) for part, _ in self._parts]


def _ranking(found: Sequence[tuple[int, float]], limit: int) -> Ranking:
    best: dict[int, float] = {}
    for passage, score in found:
        best[passage] = max(score, best.get(passage, score))
    ids, scores = np.array([*best], dtype=np.int64), np.array([*best.values()], dtype=np.float32)
    return Ranking.of(ids, scores, limit=limit)


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
