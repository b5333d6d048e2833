"""The check that needs no model: a claim is supported where a source sentence holds its words and no rule objects."""

import asyncio
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache
from weakref import WeakKeyDictionary

from rag_graph.claims.checker import Claim, Sources, Support, Verdict
from rag_graph.claims.statements import Statement, language_of_text, subject_of, take_apart
from rag_graph.claims.support import agrees
from rag_graph.events import NumberedPassage
from rag_graph.text.languages import ENGLISH, PRONOUNS, UNTOLD, Language
from rag_graph.text.sentences import Sentence, sentences
from rag_graph.text.terms import root

_UNKNOWN_LANGUAGE = "The rules do not know this language, so only word for word would count."
_TOO_LITTLE = "There is too little in it, or too much, to compare."


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a claim a source sentence must hold, by weight of words (rare ones weigh more).

    Chosen on the tuning split of tests/claims/labelled.jsonl.
    """

    of_cited: float = 0.72
    """When the model itself cites the passage, which is evidence too."""
    of_found: float = 0.86
    """When we find the passage ourselves."""
    of_clause: float = 0.6
    """No clause of a claim may be mostly new."""
    of_question: float = 0.5
    """How much of the question the source of a very short answer must hold."""
    known_words: float = 0.2
    """A claim with fewer words known to the passages is in another language, and is not judged."""
    least_words: int = 3
    most_words: int = 60
    """Content words; a longer stretch is no sentence, and comparing it would take long."""


DEFAULT_COVERAGE = Coverage()


class RuleChecker:
    """Checks claims by words, numbers, names, order and negation, in a millisecond each; the default checker.

    It cites what a sentence of a source says in nearly the same words, and refuses what it cannot follow. In a
    language whose negations it does not know, only a sentence that is there word for word is cited.
    """

    def __init__(self, coverage: Coverage = DEFAULT_COVERAGE) -> None:
        self._coverage = coverage
        self._read: WeakKeyDictionary[Sources, _ReadSources] = WeakKeyDictionary()

    async def prepare(self, sources: Sources) -> None:
        read = await asyncio.to_thread(_ReadSources, sources.passages, self._coverage)
        self._read.setdefault(sources, read)

    async def check(self, claims: Sequence[Claim], sources: Sources) -> Sequence[Verdict]:
        """Judge at once: in a thread the rules would hold the interpreter's lock all the same."""
        return self.judge(claims, sources)

    def judge(self, claims: Sequence[Claim], sources: Sources) -> list[Verdict]:
        """Check claims without an event loop; reads the sources first if nobody has."""
        if not claims:
            return []
        read = self._read.get(sources)
        if read is None:
            read = self._read[sources] = _ReadSources(sources.passages, self._coverage)
        return [self._verdict(claim, read, sources.question) for claim in claims]

    def _verdict(self, claim: Claim, read: "_ReadSources", question: str) -> Verdict:
        if not claim.markers:
            return self._attribute(claim, read, question)
        supports, refused = [], []
        for number in claim.markers:
            # A marker inside a sentence may be about the part before it, or about all of the sentence.
            for words in dict.fromkeys((claim.sentence, claim.content)):
                found = read.support_by(number, words, question)
                if found:
                    supports.append(replace(found, whole_sentence=words != claim.content))
                    break
            else:
                refused.append(number)
        if not supports and (other := read.support_anywhere(claim.content)):
            supports.append(other)
        if supports:
            return Verdict("supported", tuple(supports), tuple(refused))
        if not any(read.knows_language_of(claim.content, number) for number in claim.markers):
            return Verdict("unchecked", reason=_UNKNOWN_LANGUAGE)
        return Verdict("unsupported")

    def _attribute(self, claim: Claim, read: "_ReadSources", question: str) -> Verdict:
        """Find a source for what the model did not cite."""
        statement = take_apart(claim.content, language_of_text(claim.content) or read.language)
        if statement.stems <= take_apart(question, statement.language).stems or not read.can_judge(statement):
            return Verdict("unchecked", reason=_TOO_LITTLE)
        found = read.support_anywhere(claim.content)
        if found:
            return Verdict("supported", (found,))
        if not any(read.knows_language_of(claim.content, number) for number in read.passages):
            return Verdict("unchecked", reason=_UNKNOWN_LANGUAGE)
        return Verdict("unsupported")


@dataclass(frozen=True, slots=True)
class _SourceSentence:
    start: int
    end: int
    said: Statement


