"""What a passage speaks of: capitalised phrases, years, other documents' titles; where it has none, rare words."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import log
from typing import NamedTuple

from rag_graph.documents import Passage
from rag_graph.index.base import Snapshot
from rag_graph.text.sentences import sentence_spans
from rag_graph.text.terms import fold, stems, title_name, words

MIN_FREQUENCY = 2
MAX_FREQUENCY = 300
_FREQUENCY_AT = 15_000
"""Up to this many passages `MAX_FREQUENCY` holds; from there on it grows with the square root."""

_MAX_PHRASE_WORDS = 8
_MAX_TITLE_WORDS = 7
_MAX_WORDS = 400
_SHORT_WORD = 2
_FOCUS_SENTENCES = 2
_REMEMBERED_TEXTS = 256
"""The deep search reads what the fast one has read; a thousand characters take some 60 kB."""

_IN_FOCUS = 1.6
_IS_TITLE = 1.3
_OWN_TITLE = 0.8
_IS_YEAR = 0.5
_IS_RARE_WORD = 0.5

_CONNECTOR = re.compile(
    r"of|the|and|de|la|le|du|des|da|di|del|van|von|der|den|for|in|on|al|el",
    re.IGNORECASE,
)
_PARTING = re.compile(r"the|and|in|on|for", re.IGNORECASE)
_OPENER = re.compile(
    r"a|an|and|are|as|at|but|by|for|from|he|her|his|how|i|if|in|is|it|its|of|on|or"
    r"|our|she|so|some|that|the|their|there|these|they|this|those|to|was|we|were|what"
    r"|when|where|which|while|who|with|you|after|before|during|however|also",
    re.IGNORECASE,
)
_JOINTS = frozenset((" ", "\n", "-", ". ", " & ", "’", "'", " - ", "–"))


@dataclass(frozen=True, slots=True)
class Entity:
    """A name in a passage, and how much a search for it promises."""

    name: str
    terms: tuple[str, ...]
    worth: float


@dataclass(frozen=True, slots=True)
class Mention:
    """The title of other documents, named in a passage."""

    name: str
    passages: tuple[int, ...]
    frequency: int


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
class _Anatomy:
    """A text as every question sees it; `names` are its capitalised phrases and years."""

    words: tuple[_Word, ...]
    sentences: tuple[tuple[int, int], ...]
    names: tuple[_Phrase, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A passage as one question sees it: what it covers, what it adds, which documents it names."""

    covered: frozenset[str]
    entities: list[Entity]
    mentions: list[Mention]


def read(passage: Passage, view: Snapshot, *, weights: Mapping[str, float]) -> Reading:
    """Read a passage for a question, given as its terms with how much each says. Entities come best first."""
    anatomy, titled = _take_apart(passage.content), _words(passage.title)
    found = anatomy.words
    focus = _closest(anatomy, weights)
    titles, mentioned = _titles(found, view, title_name(passage.title))
    phrases = [*anatomy.names, *titles.values()]
    if not phrases:
        phrases = [_phrase([word], _IS_RARE_WORD) for word in found if len(word.text) > _SHORT_WORD]
    phrases.append(_phrase(titled, _OWN_TITLE)._replace(start=None))
    phrases = [phrase for phrase in phrases if phrase.terms and not weights.keys() >= set(phrase.terms)]
    counts = _count([phrase.terms for phrase in phrases] + [titles[name].terms for name in mentioned], view)
    return Reading(
        covered=frozenset(term for word in (*found, *titled) for term in word.terms),
        entities=_worth(phrases, counts, view.size, focus),
        mentions=[Mention(name, tuple(ids), counts[titles[name].terms]) for name, ids in mentioned.items()],
    )


@lru_cache(_REMEMBERED_TEXTS)
def _take_apart(text: str) -> _Anatomy:
    found, spans = _words(text), tuple(sentence_spans(text))
    openings = frozenset(start for start, _ in spans)
    return _Anatomy(found, spans, names=(*_capitalised(found, text, openings), *_years(found)))


def _phrase(run: Sequence[_Word], factor: float = 1.0) -> _Phrase:
    return _Phrase(
        name=" ".join(word.text for word in run),
        terms=tuple(term for word in run for term in word.terms),
        start=run[0].start if run else None,
        factor=factor,
    )


def _words(text: str) -> tuple[_Word, ...]:
    return tuple(
        _Word(word := match[0], *match.span(), word[0].isupper() or word[0].isdigit(), stems(word))
        for match in islice(words(text), _MAX_WORDS)
    )


def max_frequency(size: int) -> int:
    """In how many of `size` passages a name may stand and still lead somewhere."""
    return int(MAX_FREQUENCY * max(1.0, size / _FREQUENCY_AT) ** 0.5)


def _count(phrases: Iterable[tuple[str, ...]], view: Snapshot) -> dict[tuple[str, ...], int]:
    wanted = list(dict.fromkeys(phrases))
    return dict(zip(wanted, view.frequencies(wanted), strict=True))


