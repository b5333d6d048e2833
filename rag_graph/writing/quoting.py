"""The writer without a language model: it names what its reader found, quotes the sentence, and else says so.

Nothing that it says is made up: an answer is a stretch of a passage, shown within its sentence. How sure the reader has
to be was chosen on development data; what came of it on other data stands in the model's card.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from langchain_core.runnables import RunnableConfig

from rag_graph.events import AnswerDelta, Citation, Emit, NumberedPassage, Version, Warned
from rag_graph.models.embeddings import Embedder
from rag_graph.models.reading import Reader
from rag_graph.retrieval.languages import QUESTION_UNREAD, unread_by_reader, unread_language
from rag_graph.retrieval.quotes import LONGEST_QUOTE_CHARS, Quote, QuoteChoice, Weights, content_terms
from rag_graph.text.contractions import with_apostrophes
from rag_graph.text.markup import unmarked
from rag_graph.writing.bearing import BEARS, bearing
from rag_graph.writing.contract import Assignment, Verdict
from rag_graph.writing.excerpts import Excerpt, excerpt, lead_in, with_antecedent
from rag_graph.writing.hops import TwoHops, read_two_hops
from rag_graph.writing.lists import counted, listed_with, names_alike, whole_list
from rag_graph.writing.reading import Answer, read_answers

SURE: Final = 0.76
"""From this confidence on an answer is given.

Of 700 look-ups of the development half, each weighed by what was fitted on others, 47 % had one, and 89 % of these
were right; of 300 others 50 %, and 90 %."""

POSSIBLE: Final = 0.14
"""From this confidence on it is shown as possible; below, it is said that no answer was found.

On the development half that was said of 89 % of the questions without an answer and 8 % of those with one: midway
between what is wanted of both, at least 85 and at most 10."""

NAMED: Final = 0.35
"""From this confidence on a possible answer is named; below, only its sentence is shown.

On the development half, as many questions without an answer among them, 61 % above it and not sure were right, 26 %
below."""

LEAST_OF_HOPS: Final = 0.55
"""From this confidence on an answer in two hops takes a draft's place, as possible below SURE.

Of 250 questions of two hops on which this was chosen 20 had one, after drafts that gave no sure answer, and 16 were
right; of 150 others 12, and 9 right. Where such a draft named something right, its place was never taken by what is
wrong. At SURE or above there were 10, all right."""

SAYS: Final = 0.38
"""From this score on a pair of sentences is shown as what the documents say of a subject.

Of 13 questions that a library of 62 documents answers 11 had at least 0.44, of 12 others 11 at most 0.32."""

FEWER_EMBEDDED: Final = Weights(embedded=16)
"""The reader of the answer waits for this, and half as many sentences take half the time."""

MOST_ITEMS: Final = 12
LANGUAGE_KEPT: Final = (
    "The answer is in the words of the documents: another language takes a language model, and none is set."
)
NO_ANSWER: Final = "No answer was found in the documents: nothing that came up answers this question."
"""Only what a search brought up was read, so that nothing is said of what the documents hold."""
NOT_READ: Final = (
    "No answer was read from the documents: the question is in a language that the embedded reader does not read."
)
"""Where nothing was looked for, it is not said that nothing answers."""
_READ_FROM: Final = " — read from "
_POSSIBLE: Final = "Perhaps "
_BY_WAY_OF: Final = ", by way of "
_NOT_SURE: Final = " — not certain, so judge by what they say"
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
    r"\b(?:which|what|name|list)\s+(?:all\s+)?(?:the\s+)?(?!(?:does|was|has)\b)(?:[\w/-]+\s+){0,2}?\w+(?<!s)s"
    r"(?=\s*\W*$|\s+(?:are|were|do|did|does|can|could|have|had|should|will|would|may|might|must|exist|there|of|in|for)\b)"
    r"|\bwho\s+(?:are|were)\b",
    re.IGNORECASE,
)
"""A noun in the plural, told from a verb's ending by what follows: "which shells does", not "which option enables"."""
_ASKS_IN_WORDS = re.compile(
    r"\b(?:how|why|vs|versus|compared?|comparison|differences?)\b|^\W*(?:please\s+)?(?:explain|describe|summari[sz]e|tell"
    r"|show|list|give|find|outline|discuss|define|write|help)\b",
    re.IGNORECASE,
)
"""For a way, a reason, a comparison or an account, for which no short span is the answer."""
LEAST_KEY_WORDS: Final = 2
"""One word names a subject, and asks for nothing of it."""
_ASKS_OPENLY = re.compile(
    r"\W*what\s+(?:all\s+|else\s+)?(?:did|does|do|should|shall|must|can|could|will|would|may|might|has|have|had|to)\b",
    re.IGNORECASE,
)
"""For whatever there is, which may be several: "what did the flood destroy"."""
_SEVERAL = re.compile(r"\w\W?,\s[^,;:.]{1,40},?\s(?:and|or|&)\s\W?\w")
"""A list in a sentence: A, B and C."""

