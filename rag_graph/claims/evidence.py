"""The passages of an answer, read once for all of its claims, and what they have to say of each."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import repeat

from rag_graph.claims.bearing import Line, Window, comparable, lines_of, neighbours_apart, window_of
from rag_graph.claims.checker import Support
from rag_graph.claims.choices import opposed_by
from rag_graph.claims.clauses import crosses, exchanges_subjects, gives_line_of_other
from rag_graph.claims.doubts import (
    Said,
    adds_clause,
    adds_item,
    denies,
    denies_value,
    has_other_unit,
    lacking_code,
    lacking_name,
    lacking_number,
    mixes_keys,
    numbers_in,
    reverses_steps,
)
from rag_graph.claims.opposites import CHOICES
from rag_graph.claims.records import gives_other_value, records_of
from rag_graph.claims.statements import Statement, language_of_text, subject_of, take_apart
from rag_graph.claims.strength import agrees_in_negation, makes_total
from rag_graph.claims.structure import in_full, is_question
from rag_graph.claims.support import (
    agrees,
    keeps_order,
    keeps_strength,
    misquotes,
    moves_number,
    says_opposite,
    turns,
)
from rag_graph.events import NumberedPassage
from rag_graph.text.languages import ENGLISH, PRONOUNS, UNTOLD, Language
from rag_graph.text.sentences import Sentence, sentences
from rag_graph.text.spelling import spelled
from rag_graph.text.terms import root

_OTHER_NUMBER = "No passage has the number {0}."
_OTHER_NAME = "No passage speaks of “{0}”."
_NOTHING_OF_IT = "No passage speaks of this."
_LEAST_LINES = 8
"""Fewer sentences are too short a window to say that something is nowhere."""
_LEAST_DENIED = 2
_LIMITS = frozenset(("until", "only", "unless", "except"))
"""Of what is so only after something one says as well that it is not so until then."""
_MOSTLY = 0.6
_HALF = 0.5
_SHORT_LINE = 6
"""A sentence of so few words says one thing, and an opposite in it is one of the claim, however long that is. On the
development halves it is asked of no claim of a real model."""
_RELATED = 0.35
"""A sentence with less of a claim is about something else, and its opposite words are no opposites of the claim."""
_LEAST_SPELLED = 2
_LEAST_UNSPACED = 4
"""So many words, or letters where no spaces part them: less is not said by a sentence but by chance."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a claim a source sentence must hold, by weight of words (rare ones weigh more).

    Those of `quoted` were chosen on the tuning split of tests/claims/labelled.jsonl, the others on the first halves of
    the sets in tests/benchmarks/claims.py, whose README tells how they fare on the second ones.
    """

    of_cited: float = 0.72
    """When the model itself cites the passage, which is evidence too."""
    of_found: float = 0.86
    """When we find the passage ourselves."""
    of_clause: float = 0.6
    """No clause of a claim may be mostly new."""
    of_question: float = 0.5
    """How much of the question the source of a very short answer must hold."""
    to_bear: float = 0.3
    """For the weaker grade: how much of a claim the sentences picked from the cited passages hold together."""
    to_bear_unmarked: float = 0.6
    """The same of a passage that the model did not cite."""
    of_near: float = 0.75
    """So much of a claim in one sentence, next to each other as there, is said in nearly the same words."""
    apart: int = 1
    """Of a claim in nearly the same words so many neighbours may stand far apart in the sentence, as two clauses do."""
    strange_words: int = 1
    """What is quoted may have so many words that no passage has. Of 146 such claims of real models 96 % were
    supported, of the eight with more of them five."""
    of_copy: float = 0.75
    """A claim and a sentence that hold so much of each other differ in few words: then what differs decides."""
    of_taken: float = 0.85
    """A claim of which a sentence holds so much is taken from it, though the sentence may say much more."""
    line_words: int = 20
    """Of a longer sentence parts are taken in any order, and what stands where in it tells little."""
    plain_words: int = 10
    """In a claim of more words a clause in wholly other words is mostly a paraphrase."""
    short_words: int = 6
    """A claim of no more words is a copy as soon as most of it stands in one sentence."""
    of_denial: float = 0.9
    """A claim and a sentence alike to this share, one of which is negated, contradict each other."""
    of_stranger: float = 0.25
    """Where all passages hold less of a claim, a name that none of them has is reason to flag it."""
    next_to_none: float = 0.05
    """Where all passages hold less of a claim, it is flagged."""
    known_words: float = 0.2
    """A claim with fewer words known to the passages is in another language, and is not judged."""
    least_words: int = 3
    most_words: int = 60
    """Content words; a longer stretch is no sentence, and comparing it would take long."""


DEFAULT_COVERAGE = Coverage()


@dataclass(frozen=True)
class _SourceSentence:
    start: int
    end: int
    said: Statement
    content: str

    @cached_property
    def spelled(self) -> tuple[str, ...]:
        return spelled(self.content)


class ReadSources:
    """The passages of an answer, each taken apart in its language and its words weighed."""

    def __init__(self, passages: Sequence[NumberedPassage], question: str, coverage: Coverage) -> None:
        self._coverage = coverage
        self.question = question
        self._told: dict[tuple[int, ...], Said] = {}
        self.passages = {passage.number: passage for passage in passages}
        self._languages = {number: language_of_text(passage.content) for number, passage in self.passages.items()}
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
        counts = Counter(word for said in everything for word in said.stems)
        self._weights = {word: math.log(1 + (len(everything) + 1) / count) for word, count in counts.items()}
        self._unknown_weight = math.log(2 + len(everything))
        self._vocabulary = frozenset().union(*(said.plain for said in everything))
        self._lines = {
            number: tuple(lines_of(self.passages[number], statements, self._languages[number] or ENGLISH))
            for number, statements in taken.items()
        }
        self._records = {
            number: tuple(records_of(self.passages[number].content, lines)) for number, lines in self._lines.items()
        }
        self._compared = frozenset().union(*(line.all_words for lines in self._lines.values() for line in lines))
        holders = Counter(word for lines in self._lines.values() for line in lines for word in line.words)
        self._rarity = {word: 1 / (1 + math.log1p(count)) for word, count in holders.items()}
        asked = taken_apart(self.question, self.language)
        self._asked = asked.stems
        above = [_around(passage) for passage in self.passages.values()]
        texts = (passage.content for passage in self.passages.values())
        self._all = Said.by([*everything, asked, *map(take_apart, above)], "\n".join((*texts, *above, self.question)))

    def is_asked(self, words: str) -> bool:
        """Whether these words only say the question again."""
        stems = taken_apart(words, self._language_for(words)).stems
        return bool(stems) and stems <= self._asked

    def knows_language_of(self, words: str, number: int) -> bool:
        """Whether the rules can compare these words with that passage, so that finding nothing means something."""
        theirs, ours = self._languages[number], language_of_text(words)
        if theirs is None or theirs is UNTOLD:
            return self._is_english(words)
        # A sentence of names and numbers tells no language of its own.
        return ours is theirs or ours is UNTOLD or (ours is None and self._is_of_their_words(words))

    def _is_english(self, words: str) -> bool:
        """A claim of few small words is in the language of its question."""
        own = language_of_text(words)
        is_untold = own is UNTOLD and words.isascii() and not ENGLISH.function_words.isdisjoint(words.lower().split())
        return own is ENGLISH or (is_untold and language_of_text(self.question) is ENGLISH)

    def _is_of_their_words(self, words: str) -> bool:
        claim = taken_apart(words, self.language)
        return len(claim.plain & self._vocabulary) * 2 > len(claim.plain)

    def can_judge(self, words: str) -> bool:
        """Whether the claim is a sentence's, and seems to be in a language of the passages."""
        claim = taken_apart(words, self._language_for(words))
        if not self._coverage.least_words <= len(claim.stems) <= self._coverage.most_words:
            return False
        if claim.is_unspaced:
            return not claim.stems.isdisjoint(self._weights)
        return len(claim.plain & self._vocabulary) >= self._coverage.known_words * len(claim.plain)

    def quoted_by(self, number: int, words: str, subject: frozenset[str]) -> Support | None:
        """Find where the passage that the model cited says this in nearly the same words."""
        if verbatim := self._verbatim(number, words, subject):
            return verbatim
        claim = self._statement(words, number)
        if claim is None or not claim.stems:
            return None
        if len(claim.stems) < self._coverage.least_words:
            return self._short_answer(number, claim)
        return self._best(number, claim, subject, least=self._coverage.of_cited)

    def quoted_anywhere(self, words: str, subject: frozenset[str]) -> Support | None:
        """Find a passage that clearly says this, though the model did not cite it."""
        found: list[Support] = []
        for number in self.passages:
            claim = self._statement(words, number)
            support = self._verbatim(number, words, subject)
            if not support and claim and len(claim.stems) >= self._coverage.least_words:
                support = self._best(number, claim, subject, least=self._coverage.of_found)
            found += [support] if support else []
        return max(found, key=_worth, default=None)

    def borne_by(self, numbers: Sequence[int], words: str, *, least: float) -> list[Support]:
        """Find the sentences of these passages that together bear on this, if no hard doubt speaks against it."""
        numbers = [number for number in numbers if self.knows_language_of(words, number)]
        claim = self._statement(words, numbers[0]) if numbers else None
        if claim is None or claim.is_unspaced or not self._is_of_fair_length(claim):
            return []
        need = comparable(claim.stems)
        window = self._window(need, numbers)
        if window.covered < least or self._is_doubtful(words, claim, need, window, numbers):
            return []
        nearest = max(window.lines, key=lambda line: self._rare(need & line.all_words))
        if self._is_nearly_said(claim, need, nearest):
            held = self._rare(need & nearest.all_words) / self._rare(need)
            return [Support(nearest.passage, nearest.start, nearest.end, round(held, 3))]
        return [
            Support(passage, start, end, round(window.covered, 3), grade="bears_on_it")
            for passage, start, end in _joined(window.lines, self.passages)
        ]

    def _is_nearly_said(self, claim: Statement, need: frozenset[str], line: Line) -> bool:
        """Whether one sentence says this in nearly the same words, in any order, with its doubts and conditions."""
        return (
            self._rare(need & line.all_words) >= self._coverage.of_near * self._rare(need)
            and self._strange(need) <= self._coverage.strange_words
            and neighbours_apart(claim, line.said) <= self._coverage.apart
            and keeps_strength(claim, line.said)
        )

    def _strange(self, need: frozenset[str]) -> int:
        """How many of these words no sentence has, nor what stands above it."""
        return len(need - self._compared)

    def lacks_number(self, number: int, words: str) -> bool:
        """Whether these words have a number that this passage, with what stands above it, does not say."""
        claim = self._statement(words, number)
        if claim is None:
            return False
        return bool(lacking_number(claim, self._told_by([number])))

    def held_by(self, numbers: Sequence[int], words: str) -> float:
        """How much of these words those passages hold."""
        need = comparable(taken_apart(words, self._language_for(words)).stems)
        return self._window(need, numbers).covered if need else 1.0

    def absence_of(self, words: str) -> str:
        """Say what of a claim is in no passage, if it is such that there is no other way to say it."""
        claim = taken_apart(words, self._language_for(words))
        if claim.is_unspaced or len(claim.stems) > self._coverage.most_words:
            return ""
        if number := lacking_number(claim, self._all):
            # Small ones are often counted by the writer, as in "all four of them".
            return _OTHER_NUMBER.format(number) if len(number) > 1 else ""
        held = self.held_by(tuple(self.passages), words)
        # In German every noun has a capital. Where most is there, a name is often only another form of one.
        if (
            claim.language.code != "de"
            and held < self._coverage.of_stranger
            and (name := lacking_name(claim, self._all))
        ):
            return _OTHER_NAME.format(name)
        is_long = sum(map(len, self._lines.values())) >= _LEAST_LINES
        if is_long and len(claim.stems) >= self._coverage.least_words and held < self._coverage.next_to_none:
            return _NOTHING_OF_IT
        return ""

    def is_denied_by(self, number: int, words: str) -> bool:
        """Whether a sentence is these very words, denied; or the claim denies them."""
        claim = self._statement(words, number)
        if claim is None or claim.is_unspaced or len(claim.stems) < _LEAST_DENIED:
            return False
        need = comparable(claim.stems)
        return any(
            len(claim.clauses) == len(line.said.clauses)
            and self._is_alike(need, line.words, self._coverage.of_denial)
            and claim.plain & _LIMITS == line.said.plain & _LIMITS
            and not agrees_in_negation(claim, line.said)
            for line in self._lines[number]
        )

    def _is_doubtful(
        self, words: str, claim: Statement, need: frozenset[str], window: Window, numbers: Sequence[int]
    ) -> bool:
        """Whether something in the picked sentences speaks against the claim, or what matters most is not in them."""
        said = [line.said for line in window.lines]
        contents = [self.passages[line.passage].content[line.start : line.end] for line in window.lines]
        short = [one for one in said if len(one.words) <= self._coverage.line_words]
        above = [_around(self.passages[number]) for number in numbers]
        around = [*above, *dict.fromkeys(line.under for line in window.lines if line.under)]
        shown = Said.by([*said, *(taken_apart(text, ENGLISH) for text in around)], "\n".join((*contents, *around)))
        cited = self._told_by(numbers)
        cited_lines = [line.said for number in numbers for line in self._lines[number]]
        known = frozenset().union(*(one.stems for one in cited_lines))
        has_names = claim.language.code != "de"  # where every noun has a capital
        best = max(window.lines, key=lambda line: self._rare(need & line.words))
        return bool(
            lacking_number(claim, shown)
            or (has_names and lacking_name(claim, cited))
            or has_other_unit(claim, said)
            or lacking_code(words, cited)
            or (len(claim.stems) <= self._coverage.plain_words and adds_clause(claim, cited))
            or (claim.negated and not any(map(denies, repeat(claim), window.lines, contents)))
            or (not claim.negated and any(line.is_denied for line in window.lines))
            or mixes_keys(need, window.lines, [line for number in numbers for line in self._lines[number]])
            or (
                self._rare(need & best.all_words) >= _RELATED * self._rare(need)
                and says_opposite(self._left_to(best, claim, window), best.said)
            )
            or any(line is not best and self._denies_part(claim, need, line) for line in window.lines)
            or any(moves_number(claim, one) for one in said)
            or (len(claim.stems) <= self._coverage.plain_words and adds_item(claim, known, cited))
            or (
                len(claim.stems) <= self._coverage.plain_words
                and not any(record.is_so is False for number in numbers for record in self._records[number])
                and makes_total(claim, frozenset().union(*(one.roots for one in cited_lines)))
            )
            or denies_value(claim, contents)
            or any(self._says_otherwise(number, claim) for number in numbers)
            or (
                len(claim.stems) <= self._coverage.plain_words
                and (crosses(claim, short) or gives_line_of_other(*self._named(claim, short)))
            )
            or exchanges_subjects(claim, short)
            or (
                self._rare(need & best.words) >= _MOSTLY * self._rare(need)
                and not claim.negated
                and not agrees_in_negation(claim, best.said)
            )
            or any(
                not line.is_row
                and self._is_copy(need, line)
                and self._is_alone(claim, need, line, window)
                and turns(_without_numbers_above(claim, line), line.said, known)
                for line in window.lines
            )
            or any(
                len(line.words) <= self._coverage.line_words
                and self._rare(need & line.words) >= self._coverage.of_taken * self._rare(need)
                and misquotes(claim, line.said, known)
                for line in window.lines
            )
        )

    def _says_otherwise(self, number: int, claim: Statement) -> bool:
        """Whether the order of the steps or the value of a setting in a passage is another one."""
        return reverses_steps(claim, self._lines[number]) or gives_other_value(claim, self._records[number])

    def _denies_part(self, claim: Statement, need: frozenset[str], line: Line) -> bool:
        """Whether an item of a list or a short sentence that the claim holds half of says otherwise than its part."""
        is_short, is_plain = len(line.words) <= _SHORT_LINE, len(claim.stems) <= self._coverage.plain_words
        if not (is_short or is_plain):
            return False
        shared, opposed = self._rare(need & line.words), comparable(opposed_by(claim, line.said.stems))
        if shared >= _HALF * self._rare(line.words - opposed) and says_opposite(claim, line.said):
            return True
        is_told = is_short and is_plain and shared >= _HALF * self._rare(line.words)
        return is_told and not claim.negated and not agrees_in_negation(claim, line.said)

    def _left_to(self, line: Line, claim: Statement, window: Window) -> Statement:
        """A long claim without the choices that other picked lines make in its words: they are what it has them of."""
        if len(claim.stems) <= self._coverage.plain_words:
            return claim
        others = frozenset().union(*(other.said.stems for other in window.lines if other is not line))
        return claim.without((claim.stems & CHOICES.keys() & others) - line.said.stems)

    def _named(self, claim: Statement, told: Iterable[Statement]) -> tuple[Statement, list[Statement]]:
        """The claim and what is told, with the capitals that they begin with taken for names' where they may be."""
        return claim.with_names(self._small_words), [said.with_names(self._small_words) for said in told]

    def _is_copy(self, need: frozenset[str], line: Line) -> bool:
        """Whether the claim is too near to the line to differ by chance; a short claim stands with each word."""
        if len(need) <= self._coverage.short_words:
            return self._rare(need & line.words) >= _MOSTLY * self._rare(need)
        return self._is_alike(need, line.words, self._coverage.of_copy)

    def _is_alone(self, claim: Statement, need: frozenset[str], line: Line, window: Window) -> bool:
        """Whether no other picked line says what this one is about, as a key with its default in the next line.

        Or all that this one lacks: then the claim tells two sentences as one, a short claim in a clause for each. Whose
        a number is is told by a word that only its own sentence has.
        """
        lacking = need - line.all_words
        parts = [words for words in map(comparable, claim.clauses.values()) if not words <= line.all_words]
        if len(claim.stems) > self._coverage.plain_words:
            tells_two, told = not any(map(_has_digit, lacking)), [lacking]
        else:
            tells_two, told = len(parts) < len(claim.clauses), parts
            tells_two &= all(any(not _has_digit(word) for word in words - line.all_words) for words in parts)
        return not any(
            lacking & other.key or (tells_two and all(words <= other.all_words for words in told))
            for other in window.lines
            if other is not line
        )

    def _is_alike(self, need: frozenset[str], words: frozenset[str], least: float) -> bool:
        shared = self._rare(need & words)
        return shared >= least * self._rare(need) and shared >= least * self._rare(words)

    def _window(self, need: frozenset[str], numbers: Sequence[int]) -> Window:
        return window_of(need, [line for number in numbers for line in self._lines[number]], self._rare)

    def _rare(self, words: Iterable[str]) -> float:
        return sum(self._rarity.get(word, 1.0) for word in words)

    def _is_of_fair_length(self, claim: Statement) -> bool:
        return self._coverage.least_words <= len(claim.stems) <= self._coverage.most_words

    def _language_for(self, words: str) -> Language:
        return language_of_text(words) or self.language

    def _statement(self, words: str, number: int) -> Statement | None:
        """Take a claim apart in the language of a passage; None if the rules do not know that language.

        A long passage of few small words, such as a table or code, tells no language: an English claim tells it.
        """
        language = self._languages[number]
        if language is None and self._is_english(words):
            language = ENGLISH
        if language is None:
            return None
        claim, own = taken_apart(words, language), language_of_text(words)
        # A short passage in Portuguese may look Italian, whose "not" is another word.
        is_other = own is not None and own not in (UNTOLD, ENGLISH, language)
        return None if is_other and bool(taken_apart(words, own or language).negated) != bool(claim.negated) else claim

    def _verbatim(self, number: int, words: str, subject: frozenset[str]) -> Support | None:
        """Find whole sentences of the passage that are these words and no others: a part may lack its "not"."""
        claim = spelled(words)
        if len(claim) < _LEAST_SPELLED and sum(map(len, claim)) < _LEAST_UNSPACED:
            return None
        sentences = self._sentences[number]
        for first, source in enumerate(sentences):
            at = 0
            for last in (sentences[place] for place in range(first, len(sentences))):
                if not last.spelled or claim[at : at + len(last.spelled)] != last.spelled:
                    break
                at += len(last.spelled)
                if at == len(claim):
                    return None if _is_of_other(subject, source.said) else Support(number, source.start, last.end, 1.0)
        return None

    def _best(self, number: int, claim: Statement, subject: frozenset[str], *, least: float) -> Support | None:
        if len(claim.words) > self._coverage.most_words:
            return None
        if not claim.is_unspaced and self._strange(comparable(claim.stems)) > self._coverage.strange_words:
            return None
        claim = claim.with_names(self._small_words)
        if self._says_otherwise(number, claim):
            return None
        found = [
            Support(number, source.start, source.end, round(covered, 3))
            for at, source in enumerate(self._sentences[number])
            if (covered := self._covered(claim, source.said)) >= least
            and not exchanges_subjects(claim, [one.said for one in self._sentences[number][max(0, at - 1) : at + 2]])
            and not adds_item(claim, source.said.stems, self._told_by([number]))
            and (agrees(claim, source.said) or keeps_order(claim, source.said))
            and not _is_of_other(subject, source.said)
        ]
        return max(found, key=_worth, default=None)

    def _told_by(self, numbers: Sequence[int]) -> Said:
        """All that these passages tell, with what stands above them and what was asked."""
        if (told := self._told.get(tuple(numbers))) is None:
            passages = [self.passages[number] for number in numbers]
            text = "\n".join((*(passage.content for passage in passages), *map(_around, passages), self.question))
            said = (one.said for number in numbers for one in self._sentences[number])
            told = self._told[tuple(numbers)] = Said.by(said, text)
        return told

    def _short_answer(self, number: int, claim: Statement) -> Support | None:
        """Judge an answer too short to stand alone, as in "Paris [1].", together with its question."""
        asked = taken_apart(self.question, claim.language).stems - claim.stems
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


