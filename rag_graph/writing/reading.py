"""What the passages answer, and how surely: spans that the reader found, weighed with what else speaks for them.

A reader's margin alone says little of a question that nothing answers: it was trained on passages that were found for
their words, and a passage of a like subject has a like answer. So its margin is weighed together with how far the
passage is about what was asked, and with whether the passages agree.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import exp
from typing import Final

from rag_graph.claims.statements import NUMBER_WORDS
from rag_graph.events import NumberedPassage
from rag_graph.models.embeddings import Embedder
from rag_graph.models.reading import ReadablePassage, Reader, Span
from rag_graph.retrieval.quotes import content_terms, is_header
from rag_graph.text.markup import blanked, document_sentences, unmarked
from rag_graph.text.sentences import Sentence
from rag_graph.text.terms import compounds, stems, words
from rag_graph.writing.naming import told_otherwise

LIKELIEST: Final = 2
"""So many spans are weighed, those with the greatest margins: embedding their sentences takes time."""

MOST_MARGIN: Final = 30.0
"""Far over any that was seen, so that no weights make the sum overflow."""

MOST_OF_ANOTHER: Final = 0.4
"""So sure at most of an answer from a passage about something else, or from a line of code, such as the reader was not
trained on: it may be possible, and is never given as sure."""

MOST_OF_REPEATED: Final = 0.3
"""So sure at most of an answer that only says words of the question: of seven on look-ups two were right."""

MOST_OF_UNCOUNTED: Final = 0.4
"""So sure at most of an answer to "how many" that is no number, such as "HTTP/1.1": of 3 on look-ups none was right.
And of one to "how much" and the like that is two."""

LEAST_NEAR: Final = 0.7
"""In a text about programs an answer is sure only where its own sentence, title and heading hold so many of the words
that were asked for: such pages set out many things of one kind one after the other, and the nearest is often wrong."""

LEAST_OF_PROGRAMS: Final = 0.85
"""And only from this confidence on: of 131 questions over six manuals 13 had such an answer, 10 of them a right one;
of the 4 between the threshold for all texts and this one 1 was."""

_LITTLE = (
    "is|was|are|were|did|do|does|has|have|had|can|could|will|would|shall|should|may|might|must|be|been|being"
    "|of|in|on|for|to|the|an?|at|by|from|with|and|or|that|it|its|he|she|they|you|i|we"
)
_SORT: Final = re.compile(
    r"\b(?:what|which|how\s+(?:many|much))(?:(?:['’]s|\s+(?:is|was|are|were))\s+(?:the|an?))?"
    rf"(?P<sort>(?:\s+(?!(?:{_LITTLE})\b)[\w'’-]+){{1,3}})",
    re.IGNORECASE,
)
"""What sort of thing is asked for: "tribe" in "which tribe did she belong to", "name" in "what is the name of"."""

BESIDE: Final = 3
"""So many words before and behind an answer are beside it: of 2, 3, 4 and 5 the last told less."""

_ASKS_FOR_A_NUMBER: Final = re.compile(r"\bhow\s+many\b", re.IGNORECASE)
_ASKS_HOW_MUCH: Final = re.compile(r"\bhow\s+(?!many\b)\w+", re.IGNORECASE)
_TWO_FIGURES: Final = re.compile(r"(?<!\w)\d\S*(?:\s+[^\W\d]+){2,},?\s+(?:and|but|or)\s+(?:\w+\s+){0,2}\d")
"""As "8 euros for adults and 5 euros", of which one is asked for; "3 hours and 20 minutes" is one."""
_COUNTED: Final = re.compile(
    r"(?<![\w/.-])\d|\b(?:no|none|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty"
    r"|thirty|forty|fifty|sixty|seventy|eighty|ninety|dozens?|hundreds?|thousands?|millions?|billions?|trillions?|half"
    r"|thirds?|quarters?|all|both|each|every|several|many|few|most|an?|single|once|twice|unlimited|any)\b",
    re.IGNORECASE,
)
"""A number or what says as much; one within a name, as in "HTTP/1.1" or "gpt-4", counts nothing."""

_ASKS_FOR_A_FIGURE: Final = re.compile(r"\b(?:how|number|amount|percentage|share)\b", re.IGNORECASE)
_NUMBER_ONLY: Final = re.compile(rf"\d+|one|several|many|few|{'|'.join(NUMBER_WORDS)}", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"\[\d{1,3}\]")
_NEAR_CHARS: Final = 40
_NEXT_ITEM: Final = re.compile(r"\s*\n[ \t>]*(?:[-*+•–]|\d{1,3}[.)])[ \t]")
_TECHNICAL: Final = re.compile(r"`[^`\n]+`|\w_\w|(?<!\S)--\w|\w\(\)|::")
_KEYED: Final = re.compile(r"[*_`]{0,3}[^\W_][\w ./()-]{0,38}[*_`]{0,3}:[*_`]{0,3}\s")
_KEY_PARTED: Final = re.compile(r"[:|]")
_NAMING_TERMS: Final = 2
_DIGIT: Final = re.compile(r"\d")
_OWNING: Final = re.compile(r"['’]s$")
_DASHES: Final = str.maketrans("‐‑–—", "----")
_AROUND: Final = "?!.,;:()[]{}\"'“”‘’«»`*"

WEIGHTS: Final = (-3.85, 0.95, 2.52, 0.73, 0.77, 0.54, 0.46, 1.38, -1.46, 0.01, 0.0, 0.54)
""""The answer is right", by logistic regression on its signs, on 700 look-ups of the development half, each
asked with an answer and without one."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What speaks for an answer or against it, each of about the same size."""

    alone: float
    """The reader's margin when it is shown the answer's sentence alone, a tenth of it."""
    share: float
    """Of all that the reader likes in the passages, how much says this."""
    agrees: float
    """Whether another passage gives the same answer."""
    covered: float
    """The share of the question's words that the passage and its title hold."""
    near: float
    """The share that the answer's own sentence and the title hold."""
    apart: float
    """Whether a name of the question stands in the passage, but not in the answer's sentence or the title."""
    close: float
    """How near the sentence is to the question by meaning."""
    rank: float
    """Where the search put the passage: 0, half, 1."""
    repeats: float
    """Whether the answer only says words of the question."""
    length: float
    """Words of the answer, a tenth of them."""
    sort: float
    """Whether a word for the sort of thing that is asked for is in the answer or beside it."""

    @property
    def values(self) -> tuple[float, ...]:
        """All of them, behind a 1 for what is always there."""
        return (1.0, *(getattr(self, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Answer:
    """A span of a passage that may answer, and the sentence that holds it, as places in the passage's content."""

    passage: NumberedPassage
    start: int
    end: int
    sentence: Sentence
    signs: Signs
    most: float
    """So sure at most, whatever its signs say."""

    @property
    def confidence(self) -> float:
        return confidence(self.signs.values, self.most)

    @property
    def text(self) -> str:
        """As it is named: in one line, without Markdown's marks of code and emphasis."""
        return " ".join(re.sub(r"`|\*\*", "", blanked(self.passage.content)[self.start : self.end]).split())


def read_answers(
    question: str, passages: Sequence[NumberedPassage], reader: Reader, embedder: Embedder
) -> list[Answer]:
    """The likeliest answers in the passages, the surest first. Blocks while the models read."""
    spans = reader.read(question, [ReadablePassage(_about(passage), blanked(passage.content)) for passage in passages])
    asked = Asked.of(question)
    spans = [_within_row(span, passages[span.passage].content) for span in spans]
    spans = [span for span in spans if asked.may_mean(passages[span.passage].content, span)]
    if not spans:
        return []
    likeliest = spans[:LIKELIEST]
    held = [sentence_of(passages[span.passage].content, span.start, span.end) for span in likeliest]
    said = [
        f"{passages[span.passage].title}. {unmarked(passages[span.passage].content[item.start : item.end])}"
        for span, item in zip(likeliest, held, strict=True)
    ]
    closeness = embedder.embed(said) @ embedder.embed_query(question)
    alone = _read_alone(question, passages, likeliest, held, reader)
    found = []
    for span, sentence, close, margin in zip(likeliest, held, closeness.tolist(), alone, strict=True):
        passage = passages[span.passage]
        signs = _signs(span, spans, passage, sentence, asked, close, margin)
        most = _most(passage, sentence, signs, asked)
        is_of_two = _ASKS_HOW_MUCH.search(question) and _TWO_FIGURES.search(passage.content, span.start, span.end)
        if is_of_two or (
            _ASKS_FOR_A_NUMBER.search(question) and not _COUNTED.search(passage.content, span.start, span.end)
        ):
            most = min(most, MOST_OF_UNCOUNTED)
        found.append(Answer(passage, span.start, span.end, sentence, signs, most))
    return sorted(found, key=lambda answer: -answer.confidence)


def _read_alone(
    question: str,
    passages: Sequence[NumberedPassage],
    spans: Sequence[Span],
    held: Sequence[Sentence],
    reader: Reader,
) -> list[float]:
    """The margins of spans in their sentences alone: a second look, which what stands around them cannot sway."""
    shown = [
        ReadablePassage(_about(passage), blanked(passage.content)[item.start : item.end])
        for passage, item in zip((passages[span.passage] for span in spans), held, strict=True)
    ]
    places = [(span.start - item.start, span.end - item.start) for span, item in zip(spans, held, strict=True)]
    return reader.weigh(question, shown, places)


def confidence(signs: Sequence[float], most: float, weights: Sequence[float] = WEIGHTS) -> float:
    """How surely an answer with these signs is right, 0 to 1."""
    return min(most, 1 / (1 + exp(-sum(weight * sign for weight, sign in zip(weights, signs, strict=True)))))


def _most(passage: NumberedPassage, sentence: Sentence, signs: Signs, asked: "Asked") -> float:
    """How sure an answer may be at most: what the reader was not trained on is known from elsewhere than its signs."""
    if signs.repeats:
        return MOST_OF_REPEATED
    is_of_another = asked.is_of_another(passage) or asked.names_another(passage, sentence)
    is_unsure = signs.near < LEAST_NEAR or confidence(signs.values, 1.0) < LEAST_OF_PROGRAMS
    is_loose = is_unsure and _TECHNICAL.search(passage.content)
    return MOST_OF_ANOTHER if sentence.kind == "code" or is_of_another or is_loose else 1.0


def _about(passage: NumberedPassage) -> str:
    """What a passage is about: its title, and the last of the headings that it stands under."""
    heading = passage.heading[-1] if passage.heading else ""
    return f"{passage.title}. {heading}" if heading and heading != passage.title else passage.title


def sentence_of(content: str, start: int, end: int) -> Sentence:
    """The sentence, row or line that holds a span; where it reaches over several, from the first to the last."""
    held = [item for item in document_sentences(content) if item.start < end and start < item.end]
    if not held:
        return Sentence(start, end)
    return Sentence(min(start, held[0].start), max(end, held[-1].end), held[0].kind)


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a question that say something, by what they are."""

    question: str
    terms: frozenset[str]
    names: frozenset[str]
    numbers: tuple[str, ...]
    """Whatever holds a digit, as it stands."""
    identifiers: frozenset[str]
    sort: frozenset[str]
    """Those for the sort of thing that is asked for."""

    @classmethod
    def of(cls, question: str) -> "Asked":
        found = [match[0] for match in words(question)]
        names = [
            word for place, word in enumerate(found) if (place and any(map(str.isupper, word))) or _DIGIT.search(word)
        ]
        numbers = [_OWNING.sub("", word.strip(_AROUND)) for word in question.split() if _DIGIT.search(word)]
        sort = _SORT.search(question)
        return cls(
            question,
            content_terms(question),
            content_terms(" ".join(names)),
            tuple(map(_even, numbers)),
            frozenset(compounds(question)),
            content_terms(sort["sort"]) if sort else frozenset(),
        )

    def is_of_another(self, passage: NumberedPassage) -> bool:
        """Whether a passage lacks a name or a number of the question: it is of something else, and only much like it.

        Of such passages 12 % of the answers were right on the development half, of all 34 %.
        """
        text = f"{_about(passage)}\n{passage.content}"
        said = _even(text)
        lacking = {*(self.names - terms_of(passage)), *(it for it in self.numbers if not _stands_in(it, said))}
        return bool(lacking) and not lacking <= told_otherwise(self.question, text)

    def may_mean(self, content: str, span: Span) -> bool:
        """Whether a span says something, of the row that was asked for, and does not only count what is asked for."""
        # The mark of a heading says nothing; a number in brackets is that of a note or a source.
        if not re.search(r"\w", span.text) or _REFERENCE.fullmatch(content, span.start, span.end):
            return False
        return not self._only_counts(content, span) and not self.is_of_another_row(content, span)

    def _only_counts(self, content: str, span: Span) -> bool:
        """Whether a span is "three" of "three states" where the question is "which states"."""
        if not _NUMBER_ONLY.fullmatch(content, span.start, span.end) or _ASKS_FOR_A_FIGURE.search(self.question):
            return False
        behind = next(words(content[span.end : span.end + _NEAR_CHARS]), None)
        return behind is not None and not self.sort.isdisjoint(stems(behind[0]))

    def is_of_another_row(self, content: str, span: Span) -> bool:
        """Whether a span is in one row or keyed line, and what the question names in another one only.

        That is a number or a code, the words of a key, or any two words of the question.
        """
        rows = _rows(content)
        own = next((item for item in rows if item.start <= span.start and span.end <= item.end), None)
        if own is None:
            return _is_in_header(content, span)
        said = {item: _even(content[item.start : item.end]) for item in rows}
        keys = {item: content_terms(_KEY_PARTED.split(words, maxsplit=1)[0]) for item, words in said.items()}
        held = {item: len(self.terms & content_terms(words)) for item, words in said.items()}
        is_named = any(key and key <= self.terms for key in keys.values())
        if (not held[own] and max(held.values()) >= _NAMING_TERMS) or (is_named and not keys[own] & self.terms):
            return True
        return any(
            not _stands_in(number, said[own]) and any(_stands_in(number, theirs) for theirs in said.values())
            for number in self.numbers
        )

    def names_another(self, passage: NumberedPassage, held: Sentence) -> bool:
        """Whether the question asks for an identifier, and the answer's sentence tells of others and not of it.

        A passage mostly speaks of several, as where `CHUNK_SIZE` is asked for and `CHUNK_MIN_SIZE=1000` stands beside.
        """
        if not self.identifiers:
            return False
        told = compounds(passage.content[held.start : held.end])
        # "Default: `None`" is of the setting named last before it.
        told = told or compounds("\n".join((*passage.heading, passage.content[: held.start])))[-1:]
        return bool(told) and self.identifiers.isdisjoint(told)


@lru_cache(maxsize=32)
def _rows(content: str) -> tuple[Sentence, ...]:
    """The rows of tables, and lines that begin as "E2: lid open" does: each is about a thing of its own.

    Kept, as every span of a passage asks for them.
    """
    return tuple(
        item
        for item in document_sentences(content)
        if (item.kind == "row" and not is_header(content, item)) or _KEYED.match(content, item.start)
    )


def _is_in_header(content: str, span: Span) -> bool:
    if "|" not in content:
        return False
    held = (item for item in document_sentences(content) if item.start <= span.start and span.end <= item.end)
    return any(is_header(content, item) for item in held)


def _within_row(span: Span, content: str) -> Span:
    """A span that goes on into the next row, keyed line or item of a list, as far as its own."""
    if "\n" not in content[span.start : span.end]:
        return span
    ends = [row.end for row in _rows(content) if row.start <= span.start < row.end < span.end]
    ends += [match.start() for match in [_NEXT_ITEM.search(content, span.start, span.end)] if match]
    return replace(span, end=min(ends), text=content[span.start : min(ends)]) if ends else span


def _even(text: str) -> str:
    """Without case, without the signs that part thousands, and with one sign for all dashes."""
    return re.sub(r"(?<=\d)[,\u2009\u202f](?=\d{3}\b)", "", text.casefold().translate(_DASHES))


def _stands_in(number: str, text: str) -> bool:
    """Whether a number or identifier stands there whole: "3.1" is no part of "3.10", "X-1" none of "X-1-B"."""
    return re.search(rf"(?<!\w)(?<!\d[.-]){re.escape(number)}(?!\w|[.-]\w)", text) is not None


def terms_of(passage: NumberedPassage) -> frozenset[str]:
    return content_terms(f"{_about(passage)} {passage.content}")


def _signs(
    span: Span,
    spans: Sequence[Span],
    passage: NumberedPassage,
    held: Sentence,
    asked: Asked,
    close: float,
    alone: float,
) -> Signs:
    said = _plain(span.text)
    same = [other for other in spans if other is span or _same(said, _plain(other.text))]
    whole = terms_of(passage)
    sentence = content_terms(f"{_about(passage)} {passage.content[held.start : held.end]}")
    share = len(asked.terms) or 1
    return Signs(
        alone=max(-12.0, min(15.0, alone)) / 10,
        share=sum(map(_liking, same)) / (1 + sum(map(_liking, spans))),
        agrees=float(any(other.margin > 0 and other.passage != span.passage for other in same)),
        covered=len(asked.terms & whole) / share,
        near=len(asked.terms & sentence) / share,
        apart=float(bool((asked.names & whole) - sentence)),
        close=close,
        rank=min(2, span.passage) / 2,
        repeats=float(content_terms(span.text) <= asked.terms),
        length=min(10, len(said.split())) / 10,
        sort=float(bool(asked.sort & content_terms(_with_beside(passage.content, span.start, span.end)))),
    )


def _with_beside(content: str, start: int, end: int) -> str:
    """A span with the words around it."""
    found = list(words(content))
    inside = [at for at, word in enumerate(found) if word.start() < end and start < word.end()]
    if not inside:
        return ""
    beside = found[max(0, inside[0] - BESIDE) : inside[-1] + BESIDE + 1]
    return " ".join(word[0] for word in beside)


def _liking(span: Span) -> float:
    """How much the reader likes a span, where an even chance that it does not answer is 1.

    Half the margin, for that of a reader so small is surer than right.
    """
    return exp(min(MOST_MARGIN, span.margin) / 2)


def _plain(text: str) -> str:
    return re.sub(r"\b(?:the|a|an)\b", " ", " ".join(match[0].casefold() for match in words(text))).strip()


def _same(one: str, other: str) -> bool:
    return bool(one) and bool(other) and (f" {one} " in f" {other} " or f" {other} " in f" {one} ")