MOST_SIGNS: Final = 0.12
"""Prose has a smaller share of signs than code."""


@dataclass(frozen=True)
class QuotingWriter:
    """Answers in the words of the documents, without a language model."""

    embedder: Embedder
    """The one beside which the reader's confidence was fitted, whichever one searches."""
    reader: Reader
    search_embedder: Embedder | None = None
    """The one that searches, where it is another: it may read languages that these two do not."""
    reviews_freely: ClassVar[bool] = True
    """Two hops may lie in the first passages already, and reading them takes longer than a draft may."""

    async def write(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> None:  # noqa: ARG002 - contract
        if assignment.language and not assignment.draft:
            await emit(Warned(step=assignment.step, code="language_kept", message=LANGUAGE_KEPT))
        page = _Page(assignment.version, emit)
        if hops := await asyncio.to_thread(self._two_hops, assignment):
            await page.leads(hops)
            return
        finding = await asyncio.to_thread(self._find, assignment)
        if finding.sure:
            await page.answers(finding.sure, finding.quotes)
        elif finding.possible and finding.possible[0].confidence >= NAMED:
            await page.possibly(finding.possible, finding.quotes)
        elif finding.possible:
            await page.says(finding.quotes)
        elif finding.bearing:
            await page.says(finding.bearing)
        else:
            nearest = await asyncio.to_thread(self._nearest, assignment.question, assignment.passages)
            if finding.unread and nearest:  # else the search has said so
                message = unread_by_reader(finding.unread)
                await emit(Warned(step=assignment.step, code=QUESTION_UNREAD, message=message))
            await page.nothing(NOT_READ if finding.unread else NO_ANSWER)
            await page.nearest(nearest)

    async def review(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> Verdict:  # noqa: ARG002 - contract
        """Refine when the draft had no sure answer and the new passages hold one, or all of them in two hops.

        A sure answer is never given up for another: where that was tried, it made 9 of 20 worse and none better. But
        where it is only what the question describes, it answers half of it.
        """
        if hops := await asyncio.to_thread(self._two_hops, assignment):
            said = f"“{hops.answer.passage.title}” says “{hops.answer.text}” where the question leads to"
            return Verdict(refine=True, reason=f"{said} “{hops.link.text}”")
        if not _is_open(assignment):
            return Verdict(
                refine=False, reason="The first answer quotes its sources, and quotes are not given up for others"
            )
        finding = await asyncio.to_thread(self._find, assignment)
        found = [(answer.passage, f"says “{answer.text}”") for answer in finding.sure]
        if not found and assignment.draft.startswith(NO_ANSWER):
            found = [(quote.passage, "bears on the question") for quote in finding.bearing]
        for passage, what in found:
            if passage.number in assignment.new_passages:
                return Verdict(refine=True, reason=f"“{passage.title}” {what}")
        return Verdict(refine=False, reason="What was found since holds no sure answer either")

    def _two_hops(self, assignment: Assignment) -> TwoHops | None:
        """What takes the draft's place. A draft never has it: it would wait for up to a second of reading."""
        question, passages = assignment.question, assignment.passages
        if not (assignment.draft and passages and _asks_for_a_span(question)):
            return None
        if unread_language(question, (passage.content for passage in passages), self.embedder):
            return None
        hops = read_two_hops(question, passages, self.reader, self.embedder)
        if hops is None or hops.confidence < LEAST_OF_HOPS:
            return None
        named = content_terms(short_answer(assignment.draft))
        is_half = named and named <= content_terms(hops.link.text)
        return hops if is_half or _is_open(assignment) else None

    def _find(self, assignment: Assignment) -> "_Finding":
        question, passages = with_apostrophes(assignment.question), assignment.passages
        # In a language that neither model reads: whatever they found would be by chance.
        if unread := unread_language(question, (passage.content for passage in passages), self.embedder):
            return _Finding(unread=unread)
        said_of = _ASKS_WHAT_IS_SAID.search(question)
        if said_of:
            return _Finding(bearing=self._said_of(said_of["subject"], passages))
        if _asks_for_a_span(question):
            return self._read(question, passages)
        if _is_key_words(question):
            finding = self._read(question, passages)
            if finding.sure or (finding.possible and finding.possible[0].confidence >= NAMED):
                return finding
        choice = self._choice(question, passages)
        return _Finding(bearing=choice.best(_reads_well) if bearing(question, passages, choice) >= BEARS else ())

    def _read(self, question: str, passages: Sequence[NumberedPassage]) -> "_Finding":
        """What the reader finds for a question that a span answers, or several."""
        answers = read_answers(question, passages, self.reader, self.embedder)
        several = bool(_ASKS_FOR_SEVERAL.search(question))
        openly = _ASKS_OPENLY.match(question) is not None
        if (several or openly) and answers and (whole := tuple(whole_list(answers[0], question))):
            quotes = (lead_in(_quote_of(whole[0])),)
            if answers[0].confidence >= SURE:
                return _Finding(sure=whole, quotes=quotes)
            if answers[0].confidence >= NAMED:
                return _Finding(possible=whole, quotes=quotes)
        sure = [answer for answer in answers if answer.confidence >= SURE]
        if sure and several:
            return _Finding(sure=tuple(_together(sure)[:MOST_ITEMS]))
        counts = counted(sure[0], question) if sure else None
        if counts:
            return _Finding(sure=tuple(counts))
        if sure and counts is None and not names_alike(sure[0], question):
            return _Finding(sure=tuple(listed_with(sure[0]) if openly else sure[:1]))
        possible = [answer for answer in answers if answer.confidence >= POSSIBLE][:2]
        if several and (listed := self._listed(question, passages)):
            return _Finding(bearing=listed)
        return _Finding(
            possible=tuple(possible[:1]), quotes=two_quotes(question, passages, possible) if possible else ()
        )

    def _listed(self, question: str, passages: Sequence[NumberedPassage]) -> tuple[Quote, ...]:
        """The best sentence or list that names several, where the passages bear on the question."""
        choice = self._choice(question, passages)
        if bearing(question, passages, choice) < BEARS:
            return ()
        asked = content_terms(question)  # a passage mostly holds several lists: of its words the list's own count
        return choice.best(
            lambda quote: _names_several(quote) and 2 * len(asked & content_terms(quote.quote)) >= len(asked)
        )[:1]

    def _said_of(self, subject: str, passages: Sequence[NumberedPassage]) -> tuple[Quote, ...]:
        """What stands under headings that name a subject; without one, what bears on it and has half of its words."""
        asked = content_terms(subject)
        if asked and (named := [one for one in passages if asked <= content_terms("\n".join(_above(one)))]):
            return self._choice(subject, named).best()
        speaking = [
            one
            for one in passages
            if 2 * len(asked & content_terms("\n".join((*_above(one), one.content)))) >= len(asked)
        ]
        quotes = self._choice(subject, speaking).best()
        return quotes if quotes and quotes[0].score >= SAYS else ()

    def _nearest(self, question: str, passages: Sequence[NumberedPassage]) -> tuple[Quote, ...]:
        """The pair of sentences that is nearest to the question, where it can be read; blocks while embedding."""
        embedder = self.search_embedder or self.embedder
        if unread_language(question, (passage.content for passage in passages), embedder):
            return ()
        return QuoteChoice(question, passages, embedder, weights=FEWER_EMBEDDED).best(_reads_well)

    def _choice(self, question: str, passages: Sequence[NumberedPassage]) -> QuoteChoice:
        return QuoteChoice(question, passages, self.embedder, weights=FEWER_EMBEDDED)


@dataclass(frozen=True, slots=True)
class _Finding:
    """What answers, surely or possibly, or bears on a question that no short span answers; else nothing does."""

    sure: tuple[Answer, ...] = ()
    possible: tuple[Answer, ...] = ()
    quotes: tuple[Quote, ...] = ()
    """What is quoted for them, where it is not the sentence of each."""
    bearing: tuple[Quote, ...] = ()
    unread: str = ""
    """The language of the question where the reader does not read it."""


def two_quotes(question: str, passages: Sequence[NumberedPassage], answers: Sequence[Answer]) -> tuple[Quote, ...]:
    """The sentences of the two likeliest answers, the better one first.

    A second answer that is hardly possible, or of the same sentence, gives way to the sentence that has the most of the
    question's words beside the first. On 687 look-ups of the development half whose answer a passage holds the two had
    it of 92.7 %, and 88.4 % with whatever the second answer was; by meaning as well they had it no more often.
    """
    quotes = [_quote_of(answer) for answer in answers[:1]]
    quotes += [
        quote
        for quote in (_quote_of(answer) for answer in answers[1:2] if answer.confidence >= POSSIBLE)
        if not _overlap(quote, quotes[0])
    ]
    if len(quotes) > 1:
        return tuple(quotes)
    beside = QuoteChoice(question, passages).best(
        lambda quote: _reads_well(quote) and not any(_overlap(quote, other) for other in quotes)
    )
    return (*quotes, *beside)[:2]


def _above(passage: NumberedPassage) -> tuple[str, ...]:
    return (passage.title, *passage.heading)


def _together(answers: Sequence[Answer]) -> list[Answer]:
    """Those of the best answer's passage with the lists that they stand in, in their order there."""
    first = answers[0]
    held = [item for answer in answers if answer.passage.number == first.passage.number for item in listed_with(answer)]
    said: dict[str, Answer] = {}
    for answer in sorted(held, key=lambda answer: answer.start):
        said.setdefault(answer.text.casefold(), answer)
    return list(said.values())


def _is_open(assignment: Assignment) -> bool:
    """Whether the draft gave no sure answer, or only quotes to a question for a short one."""
    draft = assignment.draft
    return draft.startswith((NO_ANSWER, NOT_READ, _POSSIBLE)) or (
        draft.startswith(_SAYS) and _asks_for_a_span(with_apostrophes(assignment.question))
    )


def _asks_for_a_span(question: str) -> bool:
    if _ASKS_YES_OR_NO.match(question) or _ASKS_WHAT_IS_SAID.search(question):
        return False
    return _ASKS_FOR_A_SPAN.search(question) is not None


def _is_key_words(question: str) -> bool:
    """Whether a question only names what it is after, as "camp fee for siblings?" typed into a search box.

    Of 700 look-ups of the development half 29 are such: of the 4 that have a sure answer all were right, of the 5 that
    have a possible one that is named 3; of the same asked without an answer none had either.
    """
    is_asked = _ASKS_YES_OR_NO.match(question) or _ASKS_IN_WORDS.search(question)
    return not is_asked and len(content_terms(question)) >= LEAST_KEY_WORDS


def _reads_well(quote: Quote) -> bool:
    """Whether a quote is no scrap of code over several lines, as of a block whose beginning is in another passage."""
    said = quote.quote
    signs = sum(not (char.isalnum() or char.isspace() or char in ".,;:'’-") for char in said)
    return "\n" not in said.strip() or signs <= MOST_SIGNS * len(said)


def _names_several(quote: Quote) -> bool:
    """Whether a quote holds a list of at least three, or leads in to one."""
    if len(excerpt(quote).items) > 1:
        return True
    said = re.sub(r"\([^()]*\)", " ", unmarked(quote.quote))
    return _SEVERAL.search(said) is not None


_SHORT = re.compile(rf"(?:{_POSSIBLE})?(.*?)(?:{_READ_FROM}|{re.escape(_NOT_SURE)})", re.DOTALL)


def short_answer(answer: str) -> str:
    """What an answer of this writer names, nothing where it names nothing; of other writers' all but the markers."""
    if answer.startswith((NO_ANSWER, NOT_READ)):
        return ""
    said = _SHORT.match(answer)
    return said[1] if said else re.sub(r"\s?\[\d+]", "", answer)


class _Page:
    """The answer as it is written down."""

    def __init__(self, version: Version, emit: Emit) -> None:
        self._version = version
        self._emit = emit
        self._length = 0

    async def answers(self, answers: Sequence[Answer], quotes: Sequence[Quote]) -> None:
        marker = answers[0].passage.number
        names = [answer.text for answer in answers]
        await self._write(f"{_named(answers)}{_READ_FROM}[{marker}]:")
        at = 0
        for answer, name in zip(answers, names, strict=True):
            end = at + len(name) if len(answers) > 1 else self._length - 1
            await self._emit(self._citation(_quote_of(answer), at, end))
            at += len(name) + len(", " if answer is not answers[-2:][0] else " and ")
        await self._quotes(quotes or map(_quote_of, answers))

    async def possibly(self, answers: Sequence[Answer], quotes: Sequence[Quote]) -> None:
        await self._write(f"{_POSSIBLE}{_named(answers)}{_NOT_SURE}.")
        await self._quotes(quotes)

    async def leads(self, hops: TwoHops) -> None:
        """An answer in two hops, with what is quoted for each."""
        link, answer = hops.link, hops.answer
        if hops.confidence >= SURE:
            await self._write(f"{answer.text}{_READ_FROM}[{answer.passage.number}]")
            way = self._length
            await self._write(f"{_BY_WAY_OF}{link.text} [{link.passage.number}]:")
            await self._emit(self._citation(_quote_of(answer), 0, way))
            await self._emit(self._citation(_quote_of(link), way, self._length - 1))
        else:
            await self._write(f"{_POSSIBLE}{answer.text}{_NOT_SURE} of {link.text}.")
        await self._quotes(map(_quote_of, (link, answer)))

    async def says(self, quotes: Sequence[Quote]) -> None:
        await self._write(_SAYS)
        await self._quotes(quotes, with_example=True)

    async def nothing(self, why: str) -> None:
        await self._write(why)

    async def nearest(self, quotes: Sequence[Quote]) -> None:
        """No citations: what is nearest supports nothing."""
        if quotes:
            await self._write(" Nearest to it:")
        for quote in quotes:
            await self._write(f"\n\n> “{excerpt(quote).said}” ({quote.passage.title})")

    async def _quotes(self, quotes: Iterable[Quote], *, with_example: bool = False) -> None:
        for shown in _distinct(excerpt(quote, with_example=with_example) for quote in quotes):
            start = self._length + 2
            said = "\n> - ".join((shown.said, *shown.items))
            await self._write(f"\n\n> “{said}” [{shown.quote.passage.number}]")
            if shown.code:
                fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown.code)), default=0))
                await self._write(f"\n\n{fence}{shown.language}\n{shown.code}\n{fence}")
            await self._emit(self._citation(shown.quote, start, self._length))

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


