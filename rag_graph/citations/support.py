"""Whether a sentence of a source says what a claim says: strict rules over words, numbers, names, order and negation."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rag_graph.citations.statements import PRONOUNS, Statement, Word, stem, take_apart
from rag_graph.events import NumberedPassage
from rag_graph.sentences import sentences


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much of a claim a source sentence must hold, by weight of words (rare ones weigh more)."""

    coverage_of_cited: float = 0.72
    """When the model itself cites the passage, which is evidence too."""
    coverage_of_found: float = 0.86
    """When we find the passage ourselves."""
    content_words: int = 3
    coverage_of_question: float = 0.5
    """How much of the question the source of a very short answer must hold."""
    known_words: float = 0.2
    """A claim with fewer words known to the passages is in another language, and is not judged."""


@dataclass(frozen=True, slots=True)
class Support:
    """A sentence of a passage that says what was claimed; the span is in the passage's content."""

    passage: NumberedPassage
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class SourceSentence:
    """A sentence of a passage, with the words of the subject that its pronoun stands for."""

    start: int
    end: int
    statement: Statement
    subject: frozenset[str]

    @cached_property
    def stems(self) -> frozenset[str]:
        return self.statement.stems | self.subject


class Evidence:
    """The passages of a run, ready to be compared with claims."""

    def __init__(self, passages: Sequence[NumberedPassage], *, thresholds: Thresholds) -> None:
        self.passages = {passage.number: passage for passage in passages}
        self._thresholds = thresholds

    @cached_property
    def _sources(self) -> dict[int, tuple[SourceSentence, ...]]:
        return {number: tuple(_source_sentences(passage)) for number, passage in self.passages.items()}

    @cached_property
    def _weights(self) -> dict[str, float]:
        everything = [source.statement.stems for sources in self._sources.values() for source in sources]
        counts: dict[str, int] = {}
        for stems in everything:
            for word in stems:
                counts[word] = counts.get(word, 0) + 1
        return {word: math.log(1 + (len(everything) + 1) / count) for word, count in counts.items()}

    @cached_property
    def _unknown_weight(self) -> float:
        return math.log(2 + sum(map(len, self._sources.values())))

    @cached_property
    def _small_words(self) -> frozenset[str]:
        """Words that some passage writes with small letters: no names."""
        return frozenset(
            word.stem
            for sources in self._sources.values()
            for source in sources
            for word in source.statement.words
            if not word.is_name
        )

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        plain = [source.statement.plain for sources in self._sources.values() for source in sources]
        return frozenset().union(*plain)

    def knows_language_of(self, claim: Statement) -> bool:
        """Tell whether the claim seems to be in a language of the passages."""
        if claim.is_unspaced:
            return not claim.stems.isdisjoint(self._weights)
        return len(claim.plain & self._vocabulary) >= self._thresholds.known_words * len(claim.plain)

    def support_by(self, number: int, claim: Statement, *, question: Statement) -> Support | None:
        """Find where the passage that the model cited says this."""
        if len(claim.stems) >= self._thresholds.content_words:
            return self._best([number], claim, coverage=self._thresholds.coverage_of_cited)
        return self._short_answer(number, claim, question) if claim.stems else None

    def support_anywhere(self, claim: Statement) -> Support | None:
        """Find a passage that clearly says this, though the model did not cite it."""
        if len(claim.stems) < self._thresholds.content_words:
            return None
        return self._best(self.passages, claim, coverage=self._thresholds.coverage_of_found)

    def _best(self, numbers: Iterable[int], claim: Statement, *, coverage: float) -> Support | None:
        found = [
            Support(self.passages[number], source.start, source.end, round(covered, 3))
            for number in numbers
            for source in self._sources[number]
            if (covered := self._coverage(claim, source)) >= coverage and self._agrees(claim, source)
        ]
        return max(found, key=lambda support: (support.score, support.start - support.end), default=None)

    def _short_answer(self, number: int, claim: Statement, question: Statement) -> Support | None:
        """Judge an answer too short to stand alone, as in "Paris [1].", together with its question."""
        for source in self._sources[number]:
            asked = question.stems - claim.stems
            if (
                claim.stems <= source.stems
                and asked
                and self._weigh(asked & source.stems) >= self._thresholds.coverage_of_question * self._weigh(asked)
                and self._agrees(claim, source)
            ):
                return Support(self.passages[number], source.start, source.end, 1.0)
        return None

    def _weigh(self, stems: Iterable[str]) -> float:
        return sum(self._weights.get(word, self._unknown_weight) for word in stems)

    def _coverage(self, claim: Statement, source: SourceSentence) -> float:
        shared = claim.stems & source.stems
        return self._weigh(shared) / self._weigh(claim.stems) if shared else 0.0

    def _agrees(self, claim: Statement, source: SourceSentence) -> bool:
        said = source.statement
        return (
            self._holds_names(claim, source)
            and _holds_numbers(claim, said)
            and _agrees_in_negation(claim, said)
            and _agrees_in_strength(claim, said)
            and not _has_opposite(claim, said)
            and not _swaps_roles(claim, said)
            and not _swaps_numbers(claim, said)
            and not _swaps_subjects(claim, said)
        )

    def _holds_names(self, claim: Statement, source: SourceSentence) -> bool:
        opening = stem(claim.opening)
        return all(
            word.stem in source.stems
            for word in claim.words
            if word.is_name or (word.stem == opening and not word.is_number and opening not in self._small_words)
        )


