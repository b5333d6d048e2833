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
from rag_graph.models.reading import ReadablePassage, Reader, Span
from rag_graph.retrieval.quotes import content_terms
from rag_graph.text.sentences import Sentence, sentences
from rag_graph.text.terms import words

LEAST_RIVAL: Final = -6.0
"""A second answer that the reader likes less than this is none."""


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
    lacking: float
    """Whether names and numbers of the question are missing from passage and title: none, one, two or more."""
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
        return " ".join(self.passage.content[self.start : self.end].split())


WEIGHTS: Final = (-3.0, 4.0, 1.0, 0.5, 1.0, 1.0, -0.5, 0.0, -2.0, 0.0)


def read_answers(question: str, passages: Sequence[NumberedPassage], reader: Reader) -> list[Answer]:
    """The answers in the passages, best first. Blocks while the reader reads."""
    spans = reader.read(question, [ReadablePassage(_about(passage), passage.content) for passage in passages])
    asked = content_terms(question)
    named = _named(question)
    found = []
    for span in spans:
        passage = passages[span.passage]
        held = sentence_of(passage.content, span.start, span.end)
        signs = _signs(span, spans, passages, held, asked, named)
        found.append(Answer(passage, span.start, span.end, held, signs, _confidence(signs)))
    return sorted(found, key=lambda answer: -answer.confidence)


def _about(passage: NumberedPassage) -> str:
    """What a passage is about: its title, and the last of the headings that it stands under."""
    heading = passage.heading[-1] if passage.heading else ""
    return f"{passage.title}. {heading}" if heading and heading != passage.title else passage.title


def sentence_of(content: str, start: int, end: int) -> Sentence:
    """The sentence, row or line that holds a span; where it reaches over several, from the first to the last."""
    held = [item for item in sentences(content) if item.start < end and start < item.end]
    if not held:
        return Sentence(start, end)
    return Sentence(min(start, held[0].start), max(end, held[-1].end), held[0].kind)


def _signs(
    span: Span,
    spans: Sequence[Span],
    passages: Sequence[NumberedPassage],
    held: Sentence,
    asked: frozenset[str],
    named: frozenset[str],
) -> Signs:
    passage = passages[span.passage]
    said = _plain(span.text)
    rivals = [other for other in spans if not _same(said, _plain(other.text))]
    others = [other for other in spans if other.passage != span.passage and _same(said, _plain(other.text))]
    best = max((other.margin for other in rivals), default=LEAST_RIVAL)
    title, whole = content_terms(_about(passage)), content_terms(passage.content)
    sentence = content_terms(passage.content[held.start : held.end])
    share = len(asked) or 1
    return Signs(
        margin=max(-12.0, min(15.0, span.margin)) / 10,
        lead=max(-6.0, min(10.0, span.margin - max(LEAST_RIVAL, best))) / 10,
        agrees=float(any(other.margin > 0 for other in others)),
        covered=len(asked & (title | whole)) / share,
        near=len(asked & (title | sentence)) / share,
        lacking=min(2, len(named - title - whole)) / 2,
        rank=min(2, span.passage) / 2,
        repeats=float(content_terms(span.text) <= asked),
        length=min(10, len(said.split())) / 10,
    )


def _confidence(signs: Signs) -> float:
    """How likely the answer is right, from 0 to 1."""
    return 1 / (1 + exp(-sum(weight * sign for weight, sign in zip(WEIGHTS, signs.values, strict=True))))


def _named(question: str) -> frozenset[str]:
    """The terms of its names and numbers: what begins with a capital or holds a digit, but for its first word."""
    found = list(words(question))
    return frozenset(
        term
        for place, match in enumerate(found)
        if any(char.isdigit() for char in match[0]) or (place and match[0][0].isupper())
        for term in content_terms(match[0])
    )


def _plain(text: str) -> str:
    return re.sub(r"\b(?:the|a|an)\b", " ", " ".join(match[0].casefold() for match in words(text))).strip()


def _same(one: str, other: str) -> bool:
    return bool(one) and bool(other) and (f" {one} " in f" {other} " or f" {other} " in f" {one} ")
