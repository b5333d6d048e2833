"""The writer without a language model: it names what its reader found, quotes the sentence, and else says so.

Nothing that it says is made up: an answer is a stretch of a passage, shown within its sentence. How sure the reader has
to be was chosen on development data; what came of it on other data stands in the model's card.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from langchain_core.runnables import RunnableConfig

from rag_graph.events import AnswerDelta, Citation, Emit, NumberedPassage, Version
from rag_graph.models.embeddings import Embedder
from rag_graph.models.reading import Reader
from rag_graph.retrieval.languages import unread_language
from rag_graph.retrieval.quotes import LONGEST_QUOTE_CHARS, Quote, QuoteChoice, Weights, content_terms
from rag_graph.text.languages import PRONOUNS
from rag_graph.text.sentences import sentences
from rag_graph.writing.contract import Assignment, Verdict
from rag_graph.writing.reading import Answer, read_answers

SURE: Final = 0.7
"""From this confidence on an answer is given: of those on the development half of look-ups 90 % were right."""

POSSIBLE: Final = 0.17
"""From this confidence on it is shown as possible; below, it is said that no answer was found.

On the development half that was said of 91 % of the questions without an answer and 11 % of those with one."""

BEARS: Final = 0.38
"""From this score on a pair of sentences is shown as what the documents say on a question that no short span answers.

