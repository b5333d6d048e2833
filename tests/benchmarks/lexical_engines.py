"""The lexical engines that `tests.benchmarks.lexical` compares, asked alike: our own, SQLite's FTS5 and tantivy."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from rag_graph.index.lexical import (
    RARE_POSTINGS,
    TITLE_WEIGHT,
    Averages,
    LexicalScorer,
    Postings,
    PostingsBuilder,
    idf,
    merge_postings,
    together,
)
from rag_graph.index.segmented import SEGMENT_PASSAGES
from rag_graph.text.terms import keys, terms

TANTIVY_TITLE_WEIGHT = 0.5
"""The best of 0.25 to 8 for recall@10 on the shared sets, 90 and 50 %; the product's 3 gives 71 and 47 %."""
COMMON = 0.1
"""Without the words of more than a tenth of the passages it is five times as fast or more; recall@10 stays."""

Query = Mapping[str, float]
"""Weights by word. In one query they are equal but for words that stand in it more than once."""
Phrase = Sequence[str]


class Text(NamedTuple):
    """A passage; `title` holds its headings too, as in the product."""

    number: int
    title: str
    content: str


class Engine(Protocol):
    """A lexical index in a folder; it is built once, then opened by another object."""

    def build(self, passages: Iterable[Text]) -> None: ...
    def open(self) -> None: ...
    def close(self) -> None: ...
    def best(self, queries: Sequence[Query], *, limit: int) -> list[int]:
        """The passages that match any query, each by the best of its scores, best first."""

    def holding(self, phrases: Sequence[Phrase]) -> list[int]:
        """For each phrase, how many passages hold all its words, wherever they stand."""

    def adjacent(self, phrases: Sequence[Phrase]) -> list[int] | None:
        """For each phrase, how many passages hold it word after word; None where positions are not kept."""


