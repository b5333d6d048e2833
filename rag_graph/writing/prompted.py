"""A writer for any chat model: asked to cite by number, read as it streams, its citations checked on the way."""

import re
from contextlib import aclosing
from dataclasses import dataclass, field
from textwrap import shorten

from langchain_core.runnables import RunnableConfig

from rag_graph.claims import CitationStream, ClaimChecker, RuleChecker, Sources
from rag_graph.events import AnswerReset, Emit, Warned
from rag_graph.models.replies import Content, Piece, Replier, Restarted, Thinking, TokensUsed
from rag_graph.writing.contract import Assignment, Verdict
from rag_graph.writing.prompts import Prompt, answer_prompt, review_prompt
from rag_graph.writing.telling import ThinkingSpan, usage

LONGEST_REASON_CHARS = 200
_VERDICT = re.compile(r"\b(?P<word>KEEP|REFINE)\b[\s*`]*:?(?P<reason>[^\n]*)", re.IGNORECASE)


@dataclass(frozen=True)
class PromptedWriter:
    """Writes with a chat model. `shows_thinking` passes the model's own reasoning on; `checker` judges its claims."""

    model: Replier
    context_tokens: int
    shows_thinking: bool = True
    checker: ClaimChecker = field(default_factory=RuleChecker)

    async def write(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> None:
        prompt = answer_prompt(assignment, self.context_tokens)
        await _tell_what_was_dropped(prompt, assignment.step, emit)
        reader = _Reader(assignment, emit, self.checker, shows_thinking=self.shows_thinking)
        try:
            async with aclosing(self.model.stream(prompt.messages, config=config)) as pieces:
                async for piece in pieces:
                    await reader.read(piece)
            await reader.finish()
        finally:
            await reader.aclose()

    async def review(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> Verdict:
        prompt = review_prompt(assignment, self.context_tokens)
        thinking = ThinkingSpan(assignment.step, emit)
        line = ""
        async with aclosing(self.model.stream(prompt.messages, config=config)) as pieces:
            async for piece in pieces:
                match piece:
                    case Content(delta):
                        line += delta
                    case Thinking(delta) if self.shows_thinking:
                        await thinking.add(delta)
                    case Restarted():
                        line = ""
                    case TokensUsed():
                        await emit(usage(assignment.step, piece))
        await thinking.end()
        return _verdict(line)


def _verdict(reply: str) -> Verdict:
    """Read the one line that was asked for; a model that says anything else would rather write."""
    said = _VERDICT.search(reply)
    refine = said is None or said["word"].upper() == "REFINE"
    reason = shorten(said["reason"].strip(" *`"), LONGEST_REASON_CHARS, placeholder=" …") if said else ""
    fallback = "the new passages change the answer" if refine else "the new passages agree with the draft"
    return Verdict(refine, reason or fallback)


async def _tell_what_was_dropped(prompt: Prompt, step: str, emit: Emit) -> None:
    if prompt.dropped_passages:
        numbers = ", ".join(str(number) for number in prompt.dropped_passages)
        message = f"Passages {numbers} were left out: they do not fit the model's context."
        await emit(Warned(step=step, code="passages_dropped", message=message))
    if prompt.dropped_turns:
        message = f"The oldest {prompt.dropped_turns} turns of the conversation were left out to fit the context."
        await emit(Warned(step=step, code="history_dropped", message=message))


class _Reader:
    """Turns the pieces of one reply into events."""

    def __init__(self, assignment: Assignment, emit: Emit, checker: ClaimChecker, *, shows_thinking: bool) -> None:
        self._assignment = assignment
        self._emit = emit
        self._checker = checker
        self._sources = Sources(assignment.passages, assignment.question)
        self._shows_thinking = shows_thinking
        self._thinking = ThinkingSpan(assignment.step, emit)
        self._answer = self._new_answer()
        self._has_begun = False

    async def read(self, piece: Piece) -> None:
        match piece:
            case Content(delta):
                await self._thinking.end()
                await self._answer.write(delta)
            case Thinking(delta):
                if self._shows_thinking:
                    await self._thinking.add(delta)
            case TokensUsed():
                await self._emit(usage(self._assignment.step, piece))
            case Restarted(reason):
                await self._thinking.end()
                await self._restart(reason)
        if not self._has_begun:
            # Not before the first piece: reading the passages would hold up the model's request.
            self._has_begun = True
            self._answer.prepare()

    async def finish(self) -> None:
        await self._thinking.end()
        await self._answer.finish()

    async def aclose(self) -> None:
        await self._thinking.end()
        await self._answer.aclose()

    async def _restart(self, reason: str) -> None:
        await self._answer.aclose()
        self._answer = self._new_answer()
        version, attempt = self._assignment.version, self._assignment.attempt
        await self._emit(AnswerReset(version=version, attempt=attempt, reason=reason))

    def _new_answer(self) -> CitationStream:
        version, step = self._assignment.version, self._assignment.step
        return CitationStream(self._sources, self._checker, self._emit, version=version, step=step)
