"""A question as it is searched by words: how much each of them counts, and what a mistyped one is taken for."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import Protocol

from rag_graph.retrieval.figures import figures
from rag_graph.text.acronyms import definitions
from rag_graph.text.inflections import other_forms
from rag_graph.text.languages import STOP_WORDS, Language, language_of
from rag_graph.text.terms import STOP_TERMS, compounds, fold, other_names, stem, stems, terms, words
from rag_graph.text.typos import LEAST_PART, near_spellings, other_openings, parted, two_slips

STOP_WEIGHT = 0.2
"""What a small word counts beside others. By words alone, nDCG@10 fell on none of seventeen sets with it, and rose most
where questions are whole sentences (10 points on finance, 7 on a manual). Anything from 0 to 0.5 is better than 1."""
GUESS_WEIGHT = 0.7
INFLECTED_WEIGHT = 0.5
"""What the other forms of a word count. On the 1,190 German questions of XQuAD nDCG@10 of the fast tier rose by 0.4 to
0.6 with 0.35, 0.5 and 0.6; by words alone it rose by 0.2 to 0.3, of which 1,190 questions cannot be sure."""
FORM_WEIGHT = 0.25
"""What the words count that a short form stands for, or the short form of words of the question. By words alone,
nDCG@10 changed by -0.3 to +0.2 on nine sets, whose questions hardly have any; with 0.5 and more one of them lost over
half a point."""
_MOST_GUESSED = 3
"""So many unknown words of a question are looked for under other spellings."""
_GUESSES = 2
_MOST_NAMED = 0.1
"""An identifier that a larger share of all passages has tells none from the others, as COVID-19 on an epidemic."""


class Frequencies(Protocol):
    """What a question is read against: how rare its words are."""

    @property
    def size(self) -> int: ...
    def frequencies(self, phrases: Sequence[Sequence[str]]) -> list[int]: ...


_UNJOINED = frozenset(word for word in STOP_WORDS if len(word) >= LEAST_PART)
_FOR_ALL = frozenset(
    (
        "all",
        "every",
        "each",
        "list",
        "enumerate",
        "alle",
        "samtliche",
        "tous",
        "toutes",
        "todos",
        "todas",
        "tutti",
        "tutte",
    )
)
_NOT_FOR_ALL = re.compile(r"\b(?:at|after|first of|above|most of) all\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AskedWord:
    """A word of a question, its terms, and those that it may stand for where no passage has it."""

    text: str
    terms: tuple[str, ...]
    guesses: tuple[str, ...] = ()
    is_mended: bool = False
    """Whether these are guesses at what was meant by a slip of the hand."""

    def is_in(self, covered: AbstractSet[str]) -> bool:
        return covered >= set(self.terms) or not covered.isdisjoint(self.guesses)


@dataclass(frozen=True, slots=True)
class AskedWords:
    """The words of a question; the query that they make, as weights by term; and how much each term says."""

    words: tuple[AskedWord, ...]
    query: Mapping[str, float]
    rarities: Mapping[str, float]
    asks_for_all: bool = False
    """Whether everything is asked for that fits, as in "list all …"."""
    has_identifier: bool = False
    """Whether a name in code, a part number or a version is among them that some passages have, and not most."""

    @property
    def content(self) -> frozenset[str]:
        """The terms of the words that say what is asked for."""
        said = (
            word for word in self.words if fold(word.text) not in _FOR_ALL and not STOP_TERMS.issuperset(word.terms)
        )
        return frozenset(term for word in said for term in (*word.terms, *word.guesses))

    def open_share(self, covered: AbstractSet[str]) -> float:
        """How much of the question is not among these terms, from 0 to 1: rare words are more of it."""
        weights = {word: self._weight(word) for word in self.words}
        left = sum(weight for word, weight in weights.items() if not word.is_in(covered))
        return left / (sum(weights.values()) or 1)

    def slips(self, known: Callable[[str], bool]) -> float:
        """How much of the question was mistyped, from 0 to 1: words that no passage has, but such as are known."""
        weights = {word: self._weight(word) for word in self.words}
        mended = sum(weight for word, weight in weights.items() if word.is_mended and not known(word.text))
        return mended / (sum(weights.values()) or 1)

    def explained(self, texts: Iterable[str]) -> Mapping[str, float] | None:
        """The query with the long form of its short ones and the other way round, as texts explain them; None if none.

        It is the texts that a first search brought up: who asks for a short form finds where it is explained.
        """
        asked = {term for word in self.words for term in word.terms}
        more: dict[str, float] = {}
        for short, long in dict.fromkeys(pair for text in texts for pair in definitions(text)):
            here, there = frozenset(terms(short)), [term for term in terms(long) if term not in STOP_TERMS]
            if here <= STOP_TERMS:
                continue  # "US" and "IT" are not asked for by "us" and "it"
            if here <= asked and not asked.issuperset(there):
                more |= dict.fromkeys(there, FORM_WEIGHT)
            elif asked.issuperset(there) and not here <= asked:
                more |= dict.fromkeys(here, FORM_WEIGHT)
        return {**more, **self.query} if more.keys() - self.query.keys() else None

    def _weight(self, word: AskedWord) -> float:
        return sum(self.query[term] * self.rarities[term] for term in word.terms)


def read_question(question: str, corpus: Frequencies) -> AskedWords:
    """Read a question against what there is to be found."""
    matches = list(words(question))
    found = list(dict.fromkeys(match[0] for match in matches))
    counts = Counter(terms(question))
    language = language_of(fold(word) for word in found)
    stop = _stop_terms(language)
    variants = _variants(question, matches)
    inflected: set[str] = set()
    for word in found:
        if language and stop.isdisjoint(stems(word)) and (forms := other_forms(word, language.code)):
            variants[word] = (*variants.get(word, ()), *forms)
            inflected.update(forms)
    pairs = (_joined(question, one, two, stop) for one, two in pairwise(matches))
    looked_up = list(
        dict.fromkeys([*counts, *(term for its in variants.values() for term in its), *filter(None, pairs)])
    )
    known = dict(zip(looked_up, corpus.frequencies([(term,) for term in looked_up]), strict=True))
    guesses = {word: {term: known[term] for term in its if known[term]} for word, its in variants.items()}
    for one, two in pairwise(matches):
        joined = _joined(question, one, two, stop)
        # A rarer word than both is another: "globalroute" stands in one example, "global" and "routing" everywhere.
        if known.get(joined, 0) >= max(1, min(_held(one[0], known), _held(two[0], known))):
            guesses.setdefault(one[0], {})[joined] = known[joined]
    unknown = [word for word in found if not guesses.get(word) and not any(known[t] or t in stop for t in stems(word))]
    # Where several words are unknown the question is in another language, or of another matter, more often than full of
    # slips; and the rarest slips cost as much as all the rest of a search, for each word.
    mended = {word: _guesses(word, corpus, is_alone=len(unknown) == 1) for word in unknown[:_MOST_GUESSED]}
    guesses |= mended
    has_content = not counts.keys() <= stop
    query = {term: count * (STOP_WEIGHT if has_content and term in stop else 1.0) for term, count in counts.items()}
    # What stands for several words, as a date in figures does for its three, counts as often.
    for term, times in Counter(term for its in guesses.values() for term in its).items():
        query.setdefault(term, (INFLECTED_WEIGHT if term in inflected else GUESS_WEIGHT) * times)
    for its in guesses.values():
        known |= its
    most = max(1, _MOST_NAMED * corpus.size)
    return AskedWords(
        words=tuple(
            AskedWord(word, stems(word), tuple(guesses.get(word, ())), is_mended=bool(mended.get(word)))
            for word in found
        ),
        query=query,
        rarities={term: log((corpus.size + 1) / (known[term] + 0.5)) for term in query},
        has_identifier=any(0 < known[name] <= most for name in compounds(question) if not name.isalpha()),
        asks_for_all=not _FOR_ALL.isdisjoint(fold(match[0]) for match in words(_NOT_FOR_ALL.sub("", question))),
    )


def _stop_terms(language: Language | None) -> frozenset[str]:
    if language is None:
        return STOP_TERMS
    return STOP_TERMS | {term for word in language.function_words for term in stems(word)}


def _variants(question: str, matches: Sequence[re.Match[str]]) -> dict[str, tuple[str, ...]]:
    """For words of a question, the terms by which texts may say the same: as names in code, as figures."""
    variants: dict[str, tuple[str, ...]] = {}
    for figure in figures(question):
        for match in matches:
            if match.start() < figure.end and figure.start < match.end():
                variants[match[0]] = (*variants.get(match[0], ()), *figure.terms)
    for match in matches:
        if others := other_names(match[0]):
            variants[match[0]] = (*variants.get(match[0], ()), *others)
    return variants


def _joined(question: str, one: re.Match[str], two: re.Match[str], stop: AbstractSet[str]) -> str:
    """Two words that follow each other as one, as in "data base"; nothing where one of them is a small word."""
    # "log in" as "login", a rare word, outweighs all that is asked beside it, and what it means vectors know.
    is_small = not stop.isdisjoint((*stems(one[0]), *stems(two[0])))
    whole = one[0] + two[0]
    parted_by = question[one.end() : two.start()]
    return stem(fold(whole)) if parted_by == " " and whole.isalpha() and not is_small else ""


def _held(word: str, known: Mapping[str, int]) -> int:
    return min((known[term] for term in stems(word)), default=0)


def _guesses(word: str, corpus: Frequencies, *, is_alone: bool) -> dict[str, int]:
    """The terms for which a word that no passage has was meant: the likeliest kind of slip that leads to any."""
    folded = fold(word)
    for slips in (near_spellings, other_openings):
        if its := _most_common(slips(folded), corpus):
            return its
    if its := _parts(folded, corpus):
        return its
    return _most_common(two_slips(folded), corpus) if is_alone else {}


def _most_common(spellings: Iterable[str], corpus: Frequencies) -> dict[str, int]:
    """Of these spellings the terms that stand in the most passages."""
    near = list(dict.fromkeys(map(stem, spellings)))
    found = zip(near, corpus.frequencies([(term,) for term in near]), strict=True)
    counts = {term: count for term, count in found if count}
    return {term: counts[term] for term in sorted(counts, key=lambda term: -counts[term])[:_GUESSES]}


def _parts(word: str, corpus: Frequencies) -> dict[str, int]:
    """The two words that most passages hold together of those that, without a space between, are this one."""
    # "mean" and "while" are not what "meanwhile" was meant to be; "in" and "up" do end words.
    pairs = [(stem(one), stem(two)) for one, two in parted(word) if {one, two}.isdisjoint(_UNJOINED)]
    counts = corpus.frequencies(pairs)
    count, pair = max(zip(counts, pairs, strict=True), default=(0, ()))
    return dict.fromkeys(pair, count) if count else {}