def _distinct(excerpts: Iterable[Excerpt]) -> list[Excerpt]:
    """Without those that lie within another, as a line of the code that is shown with another quote."""
    found: list[Excerpt] = []
    for one in excerpts:
        if not any(_lies_in(one.quote, other.quote) for other in found):
            found = [other for other in found if not _lies_in(other.quote, one.quote)] + [one]
    return found


def _lies_in(one: Quote, other: Quote) -> bool:
    return one.passage.number == other.passage.number and other.start <= one.start and one.end <= other.end


def _named(answers: Sequence[Answer]) -> str:
    names = [answer.text for answer in answers]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _overlap(one: Quote, other: Quote) -> bool:
    return one.passage.number == other.passage.number and one.start < other.end and other.start < one.end


def _quote_of(answer: Answer) -> Quote:
    """The sentence of an answer; of a line of a log or the like, which has no end, the words around it."""
    held = answer.sentence
    start, end = held.start, held.end
    if end - start > LONGEST_QUOTE_CHARS:
        start = max(start, answer.start - LONGEST_QUOTE_CHARS // 2)
        end = min(end, start + LONGEST_QUOTE_CHARS)
    quote = Quote(answer.passage, start, end, answer.confidence)
    return with_antecedent(quote) if held.kind == "prose" else quote