Of 13 questions that a library of 62 documents answers 11 had at least 0.44, of 12 others 11 at most 0.32."""

FEWER_EMBEDDED: Final = Weights(embedded=16)
"""The reader of the answer waits for this, and half as many sentences take half the time."""

MOST_ITEMS: Final = 6
NO_ANSWER: Final = "No answer was found in the documents: nothing that came up answers this question."
"""Only what a search brought up was read, so that nothing is said of what the documents hold."""
_READ_FROM: Final = " — read from "
_POSSIBLE: Final = "Perhaps "
_NOT_SURE: Final = " — not certain, so judge by what they say."
_SAYS: Final = "What the documents say on this:"

_ASKS_FOR_A_SPAN = re.compile(
    r"\b(?:who|whom|whose|when|where|which|what|name|how\s+(?:many|much|long|old|far|tall|high|large|big|deep|wide|fast"
    r"|often|late|early|heavy|soon))\b",
    re.IGNORECASE,
)
_ASKS_YES_OR_NO = re.compile(
    r"^\W*(?:is|are|was|were|am|do|does|did|can|could|has|have|had|will|would|shall|should|may|might|must)\b",
    re.IGNORECASE,
)
_ASKS_WHAT_IS_SAID = re.compile(
    r"\bwhat\b.*\b(?:say|says|said|tell|tells|told|written|write|writes|known|mention|mentions|mentioned|explain|explains)\s+"
    r"(?:about|of|on)\b(?P<subject>.*)",
    re.IGNORECASE | re.DOTALL,
)
"""No short span is the answer, and only what speaks of the subject is."""
_ASKS_FOR_SEVERAL = re.compile(
    r"\b(?:which|what|name|list)\s+(?:all\s+)?(?:the\s+)?(?:\w+\s+){0,2}?\w+[^s\W]s\b|\bwho\s+(?:are|were)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class QuotingWriter:
    """Answers in the words of the documents, without a language model."""

    embedder: Embedder
    reader: Reader

    async def write(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> None:  # noqa: ARG002 - contract
        finding = await asyncio.to_thread(self._find, assignment)
        page = _Page(assignment.version, emit)
        if finding.sure:
            await page.answers(finding.sure)
        elif finding.possible:
            await page.possibly(finding.possible)
        elif finding.bearing:
            await page.says(finding.bearing)
        elif finding.is_unread:
            await page.nothing()
        else:
            await page.nothing()
            await page.nearest(await asyncio.to_thread(self._nearest, assignment.question, assignment.passages))

    async def review(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> Verdict:  # noqa: ARG002 - contract
        """Refine when the draft had no sure answer and the new passages hold one.

        A sure answer is never given up for another: where that was tried, it made 9 of 20 worse and none better.
        """
        if not _is_open(assignment.draft):
            return Verdict(refine=False, reason="The first answer quotes what answers the question")
        finding = await asyncio.to_thread(self._find, assignment)
        found = [(answer.passage, f"says “{answer.text}”") for answer in finding.sure]
        if not found and assignment.draft.startswith(NO_ANSWER):
            found = [(quote.passage, "bears on the question") for quote in finding.bearing]
        for passage, what in found:
            if passage.number in assignment.new_passages:
                return Verdict(refine=True, reason=f"“{passage.title}” {what}")
        return Verdict(refine=False, reason="What was found since holds no sure answer either")

    def _find(self, assignment: Assignment) -> "_Finding":
        question = assignment.question
        if unread_language(question, (passage.content for passage in assignment.passages), self.embedder):
            return _Finding(is_unread=True)
        said_of = _ASKS_WHAT_IS_SAID.search(question)
        if said_of:
            return _Finding(bearing=self._said_of(said_of["subject"], assignment.passages))
        if _ASKS_YES_OR_NO.match(question) or not _ASKS_FOR_A_SPAN.search(question):
            return _Finding(bearing=_bearing(self._nearest(question, assignment.passages)))
        answers = read_answers(question, assignment.passages, self.reader, self.embedder)
        sure = [answer for answer in answers if answer.confidence >= SURE]
        if sure:
            several = bool(_ASKS_FOR_SEVERAL.search(question))
            return _Finding(sure=tuple(_together(sure)[:MOST_ITEMS] if several else sure[:1]))
        return _Finding(possible=tuple([answer for answer in answers if answer.confidence >= POSSIBLE][:2]))

    def _said_of(self, subject: str, passages: Sequence[NumberedPassage]) -> tuple[Quote, ...]:
        """What stands under headings that name a subject; without one, what bears on it and has half of its words."""
        asked = content_terms(subject)
        if asked and (named := [one for one in passages if asked <= content_terms("\n".join(_above(one)))]):
            return self._nearest(subject, named)
        speaking = [
            one
            for one in passages
            if 2 * len(asked & content_terms("\n".join((*_above(one), one.content)))) >= len(asked)
        ]
        return _bearing(self._nearest(subject, speaking))

    def _nearest(self, question: str, passages: Sequence[NumberedPassage]) -> tuple[Quote, ...]:
        """The pair of sentences that is nearest to the question; blocks while embedding."""
        return QuoteChoice(question, passages, self.embedder, weights=FEWER_EMBEDDED).best()


@dataclass(frozen=True, slots=True)
class _Finding:
    """What answers, surely or possibly, or bears on a question that no short span answers; else nothing does."""

    sure: tuple[Answer, ...] = ()
    possible: tuple[Answer, ...] = ()
    bearing: tuple[Quote, ...] = ()
    is_unread: bool = False
    """The question is in a language that neither model reads: whatever they found would be by chance."""


def _bearing(quotes: tuple[Quote, ...]) -> tuple[Quote, ...]:
    return quotes if quotes and quotes[0].score >= BEARS else ()


def _above(passage: NumberedPassage) -> tuple[str, ...]:
    return (passage.title, *passage.heading)


def _together(answers: Sequence[Answer]) -> list[Answer]:
    """Those of the best answer's passage, in the order in which they stand there."""
    first = answers[0]
    held = [answer for answer in answers if answer.passage.number == first.passage.number]
    said: dict[str, Answer] = {}
    for answer in sorted(held, key=lambda answer: answer.start):
        said.setdefault(answer.text.casefold(), answer)
    return list(said.values())


def _is_open(draft: str) -> bool:
    """Whether a draft of this writer gave no sure answer."""
    return draft.startswith((NO_ANSWER, _POSSIBLE))


_SHORT = re.compile(rf"(?:{_POSSIBLE})?(.*?)(?:{_READ_FROM}|{re.escape(_NOT_SURE)})", re.DOTALL)


def short_answer(answer: str) -> str:
    """What an answer of this writer names, nothing where it names nothing; of other writers' all but the markers."""
    if answer.startswith(NO_ANSWER):
        return ""
    said = _SHORT.match(answer)
    return said[1] if said else re.sub(r"\s?\[\d+]", "", answer)


