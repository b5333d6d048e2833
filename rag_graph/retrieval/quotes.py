"""Which two sentences of the evidence answer a question best: words, meaning, and what links the two.

A question in two hops is answered by two sentences that cover it together and share a name that it does not
hold. So pairs are scored, not sentences: of 100 such questions the best pair held the answer to 47 where each
sentence alone, chosen by an embedder, held it to 20 (of the 64 that the passages could answer).
"""

import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np
from numpy.typing import NDArray

from rag_graph.events import NumberedPassage
from rag_graph.models.embeddings import Embedder
from rag_graph.text.markup import document_sentences, unmarked
from rag_graph.text.sentences import Sentence
from rag_graph.text.terms import STOP_TERMS, stems, words

LEAST_WORDS = 2
"""An answer may be "In Graz."; one so short has to say something that the question does not."""
_UNDER_HEADER = re.compile(r"[ \t|]*\n[ \t]*\|?[ \t]*:?-{2,}[-| :\t]*(?:\n|$)")
"""The line that marks the row above as the names of columns, which by themselves say nothing."""
_CLOSING = " \"'”’»)*_`\n"
LONGEST_QUOTE_CHARS = 600

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each sign counts; the optimum is flat, half or double changes little."""

    covered: float = 1.0
    """The share of the question's words (rare ones weigh more) that both sentences hold together."""
    closeness: float = 0.5
    """How near each is to the question by meaning (cosine)."""
    rank: float = 0.3
    """How high the search ranked the passages."""
    link: float = 0.3
    """Names that both share and the question lacks, if they are from two passages."""
    full_link: float = 4.0
    """So much weight of words makes a full link."""
    same_passage: float = 0.1
    """Taken off when both are from one passage."""
    embedded: int = 32
    """So many sentences are embedded, the most promising by their words."""
    openings: int = 8
    """So many of the best single sentences are tried as one of the pair."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a passage: `passage.content[start:end]`; `score` says how well its pair answers, 0 to 1."""

    passage: NumberedPassage
    start: int
    end: int
    score: float = 0.0

    @property
    def quote(self) -> str:
        return self.passage.content[self.start : self.end]

    @property
    def flat(self) -> str:
        """In a line, without markup."""
        return " ".join(unmarked(self.quote).split())


@dataclass(frozen=True, slots=True)
class _Candidate:
    quote: Quote
    terms: frozenset[str]
    names: frozenset[str]


DEFAULT_WEIGHTS = Weights()


def best_quotes(
    question: str, passages: Sequence[NumberedPassage], embedder: Embedder | None = None
) -> tuple[Quote, ...]:
    """The pair of sentences that answers the question best, the better one first; blocks while embedding.

    Without an embedder words alone decide, which takes milliseconds.
    """
    return QuoteChoice(question, passages, embedder).best()


