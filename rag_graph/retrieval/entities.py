"""What a passage speaks of: capitalised phrases, years, other documents' titles; where it has none, rare words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from math import log
from typing import NamedTuple, Protocol

from rag_graph.documents import Passage
from rag_graph.text.languages import NAME_CONNECTORS, NAME_PARTINGS, OPENERS
from rag_graph.text.sentences import sentence_spans
from rag_graph.text.terms import fold, stems, title_name, words

MIN_FREQUENCY = 2
"""A name that stands in the passage alone leads back to it only."""
MAX_FREQUENCY = 300
_FREQUENCY_AT = 15_000
"""Up to this many passages `MAX_FREQUENCY` holds; from there on it grows with the square root."""

_MAX_PHRASE_WORDS = 8
_MAX_TITLE_WORDS = 7
_MAX_WORDS = 400
"""The longest passages that chunking makes have about as many; this bounds odd ones."""
_SHORT_WORD = 2
_FOCUS_SENTENCES = 2
_REMEMBERED_TEXTS = 256
"""The deep search reads what the fast one has read; a thousand characters take some 60 kB."""

# How much a name promises, by what it is and where it stands. Found on two-hop questions over an English encyclopaedia;
# for other kinds of text nobody has measured them.
_IN_FOCUS = 1.6
_IS_TITLE = 1.3
_OWN_TITLE = 0.8
_IS_YEAR = 0.5
_IS_RARE_WORD = 0.5

# 24 of 120 questions of a FAQ were taken to name "Can I" and the like: now six of them rank higher, and none lower.
_HELPERS = frozenset(("am", "are", "can", "could", "did", "do", "does", "had", "has", "have", "is", "shall", "should"))
_HELPERS |= {"was", "were", "would"}
_HELPERS_AND_NAMES = frozenset(("will", "may", "might", "must"))
"""Those that open names as well, as in "Will Hall"; before "I" they do not."""

_JOINTS = frozenset((" ", "\n", "-", ". ", " & ", "’", "'", " - ", "–"))
_CENTURIES = frozenset(("15", "16", "17", "18", "19", "20"))
_YEAR_DIGITS = 4


class Corpus(Protocol):
    """What a passage is read against: how rare its phrases are, and which of them are titles."""

    @property
    def size(self) -> int:
        """How many passages there are."""

    def frequencies(self, phrases: Sequence[Sequence[str]]) -> list[int]:
        """For each phrase, how many passages hold all its terms."""

    def titled(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Of these names (`terms.title_name`), those that are titles, with the passages that open such documents."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A name in a passage, and how much a search for it promises."""

    name: str
    terms: tuple[str, ...]
    worth: float


@dataclass(frozen=True, slots=True)
class TitleMention:
    """The title of other documents, named in a passage; `frequency` counts the passages that hold its words."""

    name: str
    passages: tuple[int, ...]
    frequency: int


@dataclass(frozen=True, slots=True)
class PassageAnalysis:
    """A passage as one question sees it: which terms it covers, which entities it adds, which documents it names."""

    covered: frozenset[str]
    entities: list[Entity]
    mentions: list[TitleMention]


class _Word(NamedTuple):
    """A word of the passage; a tuple, because a search makes hundreds."""

    text: str
    start: int
    end: int
    is_name: bool
    terms: tuple[str, ...]


class _Phrase(NamedTuple):
    """Words of a passage that stand together; `start` is None for what stands outside its text."""

    name: str
    terms: tuple[str, ...]
    start: int | None
    factor: float


@dataclass(frozen=True, slots=True)
class _ParsedText:
    """A text as every question sees it; `names` are its capitalised phrases and years."""

    words: tuple[_Word, ...]
    sentences: tuple[tuple[int, int], ...]
    names: tuple[_Phrase, ...]