def _source_sentences(passage: NumberedPassage) -> Iterator[SourceSentence]:
    subject = take_apart(". ".join((*passage.heading, passage.title))).stems
    for sentence in sentences(passage.content):
        statement = take_apart(passage.content[sentence.start : sentence.end])
        stands_for = statement.opening in PRONOUNS
        yield SourceSentence(sentence.start, sentence.end, statement, subject if stands_for else frozenset())
        if not stands_for:
            subject = _subject(statement)


def _subject(statement: Statement) -> frozenset[str]:
    """Guess the words of a sentence's subject: the names it begins with, else its first word."""
    names: list[Word] = []
    for before, word in pairwise((None, *statement.words)):
        if word is None or (before and word.position - before.position > 1) or (names and not word.is_name):
            break
        names.append(word)
        if not word.is_name and len(names) > 1:
            break
    return frozenset(word.stem for word in names)


def _holds_numbers(claim: Statement, said: Statement) -> bool:
    return all(
        any(
            number.stem == other.stem
            and (number.unit == other.unit or not number.unit or _is_spelled(number.unit, other, said))
            and number.bound == other.bound
            for other in said.numbers
        )
        for number in claim.numbers
    )


def _is_spelled(unit: str, number: Word, said: Statement) -> bool:
    return not number.unit and stem(unit) in said.stems


