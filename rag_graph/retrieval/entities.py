"""What a passage speaks of: capitalised phrases, years, mentions of other documents, and where it has none, rare words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log

from rag_graph.documents import Passage
from rag_graph.index.base import View
from rag_graph.index.terms import phrase_name, stems, title_name, words
from rag_graph.sentences import sentence_spans

MIN_FREQUENCY = 2
MAX_FREQUENCY = 300
_FREQUENCY_AT = 15_000
"""Up to this many passages `MAX_FREQUENCY` holds; from there on it grows with the square root."""

_MAX_PHRASE_WORDS = 8
_MAX_TITLE_WORDS = 7
_MAX_WORDS = 400
_FOCUS_SENTENCES = 2

_IN_FOCUS = 1.6
_IS_TITLE = 1.3
_OWN_TITLE = 0.8
_IS_YEAR = 0.5
_IS_RARE_WORD = 0.5

_CONNECTORS = frozenset(
    [
        "of",
        "the",
        "and",
        "de",
        "la",
        "le",
        "du",
        "des",
        "da",
        "di",
        "del",
        "van",
        "von",
        "der",
        "den",
        "for",
        "in",
        "on",
        "al",
        "el",
    ]
)
_OPENERS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "but",
        "by",
        "for",
        "from",
        "he",
        "her",
        "his",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "our",
        "she",
        "so",
        "some",
        "that",
        "the",
        "their",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "with",
        "you",
        "after",
        "before",
        "during",
        "however",
        "also",
    ]
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


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    terms: tuple[str, ...]

    @property
    def is_name(self) -> bool:
        return self.text[0].isupper() or self.text[0].isdigit()


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Words of a passage that stand together."""

    words: tuple[_Word, ...]
    factor: float = 1.0

    @property
    def name(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(term for word in self.words for term in word.terms)

    @property
    def start(self) -> int:
        return self.words[0].start


def find_entities(passage: Passage, view: View, *, weights: Mapping[str, float]) -> tuple[list[Entity], list[Mention]]:
    """The entities of a passage that the question lacks, most promising first; and the titles it mentions.

    `weights` are the question's terms with how much each says.
    """
    found = [_Word(match[0], match.start(), match.end(), stems(match[0])) for match in words(passage.content)]
    found = found[:_MAX_WORDS]
    openings, focus = _sentences(passage.content, found, weights)
    titles = _titles(found, view)
    own = title_name(passage.title)
    phrases = [
        *_capitalised(found, passage.content, openings),
        *_years(found),
        *(phrase for phrase in titles.values() if phrase_name(w.text for w in phrase.words) != own),
        _Phrase(tuple(_Word(m[0], 0, 0, stems(m[0])) for m in words(passage.title)), _OWN_TITLE),
    ]
    if not any(phrase.factor >= 1 for phrase in phrases):
        phrases += [_Phrase((word,), _IS_RARE_WORD) for word in found if len(word.text) > 2]  # noqa: PLR2004 - "to", "de"
    phrases = [phrase for phrase in phrases if phrase.terms and not weights.keys() >= set(phrase.terms)]
    counts = _count((phrase.terms for phrase in phrases), view)
    return (
        _worth(phrases, counts, view.size, focus),
        _mentions({name: phrase for name, phrase in titles.items() if name != own}, view),
    )


def max_frequency(size: int) -> int:
    """In how many of `size` passages a name may stand and still lead somewhere."""
    return int(MAX_FREQUENCY * max(1.0, size / _FREQUENCY_AT) ** 0.5)


def _count(phrases: Iterable[tuple[str, ...]], view: View) -> dict[tuple[str, ...], int]:
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
        if phrase.words[0].end and any(start <= phrase.start < end for start, end in focus):
            worth *= _IN_FOCUS
        if phrase.terms not in best or best[phrase.terms].worth < worth:
            best[phrase.terms] = Entity(phrase.name, phrase.terms, worth)
    return sorted(best.values(), key=lambda entity: -entity.worth)


def _mentions(titles: Mapping[str, _Phrase], view: View) -> list[Mention]:
    if not titles:
        return []
    passages = view.titled(list(titles))
    counts = _count((titles[name].terms for name in passages), view)
    return [Mention(name, tuple(ids), counts[titles[name].terms]) for name, ids in passages.items()]


def _sentences(
    text: str, found: Sequence[_Word], weights: Mapping[str, float]
) -> tuple[frozenset[int], list[tuple[int, int]]]:
    """Where sentences begin, and the sentences that share most with the question."""
    spans = sentence_spans(text)
    shared = dict.fromkeys(spans, 0.0)
    place = 0
    seen: set[str] = set()
    for word in found:
        while place < len(spans) and word.start >= spans[place][1]:
            place, seen = place + 1, set()
        if place == len(spans):
            break
        for term in word.terms:
            if term in weights and term not in seen:
                seen.add(term)
                shared[spans[place]] += weights[term]
    closest = sorted(spans, key=lambda span: -shared[span])[:_FOCUS_SENTENCES]
    return frozenset(start for start, _ in spans), [span for span in closest if shared[span]]


def _capitalised(found: Sequence[_Word], text: str, openings: frozenset[int]) -> Iterator[_Phrase]:
    """Runs of capitalised words, with the small words inside them; not the mere first word of a sentence."""
    inner = {word.text for word in found if word.text[0].isupper() and word.start not in openings}
    for run in _runs(found, text):
        while run and (not run[-1].text[0].isupper() and not run[-1].text.isdigit()):
            run.pop()
        while run and run[0].text.lower() in _OPENERS:
            run.pop(0)
        if not run or not run[0].text[0].isupper():
            continue
        if len(run) == 1 and run[0].start in openings and run[0].text not in inner:
            continue
        yield _Phrase(tuple(run[:_MAX_PHRASE_WORDS]))


def _runs(found: Sequence[_Word], text: str) -> Iterator[list[_Word]]:
    run: list[_Word] = []
    for word in found:
        joined = bool(run) and text[run[-1].end : word.start] in _JOINTS
        if joined and _is_stop(text, run[-1], word):
            joined = False
        if joined and (word.is_name or word.text in _CONNECTORS):
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
            yield _Phrase((word,), _IS_YEAR)


def _titles(found: Sequence[_Word], view: View) -> dict[str, _Phrase]:
    """The titles of documents that stand in the text; of overlapping ones, the longest."""
    spans = {
        (first, last): phrase_name(word.text for word in found[first:last])
        for first, word in enumerate(found)
        if word.is_name
        for last in range(first + 1, min(first + _MAX_TITLE_WORDS, len(found)) + 1)
    }
    known = view.titled(list(dict.fromkeys(spans.values())))
    taken: set[int] = set()
    titles: dict[str, _Phrase] = {}
    for (first, last), name in sorted(spans.items(), key=lambda item: item[0][0] - item[0][1]):
        if name in known and not taken & set(range(first, last)):
            taken |= set(range(first, last))
            titles.setdefault(name, _Phrase(tuple(found[first:last]), _IS_TITLE))
    return titles
