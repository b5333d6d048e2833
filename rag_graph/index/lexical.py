"""BM25F over postings that are written once and then mapped from disk; titles weigh more than bodies."""

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields
from math import log1p
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_graph.text.terms import Keys, term_counts

Floats = NDArray[np.float32]
Ordinals = NDArray[np.int32]
Mask = NDArray[np.bool_]

TITLE_WEIGHT = 3.0
TITLE_B = 0.3
BODY_B = 0.75
K1 = 0.9

EXHAUSTIVE_BELOW = 50_000
"""Passages up to which every match is scored; above, only those that hold one of a query's rarer terms."""
RARE_POSTINGS = 10_000
"""How many passages the rarer terms of one query may bring in."""
_MERGE_TERMS = 50_000
# What a byte holds; long before, another occurrence hardly moves a score.
_MAX_COUNT = 255
# Each takes four bytes for every passage of its segment.
_KEPT_TERMS = 256
_DENSE_FROM = 16
"""Adding whole rows is faster than adding at ordinals once more than one in so many is filled."""


@dataclass(frozen=True, slots=True)
class Postings:
    """Which passages hold which term, and how often. A passage is known by its ordinal here."""

    terms: Keys
    starts: NDArray[np.int64]
    ordinals: Ordinals
    title_counts: NDArray[np.uint8]
    body_counts: NDArray[np.uint8]
    title_lengths: NDArray[np.uint16]
    body_lengths: NDArray[np.uint16]

    @property
    def size(self) -> int:
        return len(self.body_lengths)

    def save(self, folder: Path) -> None:
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def open(cls, folder: Path) -> "Postings":
        return cls(**{name: _mapped(folder / f"{name}.npy") for name in _ARRAYS})

    def rows(self, wanted: Keys) -> NDArray[np.int64]:
        """Where these terms stand in `terms`; -1 for those that no passage has."""
        if not len(self.terms):
            return np.full(len(wanted), -1, dtype=np.int64)
        rows = np.searchsorted(self.terms, wanted)
        rows[rows == len(self.terms)] = 0
        return np.where(self.terms[rows] == wanted, rows, -1)

    def span(self, row: int) -> slice:
        return slice(int(self.starts[row]), int(self.starts[row + 1]))

    def frequency(self, row: int) -> int:
        return int(self.starts[row + 1] - self.starts[row]) if row >= 0 else 0

    def holders(self, row: int) -> Ordinals:
        """The passages that hold a term, in order."""
        return self.ordinals[self.span(row)] if row >= 0 else self.ordinals[:0]


_ARRAYS = tuple(field.name for field in fields(Postings))


def _mapped(path: Path) -> NDArray[Any]:
    """A plain array over the mapped file: indexing a `memmap` object itself is much slower."""
    # Small ones are read: a mapping takes a page, and a descriptor for as long as it is open.
    array_ = np.load(path, mmap_mode="r" if path.stat().st_size > 1 << 16 else None, allow_pickle=False)
    return np.asarray(array_)


class PostingsBuilder:
    """Collects the postings of passages in the order in which they are added."""

    def __init__(self) -> None:
        # Arrays of bare numbers: as objects of Python's they would
        # take several times as much, for every word of a segment.
        self._keys = array("Q")
        self._ordinals = array("i")
        self._title_counts = array("B")
        self._body_counts = array("B")
        self._title_lengths = array("H")
        self._body_lengths = array("H")

    def __len__(self) -> int:
        return len(self._body_lengths)

    def add(self, title: Sequence[str], body: Sequence[str]) -> None:
        ordinal = len(self)
        in_title, in_body = term_counts(title), term_counts(body)
        for number in in_title.keys() | in_body.keys():
            self._keys.append(number)
            self._ordinals.append(ordinal)
            self._title_counts.append(min(in_title.get(number, 0), _MAX_COUNT))
            self._body_counts.append(min(in_body.get(number, 0), _MAX_COUNT))
        self._title_lengths.append(min(len(title), 0xFFFF))
        self._body_lengths.append(min(len(body), 0xFFFF))

    def build(self) -> Postings:
        all_keys = np.frombuffer(self._keys, dtype=np.uint64) if self._keys else np.empty(0, dtype=np.uint64)
        # Stable, so that the passages of a term stay in order: `together` looks them up by halving.
        order = np.argsort(all_keys, kind="stable")
        found, starts = np.unique(all_keys[order], return_index=True)
        return Postings(
            terms=found,
            starts=np.append(starts, len(order)).astype(np.int64),
            ordinals=np.array(self._ordinals, dtype=np.int32)[order],
            title_counts=np.array(self._title_counts, dtype=np.uint8)[order],
            body_counts=np.array(self._body_counts, dtype=np.uint8)[order],
            title_lengths=np.array(self._title_lengths, dtype=np.uint16),
            body_lengths=np.array(self._body_lengths, dtype=np.uint16),
        )


