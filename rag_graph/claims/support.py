"""Whether a source sentence says what a claim says: strict rules over words, numbers, names, order and negation."""

import math
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from rag_graph.claims.statements import Statement, Word, take_apart
from rag_graph.events import NumberedPassage
from rag_graph.text.languages import PRONOUNS
from rag_graph.text.sentences import Sentence, sentences
from rag_graph.text.terms import root


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much of a claim a source sentence must hold, by weight of words (rare ones weigh more)."""

    coverage_of_cited: float = 0.72
    """When the model itself cites the passage, which is evidence too."""
    coverage_of_found: float = 0.86
    """When we find the passage ourselves."""
    content_words: int = 3
    longest_claim: int = 60
    """Content words; a longer stretch is no sentence, and comparing it would take long."""
    coverage_of_clause: float = 0.6
    """No clause of a claim may be mostly new."""
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


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """A sentence of a passage."""

    start: int
    end: int
    said: Statement


class Evidence:
    """The passages of a run, ready to be compared with claims."""

    def __init__(self, passages: Sequence[NumberedPassage], *, thresholds: Thresholds) -> None:
        self.passages = {passage.number: passage for passage in passages}
        self._thresholds = thresholds

    def prepare(self) -> None:
        """Take the passages apart now instead of at the first claim."""
        _ = self._vocabulary, self._weights

    @cached_property
    def _taken_apart(self) -> dict[int, tuple[tuple[Sentence, Statement], ...]]:
        return {number: _take_sentences_apart(passage.content) for number, passage in self.passages.items()}

    @cached_property
    def _sources(self) -> dict[int, tuple[SourceSentence, ...]]:
        return {
            number: tuple(_source_sentences(self.passages[number], statements, self._small_words))
            for number, statements in self._taken_apart.items()
        }

    @cached_property
    def _weights(self) -> dict[str, float]:
        everything = [source.said.stems for sources in self._sources.values() for source in sources]
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
            for statements in self._taken_apart.values()
            for _, statement in statements
            for word in statement.words
            if not word.is_name and word.stem != root(statement.opening)
        )

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        plain = [source.said.plain for sources in self._sources.values() for source in sources]
        return frozenset().union(*plain)

    def can_judge(self, claim: Statement) -> bool:
        """Tell whether the claim is a sentence's, and seems to be in a language of the passages."""
        if not self._thresholds.content_words <= len(claim.stems) <= self._thresholds.longest_claim:
            return False
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
        if len(claim.words) > self._thresholds.longest_claim:
            return None
        claim = claim.with_names(self._small_words)
        found = [
            Support(self.passages[number], source.start, source.end, round(covered, 3))
            for number in numbers
            for source in self._sources[number]
            if (covered := self._coverage(claim, source)) >= coverage and _agrees(claim, source.said)
        ]
        return max(found, key=lambda support: (support.score, support.start - support.end), default=None)

    def _short_answer(self, number: int, claim: Statement, question: Statement) -> Support | None:
        """Judge an answer too short to stand alone, as in "Paris [1].", together with its question."""
        for source in self._sources[number]:
            asked = question.stems - claim.stems
            if (
                claim.stems <= source.said.stems
                and asked
                and self._weigh(asked & source.said.stems) >= self._thresholds.coverage_of_question * self._weigh(asked)
                and _agrees(claim, source.said)
            ):
                return Support(self.passages[number], source.start, source.end, 1.0)
        return None

    def _weigh(self, stems: Iterable[str]) -> float:
        return sum(self._weights.get(word, self._unknown_weight) for word in stems)

    def _coverage(self, claim: Statement, source: SourceSentence) -> float:
        stems = source.said.stems
        if claim.stems.isdisjoint(stems):
            return 0.0
        parts = (words for words in claim.clauses.values() if len(words) > 1)
        if any(self._share(words, stems) < self._thresholds.coverage_of_clause for words in parts):
            return 0.0
        return self._share(claim.stems, stems)

    def _share(self, words: frozenset[str], of: frozenset[str]) -> float:
        return self._weigh(words & of) / self._weigh(words)


