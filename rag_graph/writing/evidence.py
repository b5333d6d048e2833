"""A writer for a model too small to be trusted: evidence is quoted first, then the model's phrase is checked.

A 135M model that writes freely invents facts, while two sentences picked by an embedder hold the answer in nine
of ten single-document questions; so the quotes carry the answer, and the phrase is called confirmed only when the
sources hold it word for word.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig

from rag_graph.citations import cite
from rag_graph.errors import ModelError
from rag_graph.events import (
    AnswerDelta,
    AnswerReset,
    Citation,
    NumberedPassage,
    Unsupported,
    Version,
    Warned,
)
from rag_graph.models.embeddings import Embedder
from rag_graph.models.replies import Content, Replier, Restarted
from rag_graph.sentences import sentences
from rag_graph.writing.contract import Assignment, Tell, Verdict

LEAST_WORDS = 4
LONGEST_QUOTE_CHARS = 600
LONGEST_PHRASE_TOKENS = 40
PHRASE_ENDS = ("\n",)

EXAMPLES = """\
Sources: The Rhine flows past Basel, Strasbourg and Cologne. It reaches the North Sea in the Netherlands.
Question: Into which sea does the Rhine flow?
Answer: the North Sea

Sources: Insulin was first given to a patient in January 1922. The patient, Leonard Thompson, was 14 years old.
Question: Who was the first patient to be given insulin?
Answer: Leonard Thompson

"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence of a passage: `passage.content[start:end]`, and how close it is to the question (cosine)."""

    passage: NumberedPassage
    start: int
    end: int
    score: float

    @property
    def quote(self) -> str:
        return self.passage.content[self.start : self.end]

    def citation(self, version: Version, start: int, end: int) -> Citation:
        passage = self.passage
        return Citation(
            version=version,
            marker=passage.number,
            start=start,
            end=end,
            document=passage.document,
            title=passage.title,
            uri=passage.uri,
            source_start=passage.start + self.start,
            source_end=passage.start + self.end,
            quote=self.quote,
            attributed_by="check",
            score=max(0.0, min(1.0, round(self.score, 4))),
        )


@dataclass(frozen=True)
class EvidenceWriter:
    """Quotes the two best sentences, then lets the small model name the answer; without a model, quotes only."""

    embedder: Embedder
    model: Replier | None

    async def write(self, assignment: Assignment, tell: Tell, config: RunnableConfig) -> None:
        evidence = await asyncio.to_thread(best_evidence, assignment.question, assignment.passages, self.embedder)
        page = _Page(assignment, tell)
        await page.quote(evidence)
        if self.model is None:
            return
        prompt = [HumanMessage(_prompt(assignment.question, evidence))]
        try:
            await page.begin_phrase()
            async for piece in self.model.stream(prompt, config=config):
                match piece:
                    case Content(delta):
                        await page.add_phrase(delta)
                    case Restarted(reason):
                        await page.restart(reason)
                        await page.quote(evidence)
                        await page.begin_phrase()
        except ModelError as exc:
            message = f"{exc} The quotes stand without a short answer."
            await tell(Warned(step=assignment.step, code="quotes_only", message=message))
        await page.end_phrase(evidence)

    async def review(self, assignment: Assignment, tell: Tell, config: RunnableConfig) -> Verdict:  # noqa: ARG002 - contract
        """Refine when the best sentences of all the evidence are not those that the draft quotes."""
        evidence = await asyncio.to_thread(best_evidence, assignment.question, assignment.passages, self.embedder)
        fresh = [item.passage for item in evidence if _flat(item.quote) not in assignment.draft]
        if not fresh:
            return Verdict(refine=False, reason="the draft already quotes the best evidence")
        names = " and ".join(dict.fromkeys(f"“{passage.title}”" for passage in fresh))
        return Verdict(refine=True, reason=f"{names} answers the question more closely")


def best_evidence(question: str, passages: Sequence[NumberedPassage], embedder: Embedder) -> tuple[Evidence, ...]:
    """The sentence closest to the question, then the one closest to both together; blocks while embedding."""
    found = [
        Evidence(passage, sentence.start, sentence.end, 0.0)
        for passage in passages
        for sentence in sentences(passage.content)
        if sentence.kind != "heading" and _states_something(passage.content[sentence.start : sentence.end])
    ]
    if not found:
        return ()
    vectors = embedder.embed([f"{item.passage.title}. {_flat(item.quote)}" for item in found])
    first = _closest(found, vectors @ embedder.embed_query(question))
    others = vectors @ embedder.embed_query(f"{question} {_flat(first.quote)}")
    others[[item.quote == first.quote for item in found]] = -np.inf
    if not np.isfinite(others).any():
        return (first,)
    return first, _closest(found, others)