def analyse(passage: Passage, corpus: Corpus, *, weights: Mapping[str, float]) -> PassageAnalysis:
    """Read a passage for a question, given as its terms with how much each says. Entities come best first."""
    parsed, title = _parse(passage.content), _words(passage.title)
    titles, titled = _titles_in(parsed.words, corpus, own=title_name(passage.title))
    phrases = [*parsed.names, *titles.values()]
    if not phrases:
        # Notes in lower case hold no names: there every longer word is tried, and its rarity decides.
        phrases = [_phrase([word], _IS_RARE_WORD) for word in parsed.words if len(word.text) > _SHORT_WORD]
    phrases.append(_phrase(title, _OWN_TITLE)._replace(start=None))
    phrases = [phrase for phrase in phrases if phrase.terms and not weights.keys() >= set(phrase.terms)]
    # All counts in one call: each is a query where the corpus is a database.
    wanted = list(dict.fromkeys([phrase.terms for phrase in phrases] + [titles[name].terms for name in titled]))
    counts = dict(zip(wanted, corpus.frequencies(wanted), strict=True))
    return PassageAnalysis(
        covered=frozenset(term for word in (*parsed.words, *title) for term in word.terms),
        entities=_entities(phrases, counts, corpus.size, _focus(parsed, weights)),
        mentions=[TitleMention(name, tuple(ids), counts[titles[name].terms]) for name, ids in titled.items()],
    )


def covered_terms(passage: Passage) -> frozenset[str]:
    """The terms of a passage and its title."""
    # Not by `_parse`, which looks for sentences and names as well, and takes three times as long.
    found = chain.from_iterable(islice(words(text), _MAX_WORDS) for text in (passage.content, passage.title))
    return frozenset(chain.from_iterable(stems(match[0]) for match in found))


def names_something(question: str, corpus: Corpus) -> bool:
    """Whether a question speaks of something by its name: one in capitals or a year, or a title of several words."""
    parsed = _parse(question)
    if parsed.names:
        return True
    folded = [fold(word.text) for word in parsed.words]
    phrases = {
        " ".join(folded[first:last])
        for first in range(len(folded))
        for last in range(first + 2, min(first + _MAX_TITLE_WORDS, len(folded)) + 1)
    }
    return bool(corpus.titled(list(phrases)))


@lru_cache(_REMEMBERED_TEXTS)
def _parse(text: str) -> _ParsedText:
    found, spans = _words(text), tuple(sentence_spans(text))
    years = (
        _phrase([word], _IS_YEAR)
        for word in found
        if len(word.text) == _YEAR_DIGITS and word.text.isdigit() and word.text[:2] in _CENTURIES
    )
    openings = frozenset(start for start, _ in spans)
    return _ParsedText(found, spans, names=(*_capitalised(found, text, openings), *years))


def _words(text: str) -> tuple[_Word, ...]:
    return tuple(
        _Word(word := match[0], *match.span(), word[0].isupper() or word[0].isdigit(), stems(word))
        for match in islice(words(text), _MAX_WORDS)
    )


def _phrase(run: Sequence[_Word], factor: float = 1.0) -> _Phrase:
    return _Phrase(
        name=" ".join(word.text for word in run),
        terms=tuple(term for word in run for term in word.terms),
        start=run[0].start if run else None,
        factor=factor,
    )


def _entities(
    phrases: Sequence[_Phrase],
    counts: Mapping[tuple[str, ...], int],
    size: int,
    focus: Sequence[tuple[int, int]],
) -> list[Entity]:
    """The phrases that lead somewhere, each once; rare ones and those near what was asked promise most."""
    most = int(MAX_FREQUENCY * max(1.0, size / _FREQUENCY_AT) ** 0.5)
    best: dict[tuple[str, ...], Entity] = {}
    for phrase in phrases:
        count = counts[phrase.terms]
        if not MIN_FREQUENCY <= count <= most:
            continue
        worth = log(max(size, count + 1) / count) * phrase.factor
        start = phrase.start
        if start is not None and any(first <= start < last for first, last in focus):
            worth *= _IN_FOCUS
        if phrase.terms not in best or best[phrase.terms].worth < worth:
            best[phrase.terms] = Entity(phrase.name, phrase.terms, worth)
    return sorted(best.values(), key=lambda entity: -entity.worth)