class _ReadSources:
    """The passages of an answer, each taken apart in its language and its words weighed."""

    def __init__(self, passages: Sequence[NumberedPassage], coverage: Coverage) -> None:
        self._coverage = coverage
        self.passages = {passage.number: passage for passage in passages}
        self._languages = {passage.number: language_of_text(passage.content) for passage in passages}
        known = [language for language in self._languages.values() if language and language is not UNTOLD]
        self.language: Language = max(known, key=known.count, default=ENGLISH)
        taken = {
            number: _take_sentences_apart(passage.content, self._languages[number] or ENGLISH)
            for number, passage in self.passages.items()
        }
        # A word that some passage writes small is no name, though a sentence may begin with it.
        self._small_words = frozenset(
            word.stem
            for statements in taken.values()
            for _, statement in statements
            for word in statement.words
            if not word.is_name and word.stem != root(statement.opening)
        )
        self._sentences = {
            number: tuple(_source_sentences(self.passages[number], statements, self._small_words))
            for number, statements in taken.items()
        }
        everything = [source.said for sources in self._sentences.values() for source in sources]
        counts: dict[str, int] = {}
        for said in everything:
            for word in said.stems:
                counts[word] = counts.get(word, 0) + 1
        self._weights = {word: math.log(1 + (len(everything) + 1) / count) for word, count in counts.items()}
        self._unknown_weight = math.log(2 + len(everything))
        self._vocabulary = frozenset().union(*(said.plain for said in everything))

    def knows_language_of(self, words: str, number: int) -> bool:
        """Whether the rules can compare these words with that passage, so that finding nothing means something."""
        theirs, ours = self._languages[number], language_of_text(words)
        if theirs is None or theirs is UNTOLD:
            return ours is ENGLISH
        return ours is theirs or ours is UNTOLD

    def can_judge(self, claim: Statement) -> bool:
        """Whether the claim is a sentence's, and seems to be in a language of the passages."""
        if not self._coverage.least_words <= len(claim.stems) <= self._coverage.most_words:
            return False
        if claim.is_unspaced:
            return not claim.stems.isdisjoint(self._weights)
        return len(claim.plain & self._vocabulary) >= self._coverage.known_words * len(claim.plain)

    def support_by(self, number: int, words: str, question: str) -> Support | None:
        """Find where the passage that the model cited says this."""
        claim = self._statement(words, number)
        if claim is None:
            return self._verbatim(number, words)
        if len(claim.stems) >= self._coverage.least_words:
            return self._best(number, claim, least=self._coverage.of_cited)
        return self._short_answer(number, claim, question) if claim.stems else None

    def support_anywhere(self, words: str) -> Support | None:
        """Find a passage that clearly says this, though the model did not cite it."""
        found: list[Support] = []
        for number in self.passages:
            claim = self._statement(words, number)
            if claim is None:
                support = self._verbatim(number, words)
            elif len(claim.stems) >= self._coverage.least_words:
                support = self._best(number, claim, least=self._coverage.of_found)
            else:
                support = None
            found += [support] if support else []
        return max(found, key=_worth, default=None)

    def _statement(self, words: str, number: int) -> Statement | None:
        """Take a claim apart in the language of a passage; None if the rules do not know that language.

        A long passage of few small words, such as a table or code, tells no language: an English claim tells it.
        """
        language = self._languages[number]
        if language is None and language_of_text(words) is ENGLISH:
            language = ENGLISH
        return _take_apart(words, language) if language else None

    def _verbatim(self, number: int, words: str) -> Support | None:
        """Find a sentence of the passage that is these words and no others: a part of one may lack its "not"."""
        spelled = _spelled(words)
        if len(spelled) < self._coverage.least_words:
            return None
        content = self.passages[number].content
        for source in self._sentences[number]:
            if _spelled(content[source.start : source.end]) == spelled:
                return Support(number, source.start, source.end, 1.0)
        return None

    def _best(self, number: int, claim: Statement, *, least: float) -> Support | None:
        if len(claim.words) > self._coverage.most_words:
            return None
        claim = claim.with_names(self._small_words)
        found = [
            Support(number, source.start, source.end, round(covered, 3))
            for source in self._sentences[number]
            if (covered := self._covered(claim, source.said)) >= least and agrees(claim, source.said)
        ]
        return max(found, key=_worth, default=None)

    def _short_answer(self, number: int, claim: Statement, question: str) -> Support | None:
        """Judge an answer too short to stand alone, as in "Paris [1].", together with its question."""
        asked = _take_apart(question, claim.language).stems - claim.stems
        for source in self._sentences[number]:
            if (
                claim.stems <= source.said.stems
                and asked
                and self._weigh(asked & source.said.stems) >= self._coverage.of_question * self._weigh(asked)
                and agrees(claim, source.said)
            ):
                return Support(number, source.start, source.end, 1.0)
        return None

    def _covered(self, claim: Statement, said: Statement) -> float:
        """The share of a claim's words that a sentence holds; 0 where a clause of the claim is mostly new."""
        if claim.stems.isdisjoint(said.stems):
            return 0.0
        parts = (words for words in claim.clauses.values() if len(words) > 1)
        if any(self._share(words, said.stems) < self._coverage.of_clause for words in parts):
            return 0.0
        return self._share(claim.stems, said.stems)

    def _share(self, words: frozenset[str], of: frozenset[str]) -> float:
        return self._weigh(words & of) / self._weigh(words)

    def _weigh(self, stems: Iterable[str]) -> float:
        return sum(self._weights.get(word, self._unknown_weight) for word in stems)


def _worth(support: Support) -> tuple[float, int]:
    """The better covered first, then the shorter: a reader finds the words sooner in it."""
    return support.score, support.start - support.end


def _spelled(words: str) -> list[str]:
    return re.findall(r"\w+", words.casefold())


@lru_cache(maxsize=256)
def _take_apart(words: str, language: Language) -> Statement:
    """One claim is compared with every passage, and a question with every claim."""
    return take_apart(words, language)


@lru_cache(maxsize=256)
def _take_sentences_apart(content: str, language: Language) -> tuple[tuple[Sentence, Statement], ...]:
    """Keep what was found: the refined answer has most passages of the draft."""
    return tuple((one, take_apart(content[one.start : one.end], language)) for one in sentences(content))


def _source_sentences(
    passage: NumberedPassage, statements: Iterable[tuple[Sentence, Statement]], small_words: AbstractSet[str]
) -> Iterator[_SourceSentence]:
    """Give each sentence with its names told, and with the subject of the last where it begins with a pronoun."""
    subject = take_apart(". ".join((*passage.heading, passage.title))).stems
    for sentence, plain in statements:
        statement = plain.with_names(small_words)
        if statement.opening in PRONOUNS:
            statement = statement.about(subject)
        else:
            subject = subject_of(statement)
        yield _SourceSentence(sentence.start, sentence.end, statement)