def _agrees_in_negation(claim: Statement, said: Statement) -> bool:
    if claim.is_unspaced or said.is_unspaced:
        return claim.negated == said.negated
    if bool(claim.negated) and not (claim.negated & said.negated):
        return False
    return bool(claim.negated) or not (said.negated & claim.stems)


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_OVERSTATING = _words(
    "all every always only never none solely entirely most must mandatory guarantee guarantees guaranteed first last"
    " largest smallest biggest highest lowest tallest longest oldest best worst exclusively any everyone prove proves"
    " proved proven cause causes caused because"
)
_HEDGES = _words(
    "may might could if unless except allegedly alleged alleges claim claims claimed suggest suggests suggested propose"
    " proposed planned plans expected expects false falsely myth deny denies denied fail fails failed refused rejected"
    " wrongly incorrectly reportedly rumoured rumored possibly probably perhaps hypothesized partly partially would"
    " should intended estimated believed almost nearly"
)
_OPPOSITES = (
    (
        "increase increased increases rise rose risen rising grew grow grown gain gained up",
        "decrease decreased decreases fall fell fallen falling shrank decline declined drop dropped lost reduce reduced reduces down",
    ),
    ("before earlier prior", "after later following"),
    ("more greater higher above over larger longer faster", "less fewer lower below under smaller shorter slower"),
    ("maximum most highest largest max", "minimum least lowest smallest min"),
    ("first", "last second third"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    (
        "enabled enable enables on allow allows allowed permit permits permitted",
        "disabled disable disables off forbid forbids forbidden prohibited prohibits deny denied",
    ),
    ("required mandatory must", "optional may"),
    ("with including", "without excluding"),
    ("win won wins winner", "lose lost loses loser"),
    ("buy bought buys acquired", "sell sold sells"),
    ("start started starts begin began begins opened open", "end ended ends stop stopped closed close"),
    ("inside inner internal", "outside outer external"),
    ("success succeed succeeded successful", "failure fail failed unsuccessful"),
    ("legal lawful valid", "illegal unlawful invalid"),
    ("always", "never sometimes"),
    ("hot warm hotter", "cold cool colder"),
    ("import imports imported", "export exports exported"),
    ("positive", "negative"),
    ("left", "right"),
    ("married", "divorced"),
    ("born", "died"),
    ("synchronous synchronously", "asynchronous asynchronously"),
    ("ascending", "descending"),
    ("true", "false"),
)
_PAIRED = tuple(
    pair for one, other in _OPPOSITES for pair in ((_words(one), _words(other)), (_words(other), _words(one)))
)
_OPPOSITE_CASES = {
    frozenset(pair.split())
    for pair in (
        "from to",
        "before after",
        "above below",
        "over under",
        "since until",
        "with without",
        "from into",
        "to by",
    )
}


def _agrees_in_strength(claim: Statement, said: Statement) -> bool:
    """Refuse a claim that drops a source's doubt, or says "all" or "must" where the source does not."""
    return not ((said.plain & _HEDGES) - claim.plain) and not ((claim.plain & _OVERSTATING) - said.plain)


def _has_opposite(claim: Statement, said: Statement) -> bool:
    return any(
        claim.plain & one and not said.plain & one and said.plain & other and not claim.plain & other
        for one, other in _PAIRED
    )


def _firsts(statement: Statement) -> dict[str, Word]:
    found: dict[str, Word] = {}
    for word in statement.words:
        found.setdefault(word.stem, word)
    return found


def _swaps_roles(claim: Statement, said: Statement) -> bool:
    """Tell "A beat B" from "B beat A", "B was beaten by A" and "from B to A"."""
    there = _firsts(said)
    shared = [(word, there[word.stem]) for word in _firsts(claim).values() if word.stem in there]
    if any(frozenset((here.case, other.case)) in _OPPOSITE_CASES for here, other in shared):
        return True
    for index, (first, first_there) in enumerate(shared):
        for middle_index in range(index + 1, len(shared)):
            middle = shared[middle_index][1]
            for last, last_there in shared[middle_index + 1 :]:
                if (first.case and first.case == first_there.case) or (last.case and last.case == last_there.case):
                    continue
                turned = last_there.position < middle.position < first_there.position
                kept = first_there.position < middle.position < last_there.position
                passive = (last.case == "by") != ((first_there.case if turned else last_there.case) == "by")
                if (turned and not passive) or (kept and passive):
                    return True
    return False


def _swaps_numbers(claim: Statement, said: Statement) -> bool:
    """Tell "330 m tall and 125 m wide" from "125 m tall": each number must keep the words of its clause."""
    for number in claim.numbers:
        near = claim.clauses[number.clause] - {number.stem}
        own = _fit(near, (other for other in said.numbers if other.stem == number.stem), said)
        rivals = (other for other in said.numbers if other.stem != number.stem and other.unit == number.unit)
        if _fit(near, rivals, said) > own:
            return True
    return False


def _fit(near: frozenset[str], words: Iterable[Word], said: Statement) -> int:
    return max((len(near & said.clauses[word.clause]) for word in words), default=-1)


def _swaps_subjects(claim: Statement, said: Statement) -> bool:
    """Tell "Alice won gold and Bob won silver" from "Alice won silver"."""
    openings = {word.clause: word for word in reversed(said.words)}
    for word in claim.words:
        if word.case or not word.is_name:
            continue
        near = claim.clauses[word.clause] - {word.stem}
        own = _fit(near, (other for other in said.words if other.stem == word.stem), said)
        rivals = (
            other for other in openings.values() if other.is_name and not other.case and other.stem not in claim.stems
        )
        if own >= 0 and _fit(near, rivals, said) > own:
            return True
    return False
