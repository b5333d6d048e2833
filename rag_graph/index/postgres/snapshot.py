"""One state of an index in PostgreSQL, over one connection."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from psycopg import sql

from rag_graph.documents import Passage
from rag_graph.index.base import Ranking
from rag_graph.index.lexical import LexicalScorer, Mask
from rag_graph.index.postgres.segments import PostingsCache, StoredSegment, as_text, signed
from rag_graph.index.postgres.tables import PARTED, Db
from rag_graph.index.segmented import Generation, SegmentedSearch
from rag_graph.models.embeddings import Vectors
from rag_graph.text.terms import Keys, keys

_EXACT_UP_TO = 10_000
"""Under filters that allow no more, vectors are compared one by one."""
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
        allowed = None
        if self._filtered:
            allowed = [number for part, mask in self._parts for number in part.segment.ids[mask].tolist()]
        facts = self._db.execute("SELECT name, value FROM facts WHERE name IN ('vectors', %s)", (PARTED,))
        known: dict[str, str] = {name: value for name, value in facts}  # noqa: C416 - a cursor gives tuples
        rows = 2 * limit if known[PARTED] == "yes" else limit  # twice as many, for some are of the same passage
        # Until the transaction ends only, as the connection goes back to the pool. Under a filter HNSW drops what it
        # does not allow behind the scan: it has to go on until there are enough.
        self._db.execute(
            "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', %s, true)",
            (str(min(rows, _MAX_EF)), "off" if allowed is None else "strict_order"),
        )
        query = sql.SQL(_NEAREST).format(
            vectors=sql.Identifier(known["vectors"]),
            only=sql.SQL("" if allowed is None else "WHERE v.passage = ANY(%(allowed)s)"),
            exactly=sql.SQL("+ 0" if allowed is not None and len(allowed) <= _EXACT_UP_TO else ""),
        )
        parameters = {"asked": [as_text(vector) for vector in vectors], "allowed": allowed, "limit": rows}
        by_asked: dict[int, dict[int, float]] = {}
        for number, passage, score in self._db.cursor(binary=True).execute(query, parameters):
            found = by_asked.setdefault(number, {})
            found[passage] = max(score, found.get(passage, score))
        rankings = []
        for found in by_asked.values():
            ids, scores = np.array([*found], dtype=np.int64), np.array([*found.values()], dtype=np.float32)
            rankings.append(Ranking.of(ids, scores, limit=limit))
        return Ranking.best_of(rankings, limit=limit)

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