def merge_postings(parts: Sequence[tuple[Postings, Mask]], folder: Path) -> None:
    """Write one set of postings out of several, less the passages that are no longer alive.

    Goes through the terms in blocks, so that memory stays flat however large the parts are.
    """
    # Twice through all terms: how many passages each has must be known before there is a place to write them to.
    renumbered = list(_renumbered(parts))
    found = np.unique(np.concatenate([part.terms for part, _ in parts]))
    counts = np.zeros(len(found), dtype=np.int64)
    for (part, alive), _ in zip(parts, renumbered, strict=True):
        for rows in _blocks(part):
            kept = alive[part.ordinals[_postings(part, rows)]]
            sizes = np.diff(part.starts[rows.start : rows.stop + 1])
            counts[np.searchsorted(found, part.terms[rows])] += _sums(kept, sizes)
    held = counts > 0
    found, counts = found[held], counts[held]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    np.save(folder / "terms.npy", found, allow_pickle=False)
    np.save(folder / "starts.npy", starts, allow_pickle=False)
    _scatter(parts, renumbered, found, starts, folder)
    for name in ("title_lengths", "body_lengths"):
        lengths = np.concatenate([getattr(part, name)[alive] for part, alive in parts])
        np.save(folder / f"{name}.npy", lengths, allow_pickle=False)


def _scatter(
    parts: Sequence[tuple[Postings, Mask]],
    renumbered: Sequence[Ordinals],
    found: Keys,
    starts: NDArray[np.int64],
    folder: Path,
) -> None:
    columns = {"ordinals": np.int32, "title_counts": np.uint8, "body_counts": np.uint8}
    targets = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (int(starts[-1]),))
        for name, dtype in columns.items()
        if starts[-1]
    }
    for name in targets:
        _allocate(folder / f"{name}.npy")
    if not targets:
        for name, dtype in columns.items():
            np.save(folder / f"{name}.npy", np.empty(0, dtype=dtype), allow_pickle=False)
        return
    filled = starts[:-1].copy()
    for (part, alive), numbers in zip(parts, renumbered, strict=True):
        for rows in _blocks(part):
            postings = _postings(part, rows)
            ordinals = part.ordinals[postings]
            kept = alive[ordinals]
            sizes = _sums(kept, np.diff(part.starts[rows.start : rows.stop + 1]))
            into = np.minimum(np.searchsorted(found, part.terms[rows]), len(found) - 1)
            first = np.cumsum(sizes) - sizes
            slots = np.repeat(filled[into] - first, sizes) + np.arange(int(sizes.sum()))
            targets["ordinals"][slots] = numbers[ordinals[kept]]
            targets["title_counts"][slots] = part.title_counts[postings][kept]
            targets["body_counts"][slots] = part.body_counts[postings][kept]
            np.add.at(filled, into, sizes)
    for target in targets.values():
        target.flush()


