"""A writer for any chat model: asked to cite by number, read as it streams, its citations checked on the way."""

import re
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from textwrap import shorten
from typing import TYPE_CHECKING

from langchain_core.runnables import RunnableConfig

from rag_graph.claims import CitationStream, ClaimChecker, RuleChecker, Sources
from rag_graph.events import AnswerReset, Emit
from rag_graph.models.pieces import Content, CutShort, Restarted, Thinking, TokensUsed
from rag_graph.writing.contract import Assignment, ThinkingSpan, Verdict, cut_short, usage
from rag_graph.writing.editing import EditReader
from rag_graph.writing.prompts import PROMPTS, Prompts, answer_prompt, review_prompt

if TYPE_CHECKING:  # its module takes a second to import, and only a chat model needs it
    from rag_graph.models.replies import Replier

LONGEST_REASON_CHARS = 200
TOLD_ANEW = "The changes to the draft came in another order, or broke off"
_MARKERS = re.compile(r"\s?\[\d{1,3}\]")
"""Readers of a reason have no list of passages before them."""
_SUBJECT = re.compile(r"\[\d{1,3}\](?P<more>(?:,?\s*(?:and|&)?\s*\[\d{1,3}\])+)?")
"""Markers with which a sentence begins: they are who says it."""
_VERDICT = re.compile(r"\b(?P<word>KEEP|REFINE)\b[\s*`]*:?(?P<reason>[^\n]*)", re.IGNORECASE)


@dataclass(frozen=True)
class PromptedWriter:
    """Writes with a chat model. `shows_thinking` passes the model's own reasoning on; `checker` judges its claims."""

    model: "Replier"
    context_tokens: int
    shows_thinking: bool = True
    checker: ClaimChecker = field(default_factory=RuleChecker)
    prompts: Prompts = PROMPTS

    async def write(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> None:
        prompt = answer_prompt(assignment, self.context_tokens, self.prompts)
        step = assignment.step
        for warning in prompt.warnings(step):
            await emit(warning)

        sources = Sources(assignment.passages, assignment.question)
        begin = partial(CitationStream, sources, self.checker, emit, version=assignment.version, step=step)
        answer = begin()
        edits = EditReader(assignment.draft) if assignment.edits else None
        is_cut = False
        thinking = ThinkingSpan(step, emit)
        is_prepared = False
        try:
            async with aclosing(self.model.stream(prompt.messages, config=config)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Content):  # the way of every token: no call that it does not need
                        if thinking.is_open:
                            await thinking.end()
                        await answer.write(edits.feed(piece.delta) if edits else piece.delta)
                    else:
                        if isinstance(piece, Restarted):
                            # The one before may hold half a sentence, or half a marker, of text that is void.
                            await answer.aclose()
                            answer = begin()
                            edits = EditReader(assignment.draft) if edits else None
                        is_cut |= isinstance(piece, CutShort)
                        await self._emit_aside(piece, thinking, assignment, emit)
                    if not is_prepared:
                        # Only now: the thread that reads the passages holds the interpreter, and before the first
                        # piece that would hold up the model's request.
                        is_prepared = True
                        answer.prepare()
            await thinking.end()
            if edits:
                ending = edits.finish(is_cut=is_cut)
                if ending.unread:
                    # Nothing of it was told. Who does not keep to the form may still write a whole answer.
                    await self.write(replace(assignment, edits=False), emit, config)
                    return
                if ending.void:
                    await answer.aclose()
                    answer = begin()
                    await emit(AnswerReset(version=assignment.version, attempt=assignment.attempt, reason=TOLD_ANEW))
                await answer.write(ending.content)
            await answer.finish()
        finally:
            await thinking.end()
            await answer.aclose()

    async def _emit_aside(
        self,
        piece: Thinking | TokensUsed | Restarted | CutShort,
        thinking: ThinkingSpan,
        assignment: Assignment,
        emit: Emit,
    ) -> None:
        """Emit what comes beside the answer's text."""
        match piece:
            case Thinking(delta):
                if self.shows_thinking:
                    await thinking.add(delta)
            case TokensUsed():
                await emit(usage(assignment.step, piece))
            case Restarted(reason):
                await thinking.end()
                await emit(AnswerReset(version=assignment.version, attempt=assignment.attempt, reason=reason))
            case CutShort():
                await emit(cut_short(assignment.step, piece))

    async def review(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> Verdict:
        prompt = review_prompt(assignment, self.context_tokens, self.prompts)
        thinking = ThinkingSpan(assignment.step, emit)
        reply = ""
        async with aclosing(self.model.stream(prompt.messages, config=config)) as pieces:
            async for piece in pieces:
                match piece:
                    case Content(delta):
                        reply += delta
                    case Thinking(delta) if self.shows_thinking:
                        await thinking.add(delta)
                    case Restarted():
                        reply = ""
                    case TokensUsed():
                        await emit(usage(assignment.step, piece))
        await thinking.end()
        return read_verdict(reply)


def read_verdict(reply: str) -> Verdict:
    """Read the one line that was asked for; a model that says anything else would rather write."""
    said = _VERDICT.search(reply)
    refine = said is None or said["word"].upper() == "REFINE"
    reason = shorten(said["reason"].strip(" *`"), LONGEST_REASON_CHARS, placeholder=" …") if said else ""
    if sayers := _SUBJECT.match(reason):
        reason = f"{'Sources' if sayers['more'] else 'A source'}{reason[sayers.end() :]}"
    reason = _MARKERS.sub("", reason).strip()
    fallback = (
        "What was found since changes the answer" if refine else "What was found since agrees with the first answer"
    )
    return Verdict(refine, reason or fallback)