class _Page:
    """The answer as it is written down."""

    def __init__(self, version: Version, emit: Emit) -> None:
        self._version = version
        self._emit = emit
        self._length = 0

    async def answers(self, answers: Sequence[Answer]) -> None:
        first = answers[0]
        marker = first.passage.number
        names = [answer.text for answer in answers]
        named = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        await self._write(f"{named}{_READ_FROM}[{marker}]:")
        at = 0
        for answer, name in zip(answers, names, strict=True):
            end = at + len(name) if len(answers) > 1 else self._length - 1
            await self._emit(self._citation(_quote_of(answer), at, end))
            at += len(name) + len(", " if answer is not answers[-2:][0] else " and ")
        await self._quotes(_distinct(map(_quote_of, answers)))

    async def possibly(self, answers: Sequence[Answer]) -> None:
        await self._write(f"{_POSSIBLE}{answers[0].text}{_NOT_SURE}")
        await self._quotes(_distinct(map(_quote_of, answers)))

    async def says(self, quotes: Sequence[Quote]) -> None:
        await self._write(_SAYS)
        await self._quotes(quotes)

    async def nothing(self) -> None:
        await self._write(NO_ANSWER)

    async def nearest(self, quotes: Sequence[Quote]) -> None:
        """No citations: what is nearest supports nothing."""
        if quotes:
            await self._write(" Nearest to it:")
        for quote in quotes:
            await self._write(f"\n\n> “{_shown(quote)}” ({quote.passage.title})")

    async def _quotes(self, quotes: Iterable[Quote]) -> None:
        for quote in quotes:
            start = self._length + 2
            await self._write(f"\n\n> “{_shown(quote)}” [{quote.passage.number}]")
            await self._emit(self._citation(quote, start, self._length))

    async def _write(self, delta: str) -> None:
        self._length += len(delta)
        await self._emit(AnswerDelta(version=self._version, delta=delta))

    def _citation(self, quote: Quote, start: int, end: int) -> Citation:
        passage = quote.passage
        return Citation(
            version=self._version,
            marker=passage.number,
            start=start,
            end=end,
            document=passage.document,
            title=passage.title,
            uri=passage.uri,
            source_start=passage.start + quote.start,
            source_end=passage.start + quote.end,
            quote=quote.quote,
            attributed_by="check",
            score=round(quote.score, 4),
            page=passage.page_at(quote.start),
            place=passage.place_at(quote.start, quote.end),
        )


def _distinct(quotes: Iterable[Quote]) -> Iterable[Quote]:
    found: dict[tuple[int, int, int], Quote] = {}
    for quote in quotes:
        found.setdefault((quote.passage.number, quote.start, quote.end), quote)
    return found.values()


def _quote_of(answer: Answer) -> Quote:
    """The sentence of an answer; with the one before it where it begins with a pronoun, which alone says little."""
    content, held = answer.passage.content, answer.sentence
    start, end = held.start, held.end
    if held.kind == "prose":
        word = re.match(r"\W*(\w+)", content[start:end])
        before = [item for item in sentences(content) if item.end <= start]
        if word and word[1].casefold() in PRONOUNS and before and before[-1].kind == "prose":
            gap = content[before[-1].end : start]
            start = before[-1].start if "\n\n" not in gap and end - before[-1].start <= LONGEST_QUOTE_CHARS else start
    if end - start > LONGEST_QUOTE_CHARS:  # such as a line of a log: the words around the answer
        start = max(start, answer.start - LONGEST_QUOTE_CHARS // 2)
        end = min(end, start + LONGEST_QUOTE_CHARS)
    return Quote(answer.passage, start, end, answer.confidence)


def _shown(quote: Quote) -> str:
    """A quote in a line; a table's row with the names of its columns."""
    content = quote.passage.content
    rows = [item for item in sentences(content) if item.kind == "row"]
    here = [at for at, item in enumerate(rows) if item.start <= quote.start and quote.end <= item.end]
    if not here:
        return quote.flat
    first = here[0]
    while first and not content[rows[first - 1].end : rows[first].start].strip(" |:-\n"):
        first -= 1
    cells = _cells(content[rows[here[0]].start : rows[here[0]].end])
    above = quote.passage.heading[-1] if quote.passage.heading else ""
    if first < here[0] and "-" in content[rows[first].end : rows[first + 1].start]:  # the line that marks a header
        names = _cells(content[rows[first].start : rows[first].end])
    else:  # the later rows of a long table
        names = _cells(above) if "|" in above else []
    if len(names) != len(cells):
        return quote.flat
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=True))


def _cells(row: str) -> list[str]:
    return [" ".join(cell.split()) for cell in re.sub(r"^\||\|$", "", row.strip()).split("|")]
