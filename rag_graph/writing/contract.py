"""How an answer comes to be written, whoever writes it: the graph knows this contract and no writer by name.

With it stands what every writer emits besides text: the model's thinking, and the tokens it took.
"""

from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from langchain_core.runnables import RunnableConfig

from rag_graph.events import (
    CUT_BY_FILTER,
    CUT_BY_LENGTH,
    Emit,
    NumberedPassage,
    ThinkingDelta,
    ThinkingFinished,
    ThinkingStarted,
    Usage,
    Version,
    Warned,
)
from rag_graph.models.pieces import CutShort, TokensUsed
from rag_graph.query import Turn
from rag_graph.text.controls import in_reading_order


@dataclass(frozen=True, slots=True)
class Assignment:
    """One version of the answer to one question; `passages` come in the order of their numbers."""

    question: str
    passages: tuple[NumberedPassage, ...]
    version: Version
    step: str
    history: tuple[Turn, ...] = ()
    language: str = ""
    """To answer in; empty for the question's."""
    draft: str = ""
    edits: bool = False
    """Most of the draft stands: changes to it will do, though a writer may write anew all the same."""
    new_passages: tuple[int, ...] = ()
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a draft should be written anew, and why, in a sentence that people read."""

    refine: bool
    reason: str


class Writer(Protocol):
    """Writes answers from passages. Both methods raise ModelError when no model can be brought to answer.

    One with a true `reviews_freely` asks no model for a review, and so reviews every draft, whatever was found since.
    """

    async def write(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> None:
        """Emit thinking, answer text, citations, flags, resets, warnings and usage as they come to be."""

    async def review(self, assignment: Assignment, emit: Emit, config: RunnableConfig) -> Verdict:
        """Judge whether the passages under `new_passages` change the draft."""


class ThinkingSpan:
    """The model's thinking in one step: opens at its first word; `end` closes it if it `is_open`."""

    def __init__(self, step: str, emit: Emit) -> None:
        self.is_open = False
        self._step = step
        self._emit = emit
        self._began = 0.0

    async def add(self, delta: str) -> None:
        if not self.is_open:
            self.is_open, self._began = True, monotonic()
            await self._emit(ThinkingStarted(step=self._step, thinker="model"))
        await self._emit(ThinkingDelta(step=self._step, delta=in_reading_order(delta)))

    async def end(self) -> None:
        if self.is_open:
            self.is_open = False
            await self._emit(ThinkingFinished(step=self._step, seconds=round(monotonic() - self._began, 3)))


def usage(step: str, tokens: TokensUsed) -> Usage:
    """What one call of the model took, as an event of this step."""
    return Usage(
        step=step,
        model=tokens.model,
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        reasoning_tokens=tokens.reasoning_tokens,
        cached_tokens=tokens.cached_tokens,
    )


def cut_short(step: str, cut: CutShort) -> Warned:
    """That the answer of this step is not whole, as an event of it."""
    if cut.by == "length":
        message = "The answer is incomplete: the model came to its limit of tokens before the end."
        return Warned(step=step, code=CUT_BY_LENGTH, message=message)
    if cut.by == "filter":
        message = "The answer is incomplete: the filter of the model's service stopped it."
        return Warned(step=step, code=CUT_BY_FILTER, message=message)
    message = "The answer may be incomplete: the model's service ended it for a reason of its own."
    return Warned(step=step, code="answer_perhaps_cut", message=message)
