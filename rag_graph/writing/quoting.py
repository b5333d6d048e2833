"""A writer for a model too small to be trusted: sources are quoted first, then the model's phrase is checked.

A 135M model that writes freely is right on a third to a half of the questions, invents facts and hardly ever cites,
while two well chosen sentences hold the answer in nine of ten single-document questions. So the quotes carry the
answer, and the phrase is called confirmed only when the sources hold it word for word: of 40 such phrases 25 were
found in the passages, and of those 80 % were right; of the others 33 %.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig

from rag_graph.claims import CitationStream, ClaimChecker, RuleChecker, Sources
from rag_graph.errors import ModelError
from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    Citation,
    Emit,
    Event,
    NumberedPassage,
    Unsupported,
    Version,
    Warned,
)
from rag_graph.models.embeddings import Embedder
from rag_graph.models.replies import Content, Replier, Restarted, TokensUsed
from rag_graph.retrieval.quotes import Quote, QuoteChoice
from rag_graph.writing.contract import Assignment, Verdict, usage

LONGEST_PHRASE_TOKENS = 40
MOST_LOSS = 0.07
"""So much worse than the draft's (of 1) may a pair with a new sentence score, and still be tried.

With it 14 of 100 runs refine; by F1 of the short answer 4 became better and 1 worse.
"""
PHRASE_ENDS = ("\n",)

# The form is raw and short, not a chat: it was right more often, and an unchanging opening is cached by the server, so
# that two sentences cost 0.4 s to the first token, where ten passages cost 5.
EXAMPLES = """\
Sources: The Rhine flows past Basel, Strasbourg and Cologne. It reaches the North Sea in the Netherlands.
Question: Into which sea does the Rhine flow?
Answer: the North Sea

Sources: Insulin was first given to a patient in January 1922. The patient, Leonard Thompson, was 14 years old.
Question: Who was the first patient to be given insulin?
Answer: Leonard Thompson

"""


@dataclass(frozen=True)
class QuotingWriter:
    """Quotes the two best sentences, then lets the small model name the answer; without a model, quotes only.

    A refinement keeps the quotes of the draft and adds what is better, so that it never takes a source away.
    """

    embedder: Embedder
    model: Replier | None
    checker: ClaimChecker = field(default_factory=RuleChecker)

    async def write(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> None:
        drafted, best = await asyncio.to_thread(self._choose, assignment)
        quotes = (*drafted, *_added(drafted, best))
        answer = _Answer(assignment, emit)
        await answer.quote(quotes)
        if self.model is None or not best:
            return
        prompt = [HumanMessage(_prompt(assignment.question, best))]
        try:
            await answer.begin_phrase()
            async with aclosing(self.model.stream(prompt, config=config)) as pieces:
                async for piece in pieces:
                    match piece:
                        case Content(delta):
                            await answer.add_phrase(delta)
                        case Restarted(reason):
                            await answer.restart(reason)
                            await answer.quote(quotes)
                            await answer.begin_phrase()
                        case TokensUsed():
                            await emit(usage(assignment.step, piece))
        except ModelError as exc:
            message = f"{exc} The quotes stand without a short answer."
            await emit(Warned(step=assignment.step, code="quotes_only", message=message))
        await answer.end_phrase(quotes, self.checker)

    async def review(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> Verdict:
        """Refine when better or new sentences let the model name something else, which they do say."""
        drafted, best = await asyncio.to_thread(self._choose, assignment)
        added = _added(drafted, best)
        if not added or (drafted and best[0].score < drafted[0].score - MOST_LOSS):
            return Verdict(refine=False, reason="the draft quotes what answers the question best")
        names = " and ".join(dict.fromkeys(f"“{quote.passage.title}” [{quote.passage.number}]" for quote in added))
        if self.model is None:
            return Verdict(refine=True, reason=f"{names} bears on the question")
        phrase = await self._phrase(best, assignment, emit, config)
        # A phrase that no quote says is made up, and one that the question says is no answer.
        if not _where_held(phrase, best, ()) or _as_words(phrase).search(assignment.question):
            return Verdict(refine=False, reason=f"{names} was looked at and gives no answer")
        if phrase.casefold() == short_answer(assignment.draft).casefold():
            return Verdict(refine=False, reason=f"{names} leads to the same answer")
        return Verdict(refine=True, reason=f"{names} says “{phrase}”")

    async def _phrase(self, quotes: Sequence[Quote], assignment: Assignment, emit: Emit, config: RunnableConfig) -> str:
        """Let the model name the answer where nobody sees it."""
        if self.model is None:
            return ""
        said: list[str] = []
        prompt = [HumanMessage(_prompt(assignment.question, quotes))]
        async with aclosing(self.model.stream(prompt, config=config)) as pieces:
            async for piece in pieces:
                match piece:
                    case Content(delta):
                        said.append(delta)
                    case Restarted():
                        said.clear()
                    case TokensUsed():
                        await emit(usage(assignment.step, piece))
        return "".join(said).strip(" .")

    def _choose(self, assignment: Assignment) -> tuple[tuple[Quote, ...], tuple[Quote, ...]]:
        """What the draft quotes, and the best pair; where these are the same, the best pair with something new."""
        choice = QuoteChoice(assignment.question, assignment.passages, self.embedder)
        drafted = choice.best(lambda quote: _as_quoted(quote) in assignment.draft)
        best = choice.best()
        if drafted and not _added(drafted, best):
            best = choice.best(having=lambda quote: quote.passage.number in assignment.new_passages) or best
        return drafted, best


def _added(drafted: Sequence[Quote], best: Sequence[Quote]) -> list[Quote]:
    # Told apart by their words: the same sentence may stand in several passages.
    quoted = {quote.flat for quote in drafted}
    return [quote for quote in best if quote.flat not in quoted]


def _as_quoted(quote: Quote) -> str:
    return f"“{quote.flat}” [{quote.passage.number}]"


def _prompt(question: str, quotes: Sequence[Quote]) -> str:
    sources = " ".join(quote.flat for quote in quotes)
    return f"{EXAMPLES}Sources: {sources}\nQuestion: {' '.join(question.split())}\nAnswer:"


def _citation(quote: Quote, version: Version, start: int, end: int) -> Citation:
    passage = quote.passage
    return Citation(
        version=version,
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
        score=quote.score,
    )


_PHRASE_OPENING = "In short, says the small built-in model: "
_PHRASE = re.compile(rf"{_PHRASE_OPENING}(.*?)(?: — |$)", re.DOTALL)


def short_answer(answer: str) -> str:
    """The phrase in an answer of this writer; of other writers' answers, all but their markers."""
    said = _PHRASE.search(answer)
    return said[1] if said else re.sub(r"\s?\[\d+]", "", answer)