def _closest(found: Sequence[Evidence], scores: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Evidence:
    best = int(scores.argmax())
    chosen = found[best]
    return Evidence(chosen.passage, chosen.start, chosen.end, float(scores[best]))


def _states_something(sentence: str) -> bool:
    return (
        len(sentence.split()) >= LEAST_WORDS
        and len(sentence) <= LONGEST_QUOTE_CHARS
        and not sentence.rstrip("\"'”’»)").endswith("?")
    )


def _flat(content: str) -> str:
    return " ".join(content.split())


def _prompt(question: str, evidence: Sequence[Evidence]) -> str:
    sources = " ".join(_flat(item.quote) for item in evidence)
    return f"{EXAMPLES}Sources: {sources}\nQuestion: {_flat(question)}\nAnswer:"


class _Page:
    """The answer as it is written down: quotes, a phrase, and what the sources say of the phrase."""

    def __init__(self, assignment: Assignment, tell: Tell) -> None:
        self._assignment = assignment
        self._version = assignment.version
        self._tell = tell
        self._length = 0
        self._phrase = ""
        self._held_back = ""

    async def quote(self, evidence: Sequence[Evidence]) -> None:
        if not evidence:
            await self._write("No sentence of the documents bears on this question.")
        for index, item in enumerate(evidence):
            gap = "\n\n" if index else ""
            start = self._length + len(gap)
            await self._write(f"{gap}> “{_flat(item.quote)}” [{item.passage.number}]")
            await self._tell(item.citation(self._version, start, self._length))

    async def begin_phrase(self) -> None:
        await self._write("\n\nIn short, says the small built-in model: ")

    async def add_phrase(self, delta: str) -> None:
        """Write what the model says, but for the full stop at its end."""
        said = self._held_back + (delta if self._phrase else delta.lstrip())
        kept = said.rstrip(" .")
        self._held_back = said[len(kept) :]
        if kept:
            self._phrase += kept
            await self._write(kept)

    async def end_phrase(self, evidence: Sequence[Evidence]) -> None:
        start = self._length - len(self._phrase)
        if not self._phrase:
            return
        held = _where_held(self._phrase, evidence, self._assignment.passages)
        if held:
            await self._write(f" — found word for word in [{held.passage.number}].")
            await self._tell(held.citation(self._version, start, self._length))
        elif borne_out := _where_borne_out(self._phrase, self._assignment):
            await self._write(f" — borne out by [{borne_out.marker}].")
            await self._tell(borne_out.model_copy(update={"start": start, "end": self._length}))
        else:
            await self._write(" — not confirmed by the sources; trust the quotes.")
            reason = "The small built-in model wrote this, and no sentence of the sources bears it out."
            await self._tell(Unsupported(version=self._version, start=start, end=self._length, reason=reason))

    async def restart(self, reason: str) -> None:
        self._length, self._phrase, self._held_back = 0, "", ""
        await self._tell(AnswerReset(version=self._version, attempt=self._assignment.attempt, reason=reason))

    async def _write(self, delta: str) -> None:
        self._length += len(delta)
        await self._tell(AnswerDelta(version=self._version, delta=delta))


def _where_held(phrase: str, evidence: Sequence[Evidence], passages: Sequence[NumberedPassage]) -> Evidence | None:
    """Where a source has the phrase word for word: in what was quoted, or else anywhere in the passages."""
    words = re.findall(r"\w+", phrase)
    if not words:
        return None
    pattern = re.compile(r"(?<!\w)" + r"\W+".join(map(re.escape, words)) + r"(?!\w)", re.IGNORECASE)
    for item in evidence:
        if match := pattern.search(item.passage.content, item.start, item.end):
            return Evidence(item.passage, match.start(), match.end(), 1.0)
    for passage in passages:
        if match := pattern.search(passage.content):
            return Evidence(passage, match.start(), match.end(), 1.0)
    return None


def _where_borne_out(phrase: str, assignment: Assignment) -> Citation | None:
    """The sentence that supports all of the phrase, if it is a claim and there is one."""
    facts = cite(phrase, assignment.passages, question=assignment.question, version=assignment.version)
    if any(isinstance(fact, Unsupported) for fact in facts):
        return None
    return next((fact for fact in facts if isinstance(fact, Citation)), None)