def _allocate(path: Path) -> None:
    """Take the room of a file that is written through memory: where it ran out there, the process would be killed."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _renumbered(parts: Sequence[tuple[Postings, Mask]]) -> Iterator[Ordinals]:
    """For each part, the new ordinal of each of its living passages."""
    offset = 0
    for _, alive in parts:
        yield (np.cumsum(alive) - 1 + offset).astype(np.int32)
        offset += int(alive.sum())


def _blocks(part: Postings) -> Iterator[slice]:
    for start in range(0, len(part.terms), _MERGE_TERMS):
        yield slice(start, min(start + _MERGE_TERMS, len(part.terms)))


def _postings(part: Postings, rows: slice) -> slice:
    return slice(int(part.starts[rows.start]), int(part.starts[rows.stop]))


def _sums(kept: Mask, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of each consecutive group of `sizes` are kept."""
    running = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
    ends = np.cumsum(sizes)
    return np.asarray(running[ends] - running[ends - sizes], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Averages:
    """The mean lengths over all segments, against which one passage's length is judged."""

    title: float
    body: float

    @staticmethod
    def of(parts: Sequence[Postings]) -> "Averages":
        count = max(1, sum(part.size for part in parts))
        return Averages(
            # Never 0, as of passages that have no words in a field nothing could be divided.
            title=max(1e-6, sum(float(part.title_lengths.sum(dtype=np.int64)) for part in parts) / count),
            body=max(1e-6, sum(float(part.body_lengths.sum(dtype=np.int64)) for part in parts) / count),
        )


@dataclass(frozen=True, slots=True)
class _Impact:
    """What a term adds to passages: to all, or to those of these `ordinals` when they are few."""

    ordinals: Ordinals | None
    values: Floats

    @staticmethod
    def of(ordinals: Ordinals, values: Floats, width: int) -> "_Impact":
        if len(ordinals) * _DENSE_FROM < width:
            return _Impact(ordinals, values)
        line = np.zeros(width, dtype=np.float32)
        line[ordinals] = values
        return _Impact(None, line)


class LexicalScorer:
    """Scores the passages of one segment for many queries at once."""

    def __init__(self, postings: Postings, averages: Averages, *, exhaustive_below: int = EXHAUSTIVE_BELOW) -> None:
        self._exhaustive_below = exhaustive_below
        self.postings = postings
        self._title_norms = _norms(postings.title_lengths, averages.title, TITLE_B) / np.float32(TITLE_WEIGHT)
        self._body_norms = _norms(postings.body_lengths, averages.body, BODY_B)
        self._common: dict[int, _Impact] = {}

    def over(self, postings: Postings) -> "LexicalScorer":
        """The same passages, with the postings of other terms."""
        other = copy(self)
        other.postings, other._common = postings, {}  # noqa: SLF001 - it is one of ours
        return other

    def search(
        self, queries: Sequence[Mapping[int, float]], *, limit: int, allowed: Mask | None
    ) -> tuple[Ordinals, Floats]:
        """The ordinals with the best scores for any of the queries, which are weights (idf included) by term key."""
        wanted = list(dict.fromkeys(number for query in queries for number in query))
        rows = self.postings.rows(np.array(wanted, dtype=np.uint64)).tolist()
        present = {number: row for number, row in zip(wanted, rows, strict=True) if row >= 0}
        reach = self._reach(queries, present, allowed)
        candidates = None if reach is None else np.flatnonzero(reach).astype(np.int32)
        width = self.postings.size if candidates is None else len(candidates)
        impacts = self._impacts(present, reach, width)
        best = np.zeros(width, dtype=np.float32)
        for query in queries:
            np.maximum(best, _total(query, impacts, width), out=best)
        return _best(candidates, best, limit)

    def _reach(
        self, queries: Sequence[Mapping[int, float]], present: Mapping[int, int], allowed: Mask | None
    ) -> Mask | None:
        """The passages worth scoring; None for all."""
        if self.postings.size <= self._exhaustive_below:
            return allowed
        reach = np.zeros(self.postings.size, dtype=np.bool_)
        for row in {row for query in queries for row in self._rare(query, present)}:
            reach[self.postings.holders(row)] = True
        return reach if allowed is None else reach & allowed

    def _rare(self, query: Mapping[int, float], present: Mapping[int, int]) -> Iterator[int]:
        rows = sorted((present[number] for number in query if number in present), key=self.postings.frequency)
        budget = RARE_POSTINGS
        for taken, row in enumerate(rows):
            budget -= self.postings.frequency(row)
            # The rarest is taken whatever it costs, or a query of common words alone would find nothing.
            if taken and budget < 0:
                return
            yield row

    def _impacts(self, present: Mapping[int, int], reach: Mask | None, width: int) -> dict[int, "_Impact"]:
        """What each term adds to each reachable passage, before its weight."""
        if reach is None:
            return {number: self._impact(row) for number, row in present.items()}
        columns = np.cumsum(reach, dtype=np.int32) - 1
        impacts = {}
        for number, row in present.items():
            span = self.postings.span(row)
            inside = reach[self.postings.ordinals[span]]
            ordinals = self.postings.ordinals[span][inside]
            values = self._saturated(
                ordinals, self.postings.title_counts[span][inside], self.postings.body_counts[span][inside]
            )
            impacts[number] = _Impact.of(columns[ordinals], values, width)
        return impacts

    def _impact(self, row: int) -> _Impact:
        """What a term adds to each passage; kept for the common terms, which come with almost every query."""
        if (known := self._common.get(row)) is not None:
            return known
        span = self.postings.span(row)
        ordinals = self.postings.ordinals[span]
        values = self._saturated(ordinals, self.postings.title_counts[span], self.postings.body_counts[span])
        impact = _Impact.of(ordinals, values, self.postings.size)
        if impact.ordinals is None and len(self._common) < _KEPT_TERMS:
            self._common[row] = impact
        return impact

    def _saturated(self, ordinals: Ordinals, in_title: NDArray[np.uint8], in_body: NDArray[np.uint8]) -> Floats:
        # Both fields are added up before they saturate, which is what
        # BM25F is: a word in title and text counts once more, not twice.
        counts = in_title / self._title_norms[ordinals] + in_body / self._body_norms[ordinals]
        return np.asarray(counts / (counts + np.float32(K1)), dtype=np.float32)


def together(postings: Postings, rows: set[int]) -> int:
    """How many passages hold all these terms."""
    if not rows or -1 in rows:
        return 0
    rarest, *others = sorted(rows, key=postings.frequency)
    if not others:
        return postings.frequency(rarest)
    common = postings.holders(rarest)
    for row in others:
        holders = postings.holders(row)
        # What is greater than all would be looked up behind the end.
        near = np.minimum(holders.searchsorted(common), len(holders) - 1)
        common = common[holders[near] == common]
        if not len(common):
            break
    return len(common)


def idf(frequency: int, size: int) -> float:
    """How much a term says, from how many of `size` passages hold it."""
    # By `log1p`, so that a term which most passages hold counts a little, and never against a passage.
    return log1p((max(size, frequency) - frequency + 0.5) / (frequency + 0.5))


def _norms(lengths: NDArray[np.uint16], average: float, b: float) -> Floats:
    return np.asarray(1 - b + b * lengths.astype(np.float32) / average, dtype=np.float32)


def _total(query: Mapping[int, float], impacts: Mapping[int, _Impact], width: int) -> Floats:
    scores = np.zeros(width, dtype=np.float32)
    for number, weight in query.items():
        if (impact := impacts.get(number)) is None:
            continue
        if impact.ordinals is None:
            scores += impact.values * np.float32(weight)
        else:
            # No passage holds a term twice, or `+=` would count it once.
            scores[impact.ordinals] += impact.values * np.float32(weight)
    return scores


def _best(candidates: Ordinals | None, scores: Floats, limit: int) -> tuple[Ordinals, Floats]:
    """The best `limit` with a score; `candidates` says which passages the scores are of, if not all."""
    bar = np.float32(0)
    if len(scores) > limit:
        bar = np.partition(scores, len(scores) - limit)[len(scores) - limit]
    found = np.flatnonzero(scores >= bar if bar > 0 else scores > 0)
    found = found[np.argsort(-scores[found], kind="stable")[:limit]]
    return found.astype(np.int32) if candidates is None else candidates[found], scores[found]