def _without_numbers_above(claim: Statement, line: Line) -> Statement:
    """The claim without the numbers of the heading that the line stands under, as the version of a release note."""
    above = numbers_in(line.under)
    if not any(number.stem in above for number in claim.numbers):
        return claim
    return replace(claim, words=tuple(word for word in claim.words if not word.is_number or word.stem not in above))


def _worth(support: Support) -> tuple[float, int]:
    """The better covered first, then the shorter: a reader finds the words sooner in it."""
    return support.score, support.start - support.end


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _around(passage: NumberedPassage) -> str:
    return ". ".join((passage.title, *passage.heading))


def _is_of_other(subject: AbstractSet[str], said: Statement) -> bool:
    """Whether "it" stands for something else in the source than in the claim, as far as both are told by names."""
    names = frozenset(name.stem for name in said.names)
    return said.opening in PRONOUNS and bool(subject and names) and subject.isdisjoint(names)


def _joined(lines: Sequence[Line], passages: Mapping[int, NumberedPassage]) -> Iterator[tuple[int, int, int]]:
    """The spans of lines, those that follow one another as one."""
    spans: list[tuple[int, int, int]] = []
    for line in lines:
        if spans and spans[-1][0] == line.passage:
            number, start, end = spans[-1]
            if not passages[number].content[end : line.start].strip(" \t\r\n|-*"):
                spans[-1] = (number, start, line.end)
                continue
        spans.append((line.passage, line.start, line.end))
    yield from spans