class QuoteChoice:
    """The choice of one pair among all sentences of the passages. Making one blocks while embedding."""

    def __init__(
        self,
        question: str,
        passages: Sequence[NumberedPassage],
        embedder: Embedder | None = None,
        *,
        weights: Weights = DEFAULT_WEIGHTS,
    ) -> None:
        self._weights = weights
        self._asked = sorted(content_terms(question))
        self._found = [candidate for passage in passages for candidate in _candidates(passage, self._asked)]
        self._numbers = np.array([candidate.quote.passage.number for candidate in self._found])
        self._closeness = np.zeros(len(self._found), dtype=np.float32)
        if embedder is not None and self._found:
            self._closeness = self._measure(question, embedder)

    @property
    def closest(self) -> float:
        """How near the nearest sentence is to the question by meaning; 0 without an embedder."""
        return float(self._closeness.max(initial=0.0))

    def best(
        self, among: Callable[[Quote], bool] = bool, *, having: Callable[[Quote], bool] = bool
    ) -> tuple[Quote, ...]:
        """Two sentences, the better one first, one of them `having` what is asked; fewer where there are no two."""
        allowed = self._where(among)
        wanted = allowed & self._where(having)
        if not wanted.any():
            return ()
        alone = np.where(wanted, self._alone, -np.inf)
        openings = [at for at in np.argsort(-alone, kind="stable")[: self._weights.openings].tolist() if wanted[at]]
        pairs = np.stack([np.where(allowed, self._with(first), -np.inf) for first in openings])
        row, second = divmod(int(pairs.argmax()), len(self._found))
        first, score = openings[row], float(pairs[row, second])
        if not np.isfinite(score):
            return (self._scored(first, float(alone[first])),)
        return tuple(self._scored(at, score) for at in sorted((first, second), key=lambda at: -self._alone[at]))

    def _where(self, holds: Callable[[Quote], bool]) -> NDArray[np.bool_]:
        return np.array([holds(candidate.quote) for candidate in self._found], dtype=bool)

    def _measure(self, question: str, embedder: Embedder) -> Scores:
        """How near the sentences are to the question; those that promise little by their words get the least."""
        promising = np.argsort(-self._alone, kind="stable")[: self._weights.embedded]
        quotes = [self._found[at].quote for at in promising.tolist()]
        vectors = embedder.embed([f"{quote.passage.title}. {quote.flat}" for quote in quotes])
        near = vectors @ embedder.embed_query(question)
        closeness = np.full(len(self._found), near.min(), dtype=np.float32)
        closeness[promising] = near
        return closeness

    @property
    def _alone(self) -> Scores:
        return np.asarray(self._covered.sum(axis=1) * self._weights.covered / 2 + self._each, dtype=np.float32)

    def _with(self, first: int) -> Scores:
        """The score of each pair with this sentence."""
        weights = self._weights
        together = np.maximum(self._covered, self._covered[first]).sum(axis=1)
        same = self._numbers == self._numbers[first]
        link = np.where(same, 0, np.minimum(1, self._shared(first) / weights.full_link))
        each = (self._each + self._each[first]) / 2
        score = weights.covered * together + each + weights.link * link - weights.same_passage * same
        words = self._found[first].quote.flat
        score[[candidate.quote.flat == words for candidate in self._found]] = -np.inf
        return np.asarray(score, dtype=np.float32)

    @property
    def _each(self) -> Scores:
        """What a sentence counts by itself: its meaning, and the rank of its passage."""
        given = np.array([candidate.quote.passage.score for candidate in self._found], dtype=np.float32)
        spread = float(np.ptp(given)) or 1.0
        rank = (given - given.min()) / spread
        return np.asarray(self._weights.closeness * self._closeness + self._weights.rank * rank, dtype=np.float32)

    @cached_property
    def _covered(self) -> Scores:
        """One row per sentence: of each word of the question that it or its title holds, its share of the question."""
        shares = np.array([self._rarity(term) for term in self._asked], dtype=np.float32)
        shares /= shares.sum() or 1
        held = [[term in candidate.terms for term in self._asked] for candidate in self._found]
        return np.asarray(np.array(held, dtype=np.float32).reshape(len(held), len(shares)) * shares)

    def _shared(self, first: int) -> Scores:
        names = self._found[first].names.difference(self._asked)
        return np.array([sum(map(self._rarity, names & other.names)) for other in self._found], dtype=np.float32)

    def _rarity(self, term: str) -> float:
        return log(1 + len(self._found) / (self._counts.get(term, 0) + 0.5))

    @cached_property
    def _counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for candidate in self._found:
            for term in candidate.terms:
                counts[term] = counts.get(term, 0) + 1
        return counts

    def _scored(self, at: int, score: float) -> Quote:
        quote = self._found[at].quote
        best = self._weights.covered + self._weights.closeness + self._weights.rank + self._weights.link
        return Quote(quote.passage, quote.start, quote.end, round(max(0.0, min(1.0, score / best)), 4))


def _candidates(passage: NumberedPassage, asked: Container[str]) -> Iterable[_Candidate]:
    title_terms = _terms(passage.title)
    put = frozenset[str]()  # by a question that the passage itself puts: what follows is about its words
    for sentence in document_sentences(passage.content):
        quote = Quote(passage, sentence.start, sentence.end)
        if quote.quote.rstrip(_CLOSING).endswith(("?", "？", "؟")):
            put = _terms(quote.quote)
        elif sentence.kind == "heading":
            put = frozenset()
        elif is_header(passage.content, sentence):
            continue
        elif _states_something(quote.flat, asked, put):
            terms, names = _terms(quote.quote), _terms(quote.quote, _is_name)
            yield _Candidate(quote, terms | title_terms | put, (names | title_terms) - STOP_TERMS)


def is_header(content: str, sentence: Sentence) -> bool:
    """Whether a row only names the columns of a table."""
    return sentence.kind == "row" and _UNDER_HEADER.match(content, sentence.end) is not None


def _is_name(word: str) -> bool:
    """Whether a word may be a name or a number."""
    return word[0].isupper() or word[0].isdigit()


def content_terms(text: str) -> frozenset[str]:
    """The stemmed words of a text, without those that say nothing."""
    return _terms(text) - STOP_TERMS


def _terms(text: str, counts: Callable[[str], bool] = bool) -> frozenset[str]:
    return frozenset(term for match in words(text) if counts(match[0]) for term in stems(match[0]))


def _states_something(sentence: str, asked: Container[str], put: frozenset[str]) -> bool:
    """A sentence does; so does a scrap that answers the question before it, with more than that one's words.

    In scripts without spaces, pairs of characters are counted as words.
    """
    if len(sentence) > LONGEST_QUOTE_CHARS:
        return False
    found = [term for match in words(sentence) for term in stems(match[0])]
    if len(found) > LEAST_WORDS:
        return True
    if put:
        return bool(content_terms(sentence) - put)
    return len(found) == LEAST_WORDS and any(term not in asked and term not in STOP_TERMS for term in found)
