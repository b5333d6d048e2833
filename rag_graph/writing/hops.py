"""Answers in two hops: what a question describes is read first, and then the question with its name in place.

"Where was the director of Jaws born?" asks two things. No passage answers it, and the likeliest span of any is who the
director is. So a part of the question that describes something by a name is asked by itself; what the passages name
for it is put in its place; and that question is read in the passages that hold the name. Each answer is one of
`rag_graph.writing.reading`, as sure as both of them.

O. Press and others, "Measuring and Narrowing the Compositionality Gap in Language Models", 2023, let a language model
find the parts; here they are found by the question's words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rag_graph.events import NumberedPassage
from rag_graph.models.embeddings import Embedder
from rag_graph.models.reading import Reader
from rag_graph.retrieval.quotes import content_terms
from rag_graph.writing.reading import Answer, read_answers, terms_of

MOST_READ: Final = 4
"""Passages for each of the two questions: those that hold the most of its words."""

MOST_DESCRIPTIONS: Final = 8
"""So many are asked for, the shortest first: each takes up to a quarter of a second. One of 400 questions has more."""

LONGEST_QUESTION: Final = 300
"""Characters; the reader sees the first hundred or so, and what may be described grows with the square."""

LEAST_LINK: Final = 0.3
"""A less sure link makes no sure answer, and needs no second reading."""

LONGEST_NAME: Final = 60
"""Characters of what is put in place of a description; what is longer is no name."""

_SMALL: Final = re.compile(
    r"(?:\s|&|\b(?:a|an|and|at|da|de|del|der|di|du|for|in|la|le|of|on|the|to|van|von)\b)*", re.IGNORECASE
)
"""What stands between the words of a name."""
_DESCRIBES: Final = re.compile(r"\b(?:the|an?)\s(?=[a-z])")
_OWNED: Final = re.compile(r"(?<=\w)['’]s?\s([a-z][\w-]*)(\s(?:of\s)?[a-z][\w-]*)?")
_OPEN_END: Final = re.compile(r"(?:,|['’]s?|\s(?:of|in|at|on|by|from|is|was|are|were))$")
_POSSESSIVE: Final = re.compile(r"['’]s?\b")
_ASKS: Final = re.compile(r"\b(?:who|whom|whose|what|which|when|where|how)\b", re.IGNORECASE)
_CHOOSES: Final = re.compile(r",.*\bor\b", re.DOTALL)
_SAYS_NOTHING: Final = content_terms("name title called")
"""Asked "what is the name of the director of Jaws", who the director is is the answer, and no link to it."""


@dataclass(frozen=True, slots=True)
class TwoHops:
    """An answer, and the one before it that led there."""

    link: Answer
    answer: Answer

    @property
    def confidence(self) -> float:
        return self.link.confidence * self.answer.confidence


@dataclass(frozen=True, slots=True)
class Description:
    """`question[start:end]` tells of something by a name, and does not name it."""

    question: str
    start: int
    end: int

    @property
    def asked(self) -> str:
        return f"Who or what is {self.question[self.start : self.end]}?"

    def named(self, name: str) -> str:
        """The question with this in its place."""
        return f"{self.question[: self.start]}{name}{self.question[self.end :]}?"


def read_two_hops(
    question: str, passages: Sequence[NumberedPassage], reader: Reader, embedder: Embedder
) -> TwoHops | None:
    """The surest answer in two hops, or none. Blocks while the models read: twice for each description."""
    asked = content_terms(question)
    found: list[TwoHops] = []
    for description in descriptions(question):
        near = _with_most(content_terms(description.asked), passages)
        for link in read_answers(description.asked, near, reader, embedder)[:1]:
            name = content_terms(link.text)
            if link.confidence < LEAST_LINK or len(link.text) > LONGEST_NAME or name <= asked:
                continue
            following = description.named(link.text)
            naming = [passage for passage in passages if name <= terms_of(passage)]
            answers = read_answers(following, _with_most(content_terms(following), naming), reader, embedder)
            # What only says again what was asked, or the link, leads nowhere.
            new = [
                answer
                for answer in answers
                if not (content_terms(answer.text) <= asked | name or _overlap(link, answer))
            ]
            found += [TwoHops(link, answer) for answer in new[:1]]
    return max(found, key=lambda hops: hops.confidence, default=None)


def _overlap(one: Answer, other: Answer) -> bool:
    return one.passage.number == other.passage.number and one.start < other.end and other.start < one.end


def descriptions(question: str) -> list[Description]:
    """The parts of a question that may stand for something else: "the director of Jaws", "Ann Lee's father"."""
    asked = question.rstrip(" ?.")
    if len(asked) > LONGEST_QUESTION or _CHOOSES.search(asked):
        return []
    return sorted(_described(asked), key=lambda one: one.end - one.start)[:MOST_DESCRIPTIONS]


def _described(asked: str) -> Iterator[Description]:
    names = _names(asked)
    for start, end in dict.fromkeys(_places(asked, names)):
        held = [asked[first:last] for first, last in names if start <= first and last <= end]
        said = content_terms(asked[start:end]) - content_terms(" ".join(held))
        rest = f"{asked[:start]} {asked[end:]}"
        left = content_terms(rest) - _SAYS_NOTHING
        is_open = _OPEN_END.search(asked[start:end]) or _POSSESSIVE.match(asked, end)
        if held and said and left and _ASKS.search(rest) and not is_open:
            yield Description(asked, start, end)


def _places(asked: str, names: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for match in _OWNED.finditer(asked):
        for start, end in names:
            if start < match.start() <= end:
                yield from ((start, match.end(group)) for group in (1, 2) if match[group])
    for match in _DESCRIBES.finditer(asked):
        ends = [end for start, end in names if start > match.start()]
        # A clause that tells of the name may follow it: "the city where the museum is located".
        yield from ((match.start(), end) for end in (*ends, *([len(asked)] if ends else [])))


def _names(asked: str) -> list[tuple[int, int]]:
    """Runs of words with a capital or a digit, small words between them included; the first word counts for none."""
    runs: list[tuple[int, int]] = []
    for word in list(re.finditer(r"\S+", asked))[1:]:
        first = next(filter(str.isalnum, word[0]), "")
        if first.isupper() or first.isdigit():
            if runs and _SMALL.fullmatch(asked, runs[-1][1], word.start()):
                runs[-1] = (runs[-1][0], word.end())
            else:
                runs.append(word.span())
    return runs


def _with_most(asked: frozenset[str], passages: Sequence[NumberedPassage]) -> list[NumberedPassage]:
    """Those with the most of these words, and at least half of them; of equals the better found."""
    held = [(len(asked & terms_of(passage)), passage) for passage in passages]
    best = sorted((one for one in held if 2 * one[0] >= len(asked)), key=lambda one: -one[0])
    return [passage for _, passage in best[:MOST_READ]]
