"""What the passages answer, and how surely: spans that the reader found, weighed with what else speaks for them.

A reader's margin alone says little of a question that nothing answers: it was trained on passages that were found for
their words, and a passage of a like subject has a like answer. So its margin is weighed together with how far the
passage is about what was asked, and with whether the passages agree.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import exp
from typing import Final

from rag_graph.events import NumberedPassage
from rag_graph.models.embeddings import Embedder
from rag_graph.models.reading import ReadablePassage, Reader, Span
from rag_graph.retrieval.quotes import content_terms
from rag_graph.text.markup import blanked, document_sentences, unmarked
from rag_graph.text.sentences import Sentence
from rag_graph.text.terms import compounds, words

LIKELIEST: Final = 2
"""So many spans are weighed, those with the greatest margins: embedding their sentences takes time."""

LEAST_RIVAL: Final = -6.0
"""A second answer that the reader likes less than this is none."""

MOST_OF_ANOTHER: Final = 0.4
"""So sure at most of an answer from a passage about something else, or from a line of code, such as the reader was not
trained on: it may be possible, and is never given as sure."""

MOST_OF_REPEATED: Final = 0.3
"""So sure at most of an answer that only says words of the question: of seven on look-ups two were right."""

LEAST_NEAR: Final = 0.7
"""In a text about programs an answer is sure only where its own sentence, title and heading hold so many of the words
that were asked for: such pages set out many things of one kind one after the other, and the nearest is often wrong."""

_TECHNICAL: Final = re.compile(r"`|\w_\w|(?<!\S)--\w|\w\(\)|::")
_DIGIT: Final = re.compile(r"\d")
_AROUND: Final = "?!.,;:()[]{}\"'“”‘’«»`*"

WEIGHTS: Final = (-3.26, 1.48, 1.31, 1.06, 0.5, 0.98, 0.55, 1.6, -1.32, 0.15, 0.19)
""""The answer is right", by logistic regression on its signs, on the development half of look-ups."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What speaks for an answer or against it, each of about the same size."""

    margin: float
    """The reader's, a tenth of it."""
    lead: float
    """By how much it is before the best other answer, a tenth of it."""
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
    confidence: float

    @property
    def text(self) -> str:
        """As it is named: in one line, without Markdown's marks of code and emphasis."""
        return " ".join(re.sub(r"`|\*\*", "", blanked(self.passage.content)[self.start : self.end]).split())


def read_answers(
    question: str, passages: Sequence[NumberedPassage], reader: Reader, embedder: Embedder
) -> list[Answer]:
    """The likeliest answers in the passages, the surest first. Blocks while the models read."""
    spans = reader.read(question, [ReadablePassage(_about(passage), blanked(passage.content)) for passage in passages])
    spans = [span for span in spans if re.search(r"\w", span.text)]  # not the mark of a heading
    if not spans:
        return []
    asked = Asked.of(question)
    likeliest = spans[:LIKELIEST]
    held = [sentence_of(passages[span.passage].content, span.start, span.end) for span in likeliest]
    said = [
        f"{passages[span.passage].title}. {unmarked(passages[span.passage].content[item.start : item.end])}"
        for span, item in zip(likeliest, held, strict=True)
    ]
    closeness = embedder.embed(said) @ embedder.embed_query(question)
    found = []
    for span, sentence, close in zip(likeliest, held, closeness.tolist(), strict=True):
        passage = passages[span.passage]
        signs = _signs(span, spans, passage, sentence, asked, close)
        sure = 1 / (1 + exp(-sum(weight * sign for weight, sign in zip(WEIGHTS, signs.values, strict=True))))
        is_of_another = asked.is_of_another(passage) or asked.names_another(passage, sentence)
        is_loose = signs.near < LEAST_NEAR and _TECHNICAL.search(passage.content)
        if sentence.kind == "code" or is_of_another or is_loose:
            sure = min(sure, MOST_OF_ANOTHER)
        if signs.repeats:
            sure = min(sure, MOST_OF_REPEATED)
        found.append(Answer(passage, span.start, span.end, sentence, signs, sure))
    return sorted(found, key=lambda answer: -answer.confidence)


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
    """The words of a question: all that say something, of these the names, and whatever holds a digit as it stands."""

    terms: frozenset[str]
    names: frozenset[str]
    numbers: tuple[str, ...]
    identifiers: frozenset[str]

    @classmethod
    def of(cls, question: str) -> "Asked":
        found = [match[0] for match in words(question)]
        names = [
            word for place, word in enumerate(found) if (place and any(map(str.isupper, word))) or _DIGIT.search(word)
        ]
        numbers = [word.strip(_AROUND) for word in question.split() if _DIGIT.search(word)]
        return cls(
            content_terms(question),
            content_terms(" ".join(names)),
            tuple(map(_even, numbers)),
            frozenset(compounds(question)),
        )

    def is_of_another(self, passage: NumberedPassage) -> bool:
        """Whether a passage lacks a name or a number of the question: it is of something else, and only much like it.

        Of such passages 12 % of the answers were right on the development half, of all 34 %.
        """
        said = _even(f"{_about(passage)}\n{passage.content}")
        return bool(self.names - terms_of(passage)) or any(not _stands_in(number, said) for number in self.numbers)

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


def _even(text: str) -> str:
    """Without case, and without the signs that part thousands."""
    return re.sub(r"(?<=\d)[,\u2009\u202f](?=\d{3}\b)", "", text.casefold())


def _stands_in(number: str, text: str) -> bool:
    """Whether a number or identifier stands there whole: "3.1" is no part of "3.10", "X-1" none of "X-1-B"."""
    return re.search(rf"(?<!\w)(?<!\d[.-]){re.escape(number)}(?!\w|[.-]\w)", text) is not None


def terms_of(passage: NumberedPassage) -> frozenset[str]:
    return content_terms(f"{_about(passage)} {passage.content}")


def _signs(
    span: Span, spans: Sequence[Span], passage: NumberedPassage, held: Sentence, asked: Asked, close: float
) -> Signs:
    said = _plain(span.text)
    rivals = [other.margin for other in spans if not _same(said, _plain(other.text))]
    others = [other for other in spans if other.passage != span.passage and _same(said, _plain(other.text))]
    whole = terms_of(passage)
    sentence = content_terms(f"{_about(passage)} {passage.content[held.start : held.end]}")
    share = len(asked.terms) or 1
    return Signs(
        margin=max(-12.0, min(15.0, span.margin)) / 10,
        lead=max(-6.0, min(10.0, span.margin - max(LEAST_RIVAL, *rivals, LEAST_RIVAL))) / 10,
        agrees=float(any(other.margin > 0 for other in others)),
        covered=len(asked.terms & whole) / share,
        near=len(asked.terms & sentence) / share,
        apart=float(bool((asked.names & whole) - sentence)),
        close=close,
        rank=min(2, span.passage) / 2,
        repeats=float(content_terms(span.text) <= asked.terms),
        length=min(10, len(said.split())) / 10,
    )


def _plain(text: str) -> str:
    return re.sub(r"\b(?:the|a|an)\b", " ", " ".join(match[0].casefold() for match in words(text))).strip()


def _same(one: str, other: str) -> bool:
    return bool(one) and bool(other) and (f" {one} " in f" {other} " or f" {other} " in f" {one} ")