def _agrees(claim: Statement, said: Statement) -> bool:
    return (
        all(name.stem in said.stems for name in claim.names)
        and _holds_numbers(claim, said)
        and _agrees_in_negation(claim, said)
        and _agrees_in_strength(claim, said)
        and not any(differs(claim, said) for differs in _DIFFERENCES)
    )


@lru_cache(maxsize=256)
def _take_sentences_apart(content: str) -> tuple[tuple[Sentence, Statement], ...]:
    """Keep what was found: the refined answer has most passages of the draft."""
    return tuple((one, take_apart(content[one.start : one.end])) for one in sentences(content))


def _source_sentences(
    passage: NumberedPassage, statements: Iterable[tuple[Sentence, Statement]], small_words: AbstractSet[str]
) -> Iterator[SourceSentence]:
    subject = take_apart(". ".join((*passage.heading, passage.title))).stems
    for sentence, plain in statements:
        statement = plain.with_names(small_words)
        if statement.opening in PRONOUNS:
            statement = statement.about(subject)
        else:
            subject = _subject(statement)
        yield SourceSentence(sentence.start, sentence.end, statement)


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
    return not number.unit and root(unit) in said.stems


def _agrees_in_negation(claim: Statement, said: Statement) -> bool:
    if claim.is_unspaced or said.is_unspaced:
        return claim.negated == said.negated
    if bool(claim.negated) and not (claim.negated & said.negated):
        return False
    return bool(claim.negated) or not (said.negated & claim.stems)


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


def _stems(listed: str) -> frozenset[str]:
    return frozenset(map(root, listed.split()))


_OVERSTATING = _stems(
    "all every always only never none solely entirely most must mandatory guarantee guarantees guaranteed first last"
    " largest smallest biggest highest lowest tallest longest oldest best worst exclusively any anyone everyone prove"
    " proves proved proven cause causes caused because"
)
_CONDITIONS = _words("if unless except only false falsely myth wrongly incorrectly allegedly reportedly")