def _worth(
    phrases: Sequence[_Phrase],
    counts: Mapping[tuple[str, ...], int],
    size: int,
    focus: Sequence[tuple[int, int]],
) -> list[Entity]:
    best: dict[tuple[str, ...], Entity] = {}
    for phrase in phrases:
        count = counts[phrase.terms]
        if not MIN_FREQUENCY <= count <= max_frequency(size):
            continue
        worth = log(max(size, count + 1) / count) * phrase.factor
        start = phrase.start
        if start is not None and any(first <= start < last for first, last in focus):
            worth *= _IN_FOCUS
        if phrase.terms not in best or best[phrase.terms].worth < worth:
            best[phrase.terms] = Entity(phrase.name, phrase.terms, worth)
    return sorted(best.values(), key=lambda entity: -entity.worth)


def _closest(anatomy: _Anatomy, weights: Mapping[str, float]) -> list[tuple[int, int]]:
    """The sentences that share most with the question."""
    spans = anatomy.sentences
    shared = dict.fromkeys(spans, 0.0)
    place = 0
    seen: set[str] = set()
    for word in anatomy.words:
        while place < len(spans) and word.start >= spans[place][1]:
            place, seen = place + 1, set()
        if place == len(spans):
            break
        for term in word.terms:
            if term in weights and term not in seen:
                seen.add(term)
                shared[spans[place]] += weights[term]
    closest = sorted(spans, key=lambda span: -shared[span])[:_FOCUS_SENTENCES]
    return [span for span in closest if shared[span]]


def _capitalised(found: Sequence[_Word], text: str, openings: frozenset[int]) -> Iterator[_Phrase]:
    """Runs of capitalised words, with the small words inside them; not the mere first word of a sentence."""
    inner = {word.text for word in found if word.text[0].isupper() and word.start not in openings}
    for run in _runs(found, text):
        while run and (not run[-1].text[0].isupper() and not run[-1].text.isdigit()):
            run.pop()
        while run and _OPENER.fullmatch(run[0].text):
            run.pop(0)
        if not run or not run[0].text[0].isupper():
            continue
        if len(run) == 1 and run[0].start in openings and run[0].text not in inner:
            continue
        yield _phrase(run[:_MAX_PHRASE_WORDS])
        for part in _parts(run):
            yield _phrase(part[:_MAX_PHRASE_WORDS])


def _parts(run: Sequence[_Word]) -> Iterator[Sequence[_Word]]:
    """Of "Anna Hall of the University of Leeds", both names; of "University of Leeds" nothing, it is one."""
    begin = 0
    for place, word in enumerate(run):
        if _PARTING.fullmatch(word.text) and begin < place:
            names = [at for at in range(begin, place) if not _CONNECTOR.fullmatch(run[at].text)]
            if names:
                yield run[begin : names[-1] + 1]
            begin = place + 1
    if begin:
        yield run[begin:]


def _runs(found: Sequence[_Word], text: str) -> Iterator[list[_Word]]:
    run: list[_Word] = []
    for word in found:
        joined = bool(run) and text[run[-1].end : word.start] in _JOINTS
        if joined and _is_stop(text, run[-1], word):
            joined = False
        if joined and (word.is_name or _CONNECTOR.fullmatch(word.text)):
            run.append(word)
            continue
        if run:
            yield run
        run = [word] if word.text[0].isupper() else []
    if run:
        yield run


def _is_stop(text: str, before: _Word, after: _Word) -> bool:
    """A full stop between names belongs to an initial, or it parts them."""
    return text[before.end : after.start].startswith(".") and len(before.text) > 1


def _years(found: Sequence[_Word]) -> Iterator[_Phrase]:
    for word in found:
        if len(word.text) == 4 and word.text.isdigit() and word.text[:2] in {"15", "16", "17", "18", "19", "20"}:  # noqa: PLR2004
            yield _phrase([word], _IS_YEAR)


def _titles(found: Sequence[_Word], view: Snapshot, own: str) -> tuple[dict[str, _Phrase], dict[str, list[int]]]:
    """The titles of other documents that stand in the text, with their passages; of overlapping ones, the longest."""
    folded = [fold(word.text) for word in found]
    spans = {
        (first, last): " ".join(folded[first:last])
        for first, word in enumerate(found)
        if word.is_name
        for last in range(first + 1, min(first + _MAX_TITLE_WORDS, len(found)) + 1)
        if found[last - 1].is_name
    }
    known = view.titled(list(dict.fromkeys(spans.values())))
    taken: set[int] = set()
    titles: dict[str, _Phrase] = {}
    for (first, last), name in sorted(spans.items(), key=lambda item: item[0][0] - item[0][1]):
        if name in known and taken.isdisjoint(range(first, last)):
            taken.update(range(first, last))
            titles.setdefault(name, _phrase(found[first:last], _IS_TITLE))
    titles.pop(own, None)
    return titles, {name: known[name] for name in titles}