@lru_cache(maxsize=256)
def taken_apart(words: str, language: Language) -> Statement:
    """One claim is compared with every passage, and a question with every claim."""
    return take_apart(words, language)


@lru_cache(maxsize=256)
def _take_sentences_apart(content: str, language: Language) -> tuple[tuple[Sentence, Statement], ...]:
    """Keep what was found: the refined answer has most passages of the draft."""
    found = sentences(content)
    if language in (ENGLISH, UNTOLD):
        return tuple((one, take_apart(words, language)) for one, words in in_full(content, found))
    return tuple((one, take_apart(content[one.start : one.end], language)) for one in found)


def _source_sentences(
    passage: NumberedPassage, statements: Iterable[tuple[Sentence, Statement]], small_words: AbstractSet[str]
) -> Iterator[_SourceSentence]:
    """Give each sentence with its names told, and with the subject of the last where it begins with a pronoun."""
    subject = take_apart(". ".join((*passage.heading, passage.title))).stems
    for sentence, plain in statements:
        if is_question(passage.content[sentence.start : sentence.end]):
            continue
        statement = plain.with_names(small_words)
        if statement.opening in PRONOUNS:
            statement = statement.about(subject)
        else:
            subject = subject_of(statement)
        yield _SourceSentence(sentence.start, sentence.end, statement, passage.content[sentence.start : sentence.end])