_HEDGES = _stems(
    "may might could allege claim suggest propose plan expect deny fail refuse rumour rumor possibly probably perhaps"
    " hypothesize partly partially would should intend estimate believe almost nearly until"
)
_OPPOSITES = (
    ("increase rise grow gain raise up", "decrease fall shrink shrank decline drop lose reduce lower down"),
    ("before earlier prior", "after later following"),
    ("more greater higher above over larger longer faster", "less fewer lower below under smaller shorter slower"),
    ("maximum most highest largest max", "minimum least lowest smallest min"),
    ("first", "last"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("enable allow permit", "disable forbid forbidden prohibit deny"),
    ("required mandatory must", "optional may"),
    ("with including", "without excluding"),
    ("win", "lose"),
    ("buy acquire", "sell"),
    ("start begin open", "end stop close"),
    ("inside inner internal", "outside outer external"),
    ("success succeed successful", "failure fail unsuccessful"),
    ("legal lawful valid", "illegal unlawful invalid"),
    ("hot warm hotter", "cold cool colder"),
    ("import", "export"),
    ("positive", "negative"),
    ("married", "divorced"),
    ("born", "die"),
    ("synchronous synchronously", "asynchronous asynchronously"),
    ("ascending", "descending"),
    ("true", "false"),
    ("into", "out"),
)
_PAIRED = tuple(
    pair for one, other in _OPPOSITES for pair in ((_stems(one), _stems(other)), (_stems(other), _stems(one)))
)
_OPPOSITE_CASES = frozenset(
    frozenset(pair.split())
    for pair in ("from to", "before after", "above below", "over under", "since until", "with without", "from into")
)


def _agrees_in_strength(claim: Statement, said: Statement) -> bool:
    """Refuse a claim that drops a source's doubt, or says "all" or "must" where the source does not."""
    if (claim.roots & _OVERSTATING) - said.roots or (said.plain & _CONDITIONS) - claim.plain:
        return False
    closest = max((len(stems & claim.stems) for stems in said.clauses.values()), default=0)
    return not any(
        root(word) in _HEDGES
        and root(word) not in claim.roots
        and len(said.clauses.get(clause, frozenset()) & claim.stems) >= min(closest, _HEDGED_WORDS)
        for word, clause in said.places
    )


_HEDGED_WORDS = 2


def _has_opposite(claim: Statement, said: Statement) -> bool:
    """Tell "disabled, and can be enabled later" from "enabled": the clause with the opposite must not fit better."""
    for one, other in _PAIRED:
        if claim.roots & one and said.roots & other and not claim.roots & other:
            rest = claim.stems - one
            fits = [_fit_of_clauses(rest, said, having) for having in (one, other)]
            if fits[0] < fits[1]:
                return True
    return False


def _fit_of_clauses(words: frozenset[str], said: Statement, having: frozenset[str]) -> int:
    """Count the words in the best of the clauses that have one of these; -1 if none has."""
    clauses = {clause for word, clause in said.places if root(word) in having}
    return max((len(words & said.scopes.get(clause, frozenset())) for clause in clauses), default=-1)


def _firsts(statement: Statement) -> dict[str, Word]:
    found: dict[str, Word] = {}
    for word in statement.words:
        found.setdefault(word.stem, word)
    return found


_ADJUNCTS = frozenset(("in", "on", "onto", "at", "of", "during", "within", "since", "until", "via", "per"))


def _swaps_roles(claim: Statement, said: Statement) -> bool:
    """Tell "A beat B" from "B beat A", "B was beaten by A" and "from B to A"."""
    there = _firsts(said)
    shared = [(word, there[word.stem]) for word in _firsts(claim).values() if word.stem in there]
    if any(frozenset((here.case, other.case)) in _OPPOSITE_CASES for here, other in shared):
        return True
    return any(
        _is_swapped(*first, *last, between)
        for at, first in enumerate(shared)
        for to, last in enumerate(shared[at + 1 :], at + 1)
        if (between := [other.position for _, other in shared[at + 1 : to]])
    )


def _is_swapped(first: Word, first_there: Word, last: Word, last_there: Word, between: list[int]) -> bool:
    """Tell whether two words that stand around a third have changed places, or kept them in another voice."""
    pair = ((first, first_there), (last, last_there))
    if any((here.case and here.case == other.case) or other.case in _ADJUNCTS for here, other in pair):
        return False
    if any(last_there.position < middle < first_there.position for middle in between):
        return (last.case == "by") == (first_there.case == "by")
    if any(first_there.position < middle < last_there.position for middle in between):
        return (last.case == "by") != (last_there.case == "by")
    return False


def _swaps_cases(claim: Statement, said: Statement) -> bool:
    """Tell "prefers crawling to swimming" from "prefers swimming to crawling"."""
    cases: dict[str, set[str]] = {}
    for word in said.words:
        cases.setdefault(word.stem, set()).add(word.case)
    turned = [word for word in claim.words if word.case not in cases.get(word.stem, {word.case})]
    return any(
        first.case in cases[other.stem] and other.case in cases[first.stem]
        for first in turned
        if first.case not in ("", "by") and first.case not in _ADJUNCTS
        for other in claim.words
        if other.case != first.case and other.stem in cases
    )


_RELATIONS = _words("to from than against for with without under unlike like after before")


def _moves_subject(claim: Statement, said: Statement) -> bool:
    """Tell "unlike diesel, petrol burns" from "diesel burns": who acts must be there, and act there too."""
    if not claim.words:
        return False
    return _is_no_actor(claim.words[0], said) or bool(
        said.words and said.words[0].stem in claim.stems and _is_no_actor(said.words[0], claim)
    )


def _is_no_actor(word: Word, there: Statement) -> bool:
    cases = {other.case for other in there.words if other.stem == word.stem}
    return not word.case and cases <= _RELATIONS


def _replaces_word(claim: Statement, said: Statement) -> bool:
    """Tell "300 mg of heparin given" from "300 mg of aspirin given": one unshared word in another's place."""
    replaceable = {(before, after) for word, before, after in _spots(said) if word.stem not in claim.stems}
    return any(word.stem not in said.stems and (before, after) in replaceable for word, before, after in _spots(claim))


def _spots(statement: Statement) -> Iterator[tuple[Word, str, str]]:
    """Give each word with the words before and behind it; at an end, with its preposition."""
    stems = ["", *(word.stem for word in statement.words), ""]
    for at, word in enumerate(statement.words):
        yield word, stems[at], stems[at + 2]


def _swaps_numbers(claim: Statement, said: Statement) -> bool:
    """Tell "330 m tall and 125 m wide" from "125 m tall": each number must keep the words of its clause."""
    for number in claim.numbers:
        near = claim.clauses[number.clause] - {number.stem}
        names = {word.stem for word in claim.names} & near
        there = said.numbers
        own = [near & said.scopes[other.clause] for other in there if other.stem == number.stem]
        rivals = [
            near & said.scopes[other.clause]
            for other in there
            if other.stem != number.stem and _sort(other) == _sort(number)
        ]
        best = max(map(len, own), default=0)
        before = _before(claim, number.stem)
        if before and before & _before_rivals(said, number) - _before(said, number.stem):
            return True
        if any(len(rival) > best or (rival - frozenset().union(*own)) & names for rival in rivals):
            return True
    return False


def _before(statement: Statement, *numbers: str) -> frozenset[str]:
    """Give the words right before these numbers."""
    return frozenset(
        word.stem for word, number in pairwise(statement.words) if number.is_number and number.stem in numbers
    )


def _before_rivals(said: Statement, number: Word) -> frozenset[str]:
    sort = (number.unit, _sort(number))
    rivals = (other.stem for other in said.numbers if other.stem != number.stem and (other.unit, _sort(other)) == sort)
    return _before(said, *rivals)


def _sort(number: Word) -> str:
    if number.unit:
        return "measure"
    return "year" if len(number.stem) == _YEAR_DIGITS and number.stem[0] in "12" else "count"


_YEAR_DIGITS = 4


def _swaps_counts(claim: Statement, said: Statement) -> bool:
    """Tell "36 countries and 400 patients" from "36 patients and 400 countries"."""
    counted = set(_counted(said))
    return any(
        (number, thing) not in counted
        and any(other == number for other, _ in counted)
        and any(other == thing for _, other in counted)
        for number, thing in _counted(claim)
    )


def _counted(statement: Statement) -> Iterator[tuple[str, str]]:
    for word, following in pairwise(statement.words):
        if word.is_number and following.position - word.position == 1:
            yield word.stem, following.stem


def _swaps_subjects(claim: Statement, said: Statement) -> bool:
    """Tell "Alice won gold and Bob won silver" from "Alice won silver": who is named first must be in that clause."""
    if not claim.words or not claim.words[0].is_name or len(said.scopes) == 1:
        return False
    subject = _subject(claim)
    rest = claim.clauses[claim.words[0].clause] - subject
    fits = {clause: len(rest & stems) for clause, stems in said.clauses.items()}
    best = max(fits.values(), default=0)
    return best > 0 and not any(subject <= said.scopes[clause] for clause, fit in fits.items() if fit == best)


def _mixes_clauses(claim: Statement, said: Statement) -> bool:
    """Tell "snapshots are removed, but archives are kept" from "archives are removed".

    A clause of the claim that draws on two of the source must hold the word that each of them begins with.
    """
    for words in claim.clauses.values():
        drawn_on = [
            clause
            for clause, stems in said.clauses.items()
            if (words & stems) - frozenset().union(*(other for at, other in said.clauses.items() if at != clause))
        ]
        if len(drawn_on) > 1 and any(words.isdisjoint(said.heads[clause]) for clause in drawn_on):
            return True
    return False


_DIFFERENCES = (
    _has_opposite,
    _swaps_roles,
    _swaps_cases,
    _moves_subject,
    _swaps_numbers,
    _swaps_counts,
    _swaps_subjects,
    _mixes_clauses,
    _replaces_word,
)