def _focus(parsed: _ParsedText, weights: Mapping[str, float]) -> list[tuple[int, int]]:
    """The sentences that share most with the question."""
    spans = parsed.sentences
    shared = dict.fromkeys(spans, 0.0)
    current = 0
    seen: set[str] = set()
    for word in parsed.words:
        while current < len(spans) and word.start >= spans[current][1]:
            current, seen = current + 1, set()
        if current == len(spans):
            break
        for term in word.terms:
            if term in weights and term not in seen:
                seen.add(term)
                shared[spans[current]] += weights[term]
    closest = sorted(spans, key=lambda span: -shared[span])[:_FOCUS_SENTENCES]
    return [span for span in closest if shared[span]]


def _capitalised(found: Sequence[_Word], text: str, openings: frozenset[int]) -> Iterator[_Phrase]:
    """Runs of capitalised words, with the small words inside them; not the mere first word of a sentence.

    Of "Anna Hall of the University of Leeds" both names are given too; of "University of Leeds" nothing, it is one.
    """
    inner = {word.text for word in found if word.text[0].isupper() and word.start not in openings}
    for run in _runs(found, text):
        while run and (not run[-1].text[0].isupper() and not run[-1].text.isdigit()):
            run.pop()
        # "The Hill" leads on as "Hill"; where it is a title, it is found whole besides.
        while run and _only_opens(run, openings):
            run.pop(0)
        if not run or not run[0].text[0].isupper():
            continue
        # Every sentence begins with a capital: a word that stands there alone counts only if it has one elsewhere too.
        if len(run) == 1 and run[0].start in openings and run[0].text not in inner:
            continue
        yield _phrase(run[:_MAX_PHRASE_WORDS])
        begin = 0
        for end, word in enumerate(run):
            if word.text.lower() in NAME_PARTINGS and begin < end:
                names = [at for at in range(begin, end) if run[at].text.lower() not in NAME_CONNECTORS]
                if names:
                    yield _phrase(run[begin : names[-1] + 1][:_MAX_PHRASE_WORDS])
                begin = end + 1
        if begin:
            yield _phrase(run[begin:][:_MAX_PHRASE_WORDS])


def _only_opens(run: Sequence[_Word], openings: frozenset[int]) -> bool:
    """Whether the first word of a run owes its capital to its place alone, as in "Should I" and "Did Anna Hall"."""
    first = _before_apostrophe(run[0])
    if first in OPENERS or (first in _HELPERS and run[0].start in openings):
        return True
    return first in _HELPERS_AND_NAMES and len(run) > 1 and _before_apostrophe(run[1]) == "i"


def _before_apostrophe(word: _Word) -> str:
    return re.split("['’]", word.text.lower(), maxsplit=1)[0]


def _runs(found: Sequence[_Word], text: str) -> Iterator[list[_Word]]:
    """Words that stand side by side and may be one name: capitalised or numbers, with connectors between them."""
    run: list[_Word] = []
    for word in found:
        between = text[run[-1].end : word.start] if run else ""
        # A full stop between names belongs to an initial ("G. Hall"), or it parts them.
        joined = between in _JOINTS and not (between.startswith(".") and len(run[-1].text) > 1)
        if joined and (word.is_name or word.text.lower() in NAME_CONNECTORS):
            run.append(word)
            continue
        if run:
            yield run
        run = [word] if word.text[0].isupper() else []
    if run:
        yield run


def _titles_in(found: Sequence[_Word], corpus: Corpus, *, own: str) -> tuple[dict[str, _Phrase], dict[str, list[int]]]:
    """The titles of other documents that stand in the text, with their passages; of overlapping ones, the longest."""
    folded = [fold(word.text) for word in found]
    spans = {
        (first, last): " ".join(folded[first:last])
        for first, word in enumerate(found)
        if word.is_name
        for last in range(first + 1, min(first + _MAX_TITLE_WORDS, len(found)) + 1)
        if found[last - 1].is_name
    }
    known = corpus.titled(list(dict.fromkeys(spans.values())))
    taken: set[int] = set()
    titles: dict[str, _Phrase] = {}
    # The longest come first, and of those as long the first in the text, as sorting is stable.
    for (first, last), name in sorted(spans.items(), key=lambda item: item[0][0] - item[0][1]):
        if name in known and taken.isdisjoint(range(first, last)):
            taken.update(range(first, last))
            titles.setdefault(name, _phrase(found[first:last], _IS_TITLE))
    titles.pop(own, None)
    return titles, {name: known[name] for name in titles}