class Ours:
    """What `index.segments`, `index.embedded` and `index.library` do with words, without vectors and texts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, passages: Iterable[Text]) -> None:
        parts: list[Path] = []
        builder = PostingsBuilder()
        for number, title, content in passages:
            assert number == len(parts) * SEGMENT_PASSAGES + len(builder)
            builder.add(terms(title), terms(content))
            if len(builder) == SEGMENT_PASSAGES:
                parts.append(self._close(builder, len(parts)))
                builder = PostingsBuilder()
        if len(builder):
            parts.append(self._close(builder, len(parts)))
        if len(parts) > 1:
            self._merge(parts)

    def _close(self, builder: PostingsBuilder, number: int) -> Path:
        part = self._folder / str(number)
        part.mkdir()
        builder.build().save(part)
        return part

    def _merge(self, parts: Sequence[Path]) -> None:
        merged = self._folder / "merged"
        merged.mkdir()
        opened = [Postings.open(part) for part in parts]
        merge_postings([(postings, np.ones(postings.size, dtype=np.bool_)) for postings in opened], merged)
        for part in parts:
            for file in part.iterdir():
                file.unlink()
            part.rmdir()

    def open(self) -> None:
        [folder] = self._folder.iterdir()
        self._postings = Postings.open(folder)
        self._scorer = LexicalScorer(self._postings, Averages.of([self._postings]))

    def close(self) -> None:
        """Files are mapped only."""

    def best(self, queries: Sequence[Query], *, limit: int) -> list[int]:
        asked = [_stemmed(query) for query in queries]
        wanted = list(dict.fromkeys(term for query in asked for term in query))
        numbers = keys(wanted)
        known = dict(zip(wanted, numbers.tolist(), strict=True))
        counts = map(self._postings.frequency, self._postings.rows(numbers).tolist())
        says = {term: idf(count, self._postings.size) for term, count in zip(wanted, counts, strict=True)}
        weighted = [{known[term]: weight * says[term] for term, weight in query.items()} for query in asked]
        ordinals, _ = self._scorer.search(weighted, limit=limit, allowed=None)
        return [int(ordinal) for ordinal in ordinals]

    def holding(self, phrases: Sequence[Phrase]) -> list[int]:
        asked = [[term for word in phrase for term in terms(word)] for phrase in phrases]
        wanted = list(dict.fromkeys(term for phrase in asked for term in phrase))
        rows = dict(zip(wanted, self._postings.rows(keys(wanted)).tolist(), strict=True))
        return [together(self._postings, {rows[term] for term in phrase}) for phrase in asked]

    def adjacent(self, phrases: Sequence[Phrase]) -> list[int] | None:  # noqa: ARG002 - no positions
        return None


class Fts5:
    """SQLite's own; contentless, since the product's database has the texts already.

    `bm25()` has fixed k1 and b, weighs columns before saturation and cannot weigh a query's terms. It scores every
    passage that holds any of them; with `rarer`, a query's commoner words are left out.
    """

    def __init__(self, folder: Path, *, ours: bool = False, rarer: bool = False) -> None:
        self._path = folder / "fts5.sqlite"
        self._tokenizer = "unicode61 remove_diacritics 0" if ours else "porter unicode61 remove_diacritics 2"
        self._text = _joined if ours else str
        self._terms: Callable[[str], Sequence[str]] = terms if ours else _one
        self._rarer = rarer
        self._frequencies: dict[str, int] = {}

    def build(self, passages: Iterable[Text]) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(
                f"CREATE VIRTUAL TABLE passages USING fts5(title, content, content='', tokenize='{self._tokenizer}')"
            )
            db.execute("INSERT INTO passages(passages, rank) VALUES ('rank', ?)", (f"bm25({TITLE_WEIGHT}, 1.0)",))
            db.execute("BEGIN")
            db.executemany(
                "INSERT INTO passages(rowid, title, content) VALUES (?, ?, ?)",
                ((number, self._text(title), self._text(content)) for number, title, content in passages),
            )
            db.execute("INSERT INTO passages(passages) VALUES ('optimize')")
            db.execute("COMMIT")

    def open(self) -> None:
        self._db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        self._size = self._db.execute("SELECT count(*) FROM passages_docsize").fetchone()[0]

    def close(self) -> None:
        self._db.close()

    def best(self, queries: Sequence[Query], *, limit: int) -> list[int]:
        scores: dict[int, float] = {}
        for asked in queries:
            query = self._rare(asked) if self._rarer else asked
            unit = min(query.values())
            repeated = [word for word, weight in query.items() for _ in range(round(weight / unit))]
            matching = " OR ".join(self._quoted(repeated))
            found = self._db.execute(
                "SELECT rowid, rank FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?", (matching, limit)
            )
            for number, rank in found:
                scores[number] = max(scores.get(number, 0.0), -rank * unit)
        return sorted(scores, key=lambda number: -scores[number])[:limit]

    def holding(self, phrases: Sequence[Phrase]) -> list[int]:
        return [self._count(" AND ".join(self._quoted(phrase))) for phrase in phrases]

    def adjacent(self, phrases: Sequence[Phrase]) -> list[int] | None:
        return [self._count(" + ".join(self._quoted(phrase))) for phrase in phrases]

    def _rare(self, query: Query) -> Query:
        """Of the query's words, rarest first, as many as bring in few passages, and at least one."""
        unknown = [word for word in query if word not in self._frequencies]
        self._frequencies |= zip(unknown, self.holding([[word] for word in unknown]), strict=True)
        rarest, *others = sorted(query, key=self._frequencies.__getitem__)
        reached = accumulate(self._frequencies[word] for word in others)
        rare = [
            word
            for word, postings in zip(others, reached, strict=True)
            if postings <= RARE_POSTINGS and self._frequencies[word] <= COMMON * self._size
        ]
        return {word: query[word] for word in (rarest, *rare)}

    def _count(self, matching: str) -> int:
        """An empty pattern is an error to FTS5."""
        if not matching:
            return 0
        return int(self._db.execute("SELECT count(*) FROM passages WHERE passages MATCH ?", (matching,)).fetchone()[0])

    def _quoted(self, words: Iterable[str]) -> list[str]:
        return [f'"{term}"' for word in words for term in self._terms(word)]