class _Answer:
    """The answer as it is written down: quotes, a phrase, and what the sources say of the phrase."""

    def __init__(self, assignment: Assignment, emit: Emit) -> None:
        self._assignment = assignment
        self._version = assignment.version
        self._emit = emit
        self._length = 0
        self._phrase = ""
        self._held_back = ""

    async def quote(self, quotes: Sequence[Quote]) -> None:
        if not quotes:
            await self._write("No sentence of the documents bears on this question.")
        for index, quote in enumerate(quotes):
            gap = "\n\n" if index else ""
            start = self._length + len(gap)
            await self._write(f"{gap}> {_as_quoted(quote)}")
            await self._emit(_citation(quote, self._version, start, self._length))

    async def begin_phrase(self) -> None:
        await self._write(f"\n\n{_PHRASE_OPENING}")

    async def add_phrase(self, delta: str) -> None:
        """Write what the model says, but for the full stop at its end."""
        # What is completed is "Answer:", so the phrase begins with a space.
        said = self._held_back + (delta if self._phrase else delta.lstrip())
        kept = said.rstrip(" .")
        self._held_back = said[len(kept) :]
        if kept:
            self._phrase += kept
            await self._write(kept)

    async def end_phrase(self, quotes: Sequence[Quote], checker: ClaimChecker) -> None:
        """Say what the sources say of the phrase: the very words, the same in others, or nothing."""
        start = self._length - len(self._phrase)
        if not self._phrase:
            return
        held = _where_held(self._phrase, quotes, self._assignment.passages)
        if held:
            await self._write(f" — found word for word in [{held.passage.number}].")
            await self._emit(_citation(held, self._version, start, self._length))
        elif borne_out := await _where_borne_out(self._phrase, self._assignment, checker):
            await self._write(f" — borne out by [{borne_out.marker}].")
            await self._emit(borne_out.model_copy(update={"start": start, "end": self._length}))
        else:
            await self._write(" — not confirmed by the sources; trust the quotes.")
            reason = "The small built-in model wrote this, and no sentence of the sources bears it out."
            await self._emit(Unsupported(version=self._version, start=start, end=self._length, reason=reason))

    async def restart(self, reason: str) -> None:
        self._length, self._phrase, self._held_back = 0, "", ""
        await self._emit(AnswerReset(version=self._version, attempt=self._assignment.attempt, reason=reason))

    async def _write(self, delta: str) -> None:
        self._length += len(delta)
        await self._emit(AnswerDelta(version=self._version, delta=delta))


def _where_held(phrase: str, quotes: Sequence[Quote], passages: Sequence[NumberedPassage]) -> Quote | None:
    """Where a source has the phrase word for word: in what was quoted, or else anywhere in the passages."""
    pattern = _as_words(phrase)
    for quote in quotes:
        if match := pattern.search(quote.passage.content, quote.start, quote.end):
            return Quote(quote.passage, match.start(), match.end(), 1.0)
    for passage in passages:
        if match := pattern.search(passage.content):
            return Quote(passage, match.start(), match.end(), 1.0)
    return None


def _as_words(phrase: str) -> re.Pattern[str]:
    """Find these words in this order, whatever stands between them; a phrase without words is nowhere."""
    words = re.findall(r"\w+", phrase)
    return re.compile(r"(?<!\w)" + r"\W+".join(map(re.escape, words)) + r"(?!\w)" if words else r"(?!)", re.IGNORECASE)


async def _where_borne_out(phrase: str, assignment: Assignment, checker: ClaimChecker) -> Citation | None:
    """The sentence that supports all of the phrase, if it is a claim and there is one."""
    facts: list[Event] = []

    async def emit(event: Event) -> None:
        facts.append(event)

    sources = Sources(assignment.passages, assignment.question)
    stream = CitationStream(sources, checker, emit, version=assignment.version, step=assignment.step)
    try:
        await stream.write(phrase)
        await stream.finish()
    finally:
        await stream.aclose()
    if any(isinstance(fact, Unsupported) for fact in facts):
        return None
    return next((fact for fact in facts if isinstance(fact, Citation) and fact.grade == "quoted"), None)