class Tantivy:
    """Lucene's way, in Rust: each field has a BM25 of its own, with fixed k1 and b, and is weighed after saturation."""

    def __init__(self, folder: Path, *, ours: bool = False) -> None:
        import tantivy  # noqa: PLC0415 - optional

        self._tantivy: Any = tantivy
        self._folder = folder
        self._text = _joined if ours else str
        self._analyzer = _analyzer(tantivy, ours=ours)
        self._terms: Callable[[str], Sequence[str]] = terms if ours else self._analyzer.analyze

    def build(self, passages: Iterable[Text]) -> None:
        fields = self._tantivy.SchemaBuilder()
        fields.add_text_field("title", tokenizer_name="benchmark")
        fields.add_text_field("content", tokenizer_name="benchmark")
        fields.add_integer_field("number", fast=True)
        index = self._tantivy.Index(fields.build(), str(self._folder))
        index.register_tokenizer("benchmark", self._analyzer)
        writer = index.writer()
        for number, title, content in passages:
            writer.add_document(
                self._tantivy.Document(number=number, title=self._text(title), content=self._text(content))
            )
        writer.commit()
        writer.wait_merging_threads()

    def open(self) -> None:
        index = self._tantivy.Index.open(str(self._folder))
        self._schema = index.schema
        self._searcher = index.searcher()

    def close(self) -> None:
        """The searcher goes with its last reference."""

    def best(self, queries: Sequence[Query], *, limit: int) -> list[int]:
        asked = [self._any(query) for query in queries]
        query = asked[0] if len(asked) == 1 else self._tantivy.Query.disjunction_max_query(asked)
        found = self._searcher.search(query, limit, count=False)
        numbers: list[int] = self._searcher.fast_field_values("number", [address for _, address in found.hits])
        return numbers

    def _any(self, query: Query) -> Any:
        should, make = self._tantivy.Occur.Should, self._tantivy.Query
        return make.boolean_query(
            [
                (should, make.boost_query(make.term_query(self._schema, name, term), weight * of_field))
                for word, weight in query.items()
                for term in self._terms(word)
                for name, of_field in (("title", TANTIVY_TITLE_WEIGHT), ("content", 1.0))
            ]
        )

    def holding(self, phrases: Sequence[Phrase]) -> list[int]:
        must, make = self._tantivy.Occur.Must, self._tantivy.Query
        return [
            self._count(make.boolean_query([(must, self._either([term])) for term in self._all(phrase)]))
            for phrase in phrases
        ]

    def adjacent(self, phrases: Sequence[Phrase]) -> list[int] | None:
        return [self._count(self._either(self._all(phrase))) for phrase in phrases]

    def _either(self, phrase: Sequence[str]) -> Any:
        """The phrase in the title or in the content."""
        make = self._tantivy.Query
        in_fields = [
            make.term_query(self._schema, name, phrase[0])
            if len(phrase) == 1
            else make.phrase_query(self._schema, name, [*phrase])
            for name in ("title", "content")
        ]
        return make.boolean_query([(self._tantivy.Occur.Should, query) for query in in_fields])

    def _count(self, query: Any) -> int:
        return int(self._searcher.search(query, 1, count=True).count or 0)

    def _all(self, phrase: Phrase) -> list[str]:
        return [term for word in phrase for term in self._terms(word)]


def engines() -> dict[str, Callable[[Path], Engine]]:
    """By name, ours first; tantivy only where it is installed."""
    made: dict[str, Callable[[Path], Engine]] = {
        "ours": Ours,
        "FTS5": Fts5,
        "FTS5, rarer words": lambda folder: Fts5(folder, rarer=True),
        "FTS5, our terms": lambda folder: Fts5(folder, ours=True),
    }
    if find_spec("tantivy"):
        made |= {
            "tantivy": Tantivy,
            "tantivy, our terms": lambda folder: Tantivy(folder, ours=True),
        }
    return made


def _analyzer(tantivy: Any, *, ours: bool) -> Any:
    make, filters = tantivy.TextAnalyzerBuilder, tantivy.Filter
    if ours:
        return make(tantivy.Tokenizer.whitespace()).build()
    simple = make(tantivy.Tokenizer.simple()).filter(filters.remove_long(64))
    return simple.filter(filters.lowercase()).filter(filters.ascii_fold()).filter(filters.stemmer("english")).build()


def _stemmed(query: Query) -> dict[str, float]:
    weights: dict[str, float] = {}
    for word, weight in query.items():
        for term in terms(word):
            weights[term] = weights.get(term, 0.0) + weight
    return weights


def _joined(text: str) -> str:
    return " ".join(terms(text))


def _one(word: str) -> list[str]:
    return [word.replace('"', "")]
